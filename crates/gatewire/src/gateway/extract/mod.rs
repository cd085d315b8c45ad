//! The parameters of a handler. Each is taken from the message, in order, before the handler runs; the first that
//! cannot be taken answers for it.

mod ack;
mod body;
mod client;
mod path;
mod rejection;
mod valid;

pub use ack::Ack;
pub(crate) use ack::AckSlot;
pub use body::MessageBody;
pub(crate) use body::read_part;
pub use client::{ConnectedSocket, Extension, Handshake, Pattern};
pub use path::Path;
pub use rejection::{BodyRejection, FieldError, MissingExtension, PathRejection};
pub use valid::Valid;
pub(crate) use valid::validate;

use super::context::MessageContext;
use crate::pipeline::WsException;

/// A type that a handler may have as a parameter. Implement it for a type of your own to take something from the
/// message, its client or both.
///
/// ```
/// use gatewire::prelude::*;
///
/// /// The client's language, from its handshake.
/// struct Language(String);
///
/// impl FromMessage for Language {
///     type Rejection = WsException;
///
///     fn from_message(message: &MessageContext<'_>) -> Result<Self, WsException> {
///         match message.socket().handshake().headers().get("accept-language") {
///             Some(language) => Ok(Self(language.to_owned())),
///             None => Err("say which language you speak".into()),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "a handler cannot take this from a message",
    note = "extractors are `MessageBody<T>`, `Valid<T>`, `Path<T>`, `Socket`, `Server`, `Ack`, `Handshake`, `Pattern`, `Payload`, `Extension<T>` and every type that implements `FromMessage`",
    note = "for the message's body write `MessageBody(name): MessageBody<{Self}>`"
)]
pub trait FromMessage: Sized {
    /// What is answered if it cannot be taken.
    type Rejection: Into<WsException> + Send + Sync + 'static;

    /// Takes it.
    ///
    /// # Errors
    /// The client gets the rejection as an exception, and the handler is not run.
    fn from_message(message: &MessageContext<'_>) -> Result<Self, Self::Rejection>;
}
