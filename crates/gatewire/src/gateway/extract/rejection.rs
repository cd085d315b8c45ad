//! Why something could not be taken from a message: one type for each kind of extractor, and what the client reads of it.

use serde::Serialize;

use crate::pipeline::WsException;

/// Why a body, or a part of it, could not be taken.
///
/// The client gets an `exception` whose message is this error's text. Where single fields can be named, they are in
/// `errors`:
///
/// ```json
/// {
///   "status": "error",
///   "message": "Validation failed",
///   "errors": [{ "property": "address.zip", "constraints": ["length is lower than 5"] }],
///   "cause": { "pattern": "register", "data": { "address": { "zip": "1" } } }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyRejection {
    /// It does not fit the type.
    #[error("Invalid message body: {reason}")]
    Misfit {
        /// What serde expected.
        reason: String,
    },
    /// The part that was asked for is not there, and the type takes no `null`.
    #[error("Invalid message body: missing field `{key}`")]
    Missing {
        /// The part.
        key: &'static str,
    },
    /// A part was asked for of what has no parts.
    #[error("Invalid message body: expected an object with the field `{key}`")]
    NoObject {
        /// The part.
        key: &'static str,
    },
    /// What a client came with, asked for by [`ExecutionContext::data`](crate::pipeline::ExecutionContext::data) where there
    /// is no message, does not fit the type.
    #[error("Invalid {part}: {reason}")]
    Handshake {
        /// `auth` of a Socket.IO client, `query` of a plain WebSocket and of a request.
        part: &'static str,
        /// What serde expected.
        reason: String,
    },
    /// The fields do not keep the rules of their type.
    #[error("Validation failed")]
    Invalid {
        /// Which, and why not.
        errors: Vec<FieldError>,
    },
}

/// What is wrong with one field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// The way to it, such as `address.zip` or `tags[1]`; empty for the body as a whole.
    pub property: String,
    /// What it had to keep, each a sentence.
    pub constraints: Vec<String>,
}

impl FieldError {
    /// One broken rule.
    pub fn new(property: impl Into<String>, constraint: impl Into<String>) -> Self {
        Self {
            property: property.into(),
            constraints: vec![constraint.into()],
        }
    }
}

impl BodyRejection {
    /// Serde's own words, without the place: the text is a slice of a packet that the client never saw as such.
    pub(crate) fn misfit(error: &serde_json::Error) -> Self {
        Self::Misfit {
            reason: reason(error),
        }
    }

    pub(crate) fn handshake(part: &'static str, error: &serde_json::Error) -> Self {
        Self::Handshake {
            part,
            reason: reason(error),
        }
    }
}

pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// A body, or a part of it, that was read by hand and does not fit.
impl From<serde_json::Error> for BodyRejection {
    fn from(error: serde_json::Error) -> Self {
        Self::misfit(&error)
    }
}

impl From<BodyRejection> for WsException {
    fn from(rejection: BodyRejection) -> Self {
        let exception = Self::new(rejection.to_string());
        match rejection {
            BodyRejection::Invalid { errors } => exception.with("errors", errors),
            _ => exception,
        }
    }
}

/// Why the parameters of a namespace's pattern could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathRejection {
    /// They do not fit the type.
    #[error("Invalid namespace: {reason}")]
    Misfit {
        /// What was expected.
        reason: String,
    },
}

impl From<PathRejection> for WsException {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.to_string())
    }
}

/// The client has no value of a type that a handler takes as an [`Extension`](super::Extension).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has no {type_name}; set it in handle_connection or a guard")]
#[non_exhaustive]
pub struct MissingExtension {
    /// The type.
    pub type_name: &'static str,
}

impl From<MissingExtension> for WsException {
    fn from(rejection: MissingExtension) -> Self {
        Self::internal(rejection)
    }
}
