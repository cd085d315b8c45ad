//! The application: a verified and built module graph, and the servers that its gateways asked for. How connections
//! are served is the server crate's matter; this binds the two together.

mod serving;

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatewire_hub::cluster::{Cluster, SessionBus};
use gatewire_hub::{HubConfig, Io};
use gatewire_server::{ClientLimiter, ClientLimits, ListenerConfig, Reception, Tls, TrustedProxies};

use crate::adapter::{Adapter, SocketIoAdapter, WsAdapter};
use crate::controller::{BoundController, SseConfig, plan};
use crate::error::Result;
use crate::gateway::plan::{NamespacePlan, ServerPlan, plan as plan_servers};
use crate::gateway::{BoundGateway, Cors, GatewayDefinition, NamespaceGateways, Space, is_pattern};
use crate::logger;
use crate::module::{Container, Graph, Module, Provider, Stage, VerifyError, inspect};
use crate::pipeline::{BodyPipe, ExceptionFilter, Globals, Guard, Interceptor};
use crate::running::{AppHandle, Running};
use crate::watch::{Exporter, Figures, Health, OperatorSite};

/// An application: everything is built and its hooks of the start have run; nothing is served yet.
///
/// ```no_run
/// # use gatewire::prelude::*;
/// # #[module()] struct AppModule;
/// # async fn run() -> gatewire::Result<()> {
/// let app = App::create::<AppModule>().await?;
/// app.listen("127.0.0.1:3000").await
/// # }
/// ```
pub struct App {
    running: Arc<Running>,
    servers: Vec<(ServerPlan, Io)>,
    adapter: Adapter,
    /// By which the servers of a cluster share the sessions of their clients.
    bus: Option<Arc<dyn SessionBus>>,
    controllers: Vec<Arc<dyn BoundController>>,
    /// In which the namespaces of controllers are.
    requests: Io,
    sse: SseConfig,
    listener: ListenerConfig,
    router: Option<axum::Router>,
    cors: Option<Cors>,
    tls: Option<Tls>,
    reuse_port: bool,
    reception: Reception,
    globals: Arc<Globals>,
    operators: OperatorSite,
}

/// The creation of an [`App`]; await it.
#[must_use = "nothing is created before it is awaited"]
pub struct Create<M> {
    logger: bool,
    hub: HubConfig,
    given: Vec<Provider>,
    overrides: Vec<Provider>,
    module: PhantomData<fn() -> M>,
}

impl App {
    /// Checks the module `M` and all it imports, builds every provider, and runs the hooks of the start: `after_init` of
    /// the gateways, then every `on_module_init`, then every `on_application_bootstrap`, each in the order of the
    /// dependencies. No client is accepted before all of them have ended.
    ///
    /// Sets the log up (see [`logger::init`]) unless a `tracing` subscriber is there already; see also
    /// [`Create::without_logger`].
    ///
    /// # Errors
    /// [`Error::Verify`](crate::Error::Verify) with every fault there is, before anything is built;
    /// [`Error::Build`](crate::Error::Build) if a provider fails, and [`Error::Hook`](crate::Error::Hook) if a hook does.
    pub fn create<M: Module>() -> Create<M> {
        Create {
            logger: true,
            hub: HubConfig::default(),
            given: Vec::new(),
            overrides: Vec::new(),
            module: PhantomData,
        }
    }

    /// Sets what speaks to the clients, with its options for every server; what gateways say goes before. Without a call it
    /// is Socket.IO.
    pub fn use_websocket_adapter(&mut self, adapter: impl Into<Adapter>) -> &mut Self {
        self.adapter = adapter.into();
        self
    }

