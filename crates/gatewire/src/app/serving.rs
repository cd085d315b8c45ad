//! How an application comes to its clients: on addresses that it binds or is given, or as a router of somebody else's server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use gatewire_server::{Listener, SseServer};
use tokio::net::{ToSocketAddrs, lookup_host};

use super::{App, log};
use crate::bound::Bound;
use crate::controller::{Host, router};
use crate::cors;
use crate::error::{Error, Result};
use crate::given::GivenListener;
use crate::running::Running;
use crate::site::{Site, not_found, receive};

impl App {
    /// Ends an application that is not served: the hooks of the end are called.
    pub async fn close(self) {
        self.handle().close().await;
    }

    /// Serves on `address` until the process is told to end (Ctrl-C or SIGTERM), then [ends in order](crate::AppHandle::close).
    /// Port 0 takes a free one; gateways with a port of their own are served there, on the same interface.
    ///
    /// # Errors
    /// [`Error::Listen`] if an address cannot be bound, [`Error::Config`] if the options make no sense.
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result {
        self.bind(address).await?.serve().await;
        Ok(())
    }

    /// As [`listen`](Self::listen), with a listener that is bound already: one of tokio or of the standard library, made here
    /// or inherited from another process (systemd's socket activation, by the crate `listenfd` for example).
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn listen_on(self, listener: impl Into<GivenListener>) -> Result {
        self.bind_on(listener).await?.serve().await;
        Ok(())
    }

