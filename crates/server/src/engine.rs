//! One Engine.IO server: hands each HTTP request below its path to where it belongs (a handshake, a poll, a post, an
//! upgrade, or a refusal), and opens and closes sessions.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use gatewire_hub::cluster::SessionBus;
use gatewire_hub::{Handshake, Id};
use gatewire_proto::engineio::{BadRequest, HandshakeError, OpenPacket, TransportKind};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use crate::application::{Application, Connection};
use crate::begun::{Begun, Poll, Step};
use crate::client_files::ClientFiles;
use crate::clock;
use crate::compression::Encoding;
use crate::config::{ConfigError, EngineConfig};
use crate::connection::{Input, SocketInput};
use crate::cork;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::hooks::Hooks;
use crate::http::{self as answer, Body};
use crate::limiter::{Seat, TooMany, Visitor};
use crate::listener::serve_stream;
use crate::origin::{self, Door};
use crate::outbox::Outbox;
use crate::refusals::Refusal;
use crate::registry::Registry;
use crate::request::{self, Target};
use crate::rules::Rules;
use crate::shared::{Host, Node, Refused, SharingConfig, Tunnel};
use crate::stats::{self, Meter, ServerStats};
use crate::transport::polling;
use crate::transport::websocket::{self as socket, Handshaking, Opened};
use gatewire_hub::task;

/// One Engine.IO server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: EngineConfig,
    /// The configured path with a trailing slash: what the path of each request starts with.
    prefix: String,
    application: Box<dyn Application>,
    hooks: Hooks,
    client_files: Option<ClientFiles>,
    /// The place in a cluster whose nodes share their sessions.
    node: OnceLock<Arc<Node>>,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    door: Door,
}

impl Engine {
    /// An engine that runs `application` on each session.
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn new(config: EngineConfig, application: impl Application) -> Result<Self, ConfigError> {
        Self::with_hooks(config, Hooks::new(), application)
    }

    /// As [`new`](Self::new), with a say in the HTTP side.
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn with_hooks(
        config: EngineConfig,
        hooks: Hooks,
        application: impl Application,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if let Some(cors) = &config.cors {
            cors.warn(&config.path);
        }
        let client_files = config
            .client_files
            .as_deref()
            .map(ClientFiles::read)
            .transpose()?;
        Ok(Self(Arc::new(Inner {
            prefix: config.prefix(),
            hooks,
            client_files,
            node: OnceLock::new(),
            rules: Arc::new(Rules::from(&config)),
            registry: Registry::new(config.shortest_deadline()),
            door: Door::default(),
            config,
            application: Box::new(application),
        })))
    }