    /// Serves the same gateways to clients of Socket.IO and to plain WebSocket clients at once: they share namespaces and
    /// rooms, and a broadcast reaches both.
    ///
    /// ```
    /// # use gatewire::prelude::*;
    /// # #[module()] struct AppModule;
    /// # async fn run() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn use_websocket_adapters(&mut self, adapters: (SocketIoAdapter, WsAdapter)) -> &mut Self {
        self.use_websocket_adapter(adapters)
    }

    /// Makes each server of the application a node of a cluster: what is sent to rooms, namespaces and clients reaches those
    /// of all nodes, over each adapter. Sessions are shared, too, if the cluster has a bus for it. A second cluster is not
    /// taken.
    ///
    /// ```no_run
    /// # use gatewire::prelude::*;
    /// # #[module] struct AppModule;
    /// use gatewire_redis::RedisAdapter;
    ///
    /// # async fn run() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// app.use_cluster(RedisAdapter::connect("redis://127.0.0.1:6379").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as all that an application is given; whoever wants to keep it has a clone"
    )]
    pub fn use_cluster(&mut self, cluster: impl Cluster) -> &mut Self {
        for (plan, io) in &self.servers {
            if !io.use_cluster(cluster.join()) {
                tracing::warn!(target: "gatewire", context = "App", "{plan} is a node of a cluster already: the second one is not joined");
                return self;
            }
        }
        self.bus = cluster.session_bus();
        self
    }

    /// Which pages of other origins may talk to the application: by the gateways that have no `cors` of their own, on every
    /// transport, and by the routes that were [merged](Self::merge). Without a call only pages of the application's own
    /// origin may, and who sends no `Origin` at all, which is no browser; see the
    /// chapter on origins of the guide.
    ///
    /// ```
    /// # use gatewire::prelude::*;
    /// # #[module]
    /// # struct AppModule;
    /// # async fn start() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// app.enable_cors(Cors::origins(["https://app.example"]).with_credentials());
    /// # Ok(())
    /// # }
    /// ```
    pub fn enable_cors(&mut self, cors: Cors) -> &mut Self {
        self.cors = Some(cors);
        self
    }

    /// Asks `guard` about every connection and every message, before the guards of gateways and handlers. For one that
    /// injects providers: `app.use_global_guards(app.get::<JwtGuard>())`.
    pub fn use_global_guards(&mut self, guard: impl Guard) -> &mut Self {
        self.globals
            .change(|globals| globals.bound.guards.push(Arc::new(guard)));
        self
    }

    /// Puts `interceptor` around every handler, outside of those of gateways and handlers.
    pub fn use_global_interceptors(&mut self, interceptor: impl Interceptor) -> &mut Self {
        self.globals
            .change(|globals| globals.bound.interceptors.push(Arc::new(interceptor)));
        self
    }

    /// Sends the body of every message through `pipe`, before the pipes of gateways and handlers.
    pub fn use_global_pipes(&mut self, pipe: impl BodyPipe) -> &mut Self {
        self.globals
            .change(|globals| globals.bound.pipes.push(Arc::new(pipe)));
        self
    }

    /// Gives `filter` the errors that no filter of a gateway or handler takes.
    pub fn use_global_filters(&mut self, filter: impl ExceptionFilter) -> &mut Self {
        self.globals
            .change(|globals| globals.bound.filters.push(Arc::new(filter)));
        self
    }

    /// How long a gateway's guards and its `handle_connection` may take to let a client in; it is refused then, and what
    /// still runs of them is dropped. Default 30 s. The server closes a connection that is in no namespace after its
    /// `connect_timeout`, whatever this says.
    pub fn connect_limit(&mut self, limit: Duration) -> &mut Self {
        self.globals.change(|globals| globals.connect_limit = limit);
        self
    }

    /// Whether an `exception` tells the client which message it comes from, as `cause` with `pattern` and `data`. Default
    /// true, as in NestJS.
    pub fn include_cause(&mut self, include: bool) -> &mut Self {
        self.globals.change(|globals| globals.include_cause = include);
        self
    }

    /// Speaks TLS on every port, those of gateways too: `https://` and `wss://`, over HTTP/2 or HTTP/1.1 as clients wish.
    /// Certificates are reloaded when their files change; see the guide's chapter on TLS.
    ///
    /// ```no_run
    /// # use gatewire::prelude::*;
    /// # #[module()] struct AppModule;
    /// # async fn run() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// app.use_tls(Tls::from_pem_files("cert.pem", "key.pem")?);
    /// app.listen("0.0.0.0:443").await
    /// # }
    /// ```
    pub fn use_tls(&mut self, tls: Tls) -> &mut Self {
        self.tls = Some(tls);
        self
    }

    /// Shares its ports, those of gateways too, with other processes of this user that say the same (`SO_REUSEPORT`): the
    /// kernel gives each connection to one of them. A new process can so be there before the old one ends, which
    /// [hands over](crate::Bound::hand_over) then. Only on Unix; it says nothing of a listener that is given.
    ///
    /// ```no_run
    /// # use gatewire::prelude::*;
    /// # #[module()] struct AppModule;
    /// # async fn run() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// app.reuse_port(true);
    /// app.listen("0.0.0.0:3000").await
    /// # }
    /// ```
    pub fn reuse_port(&mut self, reuse: bool) -> &mut Self {
        self.reuse_port = reuse;
        self
    }

    /// The bounds of connections before they are anybody's: their number, and what the head of a request may take in time and
    /// bytes. They hold on every port. Where the application is a [router](Self::into_router), they are the matter of the
    /// server that serves it.
    pub fn listener_config(&mut self, config: ListenerConfig) -> &mut Self {
        self.listener = config;
        self
    }

    /// Takes the figures of the application to those who read them, as `gatewire_metrics::Metrics` does to Prometheus; without
    /// a call next to nothing is counted. To be called before the application is served.
    pub fn use_metrics(&mut self, exporter: impl Exporter) -> &mut Self {
        self.globals.handlers.turn_on();
        self.running.meter();
        self.requests.meter();
        let figures = Figures::new(&self.running, &self.globals.handlers);
        self.operators.add(exporter.begin(figures));
        self
    }

    /// Tells at HTTP routes whether the application is alive, and whether it is ready for clients.
    pub fn use_health(&mut self, health: Health) -> &mut Self {
        self.operators.add(health.begin(&self.running));
        self
    }

    /// Believes these proxies when they say whom a request comes from: the address that gateways, guards, limits and the log
    /// see is then the client's, on every port. Without a call it is that of the other end of the connection, and
    /// `X-Forwarded-For` and the like are headers as any other; see the guide's chapter on limits.
    ///
    /// ```
    /// # use gatewire::prelude::*;
    /// # #[module] struct AppModule;
    /// use gatewire::TrustedProxies;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut app = App::create::<AppModule>().await?;
    /// // nginx on this machine, and a load balancer in a private network.
    /// app.trust_proxies(TrustedProxies::new(["loopback", "10.0.0.0/8"])?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn trust_proxies(&mut self, proxies: TrustedProxies) -> &mut Self {
        self.reception = std::mem::take(&mut self.reception).trust_proxies(proxies);
        self
    }

    /// Limits what the clients of one address may have and do together, on every port and transport. Without a call nothing
    /// is limited by address. What the limiter that comes back has counted can be asked at any time.
    ///
    /// ```
    /// # use gatewire::prelude::*;
    /// # #[module] struct AppModule;
    /// use gatewire::{ClientLimits, Limit};
    ///
    /// # async fn run() -> gatewire::Result<()> {
    /// let mut app = App::create::<AppModule>().await?;
    /// let limiter = app.limit_clients(ClientLimits::default());
    /// assert_eq!(limiter.refused(Limit::Connections), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit_clients(&mut self, limits: ClientLimits) -> ClientLimiter {
        let limiter = ClientLimiter::new(limits);
        self.reception = std::mem::take(&mut self.reception).limit_clients(limiter.clone());
        limiter
    }

    /// How the streams of controllers are kept: heartbeats, what may wait for a client, the hint at a shutdown.
    pub fn sse_config(&mut self, config: SseConfig) -> &mut Self {
        self.sse = config;
        self
    }

    /// Serves other HTTP routes beside the gateways and controllers: what is not below a gateway's path goes to `router`. The
    /// peer's address is there as axum's `ConnectInfo<SocketAddr>`.
    ///
    /// # Panics
    /// When it is served, if it has a route that a controller has, too.
    #[must_use]
    pub fn merge(mut self, router: axum::Router) -> Self {
        self.router = Some(match self.router {
            Some(before) => before.merge(router),
            None => router,
        });
        self
    }

    /// The provider of `T`, as the root module sees it or else wherever it is provided.
    ///
    /// # Panics
    /// If there is none; see [`try_get`](Self::try_get).
    #[track_caller]
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Arc<T> {
        match self.try_get() {
            Some(provider) => provider,
            None => panic!("no module provides {}", std::any::type_name::<T>()),
        }
    }

    /// The provider of `T`, if there is one.
    pub fn try_get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.running.container.get()
    }

    /// A handle to end the application from elsewhere.
    pub fn handle(&self) -> AppHandle {
        AppHandle(Arc::clone(&self.running))
    }
}

