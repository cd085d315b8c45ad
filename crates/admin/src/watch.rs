//! The live view of development mode: every socket as it comes, changes and goes, every room, every event.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use gatewire_hub::{Event, Io, Namespace, Payload, RemoteSocket, RoomEvent, Socket, WeakIo};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::date;

/// Where, in the data of a socket that other servers see, is what they cannot know of its connection. The name is Node's.
const KEY: &str = "_admin";

/// Tells the admins of what happens.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Inner>);

struct Inner {
    io: WeakIo,
    admin: Arc<str>,
    /// Makes what is shown of the id of a connection, which is a secret.
    mask: RandomState,
}

impl Watch {
    pub(crate) fn new(io: &Io, admin: &Namespace) -> Self {
        Self(Arc::new(Inner {
            io: io.downgrade(),
            admin: admin.name().into(),
            mask: RandomState::new(),
        }))
    }

    /// Watches what happens in a namespace from now on.
    pub(crate) fn attach(&self, namespace: &Namespace) {
        let watch = self.clone();
        namespace.on_connection(move |socket| watch.connected(socket));
        let watch = self.clone();
        namespace.on_room_event(move |namespace, event| match event {
            RoomEvent::Joined { room, id } => {
                watch.tell("room_joined", || (namespace.name(), room, id, date::now()));
            }
            RoomEvent::Left { room, id } => {
                watch.tell("room_left", || (namespace.name(), room, id, date::now()));
            }
            _ => {}
        });
    }

    /// Every socket of the cluster, as admins see it.
    pub(crate) async fn all_sockets(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let Some(io) = self.0.io.upgrade() else {
            return all;
        };
        for namespace in io.namespaces() {
            if io.is_clustered() {
                let sockets = namespace.fetch_sockets().await;
                all.extend(sockets.iter().map(|socket| self.found(&namespace, socket)));
            } else {
                let sockets = namespace.sockets();
                let connected = sockets.iter().filter(|socket| socket.connected());
                all.extend(connected.map(|socket| self.show(socket)));
            }
        }
        all
    }

    /// Where admins listen; `None` if certainly nobody does.
    fn listeners(&self) -> Option<Namespace> {
        let admin = self.0.io.upgrade()?.get(&self.0.admin)?;
        (admin.io().is_clustered() || !admin.is_empty()).then_some(admin)
    }

    fn tell<T: Serialize>(&self, event: &str, args: impl FnOnce() -> T) {
        if let Some(admin) = self.listeners() {
            admin.emit_args(event, &args());
        }
    }

    fn connected(&self, socket: &Socket) {
        self.mark(socket);
        self.tell("socket_connected", || (self.show(socket), date::now()));

        let watch = self.clone();
        socket.on_upgrade(move |socket, transport| {
            watch.mark(socket);
            let (id, nsp) = (socket.id(), socket.namespace().name());
            let transport = transport.as_str();
            watch.tell("socket_updated", || {
                [json!({ "id": id, "nsp": nsp, "transport": transport })]
            });
        });
        let watch = self.clone();
        socket.on_data_change(move |socket, data| {
            if watch.mark(socket) {
                // It is told once more, with the mark.
                return;
            }
            let (id, nsp) = (socket.id(), socket.namespace().name());
            watch.tell("socket_updated", || {
                [json!({ "id": id, "nsp": nsp, "data": without_mark(data) })]
            });
        });
        if socket.namespace().name() != &*self.0.admin {
            let watch = self.clone();
            socket.prepend_any(move |socket, event| watch.tell_event("event_received", socket, event));
            let watch = self.clone();
            socket.prepend_any_outgoing(move |socket, event| watch.tell_event("event_sent", socket, event));
        }
        let watch = self.clone();
        socket.on_disconnect(move |socket, reason| {
            watch.tell("socket_disconnected", || {
                let (nsp, id) = (socket.namespace().name(), socket.id());
                (nsp.to_owned(), id, reason.as_str(), date::now())
            });
        });
    }

    /// Tells an event with its arguments as they are, attachments included.
    fn tell_event(&self, name: &str, socket: &Socket, event: &Event<'_>) {
        let Some(admin) = self.listeners() else {
            return;
        };
        let comma = if event.args().is_empty() { "" } else { "," };
        let json = format!(
            "{},{},[{}{comma}{}],{}",
            json!(socket.namespace().name()),
            json!(socket.id()),
            json!(event.name()),
            event.args().json(),
            json!(date::now()),
        );
        match Payload::from_json(&json, event.attachments().to_vec()) {
            Ok(payload) => admin.emit_payload(name, &payload),
            Err(error) => tracing::debug!(%error, "an event was not shown to admins"),
        }
    }

    /// Puts what other servers cannot know into the data that they see, if there are others and the data is an object, as
    /// it is in Node. Whether the data was changed.
    fn mark(&self, socket: &Socket) -> bool {
        if !socket.namespace().io().is_clustered() {
            return false;
        }
        let mark = json!({ "clientId": self.client_id(socket), "transport": socket.transport().as_str() });
        let mut data = match socket.data_json() {
            Value::Null => Map::new(),
            Value::Object(data) if data.get(KEY) != Some(&mark) => data,
            _ => return false,
        };
        data.insert(KEY.to_owned(), mark);
        socket.set(Value::Object(data));
        true
    }

    /// What the sockets of one connection have in common; 12 characters, as in Node.
    fn client_id(&self, socket: &Socket) -> Option<String> {
        let id = socket.connection_id()?;
        let masked = self.0.mask.hash_one(id.as_str());
        Some(format!("{:012x}", masked >> 16))
    }

    fn show(&self, socket: &Socket) -> Value {
        shown(
            socket.id().as_str(),
            &json!({ "clientId": self.client_id(socket), "transport": socket.transport().as_str() }),
            socket.namespace(),
            &socket.data_json(),
            socket.handshake_json(),
            &socket.rooms(),
        )
    }

    fn found(&self, namespace: &Namespace, socket: &RemoteSocket) -> Value {
        match namespace.socket(socket.id().as_str()) {
            Some(socket) => self.show(&socket),
            None => shown(
                socket.id().as_str(),
                &socket.data()[KEY],
                namespace,
                socket.data(),
                socket.handshake().clone(),
                socket.rooms(),
            ),
        }
    }
}

/// A socket as admins see it. What the client sent with CONNECT is not shown: it may be a secret.
fn shown(
    id: &str,
    mark: &Value,
    namespace: &Namespace,
    data: &Value,
    mut handshake: Value,
    rooms: &[Arc<str>],
) -> Value {
    if let Value::Object(handshake) = &mut handshake {
        handshake.remove("auth");
        let headers = handshake.get("headers");
        let named = |name| headers.and_then(|headers| headers.get(name)).cloned();
        if let Some(address) = named("cf-connecting-ip").or_else(|| named("x-forwarded-for")) {
            handshake.insert("address".to_owned(), address);
        }
    }
    let mut shown = json!({
        "id": id,
        "nsp": namespace.name(),
        "data": without_mark(data),
        "handshake": handshake,
        "rooms": rooms,
    });
    // What is not known is left out, as in Node.
    for key in ["clientId", "transport"] {
        if let Value::String(value) = &mark[key] {
            shown[key] = Value::String(value.clone());
        }
    }
    shown
}

/// The application's part of the data; `{}` if there is none.
fn without_mark(data: &Value) -> Value {
    match data {
        Value::Null => json!({}),
        Value::Object(data) => {
            let mut data = data.clone();
            data.remove(KEY);
            Value::Object(data)
        }
        other => other.clone(),
    }
}
