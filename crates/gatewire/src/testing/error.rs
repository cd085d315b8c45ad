//! What may come instead of what a test waits for.

use std::time::Duration;

use serde_json::Value;

use super::inbox::Closed;

/// Why a step of a test client gave no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The server refused the connection with an HTTP status.
    #[error("the server answered the handshake with {status}: {body}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The namespace refused the client: its `connect_error`.
    #[error("the namespace {namespace} refused the client: {error}")]
    ConnectError {
        /// The namespace.
        namespace: String,
        /// The object with `message`, and `data` if there is some.
        error: Value,
    },
    /// The connection ended.
    #[error("the connection ended ({closed:?}) while {waiting_for} was waited for")]
    Closed {
        /// How.
        closed: Closed,
        /// What was waited for.
        waiting_for: String,
    },
    /// It did not come in time.
    #[error("{waiting_for} did not come within {patience:?}; instead came {instead:?}")]
    Timeout {
        /// What was waited for.
        waiting_for: String,
        /// How long.
        patience: Duration,
        /// Events that came and nobody has asked for yet.
        instead: Vec<String>,
    },
    /// What came is no `T`.
    #[error("{what} cannot be read: {message}; it is {value}")]
    Unexpected {
        /// What it is.
        what: String,
        /// The reason.
        message: String,
        /// What came.
        value: Value,
    },
    /// The connection could not be made, or what was to be sent is no JSON.
    #[error("{0}")]
    Failed(String),
}
