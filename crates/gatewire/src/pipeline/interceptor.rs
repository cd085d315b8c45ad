//! Interceptors: what goes around a handler, before it and after it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use stackfuture::StackFuture;

use super::route::Next;
use super::{Answer, Exception, ExecutionContext};

/// Goes around a handler: does something before and after it, changes its answer or error, or answers in its place.
///
/// Bound with `#[use_interceptors(..)]` to a gateway or a handler, or with
/// [`App::use_global_interceptors`](crate::App::use_global_interceptors) to all. Those of the application are the
/// outermost, then come the gateway's and the handler's, each in the order written. They run after the guards, and
/// around the extractors: an extractor's rejection is an error of [`Next::handle`]. A handler of which the future is
/// dropped because `handle` was not awaited to its end does no more.
///
/// ```
/// use std::time::Instant;
/// use gatewire::prelude::*;
///
/// #[injectable]
/// struct Timing {
///     logger: Logger,
/// }
///
/// impl Interceptor for Timing {
///     async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
///         let start = Instant::now();
///         let answer = next.handle().await;
///         self.logger.log(format_args!("{} took {:?}", context.handler(), start.elapsed()));
///         answer
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an interceptor",
    label = "not an interceptor",
    note = "write `impl Interceptor for {Self} {{ async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {{ .. }} }}`"
)]
pub trait Interceptor: Send + Sync + 'static {
    /// Calls `next.handle()`, or not, and gives the answer.
    ///
    /// # Errors
    /// What the client is told instead, unless a filter catches it.
    fn intercept(
        &self,
        context: &ExecutionContext,
        next: Next<'_>,
    ) -> impl Future<Output = Result<Answer, Exception>> + Send;
}

impl<I: Interceptor> Interceptor for Arc<I> {
    fn intercept(
        &self,
        context: &ExecutionContext,
        next: Next<'_>,
    ) -> impl Future<Output = Result<Answer, Exception>> + Send {
        (**self).intercept(context, next)
    }
}

/// The future of the outermost interceptor, of any type. Most are small: so many bytes cost no allocation.
pub(crate) type Around<'a> = StackFuture<'a, Result<Answer, Exception>, 256>;

/// An interceptor of any type.
pub(crate) trait DynInterceptor: Send + Sync {
    /// Goes around all others.
    fn around<'a>(&'a self, context: &'a ExecutionContext, next: Next<'a>) -> Around<'a>;

    /// Goes around the handler, or those within. Its future is a part of the one around it, which is to stay small.
    fn within<'a>(
        &'a self,
        context: &'a ExecutionContext,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Answer, Exception>>;

    /// For the log.
    fn name(&self) -> &'static str;
}

impl<I: Interceptor> DynInterceptor for I {
    fn around<'a>(&'a self, context: &'a ExecutionContext, next: Next<'a>) -> Around<'a> {
        Around::from_or_box(self.intercept(context, next))
    }

    fn within<'a>(
        &'a self,
        context: &'a ExecutionContext,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Answer, Exception>> {
        Box::pin(self.intercept(context, next))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<I>()
    }
}
