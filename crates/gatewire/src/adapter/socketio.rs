//! Socket.IO for the whole application: options for every server, which a gateway's own options override.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::Io;
use gatewire_hub::cluster::SessionBus;
use gatewire_server::{
    ConfigError, Cookie, DeflateOptions, Engine, EngineConfig, Hooks, Limits, SharingConfig, SocketIo,
};

use crate::gateway::plan::ServerPlan;
use crate::gateway::{Cors, GatewayOptions, TransportKind};

/// Options for every Socket.IO server of the application. What is not said is Socket.IO's own default; what a gateway
/// says goes before.
///
/// ```
/// use std::time::Duration;
/// use gatewire::prelude::*;
///
/// let adapter = SocketIoAdapter::new().ping_interval(Duration::from_secs(10)).max_http_buffer_size(100_000);
/// ```
#[derive(Clone, Debug)]
pub struct SocketIoAdapter {
    options: GatewayOptions,
    /// What no gateway can say; the rest of it is overwritten.
    engine: EngineConfig,
    hooks: Hooks,
    sharing: Sharing,
}

/// How sessions are shared, and by what; without a bus by that of the cluster, if it has one.
#[derive(Clone, Default)]
struct Sharing {
    bus: Option<Arc<dyn SessionBus>>,
    config: SharingConfig,
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing")
            .field("bus", &self.bus.is_some())
            .field("config", &self.config)
            .finish()
    }
}

impl Default for SocketIoAdapter {
    fn default() -> Self {
        Self {
            options: GatewayOptions::default(),
            engine: EngineConfig::default(),
            hooks: Hooks::new(),
            sharing: Sharing::default(),
        }
    }
}

impl SocketIoAdapter {
    /// Socket.IO's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which pages of other origins may connect; others get 403. Without it the application's
    /// ([`App::enable_cors`](crate::App::enable_cors)).
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.options = self.options.cors(cors);
        self
    }

    /// The transports that are served.
    #[must_use]
    pub fn transports(mut self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.options = self.options.transports(transports);
        self
    }

    /// Time between pings.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.options = self.options.ping_interval(interval);
        self
    }

    /// Time for a pong to come.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.ping_timeout(timeout);
        self
    }

    /// Time for a new connection to join a namespace.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.connect_timeout(timeout);
        self
    }

    /// Time for an upgrade to be completed.
    #[must_use]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.upgrade_timeout(timeout);
        self
    }

    /// Bytes that one message may have.
    #[must_use]
    pub fn max_http_buffer_size(mut self, bytes: usize) -> Self {
        self.options = self.options.max_http_buffer_size(bytes);
        self
    }

    /// Whether polling may become a WebSocket.
    #[must_use]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.options = self.options.allow_upgrades(allow);
        self
    }

    /// Whether clients of Socket.IO 2, which speak Engine.IO 3, are served, too. Default false.
    ///
    /// Such a client is let into `/` without asking, and the query that it gives a namespace is its `auth`. Its sockets have
    /// the id of the connection; in other namespaces than `/` it shows that as `/namespace#id`.
    #[must_use]
    pub fn allow_eio3(mut self, allow: bool) -> Self {
        self.engine.allow_eio3 = allow;
        self
    }

    /// Whether clients may poll by `<script>` tags (JSONP), past the rules of CORS. Default true, as in Node.
    #[must_use]
    pub fn allow_jsonp(mut self, allow: bool) -> Self {
        self.engine.allow_jsonp = allow;
        self
    }

    /// The bounds that protect the server: connections, bytes that wait to be sent, and the like.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.engine.limits = limits;
        self
    }

    /// The cookie with the session id that a polling handshake sets, for load balancers. Default none.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.engine.cookie = Some(cookie);
        self
    }

    /// Bytes from which a polling response is compressed for a client that accepts it; `None` compresses none. Default
    /// 1,024.
    #[must_use]
    pub fn http_compression(mut self, threshold: Option<usize>) -> Self {
        self.engine.http_compression = threshold;
        self
    }

    /// Compression of WebSocket messages for clients that offer it (permessage-deflate); `None` accepts no offer. Default
    /// `None`.
    #[must_use]
    pub fn per_message_deflate(mut self, options: impl Into<Option<DeflateOptions>>) -> Self {
        self.engine.per_message_deflate = options.into();
        self
    }

    /// Serves the browser bundles of the official client from `folder`, the `dist` folder of an installed
    /// `socket.io-client`: a page then needs no more than `<script src="/socket.io/socket.io.js">`. Read once, at start.
    #[must_use]
    pub fn serve_client(mut self, folder: impl Into<PathBuf>) -> Self {
        self.engine.client_files = Some(folder.into());
        self
    }

    /// Whether the path of a request must go on with a slash after the gateway's path. Default true.
    #[must_use]
    pub fn add_trailing_slash(mut self, add: bool) -> Self {
        self.engine.add_trailing_slash = add;
        self
    }

    /// A say in the HTTP side of every server: who is let in, which headers go out, what was refused.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Shares the sessions of clients with the other servers on `bus`, so that their requests may come to any of them: no
    /// load balancer in front needs to be sticky. A cluster that has such a bus ([`App::use_cluster`](crate::App::use_cluster))
    /// needs no call; a bus that is given here goes before.
    #[must_use]
    pub fn share_sessions(mut self, bus: Arc<dyn SessionBus>) -> Self {
        self.sharing.bus = Some(bus);
        self
    }

    /// How patient servers that share sessions are with each other, and how much they take on.
    #[must_use]
    pub fn sharing(mut self, config: SharingConfig) -> Self {
        self.sharing.config = config;
        self
    }

    /// The engine of one server, for which `cors` is what counts if nobody says more.
    pub(crate) fn engine(
        &self,
        plan: &ServerPlan,
        io: Io,
        cors: Option<&Cors>,
        bus: Option<&Arc<dyn SessionBus>>,
    ) -> Result<Engine, ConfigError> {
        let options = plan.options.clone().or(&self.options.server);
        let default = self.engine.clone();
        let config = EngineConfig {
            path: plan.path.clone(),
            transports: options.transports.unwrap_or(default.transports),
            allow_upgrades: options.allow_upgrades.unwrap_or(default.allow_upgrades),
            ping_interval: options.ping_interval.unwrap_or(default.ping_interval),
            ping_timeout: options.ping_timeout.unwrap_or(default.ping_timeout),
            upgrade_timeout: options.upgrade_timeout.unwrap_or(default.upgrade_timeout),
            connect_timeout: options.connect_timeout.unwrap_or(default.connect_timeout),
            max_payload: options.max_http_buffer_size.unwrap_or(default.max_payload),
            cors: options.cors.or_else(|| cors.cloned()),
            ..default
        };
        let engine = Engine::with_hooks(config, self.hooks.clone(), SocketIo::new(io))?;
        if let Some(bus) = self.sharing.bus.as_ref().or(bus) {
            engine.share_sessions(bus.clone(), self.sharing.config.clone())?;
        }
        Ok(engine)
    }
}
