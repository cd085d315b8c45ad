//! Plain WebSocket clients: connections without packets and namespaces of their own, whose messages are events in the form
//! of a codec. Each is a socket of one namespace like any other: handlers, rooms, broadcasts and acknowledgements are
//! those of Socket.IO clients, and one broadcast reaches both.

mod outbox;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gatewire_proto::envelope::{CodecError, Incoming, JsonCodec, MessageCodec, Subject};
use gatewire_proto::socketio::{ArgSlice, EventBody};
use serde_json::json;

use crate::observe::ObservedConnection;
use crate::pattern::Pattern;
use crate::recode::Recode;
use crate::{Client, DisconnectReason, Event, Handshake, Io, Outbox, ProtocolError, v2};

use outbox::ByCodec;
pub(crate) use outbox::Wire;

/// The form of the messages on the plain connections of a server, shared by all of them: a broadcast is encoded once in it.
#[derive(Clone)]
pub struct PlainFormat {
    codec: Arc<dyn MessageCodec>,
    /// The same as a form of packets.
    form: Arc<dyn Recode>,
    max_faults: usize,
}

impl PlainFormat {
    /// The form of `codec`.
    #[must_use]
    pub fn new(codec: impl MessageCodec) -> Self {
        let codec: Arc<dyn MessageCodec> = Arc::new(codec);
        Self {
            form: Arc::new(ByCodec(codec.clone())),
            codec,
            max_faults: 10,
        }
    }

    /// How many messages of one client may be none, or be what nobody handles
    /// ([`Socket::note_fault`](crate::Socket::note_fault)), before its connection is closed with 1008. Each is told by an
    /// `exception`. Default 10.
    #[must_use]
    pub fn max_faults(mut self, max_faults: usize) -> Self {
        self.max_faults = max_faults;
        self
    }
}

impl Default for PlainFormat {
    /// The envelope of NestJS.
    fn default() -> Self {
        Self::new(JsonCodec)
    }
}

impl fmt::Debug for PlainFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainFormat")
            .field("codec", &self.codec)
            .field("max_faults", &self.max_faults)
            .finish()
    }
}

/// The forms of a server's messages: one for all namespaces, and those of some that have their own.
#[derive(Clone, Debug, Default)]
pub struct PlainFormats {
    common: PlainFormat,
    own: Vec<(Pattern, PlainFormat)>,
}

impl PlainFormats {
    /// The same form for every namespace.
    #[must_use]
    pub fn new(common: PlainFormat) -> Self {
        Self {
            common,
            own: Vec::new(),
        }
    }

    /// Another form for one namespace, or for those of a pattern such as `/room-:id`. The first that fits counts.
    #[must_use]
    pub fn with(mut self, namespace: &str, format: PlainFormat) -> Self {
        self.own.push((Pattern::new(namespace), format));
        self
    }

    /// The form of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> &PlainFormat {
        let own = self.own.iter().find(|(pattern, _)| pattern.matches(namespace));
        own.map_or(&self.common, |(_, format)| format)
    }
}

impl From<PlainFormat> for PlainFormats {
    fn from(common: PlainFormat) -> Self {
        Self::new(common)
    }
}

/// The plain client of one connection. It is owned and polled by the task that drives the connection, as a
/// [`Client`] is.
pub struct PlainClient {
    client: Client,
    io: Io,
    wire: Arc<Wire>,
    namespace: Box<str>,
    /// The query of the handshake as an object, until the client is let in.
    auth: Option<String>,
}

impl PlainClient {
    /// The client of a connection that was just opened, for the namespace of that name: with the first call it is let in,
    /// or refused. The query of its URL is what a Socket.IO client sends as `auth`.
    #[must_use]
    pub fn new(
        io: &Io,
        format: &PlainFormat,
        namespace: &str,
        outbox: Arc<dyn Outbox>,
        handshake: Arc<Handshake>,
    ) -> Self {
        let query = handshake.url().split_once('?').map_or("", |(_, query)| query);
        let auth = Some(v2::auth(query));
        let asked = io.config().max_pending_acks;
        let observed = ObservedConnection::open(io, 0, &outbox, &handshake);
        let outbox = observed.clone().map_or(outbox, |observed| observed as _);
        let wire = Arc::new(Wire::new(format, outbox, asked));
        Self {
            client: Client::new_plain(io, wire.clone(), handshake, observed),
            io: io.clone(),
            wire,
            namespace: namespace.into(),
            auth,
        }
    }

