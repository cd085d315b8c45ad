//! What a client sends: its messages become packets, and each packet goes to the socket of its namespace.

use std::task::Context;

use bytes::Bytes;
use gatewire_proto::large;
use gatewire_proto::socketio::{
    self, ArgSlice, Assembler, AttachmentError, Decoder, Limits, Packet, PacketKind, Received,
};

use super::{Client, Kind, ProtocolError};
use crate::{DisconnectReason, Event, v2};

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
                if let Some((packet, attachments)) = assembler.push(large::copy(data))? {
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
