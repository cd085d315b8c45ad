//! Exception filters: what becomes of an error before the client hears of it.

use std::any::TypeId;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Answer, Exception, ExecutionContext, WsException};

/// Catches the errors of one type, or all of them, and says what the client gets.
///
/// Bound with `#[use_filters(..)]` to a gateway or a handler, or with
/// [`App::use_global_filters`](crate::App::use_global_filters) to all. The handler's filters are asked first, then the
/// gateway's, then the application's, and of several at one place the last first, as in NestJS: a filter of everything
/// is written before those of single types. The first whose type it is gets the error, and no other. An error that no filter
/// takes goes to the client as [`WsException`] says.
///
/// Errors of a connection (a guard's or `handle_connection`'s) go to the filters of the gateway and the application. A
/// filter does not let anybody in: whatever it answers, the client is refused.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[derive(Debug)]
/// enum ChatError { RoomFull, Muted }
///
/// impl From<ChatError> for WsException {
///     fn from(error: ChatError) -> Self {
///         Self::new(format!("{error:?}"))
///     }
/// }
///
/// #[injectable]
/// struct ChatFilter;
///
/// impl ExceptionFilter for ChatFilter {
///     type Error = ChatError;
///
///     async fn catch(&self, error: ChatError, context: &ExecutionContext) -> Result<Answer, WsException> {
///         match error {
///             // Told to nobody: the sender believes that it was sent.
///             ChatError::Muted => Ok(Answer::nothing()),
///             ChatError::RoomFull => Err(format!("{}: no place left", context.pattern()).into()),
///         }
///     }
/// }
///
/// #[websocket_gateway]
/// #[use_filters(ChatFilter)]
/// struct ChatGateway;
///
/// #[subscriptions]
/// impl ChatGateway {
///     #[subscribe_message("join")]
///     fn join(&self, MessageBody(room): MessageBody<u32>) -> Result<(), ChatError> {
///         if room > 9 { Err(ChatError::RoomFull) } else { Ok(()) }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an exception filter",
    label = "not an exception filter",
    note = "write `impl ExceptionFilter for {Self} {{ type Error = WsException; async fn catch(&self, error: WsException, context: &ExecutionContext) -> Result<Answer, WsException> {{ .. }} }}`"
)]
pub trait ExceptionFilter: Send + Sync + 'static {
    /// What it catches: a type that handlers fail with, or [`WsException`] for every error.
    type Error: Into<WsException> + Send + Sync + 'static;

    /// What the client gets: an answer as if the handler had given it, or an exception.
    ///
    /// # Errors
    /// The exception for the client.
    fn catch(
        &self,
        error: Self::Error,
        context: &ExecutionContext,
    ) -> impl Future<Output = Result<Answer, WsException>> + Send;
}

impl<F: ExceptionFilter> ExceptionFilter for Arc<F> {
    type Error = F::Error;

    fn catch(
        &self,
        error: F::Error,
        context: &ExecutionContext,
    ) -> impl Future<Output = Result<Answer, WsException>> + Send {
        (**self).catch(error, context)
    }
}

/// A filter of any type.
pub(crate) trait DynFilter: Send + Sync {
    /// Catches the exception, or gives it back if it is of another type.
    fn try_catch<'a>(
        &'a self,
        exception: Exception,
        context: &'a ExecutionContext,
    ) -> Result<BoxFuture<'a, Result<Answer, WsException>>, Exception>;

    /// For the log.
    fn name(&self) -> &'static str;
}

impl<F: ExceptionFilter> DynFilter for F {
    fn try_catch<'a>(
        &'a self,
        exception: Exception,
        context: &'a ExecutionContext,
    ) -> Result<BoxFuture<'a, Result<Answer, WsException>>, Exception> {
        let exception = if TypeId::of::<F::Error>() == TypeId::of::<WsException>() {
            Exception::from(exception.into_ws())
        } else {
            exception
        };
        let error = exception.downcast()?;
        Ok(Box::pin(self.catch(error, context)))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<F>()
    }
}