    /// Takes a text message. Handlers whose futures are ready at once have run when this returns.
    ///
    /// # Errors
    /// If the connection is to be closed with 1008.
    pub fn receive_text(&mut self, message: &str, cx: &mut Context<'_>) -> Result<(), ProtocolError> {
        self.enter(cx);
        self.client.observe_received(message.len());
        let incoming = self.wire.codec().decode_text(message, &self.io.config().limits);
        self.receive(incoming, cx)
    }

    /// Takes a binary message.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn receive_binary(&mut self, message: &[u8], cx: &mut Context<'_>) -> Result<(), ProtocolError> {
        self.enter(cx);
        self.client.observe_received(message.len());
        let incoming = self.wire.codec().decode_binary(message, &self.io.config().limits);
        self.receive(incoming, cx)
    }

    /// As [`Client::refuse_text`].
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn refuse_text(
        &mut self,
        message: &str,
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        self.client.set_refusing(Some(retry_after));
        let received = self.receive_text(message, cx);
        self.client.set_refusing(None);
        received
    }

    /// As [`Client::refuse_text`], for a binary message.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn refuse_binary(
        &mut self,
        message: &[u8],
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        self.client.set_refusing(Some(retry_after));
        let received = self.receive_binary(message, cx);
        self.client.set_refusing(None);
        received
    }

    /// As [`Client::poll`].
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        self.enter(cx);
        self.client.poll(cx);
    }

    /// As [`Client::wants_input`].
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.client.wants_input()
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

    fn enter(&mut self, cx: &mut Context<'_>) {
        if let Some(auth) = self.auth.take() {
            // It is the first of its namespaces: there is no limit that it could break.
            let _ = self.client.connect(&self.namespace, &auth, cx);
        }
    }

    fn receive(
        &mut self,
        incoming: Result<Incoming<'_>, CodecError>,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        if self.wire.has_too_many_faults() {
            // The connection is closing: what was read before that is no longer heard.
            return Ok(());
        }
        let incoming = match incoming {
            Ok(incoming) => incoming,
            Err(error) => {
                self.refuse(&error);
                return Ok(());
            }
        };
        let data = incoming.data.as_deref().unwrap_or_default();
        let args = ArgSlice::from_parts(data, usize::from(incoming.data.is_some()));
        match incoming.subject {
            Subject::Event(name) => {
                let id = incoming.id.map(|id| self.wire.note(&name, &id));
                let event = Event::new(EventBody { name, args }, &incoming.attachments, id);
                self.client.receive_event(&self.namespace, event, cx)
            }
            Subject::Answer(ack) => {
                self.client
                    .receive_ack(&self.namespace, ack, args, incoming.attachments);
                Ok(())
            }
        }
    }

    /// Tells the client what is wrong with its message.
    fn refuse(&self, error: &CodecError) {
        tracing::debug!(namespace = &*self.namespace, %error, "a message was refused");
        let reason = json!({ "status": "error", "message": error.to_string() });
        self.wire.send_exception(&reason);
        self.wire.note_fault();
    }
}

impl fmt::Debug for PlainClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainClient")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// The bytes that stand in a packet's data, without the offset that recovery has put behind them.
pub(crate) fn without_offset<'a>(args: ArgSlice<'a>, offset: Option<&str>) -> ArgSlice<'a> {
    let Some(offset) = offset else {
        return args;
    };
    let mut quoted = Vec::with_capacity(offset.len() + 2);
    gatewire_proto::socketio::put_json_string(&mut quoted, offset);
    let quoted = String::from_utf8(quoted).unwrap_or_default();
    match args.json().strip_suffix(&*quoted) {
        Some(rest) => ArgSlice::from_parts(rest.strip_suffix(',').unwrap_or(rest), args.len() - 1),
        None => args,
    }
}

/// One JSON value of an event's arguments: nothing, the one, or all of them as an array.
pub(crate) fn one_value<'a>(args: ArgSlice<'a>, buffer: &'a mut String) -> Option<&'a str> {
    match args.len() {
        0 => None,
        1 => Some(args.json()),
        _ => {
            *buffer = format!("[{}]", args.json());
            Some(buffer)
        }
    }
}

/// Attachments of a message without any.
const NO_BYTES: &[Bytes] = &[];
