//! What is served on one port: endpoints by their paths, and the router for everything else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::FutureExt;
use gatewire_server::Reception;
use http::{Request, StatusCode};
use serde_json::json;
use tower_service::Service;

use crate::endpoint::Endpoint;
use crate::lost::Lost;
use crate::running::Running;
use crate::watch::OperatorSite;

/// The endpoints and other routes of one port.
pub(crate) struct Site {
    /// Longest path first, so that `/a/b` is not taken for something below `/a`.
    endpoints: Vec<Endpoint>,
    router: Option<Router>,
    /// For operators.
    operators: OperatorSite,
    lost: Lost,
    /// Lives as long as the site.
    running: Arc<Running>,
}

impl Site {
    pub(crate) fn new(router: Option<Router>, running: Arc<Running>) -> Self {
        Self {
            endpoints: Vec::new(),
            router,
            operators: OperatorSite::default(),
            lost: Lost::default(),
            running,
        }
    }

    /// With routes for operators, which go before all else.
    pub(crate) fn with_operators(mut self, operators: OperatorSite) -> Self {
        self.operators = operators;
        self
    }

    /// Adds an endpoint.
    ///
    /// # Errors
    /// If nobody would ever reach it, in words.
    pub(crate) fn add(&mut self, endpoint: Endpoint) -> Result<(), String> {
        self.endpoints.push(endpoint);
        self.endpoints
            .sort_by_key(|endpoint| std::cmp::Reverse(endpoint.rank()));
        let mut all = self.endpoints.iter().enumerate();
        let shadowed = all.find_map(|(at, endpoint)| endpoint.shadowed(&self.endpoints[..at]));
        shadowed.map_or(Ok(()), Err)
    }

    /// Answers one request.
    pub(crate) fn answer<B>(
        self: Arc<Self>,
        mut request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if let Some(route) = self.operators.find(request.uri().path()) {
            let route = route.clone();
            return Box::pin(async move { route.answer(request, peer).await });
        }
        let has_others = self.router.is_some();
        let mut endpoints = self.endpoints.iter();
        if let Some(endpoint) = endpoints.find(|endpoint| endpoint.is_for(&request, has_others)) {
            return endpoint.handle(request, peer);
        }
        let lost = Lost::who(&request);
        let Some(router) = &self.router else {
            if let Some(who) = lost {
                self.lost.tell(who, request.uri(), &self.endpoints);
            }
            return Box::pin(not_found(request));
        };
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let lost = lost.map(|who| Box::new((who, request.uri().clone(), Arc::clone(&self))));
        let answering = router.clone().call(request);
        Box::pin(answering.map(move |answer| match answer {
            Ok(response) => {
                // The router may have WebSockets of its own.
                if let Some((who, uri, site)) = lost.as_deref()
                    && response.status() == StatusCode::NOT_FOUND
                {
                    site.lost.tell(who, uri, &site.endpoints);
                }
                response
            }
            Err(never) => match never as Infallible {},
        }))
    }

    /// The same as routes of an axum router.
    pub(crate) fn into_router(self) -> Router {
        let mut router = self.router.unwrap_or_default();
        for route in self.operators.into_routes() {
            let path = route.path().to_owned();
            let running = Arc::clone(&self.running);
            let serve = any(move |request: Request<Body>| {
                let (route, _running) = (route.clone(), Arc::clone(&running));
                async move {
                    let peer = peer_of(&request);
                    route.answer(request, peer).await
                }
            });
            router = router.route(&path, serve);
        }
        for endpoint in self.endpoints {
            let routes = endpoint.routes();
            let running = Arc::clone(&self.running);
            let serve = any(move |request: Request<Body>| {
                let (endpoint, _running) = (endpoint.clone(), Arc::clone(&running));
                async move {
                    let peer = peer_of(&request);
                    if !endpoint.is_for(&request, false) {
                        return not_found(request).await;
                    }
                    endpoint.handle(request, peer).await
                }
            });
            for route in routes {
                router = router.route(&route, serve.clone());
            }
        }
        router
    }
}

fn peer_of<B>(request: &Request<B>) -> Option<SocketAddr> {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map(|info| info.0)
}

/// A router whose requests are received before they are handed on, as those of a listener of ours are.
pub(crate) fn receive(router: Router, reception: Reception) -> Router {
    if !reception.is_needed() {
        return router;
    }
    router.layer(from_fn(move |mut request: Request<Body>, next: Next| {
        let received = peer_of(&request).map(|peer| reception.receive(&mut request, peer));
        if let Some(Ok(client)) = &received {
            request.extensions_mut().insert(ConnectInfo(*client));
        }
        async move {
            match received {
                Some(Err(refusal)) => refusal.map(Body::new),
                _ => next.run(request).await,
            }
        }
    }))
}

/// NestJS's answer to a request for nothing.
pub(crate) async fn not_found<B>(request: Request<B>) -> Response {
    let message = format!("Cannot {} {}", request.method(), request.uri().path());
    let body = json!({ "message": message, "error": "Not Found", "statusCode": 404 });
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
