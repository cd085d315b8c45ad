//! Pipes of whole bodies: what every message of a handler, a gateway or the application goes through before its handler
//! takes its arguments. Those of single arguments are [`Pipe`](super::Pipe)s.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Argument, Exception};
use crate::Payload;

/// Turns the body of a message into another one, or refuses it, whatever the handler's types are.
///
/// Bound with `#[use_pipes(..)]` to a gateway or a handler, or with
/// [`App::use_global_pipes`](crate::App::use_global_pipes) to all. Those of the application come first, then the gateway's
/// and the handler's, each in the order written, and the [`Pipe`](super::Pipe)s of single parameters last. They run inside of
/// the interceptors. Guards, interceptors and the `cause` of an exception have the body as it was sent.
///
/// ```
/// use gatewire::gateway::BodyRejection;
/// use gatewire::prelude::*;
/// use serde_json::Value;
///
/// /// Takes fields out that no client may set.
/// #[injectable]
/// struct WithoutRole;
///
/// impl BodyPipe for WithoutRole {
///     async fn transform(&self, body: Payload, _: &Argument) -> Result<Payload, Exception> {
///         let body = body.map_json(|value| {
///             if let Value::Object(fields) = value {
///                 fields.remove("role");
///             }
///         });
///         Ok(body.map_err(BodyRejection::from)?)
///     }
/// }
///
/// #[websocket_gateway]
/// #[use_pipes(WithoutRole)]
/// struct UserGateway;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pipe of whole bodies",
    label = "not a `BodyPipe`",
    note = "write `impl BodyPipe for {Self} {{ async fn transform(&self, body: Payload, argument: &Argument) -> Result<Payload, Exception> {{ .. }} }}`",
    note = "a pipe of a single value (`impl Pipe<T>`) stands at its parameter: `#[message_body(\"key\", {Self})]`"
)]
pub trait BodyPipe: Send + Sync + 'static {
    /// Makes the body that the handler gets. `argument` has no key.
    ///
    /// # Errors
    /// The client gets the error as an exception, and the handler is not run.
    fn transform(
        &self,
        body: Payload,
        argument: &Argument,
    ) -> impl Future<Output = Result<Payload, Exception>> + Send;
}

impl<P: BodyPipe> BodyPipe for Arc<P> {
    fn transform(
        &self,
        body: Payload,
        argument: &Argument,
    ) -> impl Future<Output = Result<Payload, Exception>> + Send {
        (**self).transform(body, argument)
    }
}

/// A pipe of whole bodies of any type.
pub(crate) trait DynPipe: Send + Sync {
    fn run<'a>(&'a self, body: Payload, argument: &'a Argument) -> BoxFuture<'a, Result<Payload, Exception>>;

    /// For the log.
    fn name(&self) -> &'static str;
}

impl<P: BodyPipe> DynPipe for P {
    fn run<'a>(&'a self, body: Payload, argument: &'a Argument) -> BoxFuture<'a, Result<Payload, Exception>> {
        Box::pin(self.transform(body, argument))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<P>()
    }
}
