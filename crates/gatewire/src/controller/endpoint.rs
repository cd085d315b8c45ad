//! A controller with its instance, as routes of axum: each request goes through what is bound to its handler, and its
//! answer becomes a response, or a stream.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use gatewire_hub::meter::Stamp;
use gatewire_hub::{Handshake, HandshakeParts, Io, SseClient};
use gatewire_server::{
    Connection, NoMoreStreams, Seat, Secured, Session, SseServer, TooMany, Visitor, put_headers,
};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, StatusCode};

use super::call::{Answered, Called, HttpCall};
use super::feed::{Feed, FeedSession};
use super::plan::join;
use super::stream::{Emitter, StreamSession};
use super::{Call, Controller, ControllerRoute, HttpError};
use crate::module::{InjectError, Resolver};
use crate::pipeline::{
    BoundEnhancers, ContextKind, Destination, ExecutionContext, Globals, Route, Target, answer,
};
use crate::running::Running;
use crate::watch::{HandlerId, HandlerMeter};
use crate::{Server, Socket};

/// A controller with its instance, its type erased.
pub(crate) trait BoundController: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// The name of its namespace.
    fn namespace(&self) -> Cow<'static, str>;
    fn routes(&self) -> Vec<RouteInfo<'_>>;
    /// What is bound to the controller.
    fn enhancers(&self) -> &BoundEnhancers;
    /// Begins a call of the handler with this index.
    fn call(&self, index: usize, request: Request, emitter: Emitter) -> Called;
}

/// One route, and what is bound to it.
pub(crate) struct RouteInfo<'a> {
    method: Method,
    path: String,
    pattern: &'static str,
    handler: &'static str,
    kind: ContextKind,
    enhancers: &'a BoundEnhancers,
}

/// What all controllers of an application share.
pub(crate) struct Host {
    pub(crate) sse: SseServer,
    /// In which the namespaces of controllers are.
    pub(crate) io: Io,
    pub(crate) globals: Arc<Globals>,
    /// Lives as long as its controllers are served.
    pub(crate) _running: Arc<Running>,
}

/// The routes of these controllers. There is nothing wrong with them: that was looked at before they were built.
pub(crate) fn router(controllers: &[Arc<dyn BoundController>], host: &Arc<Host>) -> Router {
    let mut router = Router::new();
    for controller in controllers {
        let namespace = host.io.of(&controller.namespace());
        for (index, route) in controller.routes().into_iter().enumerate() {
            let RouteInfo {
                method,
                path,
                pattern,
                handler,
                kind,
                ..
            } = route;
            let endpoint = Arc::new(Endpoint {
                controller: Arc::clone(controller),
                index,
                pattern,
                handler,
                kind,
                namespace: namespace.clone(),
                host: Arc::clone(host),
                path: path.clone(),
                route: OnceLock::new(),
                meter: OnceLock::new(),
            });
            router = router.route(&path, endpoint.serve(&method));
        }
    }
    router
}

/// One handler at its path.
struct Endpoint {
    controller: Arc<dyn BoundController>,
    index: usize,
    /// The whole path.
    path: String,
    pattern: &'static str,
    handler: &'static str,
    kind: ContextKind,
    /// The controller's.
    namespace: Server,
    host: Arc<Host>,
    /// Made when the first request comes: the application has bound what it wants by then.
    route: OnceLock<Option<Arc<Route>>>,
    /// Its times; `None` if nobody wants figures.
    meter: OnceLock<Option<Arc<HandlerMeter>>>,
}

