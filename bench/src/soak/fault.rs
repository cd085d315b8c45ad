//! What can go wrong with a client.

use std::fmt;
use std::io;

/// Why a client's life did not go as planned.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection has ended.
    Gone(io::Error),
    /// The server did something wrong, or did not do something.
    Wrong(String),
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Wrong(format!("no JSON: {error}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(error) => write!(f, "the connection ended: {error}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

/// `Err` of what the server did wrong.
pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(Fault::Wrong(what.into()))
}
