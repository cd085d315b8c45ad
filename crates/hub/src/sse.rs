//! Members of a namespace that only listen, over Server-Sent Events: sockets like any other, but that nothing comes from
//! them. One broadcast reaches them with the others, encoded once for all of them. Packets that are no events have no
//! place in a stream, and acknowledgements cannot be answered.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_proto::envelope::Outgoing;
use gatewire_proto::socketio::{self, Packet, PacketKind};
use gatewire_proto::sse::{self, CHUNK_ROOM};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::observe::ObservedConnection;
use crate::outbox::left_to_next;
use crate::plain::{one_value, without_offset};
use crate::prepared::OWN;
use crate::recode::Recode;
use crate::{
    Client, ConnectError, DisconnectReason, FramedText, Handshake, Id, IntoRooms, Namespace, Outbox,
    Prepared, Room, Socket, lock, v2,
};

/// What decides whether a listener is let in: its socket, or the refusal. An error means that it has left before.
pub type Admission = oneshot::Receiver<Result<Socket, ConnectError>>;

/// A client that listens to a namespace, or to rooms of it. It is owned and polled by the task that drives the
/// connection, as a [`Client`] is.
pub struct SseClient {
    client: Client,
    namespace: Namespace,
    /// Until the first call.
    auth: Option<String>,
    rooms: Vec<Room>,
    wire: Arc<Wire>,
}

impl SseClient {
    /// A listener of `namespace`, on a connection whose events are chunks of HTTP/1.1. With the first call it is let in or
    /// refused, which is told by the [`Admission`]; it is in `rooms` before that. `request`, a
    /// [stand-in](Socket::stand_in), gives the socket its id and its values.
    #[must_use]
    pub fn new(
        namespace: &Namespace,
        rooms: impl IntoRooms,
        outbox: Arc<dyn Outbox>,
        request: &Socket,
    ) -> (Self, Admission) {
        let io = namespace.io();
        let handshake = request.handshake().clone();
        let observed = ObservedConnection::open(io, 0, &outbox, &handshake);
        let outbox = observed.clone().map_or(outbox, |observed| observed as _);
        let (sender, admission) = oneshot::channel();
        let wire = Arc::new(Wire {
            outbox,
            decision: Mutex::new(Some(sender)),
        });
        let mut client = Client::new_plain(io, wire.clone(), handshake, observed);
        client.stand_for(request);
        let client = Self {
            client,
            namespace: namespace.clone(),
            auth: Some(request.auth_json().to_owned()),
            rooms: rooms.into_rooms(),
            wire,
        };
        (client, admission)
    }

    /// As [`Client::poll`].
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(auth) = self.auth.take() {
            // It is the first of its namespaces: there is no limit that it could break.
            let _ = self.client.connect(self.namespace.name(), &auth, cx);
        }
        self.client.poll(cx);
        if !self.wire.is_undecided() {
            return;
        }
        if let Some(socket) = self.client.only_socket() {
            if !self.rooms.is_empty() {
                socket.join(std::mem::take(&mut self.rooms));
            }
            self.wire.decide(Ok(socket.clone()));
        }
    }

    /// As [`Client::is_quiet`].
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.client.is_quiet()
    }

    /// As [`Client::close`].
    pub fn close(&mut self, reason: DisconnectReason) {
        self.auth = None;
        self.client.close(reason);
    }

    /// As [`Client::poll_closed`].
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.poll_closed(cx)
    }
}

impl fmt::Debug for SseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseClient")
            .field("namespace", &self.namespace)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// A socket that stands for an HTTP request, where those who decide about clients want one: it has the request as its
    /// handshake, the query as its `auth`, and keeps values. It is in no namespace and no room, and what is sent to it goes
    /// nowhere; `namespace` is the one that it names.
    #[must_use]
    pub fn stand_in(namespace: &Namespace, handshake: Arc<Handshake>) -> Self {
        let query = handshake.url().split_once('?').map_or("", |(_, query)| query);
        let auth = serde_json::value::RawValue::from_string(v2::auth(query)).ok();
        let connection = crate::socket::Connection::of_listener(handshake);
        let socket = Self::new(
            Id::generate(),
            namespace.clone(),
            Arc::new(Nowhere),
            Arc::new(connection),
            auth,
        );
        socket.begin_leave(DisconnectReason::ClientNamespaceDisconnect);
        socket
    }
}

/// Events as chunks, for all who receive them.
struct ByEvents;

