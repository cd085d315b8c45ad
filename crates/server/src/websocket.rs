//! WebSockets without Engine.IO: one server for any client of RFC 6455. The handshake is checked here; what follows is done
//! by the same driver, outbox and timer that serve Engine.IO, and what runs on top is an [`Application`], too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gatewire_proto::websocket::DeflateOptions;
use http::request::Parts;
use http::{Request, Response, StatusCode};

use crate::application::{Application, Connection};
use crate::clock;
use crate::config::{ConfigError, Limits, check_deflate, check_origin};
use crate::connection::Input;
use crate::cors::Cors;
use crate::dialect::Dialect;
use crate::hooks::Hooks;
use crate::http::{self as answer, Body};
use crate::limiter::Visitor;
use crate::origin::{Door, Origin, REFUSAL};
use crate::outbox::Outbox;
use crate::refusals::Refusal;
use crate::registry::Registry;
use crate::request;
use crate::rules::Rules;
use crate::stats::{self, Meter, ServerStats};
use crate::transport::websocket::Handshaking;

/// The options of one [`WebSocketServer`].
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocketConfig {
    /// The other origins whose pages may connect. `None` lets in pages of the server's own origin alone (the `Origin` is the
    /// `Host` of the request); others get 403. Who sends no `Origin` is no browser, and is let in. Default `None`.
    pub origin: Option<Origin>,
    /// The subprotocols that the server speaks, at most 255. The first one of the client's list that is among them is
    /// agreed on; if there is none, the connection goes without. Default none.
    pub protocols: Vec<String>,
    /// Time from a pong (or from the handshake) to the next ping. Default 25 s.
    pub ping_interval: Duration,
    /// Time within which a ping must be answered; else the connection is closed with 1011. Default 20 s.
    pub ping_timeout: Duration,
    /// Time within which the client must send a message, again after each; else the connection is closed with 1001. It is
    /// at most a quarter late. `None` lets clients be silent. Default `None`.
    pub idle_timeout: Option<Duration>,
    /// Largest message in bytes; above it the connection is closed with 1009. Default 1,000,000.
    pub max_message: usize,
    /// Compression of messages (permessage-deflate, RFC 7692) for clients that offer it; `None` accepts no offer. Default
    /// `None`.
    pub per_message_deflate: Option<DeflateOptions>,
    /// The bounds that have no counterpart in the protocol; those of polling say nothing here.
    pub limits: Limits,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            origin: None,
            protocols: Vec::new(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            idle_timeout: None,
            max_message: 1_000_000,
            per_message_deflate: None,
            limits: Limits::default(),
        }
    }
}

impl WebSocketConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first option that makes no sense, with the value that was given.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (option, is_zero) in [
            ("ping_interval", self.ping_interval.is_zero()),
            ("ping_timeout", self.ping_timeout.is_zero()),
            (
                "idle_timeout",
                self.idle_timeout.is_some_and(|timeout| timeout.is_zero()),
            ),
            ("max_message", self.max_message == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { option });
            }
        }
        if self.protocols.len() > usize::from(u8::MAX) {
            return Err(ConfigError::Protocols {
                count: self.protocols.len(),
            });
        }
        self.origin.as_ref().map_or(Ok(()), check_origin)?;
        self.per_message_deflate.as_ref().map_or(Ok(()), check_deflate)
    }

    /// The shortest of the times after which the timer must look.
    fn shortest_deadline(&self) -> Duration {
        let heartbeat = self.ping_interval.min(self.ping_timeout);
        self.idle_timeout
            .map_or(heartbeat, |timeout| heartbeat.min(timeout / 4))
    }
}

/// One server of plain WebSockets. Cheap to clone; all clones are the same server.
///
/// ```
/// use std::sync::Arc;
/// use std::task::Context;
///
/// use gatewire_hub::Handshake;
/// use gatewire_proto::engineio::CloseReason;
/// use gatewire_server::{Application, Connection, Rejected, Session, WebSocketConfig, WebSocketServer};
///
/// struct Echo;
///
/// impl Application for Echo {
///     fn open(&self, connection: Connection, _: Arc<Handshake>) -> Box<dyn Session> {
///         Box::new(EchoSession(connection))
///     }
/// }
///
/// struct EchoSession(Connection);
///
/// impl Session for EchoSession {
///     fn receive_text(&mut self, text: &str, _: &mut Context<'_>) -> Result<(), Rejected> {
///         self.0.send_text(text);
///         Ok(())
///     }
///
///     fn receive_binary(&mut self, data: &[u8], _: &mut Context<'_>) -> Result<(), Rejected> {
///         self.0.send_binary(data);
///         Ok(())
///     }
///
///     fn close(&mut self, _: CloseReason) {}
/// }
///
/// let server = WebSocketServer::new(WebSocketConfig::default(), Echo)?;
/// # Ok::<(), gatewire_server::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct WebSocketServer(Arc<Inner>);

struct Inner {
    config: WebSocketConfig,
    application: Box<dyn Application>,
    hooks: Hooks,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    door: Door,
}

impl WebSocketServer {
    /// A server that runs `application` on each connection.
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn new(config: WebSocketConfig, application: impl Application) -> Result<Self, ConfigError> {
        Self::with_hooks(config, Hooks::new(), application)
    }

