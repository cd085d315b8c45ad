//! Gateways: what the attributes declare, the hooks, the extractors and replies of handlers, and the plan that turns
//! all gateways of an application into servers and namespaces.

pub(crate) mod answer;
mod call;
mod cause;
mod context;
mod extract;
mod lifecycle;
mod namespace;
mod options;
pub(crate) mod plan;
pub(crate) mod probe;
mod reply;
mod space;
mod stream;
mod subscription;

use std::sync::Arc;

pub use call::OnDisconnect;
pub use context::MessageContext;
pub(crate) use extract::validate;
pub use extract::{
    Ack, BodyRejection, ConnectedSocket, Extension, FieldError, FromMessage, Handshake, MessageBody,
    MissingExtension, Path, PathRejection, Pattern, Valid,
};
pub use gatewire_proto::engineio::TransportKind;
pub use gatewire_server::{Cors, Origin};
pub use lifecycle::{
    ConnectionHook, DisconnectHook, Hooks, InitHook, OnGatewayConnection, OnGatewayDisconnect, OnGatewayInit,
};
pub(crate) use namespace::{BoundGateway, NamespaceGateways};
pub(crate) use options::Codec;
pub use options::{GatewayOptions, IntoOptions, LateOptions, OptionsFactory};
pub use reply::{AckOnly, PendingReply, Reply, WsResponse};
pub(crate) use reply::{AckState, panic_text};
pub(crate) use space::{Space, is_pattern};
pub use subscription::{CONCURRENT_LIMIT, Call, Handled, Subscription, Subscriptions};

use crate::module::{Dependency, InjectError, Injectable, Instance, Provider, Resolver};
use crate::pipeline::Enhancers;
use namespace::Bound;

/// A struct that speaks events; implemented by [`#[websocket_gateway]`](crate::websocket_gateway).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gateway",
    label = "not a gateway",
    note = "mark the struct with `#[websocket_gateway]`"
)]
pub trait Gateway: Injectable {
    /// What the attribute says.
    fn options() -> GatewayOptions;

    /// What the function that the attribute names will say; it goes before what the attribute says itself.
    fn late_options() -> Option<LateOptions> {
        None
    }

    /// The handlers, if there is a `#[subscriptions]` block.
    fn subscriptions() -> Vec<Subscription<Self>>;

    /// The lifecycle hooks that the struct implements.
    fn hooks() -> Hooks<Self>;

    /// What is bound to all of its handlers and to its connections.
    fn enhancers() -> Enhancers {
        Enhancers::new()
    }
}

/// A gateway as a provider carries it: known by its name and options, bound to its instance once there is one.
#[derive(Clone)]
pub struct GatewayDefinition {
    pub(crate) name: &'static str,
    pub(crate) options: GatewayOptions,
    /// Completes the options before anything is planned for the gateway.
    pub(crate) late: Option<LateOptions>,
    /// Event and handler.
    pub(crate) events: Vec<(&'static str, &'static str)>,
    /// What it needs: its `Server` among it.
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) has_init: bool,
    /// Guards, interceptors and filters that its module must be able to build.
    pub(crate) classes: Vec<fn() -> Provider>,
    pub(crate) bind: Bind,
}

/// Binds a gateway to its instance; `None` if the instance is something else.
type Bind = fn(&Instance, &Resolver<'_>) -> Result<Option<Arc<dyn BoundGateway>>, InjectError>;

impl GatewayDefinition {
    /// The gateway `G`.
    pub fn of<G: Gateway>() -> Self {
        let subscriptions = G::subscriptions();
        let handlers = subscriptions.iter();
        Self {
            name: G::NAME,
            options: G::options(),
            late: G::late_options(),
            events: handlers
                .clone()
                .map(|subscription| (subscription.event, subscription.handler))
                .collect(),
            dependencies: G::dependencies(),
            has_init: G::hooks().init.is_some(),
            classes: G::enhancers()
                .classes()
                .chain(handlers.flat_map(|subscription| subscription.enhancers.classes()))
                .collect(),
            bind: |instance, resolver| {
                let Some(gateway) = instance.downcast_ref::<Arc<G>>() else {
                    return Ok(None);
                };
                Ok(Some(Arc::new(Bound::new(Arc::clone(gateway), resolver)?)))
            },
        }
    }
}