    /// The path of the engine with its trailing slash, e.g. `/socket.io/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.prefix
    }

    /// Whether a request for `path` belongs to this engine.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        path.starts_with(&self.0.prefix)
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Sessions that are open.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.0.registry.sessions.len()
    }

    /// Sessions whose deadlines are looked after: those that are open, and for a short time those that have just ended.
    #[must_use]
    pub fn timers_count(&self) -> usize {
        self.0.registry.timers_count()
    }

    /// How often clients did something wrong, by kind, since the server began.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.0.rules.faults.get(fault)
    }

    /// From now on what goes over the connections is counted, for [`stats`](Self::stats); later calls change nothing. To be
    /// called before clients come.
    pub fn meter(&self) {
        self.0.rules.meter.get_or_init(Meter::default);
    }

    /// The figures of the server. Each session is locked for a moment: to be asked for now and then.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        stats::of(&self.0.rules, &self.0.registry)
    }

    /// Answers one HTTP request whose path [`matches`](Self::matches). `peer` is the client's address, if known. For a
    /// WebSocket the request must come from a hyper server with upgrades switched on (axum's is one).
    pub fn handle<B>(
        &self,
        request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = Response<Body>> + use<B>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let mut fields = HeaderMap::new();
        let begun = match &self.0.config.cors {
            Some(cors) if parts.method == Method::OPTIONS => {
                cors.apply_preflight(&parts.headers, &mut fields);
                Begun::Answered(answer::empty(StatusCode::NO_CONTENT))
            }
            cors => {
                if let Some(cors) = cors {
                    cors.apply(&parts.headers, &mut fields);
                }
                self.begin(&parts, self.0.node.get())
            }
        };
        self.go_on(begun, parts, body, peer, fields)
    }

    /// Shares the sessions with the other engines on `bus`, whose paths and options should be the same: a request for a
    /// session of another engine is relayed to it. No load balancer in front of them needs to be sticky, then. To be called
    /// before clients come, in a runtime; later calls change nothing, and the answer is false.
    ///
    /// A session stays on the engine where it was opened. It ends when that one does, and what is relayed ends, too, when
    /// the bus loses something of it or the engine that relays it goes: the clients then connect anew.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gatewire_hub::Io;
    /// use gatewire_hub::cluster::MemoryBus;
    /// use gatewire_server::{ConfigError, Engine, EngineConfig, SharingConfig, SocketIo};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), ConfigError> {
    /// let bus = Arc::new(MemoryBus::new());
    /// for _ in 0..2 {
    ///     let engine = Engine::new(EngineConfig::default(), SocketIo::new(Io::default()))?;
    ///     engine.share_sessions(bus.clone(), SharingConfig::default())?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn share_sessions(
        &self,
        bus: Arc<dyn SessionBus>,
        config: SharingConfig,
    ) -> Result<bool, ConfigError> {
        config.validate()?;
        let mut is_new = false;
        self.0.node.get_or_init(|| {
            is_new = true;
            Node::join(bus, config, Sessions(Arc::downgrade(&self.0)))
        });
        Ok(is_new)
    }

    /// Refuses new sessions, with 503; those that there are go on.
    pub fn stop_accepting(&self) {
        self.0.registry.stop_accepting();
    }

    /// As [`close`](Self::close), but a session whose handlers still run goes on until they have ended and their answers
    /// are out.
    pub fn drain(&self) {
        self.0.close_node();
        self.0.registry.drain();
    }

    /// As [`drain`](Self::drain), but the sessions that there are now are ended one after the other, evenly over `window`, so
    /// that their clients do not come back all at once. New sessions are let in meanwhile, unless
    /// [`stop_accepting`](Self::stop_accepting) was called, and are ended last. Ready when all have been told.
    pub async fn drain_over(&self, window: Duration) {
        self.0.registry.drain_over(window).await;
        self.drain();
    }

    /// Ends every session with the reason "server shutting down" and refuses new ones.
    pub fn close(&self) {
        self.0.close_node();
        self.0.registry.close();
    }

    /// Waits until every session has ended, disconnect hooks included.
    pub async fn drained(&self) {
        self.0.registry.drained().await;
        if self.0.registry.is_ending()
            && let Some(node) = self.0.node.get()
        {
            node.leave();
        }
    }

    /// Finds out what a request is for; one for a session that is not known here has the other nodes asked, if there is a
    /// `node`.
    fn begin(&self, parts: &Parts, node: Option<&Arc<Node>>) -> Begun {
        if let Some(files) = &self.0.client_files
            && let Some(name) = parts.uri.path().strip_prefix(&*self.0.prefix)
            && let Some(file) = files.answer(name, &parts.headers)
        {
            return Begun::Answered(file);
        }
        let target = match request::classify(parts, &self.0.config, &self.0.registry.sessions) {
            Ok(target) => target,
            Err(error) => {
                return match node {
                    Some(node) if matches!(error, HandshakeError::UnknownSid) => {
                        Begun::Elsewhere(node.clone())
                    }
                    _ => Begun::Answered(self.refuse(&error, parts)),
                };
            }
        };
        let allowed = self.0.config.cors.as_ref().map(|cors| &cors.origin);
        if !self.0.door.is_open(allowed, parts, target.is_script()) {
            let error = HandshakeError::Forbidden(Some(origin::REFUSAL.to_owned()));
            return Begun::Answered(self.refuse_as(Refusal::Origin, StatusCode::FORBIDDEN, &error, parts));
        }
        match target {
            Target::Polling(outbox, callback)
                if parts.method == Method::GET && !self.0.hooks.change_answers() =>
            {
                Begun::Poll(Poll {
                    outbox,
                    callback,
                    accepted: Encoding::accepted(&parts.headers),
                    is_old: answer::is_old_browser(&parts.headers),
                })
            }
            target => Begun::Here(target),
        }
    }

    /// Answers a request that has begun, and adds `fields` to the answer. A poll may wait for long: nothing that came with
    /// its request is kept meanwhile, and there is no room for what others need.
    fn go_on<B>(
        &self,
        begun: Begun,
        parts: Parts,
        body: B,
        peer: Option<SocketAddr>,
        fields: HeaderMap,
    ) -> impl Future<Output = Response<Body>> + use<B>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let step = match begun {
            Begun::Answered(response) => Step::Answered(response),
            Begun::Poll(poll) => Step::Poll(poll),
            Begun::Elsewhere(node) => {
                let engine = self.clone();
                Step::Elsewhere(Box::pin(async move { engine.relay(&node, &parts, body).await }))
            }
            Begun::Here(target) => Step::Here(Box::pin(self.clone().answer(target, parts, body, peer))),
        };
        async move {
            let mut response = match step {
                Step::Answered(response) => response,
                Step::Poll(poll) => poll.answer().await,
                Step::Elsewhere(answering) => answering.await,
                Step::Here(answering) => answering.await,
            };
            answer::extend(response.headers_mut(), fields);
            response
        }
    }

    /// Answers a request of this node.
    async fn answer<B>(
        self,
        target: Target,
        mut parts: Parts,
        body: B,
        peer: Option<SocketAddr>,
    ) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let is_handshake = matches!(target, Target::Handshake(..));
        let mut response = match target {
            Target::Polling(outbox, callback) => {
                polling::handle(outbox, callback.as_deref(), &mut parts, body).await
            }
            Target::Handshake(transport, dialect, callback) => {
                let max_sessions = self.0.config.limits.max_sessions;
                if !self.0.registry.has_room(max_sessions) {
                    self.0.rules.refusals.count(self.0.registry.refusal());
                    return answer::unavailable();
                }
                let seat = match Visitor::seat(&parts.extensions) {
                    Ok(seat) => seat,
                    Err(too_many) => return self.refuse_too_many(too_many, &parts),
                };
                let (sid, dialect) = match self.let_in(&parts, dialect).await {
                    Ok(let_in) => let_in,
                    Err(error) => return self.refuse(&error, &parts),
                };
                let arrived = (request::handshake(&parts, peer), seat);
                match transport {
                    // No request asks for a stream of events by this name.
                    TransportKind::Polling | TransportKind::Sse => {
                        let callback = callback.as_deref();
                        self.open_polling(sid, dialect, callback, arrived, &parts).await
                    }
                    TransportKind::WebSocket => {
                        let engine = self.clone();
                        let arrival = self.0.registry.arrival();
                        self.accept(&parts, move |opened| {
                            engine.open_websocket(sid, dialect, arrived, opened);
                            drop(arrival);
                        })
                    }
                }
            }
            Target::Upgrade(outbox) => self.accept(&parts, |opened| {
                task::spawn("gatewire probe", socket::probe(outbox, opened));
            }),
        };
        if matches!(
            response.status(),
            StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS
        ) {
            answer::calm_old_browsers(response.headers_mut(), &parts.headers);
            self.0
                .hooks
                .change_headers(response.headers_mut(), &parts, is_handshake);
        }
        response
    }

    /// Has the node answer that has the session.
    async fn relay<B>(&self, node: &Node, parts: &Parts, body: B) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Base64 and the like make more of what waits for a client.
        let max_answer = self.0.config.limits.max_outbox.saturating_mul(2);
        let relayed = match request::sid(parts) {
            Some(sid) => node.relay(sid, parts, body, max_answer).await,
            None => Err(Refused::Unknown),
        };
        match relayed {
            Ok(response) => response,
            Err(Refused::Unknown) => self.refuse(&HandshakeError::UnknownSid, parts),
            Err(Refused::Busy) => answer::empty(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The id of a new session, if the hooks let it in and its version is served, in this order.
    async fn let_in(&self, parts: &Parts, dialect: Option<Dialect>) -> Result<(Id, Dialect), HandshakeError> {
        self.0.hooks.decide(parts).await?;
        let dialect = dialect.ok_or(HandshakeError::UnsupportedVersion)?;
        let sid = self.0.hooks.session_id(parts);
        sid.filter(|sid| self.0.registry.sessions.get(sid.as_str()).is_none())
            .map(|sid| (sid, dialect))
            .ok_or(HandshakeError::BadRequest(BadRequest::NoId))
    }

    fn refuse(&self, error: &HandshakeError, parts: &Parts) -> Response<Body> {
        let refusal = match error {
            HandshakeError::UnknownSid => Refusal::UnknownSession,
            HandshakeError::Forbidden(_) => Refusal::AllowRequest,
            HandshakeError::UnsupportedVersion => Refusal::Version,
            _ => Refusal::Handshake,
        };
        self.refuse_as(refusal, StatusCode::BAD_REQUEST, error, parts)
    }

    /// As [`refuse`](Self::refuse), for this reason, a WebSocket with another status than the Node server's.
    fn refuse_as(
        &self,
        refusal: Refusal,
        status: StatusCode,
        error: &HandshakeError,
        parts: &Parts,
    ) -> Response<Body> {
        self.0.rules.faults.count(Fault::Request);
        self.0.rules.refusals.count(refusal);
        self.0.hooks.tell_refused(error, parts);
        if request::is_upgrade(parts) {
            answer::websocket_refusal(status, error.message())
        } else {
            answer::refusal(error)
        }
    }

    /// Refuses a handshake that is one too many for its address.
    fn refuse_too_many(&self, too_many: TooMany, parts: &Parts) -> Response<Body> {
        self.0.rules.faults.count(Fault::Request);
        self.0.rules.refusals.count(Refusal::TooMany);
        let error = HandshakeError::Forbidden(Some(too_many.to_string()));
        self.0.hooks.tell_refused(&error, parts);
        answer::too_many(too_many)
    }

    /// Answers a WebSocket handshake. The first protocol that the client offers is taken, as the Node server does.
    fn accept(&self, parts: &Parts, then: impl FnOnce(Opened) + Send + 'static) -> Response<Body> {
        match Handshaking::check(parts, self.0.config.per_message_deflate.as_ref()) {
            Ok(handshaking) => {
                let protocol = handshaking.protocols().next().map(str::to_owned);
                handshaking.accept(protocol.as_deref(), then)
            }
            Err(refusal) => {
                self.0.rules.refusals.count(Refusal::Handshake);
                *refusal
            }
        }
    }

    async fn open_polling(
        &self,
        sid: Id,
        dialect: Dialect,
        callback: Option<&str>,
        arrived: Arrived,
        parts: &Parts,
    ) -> Response<Body> {
        let config = &self.0.config;
        let outbox = Outbox::polling(sid, dialect, &self.0.rules, clock::now());
        if !self.start(&outbox, arrived, Input::Polling(None)) {
            return self.refuse(&BadRequest::NoId.into(), parts);
        }
        let mut response = polling::poll(&outbox, callback, Encoding::accepted(&parts.headers)).await;
        if let Some(cookie) = config
            .cookie
            .as_ref()
            .and_then(|cookie| cookie.header(sid.as_str()))
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }

    fn open_websocket(&self, sid: Id, dialect: Dialect, arrived: Arrived, opened: Opened) {
        let Opened { taken, deflate } = opened;
        let rules = &self.0.rules;
        // The 101 leaves with the first packet.
        let _corked = cork::enter();
        let outbox = Outbox::websocket(
            sid,
            dialect,
            rules,
            taken.stream,
            &taken.head,
            deflate,
            clock::now(),
        );
        let input = SocketInput::new(rules.decoder(deflate), taken.unread);
        if !self.start(&outbox, arrived, Input::Socket(input)) {
            tracing::warn!(%sid, "a WebSocket is dropped: another session got the id that was generated for it");
        }
    }

    /// Sends the open packet and starts the driver; false if there is a session of that id.
    #[must_use]
    fn start(&self, outbox: &Arc<Outbox>, (handshake, seat): Arrived, input: Input) -> bool {
        let Some(registration) = self.0.registry.register(outbox, seat) else {
            return false;
        };
        let config = &self.0.config;
        let open = OpenPacket {
            sid: outbox.sid.as_str(),
            upgrades: config.upgrades(outbox.transport()),
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: config.max_payload,
        };
        outbox.send_packet(open.encode().as_bytes());
        let session = self
            .0
            .application
            .open(Connection::new(outbox.clone()), handshake);
        registration.begin(session, input);
        true
    }
}

impl Inner {
    fn close_node(&self) {
        if let Some(node) = self.node.get() {
            node.close();
        }
    }
}

/// What is kept of the request that opens a session, and the session's place among those of its address.
type Arrived = (Arc<Handshake>, Option<Seat>);

/// The sessions of an engine, for its node.
struct Sessions(Weak<Inner>);

impl Host for Sessions {
    fn has(&self, sid: &str) -> bool {
        let engine = self.0.upgrade();
        engine.is_some_and(|engine| engine.registry.sessions.get(sid).is_some())
    }

    fn accept(&self, tunnel: Tunnel) {
        let Some(engine) = self.0.upgrade().map(Engine) else {
            return;
        };
        task::spawn("gatewire relayed request", async move {
            let served = serve_stream(tunnel, |request| {
                let (parts, body) = request.into_parts();
                let engine = &engine;
                async move {
                    if !engine.matches(parts.uri.path()) {
                        // It is a session of this process, but of an engine at another path.
                        return engine.refuse(&HandshakeError::UnknownSid, &parts);
                    }
                    // Nobody else is asked: the other node knows that the session is here.
                    let begun = engine.begin(&parts, None);
                    engine.go_on(begun, parts, body, None, HeaderMap::new()).await
                }
            });
            if let Err(error) = served.await {
                tracing::trace!(%error, "a relayed request has ended");
            }
        });
    }
}