impl Endpoint {
    fn serve(self: Arc<Self>, method: &Method) -> MethodRouter {
        // The macros know no other methods than these.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        on(filter, move |request: Request| {
            let endpoint = Arc::clone(&self);
            async move { endpoint.answer(request).await }
        })
    }

    async fn answer(&self, request: Request) -> Response {
        let served = match self.respond(request).await {
            Ok(response) => return response,
            Err(error) => error,
        };
        if let Some(hidden) = served.hidden() {
            let (name, handler) = (self.controller.name(), self.handler);
            tracing::error!(target: "gatewire", context = name, "{handler} failed: {hidden}");
        }
        served.into_response()
    }

    async fn respond(&self, request: Request) -> Result<Response, HttpError> {
        let route = self.route.get_or_init(|| self.route());
        let meter = self
            .meter
            .get_or_init(|| self.meter(request.method(), route.as_ref()));
        let _run = meter.as_ref().map(|meter| meter.run(0, Stamp::now()));
        let is_bare_head = self.kind == ContextKind::Sse && request.method() == Method::HEAD;
        let (mut parts, body) = request.into_parts();
        let mut seat = None;
        if self.kind == ContextKind::Sse && !is_bare_head {
            seat = Visitor::seat(&parts.extensions).map_err(too_many)?;
        }
        let mut client = None;
        if route.is_some() || self.kind == ContextKind::Sse {
            let stand_in = self.stand_in(&parts);
            parts.extensions.insert(stand_in.clone());
            client = Some(stand_in);
        }
        let head = route.as_ref().map(|_| parts.clone());
        let emitter = Emitter::default();
        let called: Called = if is_bare_head {
            Box::pin(std::future::ready(Ok(super::Outcome::Response(only_headers()))))
        } else {
            let request = Request::from_parts(parts, body);
            self.controller.call(self.index, request, emitter.clone())
        };
        let answered = match (route, head, &client) {
            (Some(route), Some(head), Some(client)) => {
                let call = HttpCall::Due(called, emitter);
                let context =
                    ExecutionContext::request_to(client.clone(), Arc::clone(route), self.kind, head, call);
                let answer = answer(&context).await?;
                HttpCall::answered(&answer, &context)
            }
            _ => HttpCall::call(called, emitter, self.controller.name())
                .await
                .map_err(|exception| HttpError::of_exception(exception, StatusCode::BAD_REQUEST))?,
        };
        self.serve_answer(answered, client, seat).await
    }

    async fn serve_answer(
        &self,
        answered: Answered,
        client: Option<Socket>,
        seat: Option<Seat>,
    ) -> Result<Response, HttpError> {
        match answered {
            Answered::Nothing => Ok(StatusCode::OK.into_response()),
            Answered::Response(response) => Ok(response),
            Answered::Json(json) => Ok((
                [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                json,
            )
                .into_response()),
            Answered::Stream(called, emitter) => {
                let name = (self.controller.name(), self.handler);
                self.open(seat, |connection| {
                    emitter.attach(&connection);
                    Box::new(StreamSession::new(called, connection, name, client))
                })
            }
            Answered::Feed(feed) => match client {
                Some(client) => self.open_feed(feed, &client, seat).await,
                None => Err(HttpError::internal("only `#[sse]` answers with a feed")),
            },
        }
    }

    async fn open_feed(
        &self,
        feed: Feed,
        client: &Socket,
        seat: Option<Seat>,
    ) -> Result<Response, HttpError> {
        let Feed { server, rooms } = feed;
        let mut admission = None;
        let response = self.open(seat, |connection| {
            let (listener, decision) = SseClient::new(&server, rooms, connection.outbox(), client);
            admission = Some(decision);
            Box::new(FeedSession(listener))
        })?;
        let Some(admission) = admission else {
            return Ok(response);
        };
        match admission.await {
            Ok(Ok(_)) => Ok(response),
            Ok(Err(refusal)) => {
                let error = HttpError::forbidden(refusal.message);
                Err(match refusal.data {
                    Some(data) => error.with("data", data),
                    None => error,
                })
            }
            Err(_) => Err(full(NoMoreStreams)),
        }
    }

    fn open(
        &self,
        seat: Option<Seat>,
        session: impl FnOnce(Connection) -> Box<dyn Session>,
    ) -> Result<Response, HttpError> {
        let response = self.host.sse.open_on(seat, session).map_err(full)?;
        Ok(response.map(Body::new))
    }

    /// What is bound to the handler, if anything is.
    fn route(&self) -> Option<Arc<Route>> {
        let routes = self.controller.routes();
        let own = routes.get(self.index)?;
        let to = Destination {
            target: Target::Controller(self.controller.name()),
            handler: self.handler,
            pattern: self.pattern,
        };
        let globals = self.host.globals.get();
        let scopes = [&globals.bound, self.controller.enhancers(), own.enhancers];
        Route::new(to, globals.include_cause, &scopes)
    }

    /// A meter of its own, if anybody wants figures.
    fn meter(&self, method: &Method, route: Option<&Arc<Route>>) -> Option<Arc<HandlerMeter>> {
        // What HEAD asks for is the answer to GET.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let id = HandlerId {
            owner: self.controller.name(),
            handler: self.handler,
            pattern: self.path.clone(),
            method: Some(method.to_string()),
        };
        self.host.globals.handlers.meter(vec![(id, route.cloned())], &[])
    }

    fn stand_in(&self, parts: &Parts) -> Socket {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let handshake = Handshake::new(HandshakeParts {
            headers: &parts.headers,
            uri: &parts.uri,
            peer: peer.map(|peer| peer.0),
            secure: parts.extensions.get::<Secured>().is_some(),
        });
        Socket::stand_in(&self.namespace, Arc::new(handshake))
    }
}

