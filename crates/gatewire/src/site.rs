//! What is served on one port: engines by their paths, and the router for everything else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use gatewire_server::Engine;
use http::{Request, StatusCode};
use serde_json::json;
use tower_service::Service;

use crate::running::Running;

/// The engines and other routes of one port.
pub(crate) struct Site {
    /// Longest path first, so that `/a/b` is not taken for something below `/a`.
    engines: Vec<Engine>,
    router: Option<Router>,
    /// Lives as long as the site.
    running: Arc<Running>,
}

impl Site {
    pub(crate) fn new(router: Option<Router>, running: Arc<Running>) -> Self {
        Self {
            engines: Vec::new(),
            router,
            running,
        }
    }

    pub(crate) fn add(&mut self, engine: Engine) {
        self.engines.push(engine);
        self.engines
            .sort_by_key(|engine| std::cmp::Reverse(engine.path().len()));
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(&self, mut request: Request<B>, peer: Option<SocketAddr>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(engine) = self
            .engines
            .iter()
            .find(|engine| engine.matches(request.uri().path()))
        {
            return engine.handle(request, peer).await.map(Body::new);
        }
        let Some(router) = &self.router else {
            return not_found(&request);
        };
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        match router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never as Infallible {},
        }
    }

    /// The same as routes of an axum router.
    pub(crate) fn into_router(self) -> Router {
        let mut router = self.router.unwrap_or_default();
        for engine in self.engines {
            let path = engine.path().trim_end_matches('/').to_owned();
            let is_open = !engine.path().ends_with('/');
            let running = Arc::clone(&self.running);
            let serve = any(move |request: Request<Body>| {
                let (engine, _running) = (engine.clone(), Arc::clone(&running));
                async move {
                    let peer = request
                        .extensions()
                        .get::<ConnectInfo<SocketAddr>>()
                        .map(|info| info.0);
                    engine.handle(request, peer).await.map(Body::new)
                }
            });
            if is_open {
                router = router.route(&path, serve.clone());
            }
            router = router
                .route(&format!("{path}/{{*rest}}"), serve.clone())
                .route(&format!("{path}/"), serve);
        }
        router
    }
}

/// NestJS's answer to a request for nothing.
fn not_found<B>(request: &Request<B>) -> Response {
    let message = format!("Cannot {} {}", request.method(), request.uri().path());
    let body = json!({ "message": message, "error": "Not Found", "statusCode": 404 });
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