    /// As [`listen`](Self::listen), until `shutdown` is ready; signals are not looked at.
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
            Err(error) => {
                let hint = "the address that was given (host and port, such as \"127.0.0.1:3000\")";
                return Err(Error::listen(hint, &error));
            }
        };
        let listener = self.listener(&addresses).await.map_err(|error| {
            let named: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Error::listen(named.join(" or "), &error)
        })?;
        self.bind_all(listener).await
    }

    async fn listener(&self, addresses: &[SocketAddr]) -> io::Result<Listener> {
        if self.reuse_port {
            Listener::bind_shared(addresses).await
        } else {
            Listener::bind(addresses).await
        }
    }

    /// As [`bind`](Self::bind), with a listener that is bound already.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn bind_on(self, listener: impl Into<GivenListener>) -> Result<Bound> {
        let listener = listener.into().into_tokio();
        let listener = listener.map_err(|error| Error::listen("a listener that was given", &error))?;
        self.bind_all(Listener::from_tcp(listener)).await
    }

    /// The other ports are bound beside the application's own.
    async fn bind_all(mut self, listener: Listener) -> Result<Bound> {
        let local_addr = listener
            .local_addr()
            .map_err(|error| Error::listen("a listener", &error))?;
        let running = Arc::clone(&self.running);
        let (tls, reception) = (self.tls.clone(), self.reception.clone());
        let reuse_port = self.reuse_port;
        let config = self.listener.clone();
        let operators = self.operators.split();
        let sites = self.into_sites(Some(local_addr.port()))?;
        let mut listeners = Vec::with_capacity(sites.len());
        let mut listener = Some(listener);
        for (port, site) in sites {
            // The first site is the application's own.
            let listener = match (port, listener.take()) {
                (None, Some(listener)) => listener,
                (port, _) => {
                    let address = SocketAddr::new(local_addr.ip(), port.unwrap_or(0));
                    bind_beside(address, reuse_port).await?
                }
            };
            let listener = listener
                .with_config(config.clone())
                .with_reception(reception.clone());
            let listener = match &tls {
                Some(tls) => listener.with_tls(tls.clone()),
                None => listener,
            };
            listeners.push((listener, Arc::new(site)));
        }
        for (address, routes) in operators {
            let listener = bind_beside(address, reuse_port).await?;
            let site = Site::new(None, Arc::clone(&running)).with_operators(routes);
            listeners.push((listener.with_config(config.clone()), Arc::new(site)));
        }
        Ok(Bound::new(local_addr, listeners, reuse_port, running))
    }

    /// The gateways, and what was [merged](Self::merge), as a router to be served by an axum application: the paths of
    /// the gateways and below. A gateway with a port of its own is not in it, which is logged as a warning. For the
    /// client's address serve it with `into_make_service_with_connect_info::<SocketAddr>()`. The hooks of the end are called
    /// by [`AppHandle::close`](crate::AppHandle::close): take a [`handle`](Self::handle) before.
    ///
    /// # Errors
    /// [`Error::Config`] if the options make no sense.
    pub fn into_router(mut self) -> Result<axum::Router> {
        if self.tls.is_some() {
            tracing::warn!(
                target: "gatewire", context = "App",
                "`use_tls` says nothing here: TLS is the matter of the server that serves the router"
            );
        }
        for (address, _) in self.operators.split() {
            tracing::warn!(
                target: "gatewire", context = "App",
                "what operators look at on {address} is not served: a router has no address of its own"
            );
        }
        let reception = self.reception.clone();
        let mut router = axum::Router::new();
        for (port, site) in self.into_sites(None)? {
            match port {
                None => router = router.merge(site.into_router()),
                Some(port) => tracing::warn!(
                    target: "gatewire", context = "App",
                    "the gateways on port {port} are not served: a router has no port of its own"
                ),
            }
        }
        Ok(receive(router, reception))
    }

    /// The routes of the controllers, if there are any.
    fn control(&self) -> Result<Option<axum::Router>> {
        if self.controllers.is_empty() {
            return Ok(None);
        }
        let sse = SseServer::new(self.sse.clone()).map_err(|error| Error::Config {
            server: "of event streams".to_owned(),
            message: error.to_string(),
        })?;
        let host = Arc::new(Host {
            sse: self.running.streams(|| sse),
            io: self.requests.clone(),
            globals: Arc::clone(&self.globals),
            _running: Arc::clone(&self.running),
        });
        Ok(Some(router(&self.controllers, &host)))
    }

    pub(crate) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running)
    }

    /// One site for each port, the application's own first. `port` is the number of that one, if it has one.
    pub(crate) fn into_sites(self, port: Option<u16>) -> Result<Vec<(Option<u16>, Site)>> {
        let router = match (self.control()?, self.router) {
            (Some(controllers), Some(router)) => Some(controllers.merge(router)),
            (Some(controllers), None) => Some(controllers.fallback(not_found)),
            (None, router) => router,
        };
        let router = match (router, &self.cors) {
            (Some(router), Some(cors)) => Some(router.layer(cors::layer(cors))),
            (router, _) => router,
        };
        let own = Site::new(router, Arc::clone(&self.running)).with_operators(self.operators);
        let mut sites = vec![(None, own)];
        for (plan, io) in self.servers {
            let fault = |message: String| Error::Config {
                server: plan.to_string(),
                message,
            };
            if port.is_some() && plan.port == port {
                return Err(fault(
                    "the application itself listens on this port: leave `port` out to share it".to_owned(),
                ));
            }
            let endpoints = self
                .adapter
                .endpoints(&plan, &io, self.cors.as_ref(), self.bus.as_ref())
                .map_err(|error| fault(error.to_string()))?;
            let at = sites
                .iter()
                .position(|(port, _)| *port == plan.port)
                .unwrap_or_else(|| {
                    sites.push((plan.port, Site::new(None, Arc::clone(&self.running))));
                    sites.len() - 1
                });
            for endpoint in endpoints {
                match plan.port {
                    Some(port) => log("App", format_args!("{endpoint} on port {port}")),
                    None => log("App", format_args!("{endpoint}")),
                }
                self.running.add(endpoint.clone());
                sites[at].1.add(endpoint).map_err(&fault)?;
            }
        }
        Ok(sites)
    }
}

/// Binds an address other than the application's own.
async fn bind_beside(address: SocketAddr, reuse_port: bool) -> Result<Listener> {
    let bound = if reuse_port {
        Listener::bind_shared(address).await
    } else {
        Listener::bind(address).await
    };
    bound.map_err(|error| Error::listen(address, &error))
}
