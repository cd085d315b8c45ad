//! All figures of an application at one moment, and who takes them.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use gatewire_hub::HubStats;
use gatewire_server::ServerStats;

use super::handlers::{HandlerStats, Handlers};
use super::operator::OperatorRoute;
use crate::running::Running;

/// The figures of an application at one moment. Counts only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppStats {
    /// The servers of the gateways: namespaces, rooms, acknowledgements, and their places in a cluster.
    pub hubs: Vec<HubStats>,
    /// What clients are connected to.
    pub servers: Vec<(ServerKind, ServerStats)>,
    /// The handlers of gateways whose namespace had a client, and those of controllers that had a request.
    pub handlers: Vec<HandlerStats>,
    /// Clients that a gateway's guard did not let into its namespace.
    pub refused_by_guard: u64,
    /// Clients that a gateway's `handle_connection` did not let in.
    pub refused_by_hook: u64,
    /// Clients on whom a gateway did not decide within the [`connect_limit`](crate::App::connect_limit).
    pub refused_late: u64,
    /// Events of clients that no handler is subscribed to.
    pub unknown_events: u64,
    /// Whether the application takes clients: it is served, and does not end.
    pub is_accepting: bool,
}

/// What the clients of a server speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// Socket.IO.
    SocketIo,
    /// Plain WebSockets.
    Ws,
    /// The streams of controllers.
    Sse,
}

impl ServerKind {
    /// In a word, as for the label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SocketIo => "socketio",
            Self::Ws => "ws",
            Self::Sse => "sse",
        }
    }
}

/// Takes the figures of an application to whoever reads them: see [`App::use_metrics`](crate::App::use_metrics).
pub trait Exporter {
    /// Begins, within a tokio runtime and before any client comes. The routes that it gives are served with the application.
    fn begin(self, figures: Figures) -> Vec<OperatorRoute>;
}

/// The figures of an application, to be asked for now and then. It does not keep the application alive.
#[derive(Clone)]
pub struct Figures {
    running: Weak<Running>,
    handlers: Arc<Handlers>,
}

impl Figures {
    pub(crate) fn new(running: &Arc<Running>, handlers: &Arc<Handlers>) -> Self {
        Self {
            running: Arc::downgrade(running),
            handlers: Arc::clone(handlers),
        }
    }

    /// Whether the application is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running.strong_count() == 0
    }

    /// The figures at this moment; `None` once the application is gone. Every connection is locked for a moment, so that this
    /// takes some milliseconds where there are ten thousands of them: asked for on a thread that may block, it disturbs nobody.
    #[must_use]
    pub fn collect(&self) -> Option<AppStats> {
        let mut stats = self.running.upgrade()?.stats();
        let refused = self.handlers.refused();
        stats.handlers = self.handlers.stats();
        stats.refused_by_guard = self.handlers.guarded_connections();
        stats.refused_late = refused.late.load(Ordering::Relaxed);
        let others = stats.refused_by_guard + stats.refused_late;
        stats.refused_by_hook = refused.connections.load(Ordering::Relaxed).saturating_sub(others);
        stats.unknown_events = refused.events.load(Ordering::Relaxed);
        Some(stats)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}
