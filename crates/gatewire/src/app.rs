//! The application: a verified and built module graph, and the servers that its gateways asked for. How connections
//! are served is the server crate's matter; this binds the two together.

use std::future::{IntoFuture, pending};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use gatewire_hub::{HubConfig, Io};
use gatewire_server::Listener;
use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};

use crate::adapter::Adapter;
use crate::error::{Error, Result};
use crate::gateway::plan::{ServerPlan, plan};
use crate::gateway::{BoundGateway, GatewayDefinition, NamespaceGateways};
use crate::module::{Container, Graph, Module, VerifyError, verify};
use crate::pipeline::{ExceptionFilter, Globals, Guard, Interceptor};
use crate::site::Site;
use crate::{Server, logger};

/// An application: everything is built, nothing is served yet.
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
    container: Arc<Container>,
    servers: Vec<(ServerPlan, Io)>,
    adapter: Adapter,
    router: Option<axum::Router>,
    globals: Arc<Globals>,
}

/// The creation of an [`App`]; await it.
#[must_use = "nothing is created before it is awaited"]
pub struct Create<M> {
    logger: bool,
    hub: HubConfig,
    module: PhantomData<fn() -> M>,
}

/// An application whose addresses are bound; connections wait until it is served.
pub struct Bound {
    local_addr: SocketAddr,
    listeners: Vec<(Listener, Arc<Site>)>,
    drain_timeout: Duration,
}

impl App {
    /// Checks the module `M` and all it imports, builds every provider, and runs the `after_init` hooks.
    ///
    /// Sets the log up (see [`logger::init`]) unless a `tracing` subscriber is there already; see also
    /// [`Create::without_logger`].
    ///
    /// # Errors
    /// [`Error::Verify`] with every fault there is, before anything is built; [`Error::Build`] if a provider fails.
    pub fn create<M: Module>() -> Create<M> {
        Create {
            logger: true,
            hub: HubConfig::default(),
            module: PhantomData,
        }
    }

    /// Sets the options for every server; what gateways say goes before.
    pub fn use_websocket_adapter(&mut self, adapter: impl Into<Adapter>) -> &mut Self {
        self.adapter = adapter.into();
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

    /// Gives `filter` the errors that no filter of a gateway or handler takes.
    pub fn use_global_filters(&mut self, filter: impl ExceptionFilter) -> &mut Self {
        self.globals
            .change(|globals| globals.bound.filters.push(Arc::new(filter)));
        self
    }

    /// Whether an `exception` tells the client which message it comes from, as `cause` with `pattern` and `data`. Default
    /// true, as in NestJS.
    pub fn include_cause(&mut self, include: bool) -> &mut Self {
        self.globals.change(|globals| globals.include_cause = include);
        self
    }

    /// Serves other HTTP routes beside the gateways: what is not below a gateway's path goes to `router`. The peer's
    /// address is there as axum's `ConnectInfo<SocketAddr>`.
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
        self.container.get()
    }

    /// Serves on `address` for ever. Port 0 takes a free one; gateways with a port of their own are served there, on
    /// the same interface.
    ///
    /// # Errors
    /// [`Error::Listen`] if an address cannot be bound, [`Error::Config`] if the options make no sense.
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result {
        self.bind(address).await?.serve().await;
        Ok(())
    }

    /// Serves on a listener that is bound already, for ever.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn listen_on(self, listener: TcpListener) -> Result {
        self.bind_on(listener).await?.serve().await;
        Ok(())
    }

    /// Serves on `address` until `shutdown` is ready, then ends: clients are told that the server shuts down, and
    /// their disconnect hooks are awaited.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn serve_with_shutdown(
        self,
        address: impl ToSocketAddrs,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result {
        self.bind(address).await?.serve_with_shutdown(shutdown).await;
        Ok(())
    }

    /// Binds `address` and the gateways' own ports: clients can connect, and are answered once it is served.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn bind(self, address: impl ToSocketAddrs) -> Result<Bound> {
        let addresses: Vec<SocketAddr> = match lookup_host(address).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(Error::listen("the address that was given", &error)),
        };
        let listener = TcpListener::bind(&*addresses).await.map_err(|error| {
            let named: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Error::listen(named.join(" or "), &error)
        })?;
        self.bind_on(listener).await
    }

    /// As [`bind`](Self::bind), with a listener that is bound already.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn bind_on(self, listener: TcpListener) -> Result<Bound> {
        let local_addr = listener
            .local_addr()
            .map_err(|error| Error::listen("a listener", &error))?;
        let sites = self.into_sites()?;
        let mut listeners = Vec::with_capacity(sites.len());
        let mut listener = Some(listener);
        for (port, site) in sites {
            // The first site is the application's own.
            let listener = match (port, listener.take()) {
                (None, Some(listener)) => Listener::from_tcp(listener),
                (port, _) => {
                    let address = SocketAddr::new(local_addr.ip(), port.unwrap_or(0));
                    Listener::bind(address)
                        .await
                        .map_err(|error| Error::listen(address, &error))?
                }
            };
            listeners.push((listener, Arc::new(site)));
        }
        Ok(Bound {
            local_addr,
            listeners,
            drain_timeout: DRAIN_TIMEOUT,
        })
    }

    /// The gateways, and what was [merged](Self::merge), as a router to be served by an axum application: the paths of
    /// the gateways and below. A gateway with a port of its own is not in it, which is logged as a warning. For the
    /// client's address serve it with `into_make_service_with_connect_info::<SocketAddr>()`.
    ///
    /// # Errors
    /// [`Error::Config`] if the options make no sense.
    pub fn into_router(self) -> Result<axum::Router> {
        let mut router = axum::Router::new();
        for (port, site) in self.into_sites()? {
            match port {
                None => router = router.merge(site.into_router()),
                Some(port) => tracing::warn!(
                    target: "gatewire", context = "App",
                    "the gateways on port {port} are not served: a router has no port of its own"
                ),
            }
        }
        Ok(router)
    }

    /// One site for each port, the application's own first.
    fn into_sites(self) -> Result<Vec<(Option<u16>, Site)>> {
        let mut sites = vec![(None, Site::new(self.router, Arc::clone(&self.container)))];
        for (plan, io) in self.servers {
            let Adapter::SocketIo(adapter) = &self.adapter;
            let engine = adapter.engine(&plan, io).map_err(|error| Error::Config {
                server: plan.to_string(),
                message: error.to_string(),
            })?;
            match sites.iter_mut().find(|(port, _)| *port == plan.port) {
                Some((_, site)) => site.add(engine),
                None => {
                    let mut site = Site::new(None, Arc::clone(&self.container));
                    site.add(engine);
                    sites.push((plan.port, site));
                }
            }
        }
        Ok(sites)
    }
}

