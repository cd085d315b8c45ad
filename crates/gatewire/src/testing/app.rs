//! An application under test, and the ways to connect to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use gatewire_server::serve_stream;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::client::TestClient;
use super::error::TestError;
use super::http::{TestEvents, TestRequest, TestResponse};
use super::plain::TestWsClient;
use super::wire::{Pipe, Socket};
use crate::error::Result;
use crate::module::Module;
use crate::running::{AppHandle, Running};
use crate::site::Site;
use crate::{App, Server};

/// Bytes that a pipe in memory holds in each direction.
const PIPE: usize = 64 * 1024;

/// An application that clients of this process can connect to. Dropped, it ends without its hooks; see
/// [`close`](Self::close).
pub struct TestApp {
    running: Arc<Running>,
    way: Way,
}

/// How clients come to the application.
enum Way {
    /// By pipes: the application's own site, and those of gateways with a port of their own.
    Memory(Vec<(Option<u16>, Arc<Site>)>),
    /// By the network.
    Network(SocketAddr, AbortHandle),
}

impl TestApp {
    /// The application of the module `M`, in memory, without a log of its own.
    ///
    /// # Errors
    /// As [`App::create`].
    pub async fn create<M: Module>() -> Result<Self> {
        Self::in_memory(App::create::<M>().without_logger().await?)
    }

    /// `app` in memory: nothing listens, clients come by pipes.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) if the options make no sense.
    pub fn in_memory(app: App) -> Result<Self> {
        let running = app.running();
        let sites = app.into_sites(None)?;
        Ok(Self {
            running,
            way: Way::Memory(
                sites
                    .into_iter()
                    .map(|(port, site)| (port, Arc::new(site)))
                    .collect(),
            ),
        })
    }

    /// `app` on a free port of this machine, for clients of any kind.
    ///
    /// # Errors
    /// As [`App::bind`].
    pub async fn on_free_port(app: App) -> Result<Self> {
        let running = app.running();
        let bound = app.bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = bound.local_addr();
        let served = tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
        Ok(Self {
            running,
            way: Way::Network(address, served.abort_handle()),
        })
    }

    /// The address, if it is on a port.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.way {
            Way::Memory(_) => None,
            Way::Network(address, _) => Some(*address),
        }
    }

    /// The provider of `T`.
    ///
    /// # Panics
    /// If there is none.
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

    /// A namespace of the application, by its name; of the first server that has it.
    pub fn server(&self, namespace: &str) -> Option<Server> {
        self.running.namespace(namespace)
    }

    /// A handle to end the application from elsewhere.
    pub fn handle(&self) -> AppHandle {
        AppHandle(Arc::clone(&self.running))
    }

    /// A client in `namespace`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connect(&self, namespace: &str) -> Result<TestClient, TestError> {
        self.client().connect(namespace).await
    }

    /// A client of plain WebSockets at `path`, which may have a query.
    ///
    /// # Errors
    /// If it is refused before the WebSocket is open; what a guard or hook has against it comes as an `exception`, and then
    /// [`closed`](TestWsClient::closed) tells the code.
    pub async fn connect_ws(&self, path: &str) -> Result<TestWsClient, TestError> {
        self.client().connect_ws(path).await
    }

    /// A client that is to be connected with more than a namespace.
    pub fn client(&self) -> Connect<'_> {
        Connect {
            app: self,
            path: "/socket.io".to_owned(),
            port: None,
            query: String::new(),
            headers: Vec::new(),
            auth: None,
        }
    }

    /// A request to the application: to a controller, or to what was merged.
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_> {
        TestRequest::new(self, method, target)
    }

    /// Sends a GET.
    ///
    /// # Errors
    /// As [`TestRequest::send`].
    pub async fn fetch(&self, target: &str) -> Result<TestResponse, TestError> {
        self.request(Method::GET, target).send().await
    }

    /// Opens a stream of events, as a browser's `EventSource` does.
    ///
    /// # Errors
    /// As [`TestRequest::events`].
    pub async fn events(&self, target: &str) -> Result<TestEvents, TestError> {
        self.request(Method::GET, target).events().await
    }

    /// Ends the application as [`AppHandle::close`] does.
    pub async fn close(self) {
        self.handle().close().await;
    }

    pub(super) async fn pipe(&self, port: Option<u16>) -> Result<Box<dyn Pipe>, TestError> {
        match &self.way {
            Way::Memory(sites) => {
                let site = sites.iter().find(|(of, _)| *of == port);
                let Some((_, site)) = site else {
                    return Err(TestError::Failed(format!("no gateway has the port {port:?}")));
                };
                let site = Arc::clone(site);
                let (near, far) = tokio::io::duplex(PIPE);
                tokio::spawn(async move {
                    let answer = |request| Arc::clone(&site).answer(request, None);
                    if let Err(error) = serve_stream(far, answer).await {
                        tracing::debug!(%error, "a connection in memory ended with an error");
                    }
                });
                Ok(Box::new(near))
            }
            Way::Network(address, _) => {
                let address = SocketAddr::new(address.ip(), port.unwrap_or_else(|| address.port()));
                let stream = TcpStream::connect(address).await;
                Ok(Box::new(stream.map_err(|error| {
                    TestError::Failed(format!("cannot connect to {address}: {error}"))
                })?))
            }
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Way::Network(_, served) = &self.way {
            served.abort();
        }
    }
}

/// A client before it is connected.
#[must_use = "nothing is connected before `connect` is awaited"]
pub struct Connect<'a> {
    app: &'a TestApp,
    path: String,
    port: Option<u16>,
    query: String,
    headers: Vec<(String, String)>,
    auth: Option<Value>,
}

impl Connect<'_> {
    /// The path of the Socket.IO server. Default `/socket.io`.
    pub fn path(mut self, path: &str) -> Self {
        path.trim_end_matches('/').clone_into(&mut self.path);
        self
    }

    /// The port of a gateway that has one of its own.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// One more parameter of the query; both are to be escaped where need be.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push_str(&format!("&{name}={value}"));
        self
    }

    /// One more header of the handshake.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What goes with CONNECT, `auth` of the JavaScript client.
    ///
    /// # Panics
    /// If it is no JSON.
    #[track_caller]
    pub fn auth<T: Serialize>(mut self, auth: &T) -> Self {
        match serde_json::to_value(auth) {
            Ok(auth) => self.auth = Some(auth),
            Err(error) => panic!("the auth is no JSON: {error}"),
        }
        self
    }

    /// Opens the WebSocket and joins `namespace`.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connect(self, namespace: &str) -> Result<TestClient, TestError> {
        let pipe = self.app.pipe(self.port).await?;
        let target = format!("{}/?EIO=4&transport=websocket{}", self.path, self.query);
        let socket = Socket::open(pipe, &target, &self.headers).await?;
        TestClient::join(socket, namespace, self.auth.as_ref()).await
    }

    /// Opens a plain WebSocket at `path`, with the query and the headers that were said.
    ///
    /// # Errors
    /// As [`TestApp::connect_ws`].
    pub async fn connect_ws(self, path: &str) -> Result<TestWsClient, TestError> {
        let pipe = self.app.pipe(self.port).await?;
        let query = self.query.trim_start_matches('&');
        let target = match (query, path.contains('?')) {
            ("", _) => path.to_owned(),
            (query, true) => format!("{path}&{query}"),
            (query, false) => format!("{path}?{query}"),
        };
        let socket = Socket::open(pipe, &target, &self.headers).await?;
        Ok(TestWsClient::new(socket))
    }
}
