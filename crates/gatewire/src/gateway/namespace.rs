//! The gateways of one namespace as the hub's handler: finds the handler of an event, and runs each gateway's hooks
//! in the order in which the gateways are declared.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatewire_hub::{AckSender, ConnectError, Event, NamespaceHandler};
use tokio::sync::Semaphore;

use super::context::MessageContext;
use super::reply::{AckState, CauseSource, HandlerName, Owed, Reply, panic_text};
use super::{Gateway, Handled, Hooks, Subscription};
use crate::pipeline::{INTERNAL, WsException};
use crate::{DisconnectReason, Server, Socket};

/// A gateway with its instance, its type erased.
pub(crate) trait BoundGateway: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn has_connection(&self) -> bool;
    fn has_disconnect(&self) -> bool;
    /// The events, by index.
    fn events(&self) -> Vec<&'static str>;
    /// Runs the handler with this index.
    fn call(&self, index: usize, socket: &Socket, event: &Event<'_>) -> Handled;
    fn init(&self, server: &Server) -> Option<BoxFuture<'static, ()>>;
    fn connection(&self, socket: &Socket) -> Option<BoxFuture<'static, Result<(), WsException>>>;
    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>>;
}

/// The gateways of one namespace.
pub(crate) struct NamespaceGateways {
    gateways: Arc<[Arc<dyn BoundGateway>]>,
    /// Sorted by length and name; looked up without hashing, allocation or lock.
    events: Box<[Entry]>,
    unknown: AtomicU64,
    /// Whether any gateway has the hook: clients of those without cost nothing for it.
    has_connection: bool,
    has_disconnect: bool,
}

struct Entry {
    event: &'static str,
    gateway: usize,
    subscription: usize,
}

impl NamespaceGateways {
    /// `gateways` in their declared order; of two handlers for one event the first counts (the check at start has
    /// refused that).
    pub(crate) fn new(gateways: Vec<Arc<dyn BoundGateway>>) -> Self {
        let mut events = Vec::new();
        for (gateway, bound) in gateways.iter().enumerate() {
            for (subscription, event) in bound.events().into_iter().enumerate() {
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
            unknown: AtomicU64::new(0),
        }
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

    fn find(&self, event: &str) -> Option<&Entry> {
        let at = self
            .events
            .binary_search_by(|entry| order(entry.event, event))
            .ok()?;
        self.events.get(at)
    }

    /// Nobody handles it: counted, logged, and answered if an answer is waited for.
    fn unknown(&self, socket: &Socket, event: &Event<'_>) {
        let count = self.unknown.fetch_add(1, Ordering::Relaxed) + 1;
        let name = event.name();
        let namespace = socket.namespace().name();
        tracing::debug!(target: "gatewire", context = namespace, count, "no handler for the event {name:?} of {}", socket.id());
        if let Some(ack) = event.ack(socket) {
            let reply = Reply {
                socket,
                pattern: name,
                handler: HandlerName {
                    gateway: "",
                    handler: "",
                },
                ack: AckState::Automatic(Owed::new(ack)),
                cause: CauseSource::Event(event),
            };
            reply.refuse(&WsException::new("Unknown event"));
        }
    }
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl NamespaceHandler for NamespaceGateways {
    fn connect(&self, socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        if !self.has_connection {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (gateways, socket) = (Arc::clone(&self.gateways), socket.clone());
        Box::pin(async move {
            for (at, gateway) in gateways.iter().enumerate() {
                let Some(hook) = gateway.connection(&socket) else {
                    continue;
                };
                let exception = match AssertUnwindSafe(hook).catch_unwind().await {
                    Ok(Ok(())) => continue,
                    Ok(Err(exception)) => exception,
                    Err(panic) => {
                        log_panic(gateway.name(), "handle_connection", &*panic);
                        WsException::new(INTERNAL)
                    }
                };
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
        match self.find(event.name()) {
            Some(entry) => self.gateways[entry.gateway].call(entry.subscription, socket, &event),
            None => {
                self.unknown(socket, &event);
                None
            }
        }
    }

    fn too_deep(&self, socket: &Socket, event: &str, ack: Option<AckSender>) {
        let reply = Reply {
            socket,
            pattern: event,
            handler: HandlerName {
                gateway: "",
                handler: "",
            },
            ack: ack.map_or(AckState::NotAsked, |sender| {
                AckState::Automatic(Owed::new(sender))
            }),
            cause: CauseSource::Unknown,
        };
        reply.exception(&WsException::new("The data nests too deep"));
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
    subscriptions: Vec<(Subscription<G>, Option<Arc<Semaphore>>)>,
    hooks: Hooks<G>,
}

impl<G: Gateway> Bound<G> {
    pub(super) fn new(gateway: Arc<G>) -> Self {
        let subscriptions = G::subscriptions()
            .into_iter()
            .map(|subscription| {
                let gate = subscription
                    .concurrent
                    .map(|limit| Arc::new(Semaphore::new(limit)));
                (subscription, gate)
            })
            .collect();
        Self {
            gateway,
            subscriptions,
            hooks: G::hooks(),
        }
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

    fn events(&self) -> Vec<&'static str> {
        self.subscriptions
            .iter()
            .map(|(subscription, _)| subscription.event)
            .collect()
    }

    fn call(&self, index: usize, socket: &Socket, event: &Event<'_>) -> Handled {
        let (subscription, gate) = &self.subscriptions[index];
        let handler = HandlerName {
            gateway: G::NAME,
            handler: subscription.handler,
        };
        let message = MessageContext::new(socket, event, subscription.event, handler);
        match catch_unwind(AssertUnwindSafe(|| (subscription.call)(&self.gateway, &message))) {
            Ok(handled) => match gate {
                Some(gate) => handled.and_then(|future| spawn(gate, future)),
                None => handled,
            },
            Err(panic) => {
                message.reply().panicked(&*panic);
                None
            }
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

/// Runs a concurrent handler beside the connection; if too many run already, the client waits for its turn.
fn spawn(gate: &Arc<Semaphore>, future: BoxFuture<'static, ()>) -> Handled {
    match Arc::clone(gate).try_acquire_owned() {
        Ok(permit) => {
            tokio::spawn(async move {
                future.await;
                drop(permit);
            });
            None
        }
        Err(_) => {
            let gate = Arc::clone(gate);
            Some(Box::pin(async move {
                // The gate is never closed; without a permit the handler would still have to run.
                let permit = gate.acquire_owned().await.ok();
                tokio::spawn(async move {
                    future.await;
                    drop(permit);
                });
            }))
        }
    }
}
