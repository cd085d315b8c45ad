//! What a client sends: its messages become packets, and each packet goes to the socket of its namespace.

use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use gatewire_proto::large;
use gatewire_proto::socketio::{
    self, ArgSlice, Assembler, AttachmentError, Decoder, Limits, Packet, PacketKind, Received,
};

use serde_json::{Value, json};

use super::{Client, Kind, ProtocolError};
use crate::{AckSender, ConnectError, DisconnectReason, Event, Socket, v2};

/// What makes packets of the messages, other than the text form without attachments. Boxed, for most clients have none.
pub(super) enum Reader {
    /// A packet of the text form that waits for its attachments.
    Waiting(Assembler),
    /// Another form.
    Parser(Box<dyn Decoder>),
}

/// Whom a packet is for.
enum Addressee {
    /// The socket at this place.
    Socket(usize),
    /// The CONNECT at this place, whose namespace may come into being.
    Waiting(usize),
    /// It was sent before the client could know that its socket has been put out, or not been let in.
    Nobody,
}

impl Client {
    /// Takes a text message, without the Engine.IO type digit. Handlers whose futures are ready at once have run when
    /// this returns; others go on with [`poll`](Self::poll).
    ///
    /// # Errors
    /// If the client breaks the protocol. The connection is then to be closed, with the reason "forced close".
    pub fn receive_text(&mut self, packet: &str, cx: &mut Context<'_>) -> Result<(), ProtocolError> {
        if self.is_closed {
            return Ok(());
        }
        if self.awaits_root {
            self.open_root(cx);
        }
        self.observe_received(packet.len());
        let packet = match self.reader.as_deref_mut() {
            None => socketio::decode(packet, &self.io.config().limits)?,
            Some(Reader::Waiting(_)) => return Err(AttachmentError::Interrupted.into()),
            Some(Reader::Parser(decoder)) => {
                let received = decoder.receive_text(packet)?;
                return self.receive_decoded(received, cx);
            }
        };
        if packet.kind.is_binary() {
            self.addressee(packet.namespace)?;
            let assembler = Assembler::new(&packet, &self.io.config().limits)?;
            self.reader = Some(Box::new(Reader::Waiting(assembler)));
            return Ok(());
        }
        self.receive(&packet, &[], cx)
    }

