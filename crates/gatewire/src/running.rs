//! An application that is built: its container, its servers, and the order in which it ends. It binds no address and
//! accepts nobody; [`Bound`](crate::Bound) and the routers do.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use gatewire_hub::cluster::ClusterStatus;
use gatewire_hub::{HubStats, Io};
use gatewire_server::SseServer;
use tokio::sync::watch;

use crate::Server;
use crate::counts::Counts;
use crate::endpoint::Endpoint;
use crate::module::{Container, ShutdownSignal, Stage};
use crate::watch::{AppStats, ServerKind};

/// Where another process takes over, clients that were connected in the last moment are let in, and told like the others.
const STRAGGLERS: Duration = Duration::from_millis(250);

/// How clients are parted with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Farewell {
    /// See [`Bound::drain_timeout`](crate::Bound::drain_timeout).
    pub(crate) patience: Duration,
    /// See [`Bound::drain_spread`](crate::Bound::drain_spread).
    pub(crate) spread: Duration,
    /// See [`Bound::hand_over`](crate::Bound::hand_over).
    pub(crate) hand_over: bool,
}

impl Default for Farewell {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            spread: Duration::ZERO,
            hand_over: false,
        }
    }
}

/// What lives as long as anything of the application is served.
pub(crate) struct Running {
    pub(crate) container: Container,
    ios: Vec<Io>,
    endpoints: Mutex<Vec<Endpoint>>,
    /// The streams of controllers, once they are served.
    streams: OnceLock<SseServer>,
    phase: watch::Sender<Phase>,
    /// Somebody wants figures.
    is_metered: AtomicBool,
    /// How long the end is known before it begins.
    notice: Mutex<Duration>,
}

/// How far the application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nobody serves it, or somebody else's HTTP server does.
    Built,
    /// A [`Bound`](crate::Bound) serves it, and will end it.
    Served,
    /// It is served, and a handle has asked for its end.
    Asked,
    Ending,
    Ended,
}

impl Running {
    pub(crate) fn new(container: Container, ios: Vec<Io>) -> Self {
        Self {
            container,
            ios,
            endpoints: Mutex::default(),
            streams: OnceLock::new(),
            phase: watch::Sender::new(Phase::Built),
            is_metered: AtomicBool::new(false),
            notice: Mutex::default(),
        }
    }

    /// Has everything count what its figures tell.
    pub(crate) fn meter(&self) {
        self.is_metered.store(true, Ordering::Release);
        self.ios.iter().for_each(Io::meter);
        self.endpoints().iter().for_each(Endpoint::meter);
        self.streams.get().into_iter().for_each(SseServer::meter);
    }

    fn is_metered(&self) -> bool {
        self.is_metered.load(Ordering::Acquire)
    }

    /// The figures but for those of the handlers.
    pub(crate) fn stats(&self) -> AppStats {
        let served = self.served();
        let mut stats = AppStats::default();
        stats.hubs = self.hub_stats().collect();
        stats.servers = served.endpoints.iter().map(Endpoint::stats).collect();
        let streams = served.streams.iter();
        stats
            .servers
            .extend(streams.map(|streams| (ServerKind::Sse, streams.stats())));
        stats.is_accepting = self.is_accepting();
        stats
    }

    /// The figures of the servers of the gateways.
    pub(crate) fn hub_stats(&self) -> impl Iterator<Item = HubStats> {
        self.ios.iter().map(Io::stats)
    }

    /// Whether clients are taken, as far as this knows: where another server serves the application, until it is ended.
    pub(crate) fn is_accepting(&self) -> bool {
        *self.phase.borrow() <= Phase::Served
    }

    /// Of the servers in a cluster one that cannot reach it, or else any.
    pub(crate) fn cluster_status(&self) -> Option<ClusterStatus> {
        let statuses = self.ios.iter().filter_map(Io::cluster_status);
        statuses.min_by_key(|status| status.is_connected)
    }

    /// How long to wait at the end before anything ends.
    pub(crate) fn set_notice(&self, notice: Duration) {
        *self.notice.lock().unwrap_or_else(PoisonError::into_inner) = notice;
    }

    pub(crate) fn add(&self, endpoint: Endpoint) {
        if self.is_metered() {
            endpoint.meter();
        }
        self.endpoints().push(endpoint);
    }

    /// The streams of its controllers; one server of them, however often it is served.
    pub(crate) fn streams(&self, make: impl FnOnce() -> SseServer) -> SseServer {
        let streams = self.streams.get_or_init(make).clone();
        if self.is_metered() {
            streams.meter();
        }
        streams
    }

    pub(crate) fn served(&self) -> Served {
        Served {
            endpoints: self.endpoints().clone(),
            streams: self.streams.get().cloned(),
        }
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first namespace of that name.
    pub(crate) fn namespace(&self, name: &str) -> Option<Server> {
        self.ios.iter().find_map(|io| io.get(name))
    }

    /// Begins to serve: from now on the application is ended by whoever holds what is returned.
    pub(crate) fn serve(&self) -> Serving<'_> {
        self.phase.send_replace(Phase::Served);
        Serving(self)
    }