    /// As [`new`](Self::new), with a say in the handshake: of the hooks, `allow_request` (an error is answered with 403 and
    /// its text), `generate_id`, `initial_headers` and `headers` are asked.
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn with_hooks(
        config: WebSocketConfig,
        hooks: Hooks,
        application: impl Application,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if let Some(origin) = &config.origin {
            let cors = Cors {
                origin: origin.clone(),
                ..Cors::default()
            };
            cors.warn("WebSocket");
        }
        Ok(Self(Arc::new(Inner {
            rules: Arc::new(Rules::from(&config)),
            registry: Registry::new(config.shortest_deadline()),
            door: Door::default(),
            config,
            application: Box::new(application),
            hooks,
        })))
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &WebSocketConfig {
        &self.0.config
    }

    /// Connections that are open.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.0.registry.sessions.len()
    }

    /// From now on what goes over the connections is counted, for [`stats`](Self::stats); later calls change nothing. To be
    /// called before clients come.
    pub fn meter(&self) {
        self.0.rules.meter.get_or_init(Meter::default);
    }

    /// The figures of the server. Each connection is locked for a moment: to be asked for now and then.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        stats::of(&self.0.rules, &self.0.registry)
    }

    /// Sessions whose deadlines are looked after: those that are open, and for a short time those that have just ended.
    #[must_use]
    pub fn timers_count(&self) -> usize {
        self.0.registry.timers_count()
    }

    /// Answers one HTTP request, which must come from a hyper server with upgrades switched on (axum's is one): 101, or why
    /// it is no handshake that is let in (400, 403, 405, 426, 429, 503), with a sentence that says so as its body. Which path
    /// is served is the caller's affair. `peer` is the client's address, if known.
    pub async fn handle<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        match self.open(&parts, peer).await {
            Ok(mut response) => {
                let headers = response.headers_mut();
                self.0.hooks.change_headers(headers, &parts, true);
                response
            }
            Err(refusal) => *refusal,
        }
    }

    /// Refuses new connections; those that are open stay.
    pub fn stop_accepting(&self) {
        self.0.registry.stop_accepting();
    }

    /// As [`close`](Self::close), but a connection whose handlers still run goes on until they have ended and their answers
    /// are out.
    pub fn drain(&self) {
        self.0.registry.drain();
    }

    /// As [`drain`](Self::drain), but the connections that there are now are ended one after the other, evenly over `window`:
    /// see [`Engine::drain_over`](crate::Engine::drain_over).
    pub async fn drain_over(&self, window: Duration) {
        self.0.registry.drain_over(window).await;
    }

    /// Ends every connection with the code 1001 and refuses new ones.
    pub fn close(&self) {
        self.0.registry.close();
    }

    /// Waits until every connection has ended, and its session is done.
    pub async fn drained(&self) {
        self.0.registry.drained().await;
    }

    async fn open(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
    ) -> Result<Response<Body>, Box<Response<Body>>> {
        let config = &self.0.config;
        let handshaking = Handshaking::check(parts, config.per_message_deflate.as_ref())
            .inspect_err(|_| self.count(Refusal::Handshake))?;
        if !self.0.door.is_open(config.origin.as_ref(), parts, false) {
            self.count(Refusal::Origin);
            return Err(refuse(StatusCode::FORBIDDEN, REFUSAL));
        }
        if !self.0.registry.has_room(config.limits.max_sessions) {
            self.count(self.0.registry.refusal());
            return Err(refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server takes no more connections at present",
            ));
        }
        let seat = Visitor::seat(&parts.extensions).map_err(|too_many| {
            self.count(Refusal::TooMany);
            Box::new(answer::too_many(too_many))
        })?;
        if let Err(error) = self.0.hooks.decide(parts).await {
            self.count(Refusal::AllowRequest);
            return Err(refuse(StatusCode::FORBIDDEN, error.message()));
        }
        let Some(sid) = self.0.hooks.session_id(parts) else {
            self.count(Refusal::Handshake);
            return Err(refuse(
                StatusCode::BAD_REQUEST,
                "no id was made for the connection",
            ));
        };
        let protocol = handshaking
            .protocols()
            .find_map(|offered| config.protocols.iter().position(|known| known == offered));
        let name = protocol.map(|at| &*config.protocols[at]);
        let dialect = Dialect::Plain {
            protocol: protocol.and_then(|at| u8::try_from(at).ok()),
        };
        let rules = &self.0.rules;
        let (outbox, opening) = Outbox::opening(sid, dialect, rules, handshaking.deflate(), clock::now());
        let Some(registration) = self.0.registry.register(&outbox, seat) else {
            tracing::warn!(%sid, "a WebSocket is refused: another one got the id that was generated for it");
            self.count(Refusal::Handshake);
            return Err(refuse(
                StatusCode::BAD_REQUEST,
                "another connection has the id that was made for this one",
            ));
        };
        let handshake = request::handshake(parts, peer);
        let session = self.0.application.open(Connection::new(outbox), handshake);
        registration.begin(session, Input::Opening);
        Ok(handshaking.accept(name, move |opened| {
            opening.finish(opened.taken);
        }))
    }

    fn count(&self, refusal: Refusal) {
        self.0.rules.refusals.count(refusal);
    }
}

fn refuse(status: StatusCode, message: &str) -> Box<Response<Body>> {
    Box::new(answer::websocket_refusal(status, message))
}
