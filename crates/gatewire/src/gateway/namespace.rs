//! The gateways of one namespace as the hub's handler: finds the handler of an event, and runs each gateway's hooks
//! in the order in which the gateways are declared.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatewire_hub::meter::Stamp;
use gatewire_hub::{AckSender, ConnectError, Event, NamespaceHandler};
use tokio::time::timeout;

use super::call::{Gate, Patience};
use super::cause::CauseSource;
use super::context::MessageContext;
use super::reply::{AckState, HandlerName, Reply, panic_text};
use super::subscription::Call;
use super::{Gateway, Handled, Hooks, Subscription};
use crate::module::{InjectError, Resolver};
use crate::pipeline::{
    BoundEnhancers, Destination, Exception, ExecutionContext, Globals, INTERNAL, Route, Target, WsException,
    run,
};
use crate::watch::{HandlerId, HandlerMeter};
use crate::{DisconnectReason, Server, Socket};

/// A gateway with its instance, its type erased.
pub(crate) trait BoundGateway: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn has_connection(&self) -> bool;
    fn has_disconnect(&self) -> bool;
    /// The events with the names of their handlers and what is bound to those, by index.
    fn events(&self) -> Vec<(&'static str, &'static str, &BoundEnhancers)>;
    /// What is bound to the gateway.
    fn enhancers(&self) -> &BoundEnhancers;
    /// Runs the handler with this index, to which nothing is bound.
    fn call(&self, index: usize, socket: &Socket, event: &Event<'_>, include_cause: bool) -> Handled;
    /// Extracts the arguments of the handler with this index, and calls it.
    fn invoke(&self, index: usize, message: &MessageContext<'_>) -> Handled;
    /// Runs what is left of a call beside the connection, if the handler with this index is concurrent.
    fn detach(&self, index: usize, socket: &Socket, future: BoxFuture<'static, ()>) -> Handled;
    fn init(&self, server: &Server) -> Option<BoxFuture<'static, ()>>;
    fn connection(&self, socket: &Socket) -> Option<BoxFuture<'static, Result<(), WsException>>>;
    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>>;
}

/// The gateways of one namespace.
pub(crate) struct NamespaceGateways {
    gateways: Arc<[Arc<dyn BoundGateway>]>,
    /// Sorted by length and name; looked up without hashing, allocation or lock.
    events: Box<[Entry]>,
    /// Whether any gateway has the hook: clients of those without cost nothing for it.
    has_connection: bool,
    has_disconnect: bool,
    globals: Arc<Globals>,
    /// Made when the first client comes: the application has bound what it wants by then.
    routes: OnceLock<Routes>,
}

/// What is bound to whom.
struct Routes {
    /// By place in [`NamespaceGateways::events`]; most handlers have none.
    events: Box<[Option<Arc<Route>>]>,
    /// By the same places; `None` if nobody wants figures.
    meter: Option<Arc<HandlerMeter>>,
    /// The connection's, by gateway; `None` if nothing is bound to any.
    connection: Option<Arc<[Option<Arc<Route>>]>>,
    /// How long a gateway may take to let a client in.
    connect_limit: Duration,
    include_cause: bool,
}

struct Entry {
    event: &'static str,
    gateway: usize,
    subscription: usize,
}

impl NamespaceGateways {
    /// `gateways` in their declared order; of two handlers for one event the first counts (the check at start has
    /// refused that).
    pub(crate) fn new(gateways: Vec<Arc<dyn BoundGateway>>, globals: Arc<Globals>) -> Self {
        let mut events = Vec::new();
        for (gateway, bound) in gateways.iter().enumerate() {
            for (subscription, (event, ..)) in bound.events().into_iter().enumerate() {
                events.push(Entry {
                    event,
                    gateway,
                    subscription,
                });
            }
        }
        events.sort_by(|a, b| order(a.event, b.event));
        Self {
            has_connection: gateways.iter().any(|gateway| gateway.has_connection()),
            has_disconnect: gateways.iter().any(|gateway| gateway.has_disconnect()),
            gateways: gateways.into(),
            events: events.into(),
            globals,
            routes: OnceLock::new(),
        }
    }

    fn routes(&self) -> &Routes {
        self.routes
            .get_or_init(|| Routes::new(&self.gateways, &self.events, &self.globals))
    }

    /// Runs every `after_init`.
    pub(crate) async fn init(&self, server: &Server) {
        for gateway in &*self.gateways {
            if let Some(hook) = gateway.init(server)
                && let Err(panic) = AssertUnwindSafe(hook).catch_unwind().await
            {
                log_panic(gateway.name(), "after_init", &*panic);
            }
        }
    }

    /// The place of the handler in `events`.
    fn find(&self, event: &str) -> Option<usize> {
        self.events
            .binary_search_by(|entry| order(entry.event, event))
            .ok()
    }

    /// Tells the span of the message, which the hub has begun, who handles it.
    #[cold]
    fn name_handler(&self, at: usize) {
        let entry = &self.events[at];
        let gateway = &self.gateways[entry.gateway];
        let (_, handler, _) = gateway.events()[entry.subscription];
        let name = format_args!("{}::{handler}", gateway.name());
        tracing::Span::current().record("handler", tracing::field::display(name));
    }

    /// Calls the handler at this place of `events`.
    fn handle(&self, at: usize, routes: &Routes, socket: &Socket, event: &Event<'_>) -> Handled {
        let entry = &self.events[at];
        let gateway = &self.gateways[entry.gateway];
        let Some(route) = &routes.events[at] else {
            return gateway.call(entry.subscription, socket, event, routes.include_cause);
        };
        let context = ExecutionContext::message(socket.clone(), Arc::clone(route), event);
        // Into memory that is there: the future need not be put together elsewhere and copied.
        let future = Box::write(Box::new_uninit(), run(context));
        gateway.detach(entry.subscription, socket, Box::into_pin(future))
    }

    /// Nobody handles it: counted, logged, and answered if an answer is waited for.
    fn unknown(&self, socket: &Socket, event: &Event<'_>) {
        let refused = self.globals.handlers.refused();
        let count = refused.events.fetch_add(1, Ordering::Relaxed) + 1;
        let name = event.name();
        let namespace = socket.namespace().name();
        tracing::debug!(target: "gatewire", context = namespace, count, "no handler for the event {name:?} of {}", socket.id());
        let ack = event.ack(socket);
        // A client of Socket.IO that asked for no answer gets none, as in Node.
        if ack.is_none() && !socket.is_plain() {
            return;
        }
        let is_asked = ack.is_some();
        let reply = Reply {
            socket,
            pattern: name,
            handler: self.nobody(),
            ack: AckState::asked(ack),
            cause: CauseSource::Event(event),
            route: None,
        };
        let error = WsException::new("Unknown event");
        if is_asked {
            reply.refuse(&error);
        } else {
            reply.tell(&error);
        }
        socket.note_fault();
    }

    /// Stands for a handler where there is none.
    fn nobody(&self) -> HandlerName {
        HandlerName {
            gateway: "Gateways",
            handler: "no handler",
            include_cause: self.routes().include_cause,
        }
    }
}

impl Routes {
    fn new(gateways: &[Arc<dyn BoundGateway>], events: &[Entry], globals: &Globals) -> Self {
        let meters = &globals.handlers;
        let globals = globals.get();
        let include_cause = globals.include_cause;
        let (events, ids): (Vec<_>, Vec<_>) = events
            .iter()
            .map(|entry| {
                let gateway = &gateways[entry.gateway];
                let (pattern, handler, own) = gateway.events()[entry.subscription];
                let id = HandlerId {
                    owner: gateway.name(),
                    handler,
                    pattern: pattern.to_owned(),
                    method: None,
                };
                let to = Destination {
                    target: Target::Gateway(Arc::clone(gateway), Some(entry.subscription)),
                    handler,
                    pattern,
                };
                (
                    Route::new(to, include_cause, &[&globals.bound, gateway.enhancers(), own]),
                    id,
                )
            })
            .unzip();
        // Of several gateways only the first asks the application's guards: a client is asked once.
        let connection = gateways.iter().enumerate().map(|(at, gateway)| {
            let to = Destination {
                target: Target::Gateway(Arc::clone(gateway), None),
                handler: CONNECTION,
                pattern: CONNECTION,
            };
            let mut outer = globals.bound.clone();
            if at > 0 {
                outer.guards.clear();
            }
            Route::new(to, include_cause, &[&outer, gateway.enhancers()])
        });
        let connection: Arc<[_]> = connection.collect();
        let handlers = ids.into_iter().zip(events.iter().cloned()).collect();
        Self {
            meter: meters.meter(handlers, &connection),
            events: events.into(),
            connection: connection.iter().any(Option::is_some).then_some(connection),
            connect_limit: globals.connect_limit,
            include_cause,
        }
    }
}

/// The name of the hook, and the pattern of a connection.
const CONNECTION: &str = "handle_connection";

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl NamespaceHandler for NamespaceGateways {
    fn connect(&self, socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        let routes = self.routes();
        let (limit, routes) = (routes.connect_limit, routes.connection.clone());
        if !self.has_connection && routes.is_none() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (gateways, socket) = (Arc::clone(&self.gateways), socket.clone());
        let refused = Arc::clone(self.globals.handlers.refused());
        Box::pin(async move {
            for (at, gateway) in gateways.iter().enumerate() {
                let route = routes.as_ref().and_then(|routes| routes[at].as_ref());
                let entered = timeout(limit, enter(&**gateway, &socket, route)).await;
                let Err(exception) = entered.unwrap_or_else(|_| {
                    let name = gateway.name();
                    tracing::error!(target: "gatewire", context = name, "a connection was not decided on within {limit:?}");
                    refused.late.fetch_add(1, Ordering::Relaxed);
                    Err(WsException::new("Connection timed out"))
                }) else {
                    continue;
                };
                refused.connections.fetch_add(1, Ordering::Relaxed);
                if let Some(hidden) = exception.hidden() {
                    let name = gateway.name();
                    tracing::error!(target: "gatewire", context = name, "handle_connection failed: {hidden}");
                }
                // Those that had accepted the client learn that it is not there after all.
                for accepted in &gateways[..at] {
                    leave(&**accepted, &socket, DisconnectReason::ServerNamespaceDisconnect).await;
                }
                return Err(exception.into_connect_error());
            }
            Ok(())
        })
    }

    fn event(&self, socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>> {
        let Some(at) = self.find(event.name()) else {
            self.unknown(socket, &event);
            return None;
        };
        if tracing::span_enabled!(target: "gatewire::message", tracing::Level::TRACE) {
            self.name_handler(at);
        }
        let routes = self.routes();
        let Some(meter) = &routes.meter else {
            return self.handle(at, routes, socket, &event);
        };
        let since = Stamp::now();
        meter.watch(at, since, self.handle(at, routes, socket, &event))
    }

    fn too_deep(&self, socket: &Socket, event: &str, ack: Option<AckSender>) {
        let reply = Reply {
            socket,
            pattern: event,
            handler: self.nobody(),
            ack: AckState::asked(ack),
            cause: CauseSource::Unknown,
            route: None,
        };
        reply.exception(WsException::new("The data nests too deep"));
    }

    /// `handle_disconnect` hears of a client when all that it sent is handled.
    fn waits_for_handlers(&self) -> bool {
        true
    }

    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
        if !self.has_disconnect {
            return None;
        }
        let (gateways, socket) = (Arc::clone(&self.gateways), socket.clone());
        Some(Box::pin(async move {
            for gateway in &*gateways {
                leave(&**gateway, &socket, reason).await;
            }
        }))
    }
}

/// Asks a gateway's guards, then its hook.
async fn enter(
    gateway: &dyn BoundGateway,
    socket: &Socket,
    route: Option<&Arc<Route>>,
) -> Result<(), WsException> {
    let Some(route) = route else {
        return accept(gateway, socket).await;
    };
    let context = ExecutionContext::connection(socket.clone(), Arc::clone(route));
    let accepted = match route.guard(&context).await {
        Ok(()) => accept(gateway, socket).await.map_err(Exception::from),
        Err(exception) => Err(exception),
    };
    match accepted {
        Ok(()) => Ok(()),
        // A filter lets nobody in, whatever it answers.
        Err(exception) => Err(match route.filter(exception, &context).await {
            Ok(answer) => WsException::refusal(&answer),
            Err(exception) => exception.into_ws(),
        }),
    }
}

/// Calls `handle_connection`, if the gateway has it.
async fn accept(gateway: &dyn BoundGateway, socket: &Socket) -> Result<(), WsException> {
    let Some(hook) = gateway.connection(socket) else {
        return Ok(());
    };
    AssertUnwindSafe(hook)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            log_panic(gateway.name(), CONNECTION, &*panic);
            Err(WsException::new(INTERNAL))
        })
}

