//! Streams of events: one server for any client of Server-Sent Events. What the streams hold is a [`Session`]'s affair, and
//! which request gets one the caller's; the driver, the outbox and the timer are those of WebSockets.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::Id;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HeaderMap, HeaderName, PRAGMA};
use http::{HeaderValue, Response};

use crate::application::{Connection, Session};
use crate::clock;
use crate::config::{ConfigError, Limits};
use crate::connection::Input;
use crate::limiter::Seat;
use crate::outbox::Outbox;
use crate::registry::Registry;
use crate::rules::Rules;
use crate::slow_consumer::SlowConsumer;
use crate::stats::{self, Meter, ServerStats};
use crate::takeover::Offer;
use crate::transport::sse::SseBody;

/// The options of one [`SseServer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseConfig {
    /// Time between two comments that show client and proxies that the stream lives. Default 15 s.
    pub heartbeat: Duration,
    /// When clients are told to come back if the server shuts down (`retry:`): each at another time within, so that they do
    /// not come all at once. `None` tells them nothing. Default 1 s to 5 s.
    pub retry_at_shutdown: Option<RangeInclusive<Duration>>,
    /// Bytes that may wait for one client to take them; then [`slow_consumer`](Self::slow_consumer) says what happens.
    /// Default 4 MiB.
    pub max_pending: usize,
    /// What becomes of a client that does not take what it is sent. Default: its connection is closed.
    pub slow_consumer: SlowConsumer,
    /// Streams open at a time; above it none is opened. Default 250,000.
    pub max_streams: usize,
    /// How long a stream that ends waits for its client to take what is left. Default 5 s.
    pub close_timeout: Duration,
}

impl Default for SseConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            retry_at_shutdown: Some(Duration::from_secs(1)..=Duration::from_secs(5)),
            max_pending: 4 << 20,
            slow_consumer: SlowConsumer::default(),
            max_streams: 250_000,
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl SseConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (option, is_zero) in [
            ("heartbeat", self.heartbeat.is_zero()),
            ("max_pending", self.max_pending == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { option });
            }
        }
        Ok(())
    }
}

/// No stream was opened: the server is full, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server takes no more streams at present")]
pub struct NoMoreStreams;

/// One server of Server-Sent Events. Cheap to clone; all clones are the same server.
///
/// ```
/// use std::task::Context;
///
/// use gatewire_proto::engineio::CloseReason;
/// use gatewire_proto::sse::SseEvent;
/// use gatewire_server::{Connection, Rejected, Session, SseConfig, SseServer};
///
/// struct Hello(Connection);
///
/// impl Session for Hello {
///     fn poll(&mut self, _: &mut Context<'_>) {
///         self.0.send_event(&SseEvent::data("hello"));
///         self.0.close();
///     }
///
///     fn close(&mut self, _: CloseReason) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = SseServer::new(SseConfig::default())?;
/// let response = server.open(|connection| Box::new(Hello(connection)))?;
/// assert_eq!(response.headers()["content-type"], "text/event-stream");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SseServer(Arc<Inner>);

struct Inner {
    config: SseConfig,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
}

impl SseServer {
    /// A server without streams.
    ///
    /// # Errors
    /// An option of `config` that makes no sense.
    pub fn new(config: SseConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            rules: Arc::new(Rules::from(&config)),
            registry: Registry::new(config.heartbeat),
            config,
        })))
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &SseConfig {
        &self.0.config
    }

    /// Streams that are open.
    #[must_use]
    pub fn clients_count(&self) -> usize {
        self.0.registry.sessions.len()
    }

    /// From now on what goes over the streams is counted, for [`stats`](Self::stats); later calls change nothing. To be
    /// called before clients come.
    pub fn meter(&self) {
        self.0.rules.meter.get_or_init(Meter::default);
    }

    /// The figures of the server. Each stream is locked for a moment: to be asked for now and then.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        stats::of(&self.0.rules, &self.0.registry)
    }

    /// Sessions whose deadlines are looked after: those that are open, and for a short time those that have just ended.
    #[must_use]
    pub fn timers_count(&self) -> usize {
        self.0.registry.timers_count()
    }

    /// Opens a stream, whose content is the session's: polled by a task of its own, within a tokio runtime. The response is
    /// the answer to the request of its client; headers may be added to it. Dropped, it ends the session.
    ///
    /// Where a [`Listener`](crate::Listener) serves the request, the connection is taken out of the HTTP server and written
    /// to directly; layers that look into response bodies see nothing of it then. A response with a `Content-Encoding` is
    /// left to the HTTP server.
    ///
    /// # Errors
    /// If the server is full, or ends.
    pub fn open(
        &self,
        session: impl FnOnce(Connection) -> Box<dyn Session>,
    ) -> Result<Response<SseBody>, NoMoreStreams> {
        self.open_on(None, session)
    }

    /// As [`open`](Self::open), for a request whose address may be limited: [`Visitor::seat`](crate::Visitor::seat) gives the
    /// place, or says that there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        &self,
        seat: Option<Seat>,
        session: impl FnOnce(Connection) -> Box<dyn Session>,
    ) -> Result<Response<SseBody>, NoMoreStreams> {
        let Inner {
            config,
            rules,
            registry,
        } = &*self.0;
        if !registry.has_room(config.max_streams) {
            rules.refusals.count(registry.refusal());
            return Err(NoMoreStreams);
        }
        let outbox = Outbox::events(Id::generate(), rules, clock::now());
        let Some(registration) = registry.register(&outbox, seat) else {
            return Err(NoMoreStreams);
        };
        outbox.begin_events();
        let session = session(Connection::new(outbox.clone()));
        registration.begin(session, Input::Listener);
        let mut response = Response::new(SseBody::new(outbox.clone()));
        put_headers(response.headers_mut());
        response.extensions_mut().insert(Offer(outbox));
        Ok(response)
    }

    /// Opens no new streams; those that are open stay.
    pub fn stop_accepting(&self) {
        self.0.registry.stop_accepting();
    }

    /// As [`close`](Self::close), but a stream whose session is not [quiet](Session::is_quiet) goes on until it is.
    pub fn drain(&self) {
        self.0.registry.drain();
    }

    /// As [`drain`](Self::drain), but the streams that there are now are ended one after the other, evenly over `window`: see
    /// [`Engine::drain_over`](crate::Engine::drain_over).
    pub async fn drain_over(&self, window: Duration) {
        self.0.registry.drain_over(window).await;
    }

    /// Ends every stream, with the hint when to come back, and opens no new ones.
    pub fn close(&self) {
        self.0.registry.close();
    }

    /// Waits until every stream has ended, and its session is done.
    pub async fn drained(&self) {
        self.0.registry.drained().await;
    }
}

impl fmt::Debug for SseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseServer")
            .field("config", &self.0.config)
            .field("clients_count", &self.clients_count())
            .finish_non_exhaustive()
    }
}

/// The headers of NestJS: whoever is between is to keep nothing and to hold nothing back.
pub fn put_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (
            CACHE_CONTROL,
            "private, no-cache, no-store, must-revalidate, max-age=0, no-transform",
        ),
        (PRAGMA, "no-cache"),
        (EXPIRES, "0"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

impl From<&SseConfig> for Limits {
    fn from(config: &SseConfig) -> Self {
        Self {
            max_outbox: config.max_pending,
            slow_consumer: config.slow_consumer,
            max_sessions: config.max_streams,
            close_timeout: config.close_timeout,
            ..Self::default()
        }
    }
}
