//! Controllers: structs whose methods answer HTTP requests and open streams of Server-Sent Events, wired by injection as
//! gateways are and guarded by the same guards. Routing, extractors and responses are axum's; this adds the container, the
//! pipeline, and the streams.

pub(crate) mod answer;
mod call;
mod endpoint;
mod error;
mod etag;
mod extract;
mod feed;
mod long_poll;
pub(crate) mod plan;
mod queue;
mod replay;
mod route;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;

pub use axum::Json;
pub use axum::extract::Query;
pub(crate) use call::HttpCall;
pub use call::{Called, Outcome};
pub(crate) use endpoint::{BoundController, Host, router};
pub use error::HttpError;
pub use etag::ETag;
pub use extract::LastEventId;
pub use feed::Feed;
pub use gatewire_proto::sse::SseEvent;
pub use gatewire_server::SseConfig;
pub use long_poll::{LongPoll, Waited};
pub use queue::{Overflow, SseQueue, SseSender};
pub use replay::{Followed, ReplayConfig, ReplayLog};
pub use route::{Call, ControllerRoute};
pub use stream::Emitter;

use crate::module::{InjectError, Injectable, Instance, Provider, Resolver};
use crate::pipeline::Enhancers;
use endpoint::Bound;

/// A struct that answers requests; implemented by [`#[controller]`](macro@crate::controller).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a controller",
    label = "not a controller",
    note = "mark the struct with `#[controller(\"/path\")]`"
)]
pub trait Controller: Injectable {
    /// What the attribute says.
    fn options() -> ControllerOptions;

    /// The handlers, if there is a `#[routes]` block.
    fn routes() -> Vec<ControllerRoute<Self>>;

    /// What is bound to all of its handlers.
    fn enhancers() -> Enhancers {
        Enhancers::new()
    }
}

/// The handlers of a controller; implemented by [`#[routes]`](macro@crate::routes).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no routes",
    note = "mark its impl block with `#[routes]` and its handlers with `#[get(\"/path\")]`"
)]
pub trait Routes: Controller {
    /// One entry for each attribute of a method.
    fn routes() -> Vec<ControllerRoute<Self>>;

    /// What the attributes of the block bind to the controller.
    fn enhancers() -> Enhancers {
        Enhancers::new()
    }
}

/// What `#[controller(..)]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllerOptions {
    pub(crate) path: Cow<'static, str>,
    pub(crate) namespace: Option<Cow<'static, str>>,
}

impl ControllerOptions {
    /// A controller at the root.
    pub fn new() -> Self {
        Self::default()
    }

    /// What its handlers' paths begin with.
    #[must_use]
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    pub(crate) fn namespace_name(&self) -> Cow<'static, str> {
        match &self.namespace {
            None => "/".into(),
            Some(name) if name.starts_with('/') => name.clone(),
            Some(name) => format!("/{name}").into(),
        }
    }

    /// The namespace that its `#[websocket_server]` is. Default `/`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Cow<'static, str>>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }
}

/// A controller as a provider carries it: known by its name and routes, bound to its instance once there is one.
#[derive(Clone)]
pub struct ControllerDefinition {
    pub(crate) name: &'static str,
    pub(crate) options: ControllerOptions,
    pub(crate) routes: Vec<plan::RouteName>,
    /// Guards, interceptors and filters that its module must be able to build.
    pub(crate) classes: Vec<fn() -> Provider>,
    pub(crate) bind: Bind,
}

/// Binds a controller to its instance; `None` if the instance is something else.
type Bind = fn(&Instance, &Resolver<'_>) -> Result<Option<Arc<dyn BoundController>>, InjectError>;

impl ControllerDefinition {
    /// The controller `C`.
    pub fn of<C: Controller>() -> Self {
        let routes = C::routes();
        let options = C::options();
        Self {
            name: C::NAME,
            routes: routes
                .iter()
                .map(|route| plan::RouteName {
                    method: route.method.clone(),
                    path: plan::join(&options.path, route.path),
                    handler: route.handler,
                })
                .collect(),
            options,
            classes: C::enhancers()
                .classes()
                .chain(routes.iter().flat_map(|route| route.enhancers.classes()))
                .collect(),
            bind: |instance, resolver| {
                let Some(controller) = instance.downcast_ref::<Arc<C>>() else {
                    return Ok(None);
                };
                Ok(Some(Arc::new(Bound::new(Arc::clone(controller), resolver)?)))
            },
        }
    }
}