    /// Takes a binary message: an attachment of the packet before, or a packet of a binary form.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn receive_binary(&mut self, data: &[u8], cx: &mut Context<'_>) -> Result<(), ProtocolError> {
        if self.is_closed {
            return Ok(());
        }
        if self.awaits_root {
            self.open_root(cx);
        }
        self.observe_received(data.len());
        match self.reader.as_deref_mut() {
            None => Err(AttachmentError::Unannounced.into()),
            Some(Reader::Waiting(assembler)) => {
                if let Some((packet, attachments)) = assembler.push(large::own(data))? {
                    self.reader = None;
                    self.receive(&packet.as_packet(), &attachments, cx)?;
                }
                Ok(())
            }
            Some(Reader::Parser(decoder)) => {
                let received = decoder.receive_binary(data)?;
                self.receive_decoded(received, cx)
            }
        }
    }

    /// Takes a text message that is one too many for the client, which may send more in `retry_after`. An event, or a
    /// CONNECT, is dropped, and the client told; what keeps a connection in order is done all the same.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn refuse_text(
        &mut self,
        packet: &str,
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        self.set_refusing(Some(retry_after));
        let received = self.receive_text(packet, cx);
        self.set_refusing(None);
        received
    }

    /// As [`refuse_text`](Self::refuse_text), for a binary message.
    ///
    /// # Errors
    /// As [`receive_text`](Self::receive_text).
    pub fn refuse_binary(
        &mut self,
        data: &[u8],
        retry_after: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        self.set_refusing(Some(retry_after));
        let received = self.receive_binary(data, cx);
        self.set_refusing(None);
        received
    }

    /// While it is set, what is received is one too many.
    pub(crate) fn set_refusing(&mut self, retry_after: Option<Duration>) {
        self.rare.get_or_insert_default().refusing = retry_after;
    }

    fn refusing(&self) -> Option<Duration> {
        self.rare.as_ref()?.refusing
    }

    /// Drops a CONNECT or an event.
    fn refuse_packet(&self, packet: &Packet<'_>, retry_after: Duration) -> Result<(), ProtocolError> {
        if packet.kind == PacketKind::Connect {
            let name = match self.kind {
                Kind::V2 => v2::split_query(packet.namespace).0,
                Kind::V5 | Kind::Plain => packet.namespace,
            };
            let error = ConnectError::new(TOO_MANY).with_data(too_many(retry_after));
            self.refuse(name, &error);
            return Ok(());
        }
        if let Addressee::Socket(at) = self.addressee(packet.namespace)? {
            tell_too_many(&self.entries[at].socket, packet.id, retry_after);
        }
        Ok(())
    }

    /// Takes a packet that a parser has made, which may be the user's own.
    fn receive_decoded(
        &mut self,
        received: Option<Received<'_>>,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        let Some(received) = received else {
            return Ok(());
        };
        // Nobody waits for attachments here, and there cannot be more than the size of a message allows.
        let limits = Limits {
            max_attachments: usize::MAX,
            ..self.io.config().limits
        };
        let packet = received.check(&limits)?;
        self.receive(&packet, &received.attachments, cx)
    }

    /// Takes a whole packet.
    fn receive(
        &mut self,
        packet: &Packet<'_>,
        attachments: &[Bytes],
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        if let Some(retry_after) = self.refusing()
            && matches!(
                packet.kind,
                PacketKind::Connect | PacketKind::Event | PacketKind::BinaryEvent
            )
        {
            return self.refuse_packet(packet, retry_after);
        }
        match packet.kind {
            PacketKind::Connect if matches!(self.kind, Kind::V2) => {
                let (name, query) = v2::split_query(packet.namespace);
                return self.connect(name, &v2::auth(query), cx);
            }
            PacketKind::Connect => return self.connect(packet.namespace, packet.data, cx),
            PacketKind::ConnectError => return Err(ProtocolError::ServerPacket),
            _ => {}
        }
        let at = match self.addressee(packet.namespace)? {
            Addressee::Socket(at) => at,
            Addressee::Waiting(at) => return self.receive_early(at, packet, attachments),
            Addressee::Nobody => return Ok(()),
        };
        let config = self.io.config();
        match packet.kind {
            PacketKind::Event | PacketKind::BinaryEvent => {
                let body = match socketio::scan_event(packet.data, &config.limits) {
                    Ok(body) => body,
                    Err(error) => return self.entries[at].receive_unreadable(packet, error, &config.limits),
                };
                let event = Event::new(body, attachments, packet.id);
                self.entries[at].receive(event, config.max_early, cx)
            }
            PacketKind::Ack | PacketKind::BinaryAck => {
                let args = socketio::scan_args(packet.data, &config.limits)?;
                if let Some(id) = packet.id {
                    self.entries[at]
                        .socket
                        .resolve_ack(id, args, attachments.to_vec());
                }
                Ok(())
            }
            _ => {
                let entry = self.entries.remove(at);
                entry
                    .socket
                    .begin_leave(DisconnectReason::ClientNamespaceDisconnect);
                self.leave(entry);
                Ok(())
            }
        }
    }

    /// Takes an event of a plain client.
    #[inline]
    pub(crate) fn receive_event(
        &mut self,
        namespace: &str,
        event: Event<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        if self.is_closed {
            return Ok(());
        }
        let config = self.io.config();
        if let Some(retry_after) = self.refusing() {
            if let Ok(Addressee::Socket(at)) = self.addressee(namespace) {
                tell_too_many(&self.entries[at].socket, event.ack_id(), retry_after);
            }
            return Ok(());
        }
        match self.addressee(namespace) {
            Ok(Addressee::Socket(at)) => self.entries[at].receive(event, config.max_early, cx),
            Ok(Addressee::Waiting(at)) => match &mut self.lobby {
                Some(lobby) => lobby.waiting[at].receive(&event, config.max_early),
                None => Ok(()),
            },
            // It was put out, and its connection ends.
            Ok(Addressee::Nobody) | Err(_) => Ok(()),
        }
    }

    /// Takes an answer of a plain client.
    pub(crate) fn receive_ack(&self, namespace: &str, id: u64, args: ArgSlice<'_>, attachments: Vec<Bytes>) {
        if let Some(at) = self.find(namespace) {
            self.entries[at].socket.resolve_ack(id, args, attachments);
        }
    }

    /// Takes a packet for a namespace that does not exist yet.
    fn receive_early(
        &mut self,
        at: usize,
        packet: &Packet<'_>,
        attachments: &[Bytes],
    ) -> Result<(), ProtocolError> {
        let Some(lobby) = &mut self.lobby else {
            return Ok(());
        };
        let config = self.io.config();
        match packet.kind {
            PacketKind::Event | PacketKind::BinaryEvent => {
                let body = socketio::scan_event(packet.data, &config.limits)?;
                let event = Event::new(body, attachments, packet.id);
                lobby.waiting[at].receive(&event, config.max_early)
            }
            // It can owe no answer yet.
            PacketKind::Ack | PacketKind::BinaryAck => Ok(()),
            _ => {
                let waiting = lobby.waiting.remove(at);
                if lobby.waiting.is_empty() {
                    self.lobby = None;
                }
                drop(waiting);
                Ok(())
            }
        }
    }

    /// Whom a packet is for.
    #[inline]
    fn addressee(&self, namespace: &str) -> Result<Addressee, ProtocolError> {
        if let Some(at) = self.find(namespace) {
            return Ok(Addressee::Socket(at));
        }
        if let Some(at) = self.find_waiting(namespace) {
            return Ok(Addressee::Waiting(at));
        }
        if self.put_out.iter().any(|name| **name == *namespace) {
            return Ok(Addressee::Nobody);
        }
        Err(ProtocolError::NotConnected)
    }
}

/// Tells a client that its event was dropped, as an exception of a gateway is told.
fn tell_too_many(socket: &Socket, ack_id: Option<u64>, retry_after: Duration) {
    let refusal = too_many(retry_after);
    socket.emit("exception", &refusal);
    if let Some(id) = ack_id {
        AckSender::new(socket.clone(), id).send(&refusal);
    }
}

fn too_many(retry_after: Duration) -> Value {
    // Rounded up: a client that waits so long is let through.
    let millis = retry_after.as_nanos().div_ceil(1_000_000);
    json!({
        "status": "error",
        "message": TOO_MANY,
        "retryAfter": u64::try_from(millis).unwrap_or(u64::MAX),
    })
}

const TOO_MANY: &str = "Too many requests";