/// The answer to HEAD.
fn only_headers() -> Response {
    let mut response = StatusCode::OK.into_response();
    put_headers(response.headers_mut());
    response
}

#[allow(clippy::needless_pass_by_value, reason = "it is mapped over")]
fn full(error: NoMoreStreams) -> HttpError {
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        .header(RETRY_AFTER, HeaderValue::from_static("1"))
}

#[allow(clippy::needless_pass_by_value, reason = "it is mapped over")]
fn too_many(error: TooMany) -> HttpError {
    HttpError::new(StatusCode::TOO_MANY_REQUESTS, error.to_string())
        .header(RETRY_AFTER, error.retry_after_secs().into())
}

/// A controller of type `C` with its instance.
pub(super) struct Bound<C> {
    controller: Arc<C>,
    path: String,
    routes: Vec<BoundRoute<C>>,
    enhancers: BoundEnhancers,
}

struct BoundRoute<C> {
    method: Method,
    path: &'static str,
    handler: &'static str,
    kind: ContextKind,
    call: Call<C>,
    enhancers: BoundEnhancers,
}

impl<C: Controller> Bound<C> {
    pub(super) fn new(controller: Arc<C>, resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        let bind = |route: ControllerRoute<C>| {
            Ok(BoundRoute {
                method: route.method,
                path: route.path,
                handler: route.handler,
                kind: route.kind,
                call: route.call,
                enhancers: route.enhancers.resolve(resolver)?,
            })
        };
        Ok(Self {
            controller,
            path: C::options().path.into_owned(),
            routes: C::routes().into_iter().map(bind).collect::<Result<_, _>>()?,
            enhancers: C::enhancers().resolve(resolver)?,
        })
    }
}

impl<C: Controller> BoundController for Bound<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn namespace(&self) -> Cow<'static, str> {
        C::options().namespace_name()
    }

    fn routes(&self) -> Vec<RouteInfo<'_>> {
        let routes = self.routes.iter().map(|route| RouteInfo {
            method: route.method.clone(),
            path: join(&self.path, route.path),
            pattern: route.path,
            handler: route.handler,
            kind: route.kind,
            enhancers: &route.enhancers,
        });
        routes.collect()
    }

    fn enhancers(&self) -> &BoundEnhancers {
        &self.enhancers
    }

    fn call(&self, index: usize, request: Request, emitter: Emitter) -> Called {
        (self.routes[index].call)(&self.controller, request, emitter)
    }
}