impl Bound {
    /// The address that the application is bound to; with port 0 the one that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How long clients and their disconnect hooks are waited for at the end. Default 10 s.
    #[must_use]
    pub fn drain_timeout(mut self, patience: Duration) -> Self {
        self.drain_timeout = patience;
        self
    }

    /// Serves for ever.
    pub async fn serve(self) {
        self.serve_with_shutdown(pending()).await;
    }

    /// Serves until `shutdown` is ready; see [`App::serve_with_shutdown`].
    pub async fn serve_with_shutdown(self, shutdown: impl Future<Output = ()> + Send) {
        log("App", format_args!("Listening on http://{}", self.local_addr));
        let (ending, _) = tokio::sync::watch::channel(false);
        let served = join_all(self.listeners.into_iter().map(|(listener, site)| {
            let mut end = ending.subscribe();
            async move {
                if let Ok(address) = listener.local_addr()
                    && address != self.local_addr
                {
                    log("App", format_args!("Listening on http://{address} too"));
                }
                let ended = {
                    let site = Arc::clone(&site);
                    async move {
                        // An error means that the sender is gone, which is an end too.
                        let _ = end.wait_for(|end| *end).await;
                        site.close();
                    }
                };
                let handler = {
                    let site = Arc::clone(&site);
                    move |request, peer| {
                        let site = Arc::clone(&site);
                        async move { site.answer(request, Some(peer)).await }
                    }
                };
                listener.serve(handler, ended).await;
                site.drained(self.drain_timeout).await;
            }
        }));
        let end = async {
            shutdown.await;
            log("App", format_args!("Shutting down"));
            ending.send_replace(true);
        };
        futures_util::future::join(served, end).await;
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

    async fn run(self) -> Result<App> {
        if self.logger {
            logger::init();
        }
        log("App", format_args!("Starting the application"));
        let graph = Graph::of::<M>();
        let mut faults = Vec::new();
        let order = verify(&graph, &mut faults);
        // (provider, its gateway), in declared order.
        let gateways: Vec<(usize, GatewayDefinition)> = graph
            .providers
            .iter()
            .enumerate()
            .filter_map(|(index, node)| Some((index, node.provider.gateway.clone()?)))
            .collect();
        let plans = plan(
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
        let namespaces: Vec<(Server, Vec<usize>)> = servers
            .iter()
            .flat_map(|(plan, io)| {
                // The root namespace is always there, as in Socket.IO.
                let _root = io.of("/");
                plan.namespaces
                    .iter()
                    .map(|namespace| (io.of(&namespace.name), namespace.gateways.clone()))
            })
            .collect();
        let server_of = |provider: usize| {
            let gateway = gateways.iter().position(|(index, _)| *index == provider)?;
            let (server, _) = namespaces
                .iter()
                .find(|(_, members)| members.contains(&gateway))?;
            Some(server.clone())
        };
        let container = Container::build(graph, &order, server_of).await?;
        for (module, providers) in container.summary() {
            log("Modules", format_args!("{module}: {}", providers.join(", ")));
        }
        let globals = Arc::new(Globals::default());
        for (server, members) in &namespaces {
            let members: Vec<&(usize, GatewayDefinition)> =
                members.iter().map(|&index| &gateways[index]).collect();
            let bound: Vec<Arc<dyn BoundGateway>> = members
                .iter()
                .filter_map(|(provider, gateway)| {
                    let instance = container.instance(*provider)?;
                    (gateway.bind)(instance, &container.resolver(*provider)).transpose()
                })
                .collect::<Result<_, _>>()?;
            let handler = Arc::new(NamespaceGateways::new(bound, Arc::clone(&globals)));
            handler.init(server).await;
            server.set_handler(handler);
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
                    format_args!("{} on {}{subscribed}", gateway.name, server.name()),
                );
            }
        }
        for (_, io) in &servers {
            // Taken only where no gateway has the root namespace: a client there is answered, too.
            io.of("/")
                .set_handler(Arc::new(NamespaceGateways::new(Vec::new(), Arc::clone(&globals))));
        }
        Ok(App {
            container: Arc::new(container),
            servers,
            adapter: Adapter::default(),
            router: None,
            globals,
        })
    }
}

impl<M: Module> IntoFuture for Create<M> {
    type Output = Result<App>;
    type IntoFuture = BoxFuture<'static, Result<App>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// See [`Bound::drain_timeout`].
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

fn log(context: &'static str, message: std::fmt::Arguments<'_>) {
    tracing::info!(target: "gatewire", context, "{message}");
}