    /// The part of the end while requests are still answered: new clients are refused, the hooks that may still speak to
    /// clients are called, and the connections are closed.
    async fn close(&self, signal: Option<ShutdownSignal>, farewell: Farewell) {
        let Farewell {
            patience,
            mut spread,
            hand_over,
        } = farewell;
        let notice = *self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        if !notice.is_zero() {
            tokio::time::sleep(notice).await;
        }
        let served = self.served();
        if hand_over {
            spread = spread.max(STRAGGLERS);
        } else {
            served.stop_accepting();
        }
        self.container.end(Stage::ModuleDestroy, signal).await;
        self.container.end(Stage::BeforeApplicationShutdown, signal).await;
        served.drain_over(spread).await;
        // What still runs after half the time is no longer waited for before its client is told; the other half is for
        // the hooks that follow.
        if served.drained(patience / 2).await {
            return;
        }
        served.close();
        if !served.drained(patience - patience / 2).await {
            let clients = served.clients_count();
            tracing::warn!(
                target: "gatewire", context = "App", clients,
                "some sessions have not ended within {patience:?} and are dropped"
            );
        }
    }

    async fn end(&self, signal: Option<ShutdownSignal>) {
        self.container.end(Stage::ApplicationShutdown, signal).await;
        self.phase.send_replace(Phase::Ended);
    }

    /// Ends what nobody serves, or has whoever serves it end it.
    async fn ask_to_end(&self) {
        let mut is_mine = false;
        self.phase.send_if_modified(|phase| {
            is_mine = *phase == Phase::Built;
            let next = match *phase {
                Phase::Built => Phase::Ending,
                Phase::Served => Phase::Asked,
                phase => phase,
            };
            std::mem::replace(phase, next) != next
        });
        if is_mine {
            self.close(None, Farewell::default()).await;
            self.end(None).await;
        } else {
            // An error would be the sender gone, which `self` holds.
            let _ = self
                .phase
                .subscribe()
                .wait_for(|phase| *phase == Phase::Ended)
                .await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.served().close();
        // A gateway holds its namespace, and the namespace's handler the gateway.
        for io in &self.ios {
            io.release_handlers();
        }
    }
}

/// All that clients are connected to.
pub(crate) struct Served {
    endpoints: Vec<Endpoint>,
    streams: Option<SseServer>,
}

impl Served {
    fn stop_accepting(&self) {
        self.endpoints.iter().for_each(Endpoint::stop_accepting);
        self.streams.iter().for_each(SseServer::stop_accepting);
    }

    /// All servers at the same time.
    async fn drain_over(&self, window: Duration) {
        let endpoints = join_all(self.endpoints.iter().map(|endpoint| endpoint.drain_over(window)));
        let streams = join_all(self.streams.iter().map(|streams| streams.drain_over(window)));
        join(endpoints, streams).await;
    }

    fn close(&self) {
        self.endpoints.iter().for_each(Endpoint::close);
        self.streams.iter().for_each(SseServer::close);
    }

    pub(crate) fn clients_count(&self) -> usize {
        let endpoints = self.endpoints.iter().map(Endpoint::clients_count);
        endpoints
            .chain(self.streams.iter().map(SseServer::clients_count))
            .sum()
    }

    pub(crate) fn timers_count(&self) -> usize {
        let endpoints = self.endpoints.iter().map(Endpoint::timers_count);
        endpoints
            .chain(self.streams.iter().map(SseServer::timers_count))
            .sum()
    }

    /// Whether every session has ended within `patience`, its hooks included.
    async fn drained(&self, patience: Duration) -> bool {
        let drained = async {
            for endpoint in &self.endpoints {
                endpoint.drained().await;
            }
            if let Some(streams) = &self.streams {
                streams.drained().await;
            }
        };
        tokio::time::timeout(patience, drained).await.is_ok()
    }
}

/// The right, and the duty, to end an application.
pub(crate) struct Serving<'a>(&'a Running);

impl Serving<'_> {
    /// Ready when a handle asks for the end.
    pub(crate) async fn asked(&self) {
        let mut phase = self.0.phase.subscribe();
        // An error would be the sender gone, which the application holds.
        let _ = phase.wait_for(|phase| *phase >= Phase::Asked).await;
    }

    pub(crate) async fn close(&self, signal: Option<ShutdownSignal>, farewell: Farewell) {
        self.0.phase.send_replace(Phase::Ending);
        self.0.close(signal, farewell).await;
    }

    pub(crate) async fn end(&self, signal: Option<ShutdownSignal>) {
        self.0.end(signal).await;
    }
}

/// Serving was given up: nobody else is to wait for an end.
impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.phase.send_replace(Phase::Ended);
    }
}

/// A handle of an application, to end it from anywhere: from another task, or where an axum application serves
/// [its router](crate::App::into_router). Cheap to clone; a handle keeps the providers alive.
#[derive(Clone)]
pub struct AppHandle(pub(crate) Arc<Running>);

impl AppHandle {
    /// Ends the application, in this order: new clients are refused; `on_module_destroy` and
    /// `before_application_shutdown` are called; each connection is closed as soon as no handler runs for it, with code
    /// 1001, and its `handle_disconnect` hooks are awaited; the listeners stop; `on_application_shutdown` is called. Ready
    /// when all of it is done; a second call only waits for that.
    ///
    /// Connections have 10 s, or what [`Bound::drain_timeout`](crate::Bound::drain_timeout) says: after half of it those
    /// whose handlers still run are closed all the same, and after all of it they are no longer waited for. Clients are not
    /// told to stay away (no Socket.IO disconnect packet): the official ones come back by themselves. With
    /// [`Bound::drain_spread`](crate::Bound::drain_spread) they are not told all at once.
    pub async fn close(&self) {
        self.0.ask_to_end().await;
    }

    /// What the application holds for its clients at this moment: to be shown, or to see in a test that nothing is left. It
    /// looks at each socket, which with very many takes some time.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.0)
    }
}

impl fmt::Debug for AppHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppHandle").field(&*self.0.phase.borrow()).finish()
    }
}