impl<M: Module> Create<M> {
    /// Leaves logging alone: no `tracing` subscriber is installed.
    pub fn without_logger(mut self) -> Self {
        self.logger = false;
        self
    }

    /// Sets the bounds of every Socket.IO server: mailboxes, acknowledgements, namespaces a connection may join.
    pub fn hub_config(mut self, config: HubConfig) -> Self {
        self.hub = config;
        self
    }

    /// Adds a provider that every module sees, as if a global module exported it: what the program has made before, such as
    /// its arguments or a pool of connections. A module's own provider of the type goes before. [`verify`](crate::verify)
    /// knows nothing of it.
    ///
    /// ```
    /// use gatewire::module::Provider;
    /// use gatewire::prelude::*;
    ///
    /// struct Pool(String);
    ///
    /// #[injectable]
    /// struct Users {
    ///     pool: Arc<Pool>,
    /// }
    ///
    /// #[module(providers = [Users])]
    /// struct AppModule;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> gatewire::Result<()> {
    /// let pool = Pool("postgres://localhost".to_owned());
    /// let app = App::create::<AppModule>()
    ///     .provide(Provider::value(|| pool))
    ///     .await?;
    /// assert_eq!(app.get::<Users>().pool.0, "postgres://localhost");
    /// # Ok(())
    /// # }
    /// ```
    pub fn provide(mut self, provider: Provider) -> Self {
        self.given.push(provider);
        self
    }

