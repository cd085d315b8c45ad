//! Guards: who may connect, and who may send what. They say yes, no, or why not; they change nothing of the message.

use std::sync::Arc;

use stackfuture::StackFuture;

use super::{Exception, ExecutionContext};

/// Decides whether a client may connect and whether a message may go on to its handler.
///
/// Bound with `#[use_guards(..)]` to a gateway or a handler, or with
/// [`App::use_global_guards`](crate::App::use_global_guards) to all. The guards of the application are asked first, then
/// the gateway's, then the handler's, each in the order written; the first that says no ends it. Those of the application
/// and of a gateway are asked for the connection, too, before `handle_connection`: there `context.is_connection()` is
/// true and a no is the client's `connect_error`.
///
/// A client that comes back with its session, by connection state recovery, is let in as `handle_connection` is left out
/// for it; its messages are asked about as ever, and an [`Expiry`](super::Expiry) goes on.
///
/// `Ok(false)` is answered as `Forbidden resource`, as in NestJS; an error says more.
///
/// ```
/// use gatewire::prelude::*;
///
/// struct Roles(&'static [&'static str]);
/// struct User { role: String }
///
/// #[injectable]
/// struct RolesGuard;
///
/// impl Guard for RolesGuard {
///     async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
///         let Some(Roles(allowed)) = context.metadata::<Roles>() else {
///             return Ok(true);
///         };
///         let user = context.client().get::<User>().ok_or("log in first")?;
///         Ok(allowed.contains(&&*user.role))
///     }
/// }
///
/// #[websocket_gateway]
/// struct AdminGateway;
///
/// #[subscriptions]
/// impl AdminGateway {
///     #[subscribe_message("restart")]
///     #[use_guards(RolesGuard)]
///     #[set_metadata(Roles(&["admin"]))]
///     fn restart(&self) {}
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guard",
    label = "not a guard",
    note = "write `impl Guard for {Self} {{ async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {{ .. }} }}`"
)]
pub trait Guard: Send + Sync + 'static {
    /// Whether it may go on.
    ///
    /// # Errors
    /// It may not, and the client is told why.
    fn can_activate(
        &self,
        context: &ExecutionContext,
    ) -> impl Future<Output = Result<bool, Exception>> + Send;
}

impl<G: Guard> Guard for Arc<G> {
    fn can_activate(
        &self,
        context: &ExecutionContext,
    ) -> impl Future<Output = Result<bool, Exception>> + Send {
        (**self).can_activate(context)
    }
}

/// The future of a guard of any type. Most are small: so many bytes cost no allocation.
pub(crate) type Check<'a> = StackFuture<'a, Result<bool, Exception>, 64>;

/// A guard of any type.
pub(crate) trait DynGuard: Send + Sync {
    fn check<'a>(&'a self, context: &'a ExecutionContext) -> Check<'a>;

    /// For the log.
    fn name(&self) -> &'static str;
}

impl<G: Guard> DynGuard for G {
    fn check<'a>(&'a self, context: &'a ExecutionContext) -> Check<'a> {
        Check::from_or_box(self.can_activate(context))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<G>()
    }
}