impl Recode for ByEvents {
    fn recode(&self, message: &Prepared) -> Option<Prepared> {
        let packet = message.packet()?;
        if !matches!(packet.kind, PacketKind::Event | PacketKind::BinaryEvent) {
            return None;
        }
        encode(&packet, message.offset(), &message.attachments()).map(Prepared::from_bytes)
    }
}

/// The one of all streams.
fn by_events() -> &'static Arc<dyn Recode> {
    static FORM: std::sync::LazyLock<Arc<dyn Recode>> = std::sync::LazyLock::new(|| Arc::new(ByEvents));
    &FORM
}

/// An event as a chunk; `None`, and a line in the log, if it cannot be one.
fn encode(packet: &Packet<'_>, offset: Option<&str>, attachments: &[Bytes]) -> Option<Bytes> {
    let event = socketio::scan_event(packet.data, &OWN).ok()?;
    let mut buffer = String::new();
    let outgoing = Outgoing {
        event: &event.name,
        data: one_value(without_offset(event.args, offset), &mut buffer),
        id: None,
        ack: None,
        attachments,
    };
    let mut out = Vec::with_capacity(CHUNK_ROOM + packet.data.len() + 24);
    out.resize(CHUNK_ROOM, 0);
    if let Err(error) = sse::put_message(&mut out, &outgoing) {
        tracing::error!(event = &*event.name, %error, "a message was not sent: it cannot be an event of a stream");
        return None;
    }
    let start = sse::seal_chunk(&mut out);
    Some(Bytes::from(out).slice(start..))
}

/// The outbox of a listener.
struct Wire {
    outbox: Arc<dyn Outbox>,
    decision: Mutex<Option<oneshot::Sender<Result<Socket, ConnectError>>>>,
}

impl Wire {
    fn is_undecided(&self) -> bool {
        lock(&self.decision).is_some()
    }

    fn decide(&self, decision: Result<Socket, ConnectError>) {
        let sender = lock(&self.decision).take();
        if let Some(sender) = sender {
            // An error is a listener that has left.
            let _ = sender.send(decision);
        }
    }

    /// What is for this client alone.
    fn send_packet(&self, packet: &Packet<'_>, attachments: &[Bytes]) {
        match packet.kind {
            PacketKind::Event | PacketKind::BinaryEvent => {
                if let Some(chunk) = encode(packet, None, attachments) {
                    self.outbox.send(&Prepared::from_bytes(chunk));
                }
            }
            // It asks nothing, and knows that it is in when the stream begins.
            PacketKind::Ack | PacketKind::BinaryAck | PacketKind::Connect => {}
            PacketKind::Disconnect => self.outbox.close(CloseReason::ForcedClose),
            PacketKind::ConnectError => {
                let refusal = serde_json::from_str(packet.data).unwrap_or_default();
                let Refusal { message, data } = refusal;
                self.decide(Err(ConnectError { message, data }));
                self.outbox.close(CloseReason::ForcedClose);
            }
        }
    }
}

/// The data of a CONNECT_ERROR.
#[derive(Default, Deserialize)]
struct Refusal {
    message: String,
    data: Option<Value>,
}

impl Outbox for Wire {
    fn send(&self, message: &Prepared) {
        if let Some(form) = message.form(by_events()) {
            return self.outbox.send(form);
        }
        if let Some(packet) = message.packet() {
            self.send_packet(&packet, &message.attachments());
        }
    }

    fn send_all(&self, messages: &[Prepared]) {
        let forms: Option<Vec<_>> = messages
            .iter()
            .map(|message| message.form(by_events()).cloned())
            .collect();
        match forms {
            Some(forms) => self.outbox.send_all(&forms),
            None => messages.iter().for_each(|message| self.send(message)),
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        let text = std::str::from_utf8(text.text()).ok();
        let packet = text
            .and_then(|text| text.strip_prefix('4'))
            .and_then(|text| socketio::decode(text, &OWN).ok());
        if let Some(packet) = packet {
            self.send_packet(&packet, &[]);
        }
    }

    fn transport(&self) -> TransportKind {
        TransportKind::Sse
    }

    left_to_next!();
}

/// Leads to nobody.
struct Nowhere;

impl Outbox for Nowhere {
    fn send(&self, _: &Prepared) {}

    fn send_text(&self, _: &FramedText<'_>) {}

    fn close(&self, _: CloseReason) {}

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        false
    }

    fn transport(&self) -> TransportKind {
        TransportKind::Sse
    }
}