    /// Puts `provider` in the place of whatever is provided under its type, in every module: for tests.
    ///
    /// ```
    /// use gatewire::module::Provider;
    /// use gatewire::prelude::*;
    ///
    /// trait Clock: Send + Sync {
    ///     fn now(&self) -> u64;
    /// }
    ///
    /// #[injectable]
    /// struct SystemClock;
    /// impl Clock for SystemClock {
    ///     fn now(&self) -> u64 {
    ///         std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())
    ///     }
    /// }
    ///
    /// struct Stopped(u64);
    /// impl Clock for Stopped {
    ///     fn now(&self) -> u64 {
    ///         self.0
    ///     }
    /// }
    ///
    /// #[module(providers = [SystemClock as dyn Clock])]
    /// struct AppModule;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> gatewire::Result<()> {
    /// let app = App::create::<AppModule>()
    ///     .override_provider(Provider::shared::<dyn Clock>(|| Arc::new(Stopped(7))))
    ///     .await?;
    /// assert_eq!(app.get::<dyn Clock>().now(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn override_provider(mut self, provider: Provider) -> Self {
        self.overrides.push(provider);
        self
    }

    async fn run(self) -> Result<App> {
        if self.logger {
            logger::init();
        }
        log("App", format_args!("Starting the application"));
        let mut graph = Graph::of::<M>();
        graph.give(self.given);
        graph.replace(self.overrides);
        let order = inspect(&graph)?;
        // (provider, its gateway), in declared order.
        let mut gateways = graph.gateways();
        let mut container = Container::new(graph);
        for (provider, gateway) in &mut gateways {
            if let Some(late) = gateway.late.take() {
                let options = container.late_options(*provider, &late, &order).await?;
                gateway.options = options.or(std::mem::take(&mut gateway.options));
            }
        }
        let mut faults = Vec::new();
        let plans = plan_servers(
            &gateways.iter().map(|(_, gateway)| gateway).collect::<Vec<_>>(),
            &mut faults,
        );
        if !faults.is_empty() {
            return Err(VerifyError::new(faults).into());
        }

        let servers: Vec<(ServerPlan, Io)> = plans
            .into_iter()
            .map(|plan| (plan, Io::new(self.hub.clone())))
            .collect();
        let spaces = spaces(&servers);
        let controllers = container.controllers();
        // Where controllers listen: the first server of the application's own port, or one without clients of its own.
        let shared = servers.iter().find(|(plan, _)| plan.port.is_none());
        let requests = shared.map_or_else(|| Io::new(self.hub.clone()), |(_, io)| io.clone());
        let space_of = |provider: usize| {
            if let Some((_, controller)) = controllers.iter().find(|(index, _)| *index == provider) {
                return Some(Space::One(requests.of(&controller.options.namespace_name())));
            }
            let gateway = gateways.iter().position(|(index, _)| *index == provider)?;
            let (_, space) = spaces
                .iter()
                .find(|(namespace, _)| namespace.gateways.contains(&gateway))?;
            Some(space.clone())
        };
        container.build(order, space_of).await?;
        for (module, providers) in container.summary() {
            log("Modules", format_args!("{module}: {}", providers.join(", ")));
        }
        let globals = Arc::new(Globals::default());
        for (namespace, space) in &spaces {
            let members = namespace.gateways.iter().map(|&index| &gateways[index]);
            let members: Vec<&(usize, GatewayDefinition)> = members.collect();
            let bound: Vec<Arc<dyn BoundGateway>> = members
                .iter()
                .filter_map(|(provider, gateway)| {
                    let instance = container.instance(*provider)?;
                    (gateway.bind)(instance, &container.resolver(*provider)).transpose()
                })
                .collect::<Result<_, _>>()?;
            space
                .serve(Arc::new(NamespaceGateways::new(bound, Arc::clone(&globals))))
                .await;
            for (_, gateway) in members {
                let events: Vec<String> = gateway
                    .events
                    .iter()
                    .map(|(event, _)| format!("{event:?}"))
                    .collect();
                let subscribed = match &*events {
                    [] => String::new(),
                    events => format!(" subscribed to {}", events.join(", ")),
                };
                log(
                    "Gateways",
                    format_args!("{} on {}{subscribed}", gateway.name, namespace.name),
                );
            }
        }
        for (_, io) in &servers {
            // Taken only where no gateway has the root namespace: a client there is answered, too.
            io.of("/")
                .set_handler(Arc::new(NamespaceGateways::new(Vec::new(), Arc::clone(&globals))));
        }
        let mut bound = Vec::new();
        for (provider, controller) in &controllers {
            let Some(instance) = container.instance(*provider) else {
                continue;
            };
            bound.extend((controller.bind)(instance, &container.resolver(*provider))?);
            for route in &controller.routes {
                let plan::RouteName {
                    method,
                    path,
                    handler,
                } = route;
                log(
                    "Routes",
                    format_args!("{method} {path}: {}::{handler}", controller.name),
                );
            }
        }
        container.start(Stage::ModuleInit).await?;
        container.start(Stage::ApplicationBootstrap).await?;
        let mut ios: Vec<Io> = servers.iter().map(|(_, io)| io.clone()).collect();
        if shared.is_none() && !bound.is_empty() {
            ios.push(requests.clone());
        }
        Ok(App {
            running: Arc::new(Running::new(container, ios)),
            servers,
            adapter: Adapter::default(),
            bus: None,
            controllers: bound,
            requests,
            sse: SseConfig::default(),
            listener: ListenerConfig::default(),
            router: None,
            cors: None,
            tls: None,
            reuse_port: false,
            reception: Reception::new(),
            globals,
            operators: OperatorSite::default(),
        })
    }
}

/// The namespaces of these servers' gateways, in declared order.
fn spaces(servers: &[(ServerPlan, Io)]) -> Vec<(&NamespacePlan, Space)> {
    for (plan, io) in servers {
        // The root namespace is always there, as in Socket.IO. What has a name is there before a pattern could make it.
        let names = plan.namespaces.iter().map(|namespace| &*namespace.name);
        for name in names.filter(|name| !is_pattern(name)).chain(["/"]) {
            let _namespace = io.of(name);
        }
    }
    let spaces = servers.iter().flat_map(|(plan, io)| {
        let namespaces = plan.namespaces.iter();
        namespaces.map(|namespace| (namespace, Space::open(io, &namespace.name)))
    });
    spaces.collect()
}

impl<M: Module> IntoFuture for Create<M> {
    type Output = Result<App>;
    type IntoFuture = BoxFuture<'static, Result<App>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

pub(crate) fn log(context: &'static str, message: std::fmt::Arguments<'_>) {
    tracing::info!(target: "gatewire", context, "{message}");
}