async fn leave(gateway: &dyn BoundGateway, socket: &Socket, reason: DisconnectReason) {
    if let Some(hook) = gateway.disconnect(socket, reason)
        && let Err(panic) = AssertUnwindSafe(hook).catch_unwind().await
    {
        log_panic(gateway.name(), "handle_disconnect", &*panic);
    }
}

fn log_panic(gateway: &'static str, hook: &str, panic: &(dyn std::any::Any + Send)) {
    tracing::error!(target: "gatewire", context = gateway, "{hook} panicked: {}", panic_text(panic));
}

/// A gateway of type `G` with its instance.
pub(super) struct Bound<G> {
    gateway: Arc<G>,
    subscriptions: Vec<BoundSubscription<G>>,
    hooks: Hooks<G>,
    enhancers: BoundEnhancers,
}

struct BoundSubscription<G> {
    event: &'static str,
    handler: &'static str,
    call: Call<G>,
    gate: Option<Gate>,
    patience: Patience,
    enhancers: BoundEnhancers,
}

impl<G: Gateway> Bound<G> {
    pub(super) fn new(gateway: Arc<G>, resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        let bind = |subscription: Subscription<G>| {
            Ok(BoundSubscription {
                event: subscription.event,
                handler: subscription.handler,
                call: subscription.call,
                gate: subscription.concurrent.map(Gate::new),
                patience: subscription.patience,
                enhancers: subscription.enhancers.resolve(resolver)?,
            })
        };
        Ok(Self {
            gateway,
            subscriptions: G::subscriptions()
                .into_iter()
                .map(bind)
                .collect::<Result<_, _>>()?,
            hooks: G::hooks(),
            enhancers: G::enhancers().resolve(resolver)?,
        })
    }
}

