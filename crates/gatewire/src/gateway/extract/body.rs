//! The body of a message, straight into the handler's own type, and the raw arguments.

use std::convert::Infallible;

use serde::Deserialize;

use super::FromMessage;
use crate::Payload;
use crate::gateway::MessageContext;
use crate::pipeline::WsException;

/// The message's argument as a `T`: `null` if there is none, a list (or tuple) if there are several. A body that does not
/// fit is answered with an exception that says what was expected.
///
/// Binary data comes as `bytes::Bytes` (or any type that deserialises from bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageBody<T>(pub T);

// Spelt out, because serde explains a missing `Deserialize` better than a missing `DeserializeOwned`.
impl<T: for<'de> Deserialize<'de>> FromMessage for MessageBody<T> {
    type Rejection = WsException;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, WsException> {
        message.event().body().map(Self).map_err(|error| misfit(&error))
    }
}

/// Every argument as it came, text and binary; can be emitted or returned untouched.
impl FromMessage for Payload {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.event().to_payload())
    }
}

/// Serde's own words, without the place: the text is a slice of a packet that the client never saw as such.
pub(crate) fn misfit(error: &serde_json::Error) -> WsException {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    WsException::new(format!("Invalid message body: {text}"))
}
