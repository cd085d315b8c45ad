//! Why an application did not start or serve.

use std::fmt;
use std::io;

use gatewire_hub::cluster::ClusterError;
use gatewire_server::TlsError;

use crate::module::{InjectError, VerifyError};

/// `Result` with [`Error`]; what `main` returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why an application did not start or serve. `Debug` prints the same text as `Display`, because that is what a
/// `main` that returns it shows.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The modules or gateways are wired wrongly; every fault is listed.
    #[error("{0}")]
    Verify(#[from] VerifyError),
    /// A provider could not be built.
    #[error("the application cannot start: {0}")]
    Build(#[from] InjectError),
    /// A hook of the start failed.
    #[error("the application cannot start: {hook} of {provider}: {message}")]
    Hook {
        /// The provider.
        provider: String,
        /// The hook's name, such as `on_module_init`.
        hook: &'static str,
        /// Its error, or the text of its panic.
        message: String,
    },
    /// The options of a server, adapter and gateways together, make no sense.
    #[error("the server {server} cannot be set up: {message}")]
    Config {
        /// Port and path.
        server: String,
        /// What is wrong.
        message: String,
    },
    /// A certificate or its key cannot be used.
    #[error("the application cannot start: {0}")]
    Tls(#[from] TlsError),
    /// There is no cluster to join.
    #[error("the application cannot start: {0}")]
    Cluster(#[from] ClusterError),
    /// An address could not be bound.
    #[error("cannot listen on {address}: {message}")]
    Listen {
        /// The address that was asked for.
        address: String,
        /// The kind of the operating system's error.
        kind: io::ErrorKind,
        /// Its text.
        message: String,
    },
}

impl Error {
    pub(crate) fn listen(address: impl fmt::Display, error: &io::Error) -> Self {
        Self::Listen {
            address: address.to_string(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
