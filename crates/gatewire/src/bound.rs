//! An application on its addresses: serves until it is told to end, and then ends in order.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use gatewire_server::Listener;
use tokio::sync::watch;

use crate::app::log;
use crate::module::ShutdownSignal;
use crate::running::{AppHandle, Farewell, Running};
use crate::signal::Signals;
use crate::site::Site;

/// An application whose addresses are bound; connections wait until it is served.
pub struct Bound {
    local_addr: SocketAddr,
    listeners: Vec<(Listener, Arc<Site>)>,
    farewell: Farewell,
    running: Arc<Running>,
}

impl Bound {
    pub(crate) fn new(
        local_addr: SocketAddr,
        listeners: Vec<(Listener, Arc<Site>)>,
        hand_over: bool,
        running: Arc<Running>,
    ) -> Self {
        Self {
            local_addr,
            listeners,
            farewell: Farewell {
                hand_over,
                ..Farewell::default()
            },
            running,
        }
    }

    /// The address that the application is bound to; with port 0 the one that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether [TLS](crate::App::use_tls) is spoken.
    pub fn is_secure(&self) -> bool {
        self.listeners.iter().any(|(listener, _)| listener.is_secure())
    }

    /// All addresses that it is bound to: its own first, then those of gateways with a port of their own, and of what
    /// operators look at.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(|(listener, _)| listener.local_addr());
        addresses.flatten().collect()
    }

    /// How long clients, the handlers that still run and their disconnect hooks are waited for at the end. Default 10 s.
    #[must_use]
    pub fn drain_timeout(mut self, patience: Duration) -> Self {
        self.farewell.patience = patience;
        self
    }

    /// Over how long a time the connections are closed at the end: evenly, one after the other, so that their clients do not
    /// come back all at once. The [drain timeout](Self::drain_timeout) begins after it. Clients are served until it is their
    /// turn. Default zero: all are closed together.
    ///
    /// The official client waits 0.5 s to 1.5 s by itself (`reconnectionDelay` and `randomizationFactor`), which is enough
    /// for some hundreds; take a second for each thousand or two that connect again.
    #[must_use]
    pub fn drain_spread(mut self, window: Duration) -> Self {
        self.farewell.spread = window;
        self
    }

    /// Whether another process serves the port from the end on, or does so already: because it is
    /// [shared](crate::App::reuse_port), or its listener is inherited. Then no connection is accepted any more as soon as the
    /// end begins; who was connected just before is let in, and told like the others. Otherwise the port is kept until all
    /// have left, and new clients are answered with 503. Default true if the port is shared, else false.
    #[must_use]
    pub fn hand_over(mut self, hand_over: bool) -> Self {
        self.farewell.hand_over = hand_over;
        self
    }

    /// A handle to end the application from elsewhere.
    pub fn handle(&self) -> AppHandle {
        AppHandle(Arc::clone(&self.running))
    }

    /// Serves until the process is told to end, by Ctrl-C or SIGTERM, and then ends as [`AppHandle::close`] says. A
    /// second signal ends it at once, whatever still runs.
    pub async fn serve(self) {
        let (Ok(mut first), Ok(mut second)) = (Signals::new(), Signals::new()) else {
            tracing::warn!(target: "gatewire", context = "App", "signals are not heard of: the process ends without a shutdown");
            return self.run(pending()).await;
        };
        let told = async { Some(first.next().await) };
        let hurried = async {
            second.next().await;
            second.next().await;
        };
        tokio::select! {
            () = self.run(told) => {}
            () = hurried => {
                tracing::warn!(target: "gatewire", context = "App", "A second signal: what still runs is dropped");
            }
        }
    }

    /// Serves until `shutdown` is ready, and then ends as [`AppHandle::close`] says. Signals are not looked at.
    pub async fn serve_with_shutdown(self, shutdown: impl Future<Output = ()> + Send) {
        self.run(async {
            shutdown.await;
            None
        })
        .await;
    }

    async fn run(self, told: impl Future<Output = Option<ShutdownSignal>> + Send) {
        let serving = self.running.serve();
        let scheme = scheme_of(self.is_secure());
        log("App", format_args!("Listening on {scheme}://{}", self.local_addr));
        let (ending, _) = watch::channel(false);
        let served = join_all(self.listeners.into_iter().map(|(listener, site)| {
            if let Ok(address) = listener.local_addr()
                && address != self.local_addr
            {
                let scheme = scheme_of(listener.is_secure());
                log("App", format_args!("Listening on {scheme}://{address} too"));
            }
            let listener = match self.farewell {
                // It stops first then: polls that are open may go on until their clients are told.
                Farewell {
                    hand_over: true,
                    patience,
                    spread,
                } => listener.with_drain_timeout(patience + spread),
                Farewell { .. } => listener,
            };
            let mut end = ending.subscribe();
            let handler = move |request, peer| Arc::clone(&site).answer(request, Some(peer));
            listener.serve(handler, async move {
                // An error means that the sender is gone, which is an end too.
                let _ = end.wait_for(|end| *end).await;
            })
        }));
        let end = async {
            let signal = tokio::select! {
                signal = told => signal,
                () = serving.asked() => None,
            };
            match signal {
                Some(signal) => log("App", format_args!("Shutting down: {signal}")),
                None => log("App", format_args!("Shutting down")),
            }
            // The listeners go on meanwhile, unless somebody else has the port: a client on polling fetches its last packets
            // by a request.
            ending.send_replace(self.farewell.hand_over);
            serving.close(signal, self.farewell).await;
            ending.send_replace(true);
            signal
        };
        let (_, signal) = join(served, end).await;
        serving.end(signal).await;
    }
}

fn scheme_of(is_secure: bool) -> &'static str {
    if is_secure { "https" } else { "http" }
}
