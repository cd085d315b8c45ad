//! A listener that somebody else has bound: the application itself, or a process before it.

use std::io;

use tokio::net::TcpListener;

/// A bound TCP socket for [`App::listen_on`](crate::App::listen_on): any listener of tokio or of the standard library can be
/// made into one.
#[derive(Debug)]
pub struct GivenListener(Kind);

#[derive(Debug)]
enum Kind {
    Tokio(TcpListener),
    Std(std::net::TcpListener),
}

impl From<TcpListener> for GivenListener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tokio(listener))
    }
}

impl From<std::net::TcpListener> for GivenListener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self(Kind::Std(listener))
    }
}

impl GivenListener {
    pub(crate) fn into_tokio(self) -> io::Result<TcpListener> {
        match self.0 {
            Kind::Tokio(listener) => Ok(listener),
            Kind::Std(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }
        }
    }
}