impl<G: Gateway> BoundGateway for Bound<G> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn has_connection(&self) -> bool {
        self.hooks.connection.is_some()
    }

    fn has_disconnect(&self) -> bool {
        self.hooks.disconnect.is_some()
    }

    fn events(&self) -> Vec<(&'static str, &'static str, &BoundEnhancers)> {
        self.subscriptions
            .iter()
            .map(|bound| (bound.event, bound.handler, &bound.enhancers))
            .collect()
    }

    fn enhancers(&self) -> &BoundEnhancers {
        &self.enhancers
    }

    fn call(&self, index: usize, socket: &Socket, event: &Event<'_>, include_cause: bool) -> Handled {
        let subscription = &self.subscriptions[index];
        let handler = HandlerName {
            gateway: G::NAME,
            handler: subscription.handler,
            include_cause,
        };
        let message = MessageContext::new(socket, event, subscription.event, handler);
        self.invoke(index, &message)
            .and_then(|future| self.detach(index, socket, future))
    }

    fn invoke(&self, index: usize, message: &MessageContext<'_>) -> Handled {
        let BoundSubscription { call, patience, .. } = &self.subscriptions[index];
        message.set_patience(*patience);
        catch_unwind(AssertUnwindSafe(|| call(&self.gateway, message))).unwrap_or_else(|panic| {
            message.reply().panicked(&*panic);
            None
        })
    }

    fn detach(&self, index: usize, socket: &Socket, future: BoxFuture<'static, ()>) -> Handled {
        match &self.subscriptions[index].gate {
            Some(gate) => gate.pass(socket, future),
            None => Some(future),
        }
    }

    fn init(&self, server: &Server) -> Option<BoxFuture<'static, ()>> {
        self.hooks
            .init
            .map(|hook| hook(Arc::clone(&self.gateway), server.clone()))
    }

    fn connection(&self, socket: &Socket) -> Option<BoxFuture<'static, Result<(), WsException>>> {
        self.hooks
            .connection
            .map(|hook| hook(Arc::clone(&self.gateway), socket.clone()))
    }

    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
        self.hooks
            .disconnect
            .map(|hook| hook(Arc::clone(&self.gateway), socket.clone(), reason))
    }
}
