//! What answers the clients of one server: an engine of Socket.IO, or a server of plain WebSockets. Both look alike to who
//! routes requests to them and ends them.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use gatewire_proto::websocket::asks_for_websocket;
use gatewire_server::{
    Body as EngineBody, Engine, PlainSockets, ServerStats, WebSocketServer, is_websocket_connect,
};
use http::Request;

use crate::watch::ServerKind;

#[derive(Clone)]
pub(crate) enum Endpoint {
    SocketIo(Engine),
    Ws(Box<WsEndpoint>),
}

#[derive(Clone)]
pub(crate) struct WsEndpoint {
    pub(crate) sockets: PlainSockets,
    pub(crate) server: WebSocketServer,
    /// For an axum router, as its routes are written.
    pub(crate) routes: Vec<String>,
    /// Where its gateways are.
    pub(crate) places: Vec<String>,
}

/// What it speaks, and where.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SocketIo(engine) => write!(f, "Socket.IO at {}", engine.path()),
            Self::Ws(ws) => write!(f, "plain WebSockets at {}", ws.places.join(", ")),
        }
    }
}

impl Endpoint {
    /// How long its path is: the longest is asked first.
    pub(crate) fn rank(&self) -> usize {
        match self {
            Self::SocketIo(engine) => engine.path().len(),
            Self::Ws(_) => 0,
        }
    }

    /// Whether it answers a WebSocket's handshake at this path.
    fn takes(&self, path: &str) -> bool {
        match self {
            Self::SocketIo(engine) => engine.matches(path),
            Self::Ws(ws) => ws.sockets.has(path),
        }
    }

    /// The first place of its gateways that one of those before it takes: nobody would ever come there.
    pub(crate) fn shadowed(&self, before: &[Self]) -> Option<String> {
        let Self::Ws(ws) = self else {
            // Of Socket.IO, the longest path is asked first.
            return None;
        };
        let taken = |place: &String| before.iter().find(|other| other.takes(place));
        ws.places.iter().find_map(|place| {
            let by = match taken(place)? {
                other @ Self::SocketIo(_) => other.to_string(),
                Self::Ws(_) => "the plain WebSockets of another server, whose gateways have another path".to_owned(),
            };
            Some(format!("its plain WebSockets at {place} are never reached: {by} is asked first; give the gateways other namespaces, or the `WsAdapter` another path"))
        })
    }

    /// Whether the request is for it. What is no handshake at the path of a plain WebSocket is for others, if there are
    /// any.
    pub(crate) fn is_for<B>(&self, request: &Request<B>, has_others: bool) -> bool {
        match self {
            Self::SocketIo(engine) => engine.matches(request.uri().path()),
            Self::Ws(ws) => (!has_others || is_upgrade(request)) && ws.sockets.has(request.uri().path()),
        }
    }

    /// The answer to a request, in a box as large as this one needs: it may wait for long.
    pub(crate) fn handle<B>(
        &self,
        request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        match self {
            Self::SocketIo(engine) => Box::pin(engine.handle(request, peer).map(with_body)),
            Self::Ws(ws) => {
                let server = ws.server.clone();
                Box::pin(async move { server.handle(request, peer).await.map(Body::new) })
            }
        }
    }

    /// The paths below which its requests are, as an axum router has them.
    pub(crate) fn routes(&self) -> Vec<String> {
        match self {
            Self::SocketIo(engine) => {
                let path = engine.path().trim_end_matches('/');
                let mut routes = vec![format!("{path}/{{*rest}}"), format!("{path}/")];
                if !engine.path().ends_with('/') {
                    routes.push(path.to_owned());
                }
                routes
            }
            Self::Ws(ws) => ws.routes.clone(),
        }
    }

    /// From now on it counts what its figures tell.
    pub(crate) fn meter(&self) {
        match self {
            Self::SocketIo(engine) => engine.meter(),
            Self::Ws(ws) => ws.server.meter(),
        }
    }

    pub(crate) fn stats(&self) -> (ServerKind, ServerStats) {
        match self {
            Self::SocketIo(engine) => (ServerKind::SocketIo, engine.stats()),
            Self::Ws(ws) => (ServerKind::Ws, ws.server.stats()),
        }
    }

    pub(crate) fn stop_accepting(&self) {
        match self {
            Self::SocketIo(engine) => engine.stop_accepting(),
            Self::Ws(ws) => ws.server.stop_accepting(),
        }
    }

    pub(crate) async fn drain_over(&self, window: Duration) {
        match self {
            Self::SocketIo(engine) => engine.drain_over(window).await,
            Self::Ws(ws) => ws.server.drain_over(window).await,
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::SocketIo(engine) => engine.close(),
            Self::Ws(ws) => ws.server.close(),
        }
    }

    pub(crate) async fn drained(&self) {
        match self {
            Self::SocketIo(engine) => engine.drained().await,
            Self::Ws(ws) => ws.server.drained().await,
        }
    }

    pub(crate) fn clients_count(&self) -> usize {
        match self {
            Self::SocketIo(engine) => engine.clients_count(),
            Self::Ws(ws) => ws.server.clients_count(),
        }
    }

    pub(crate) fn timers_count(&self) -> usize {
        match self {
            Self::SocketIo(engine) => engine.timers_count(),
            Self::Ws(ws) => ws.server.timers_count(),
        }
    }
}

fn with_body(response: http::Response<EngineBody>) -> Response {
    response.map(Body::new)
}

/// Whether it is the handshake of a WebSocket.
pub(crate) fn is_upgrade<B>(request: &Request<B>) -> bool {
    asks_for_websocket(request.headers()) || is_websocket_connect(request.method(), request.extensions())
}
