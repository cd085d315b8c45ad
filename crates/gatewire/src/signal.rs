//! The signals that end an application: Ctrl-C, and where there is such a thing SIGTERM. Waits for them; what is done
//! then is the application's matter.

use std::io;

use crate::module::ShutdownSignal;

/// Hears of every signal from its creation on.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> ShutdownSignal {
        tokio::select! {
            _ = self.interrupt.recv() => ShutdownSignal::Interrupt,
            _ = self.terminate.recv() => ShutdownSignal::Terminate,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) -> ShutdownSignal {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(target: "gatewire", context = "App", %error, "Ctrl-C is not heard of");
            std::future::pending::<()>().await;
        }
        ShutdownSignal::Interrupt
    }
}
