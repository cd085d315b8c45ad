//! The Socket.IO side of one connection: takes its messages, keeps its sockets, and runs their handlers. It is owned and
//! polled by the task that drives the connection, spawns nothing, and waits for nothing but the handlers' futures.
//!
//! A handler whose future is ready at once runs within the call that received its event, on the borrowed packet. What
//! comes while a handler runs waits in the socket's mailbox, but for acknowledgements and disconnects, which never wait.

mod join;
mod observed;
mod receive;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::socketio::{AttachmentError, DecodeError, PacketKind, ParserError};
use serde_json::value::RawValue;

use self::receive::Reader;
use crate::encode;
use crate::entry::{Entry, Leaving, Stage, internal_error};
use crate::guard::poll_guarded;
use crate::lobby::Lobby;
use crate::observe::ObservedConnection;
use crate::recode::Recoding;
use crate::socket::{Connection, State};
use crate::{ConnectError, DisconnectReason, Handshake, Id, Io, Outbox, Socket, v2};

/// The Socket.IO side of one connection.
pub struct Client {
    io: Io,
    outbox: Arc<dyn Outbox>,
    connection: Arc<Connection>,
    entries: Vec<Entry>,
    /// Sockets that have left, while something of theirs still runs.
    leaving: Vec<Leaving>,
    reader: Option<Box<Reader>>,
    /// Namespaces that the server has put a socket out of, or not let in: what the client sent meanwhile is no fault.
    put_out: Vec<Box<str>>,
    /// CONNECTs whose namespace may come into being; rare.
    lobby: Option<Box<Lobby>>,
    is_closed: bool,
    /// A client of Socket.IO 2 is still to be let into `/`, for which it does not ask.
    awaits_root: bool,
    kind: Kind,
    /// What most connections have none of.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Of a client of Socket.IO 2: the id of the connection, which is that of its sockets, too.
    v2: Option<Id>,
    /// Somebody observes the connections.
    observed: Option<Arc<ObservedConnection>>,
    /// The message that is being received is one too many: when the next one may come.
    refusing: Option<Duration>,
    /// Of a listener: the request that it came by, which gives the socket its id and its values.
    request: Option<Socket>,
}

/// What speaks at the other end.
enum Kind {
    /// A client of Socket.IO 3 or newer.
    V5,
    /// A client of Socket.IO 2.
    V2,
    /// A plain WebSocket client, or one that only listens, which is in one namespace and knows nothing of it.
    Plain,
}

/// What came with CONNECT.
type Auth = Option<Box<RawValue>>;

/// Why a message ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It is no packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It does not fit to the binary packet that came before.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// It is no packet in the form of the server's parser.
    #[error(transparent)]
    Parser(#[from] ParserError),
    /// CONNECT for a namespace that the client is in already.
    #[error("the client connected to a namespace twice")]
    AlreadyConnected,
    /// A packet for a namespace that the client is not in.
    #[error("the client sent a packet to a namespace that it has not connected to")]
    NotConnected,
    /// A packet that only a server sends.
    #[error("the client sent a CONNECT_ERROR, which is the server's to send")]
    ServerPacket,
    /// CONNECT for one namespace more than allowed.
    #[error("the client connected to more than {limit} namespaces")]
    TooManyNamespaces {
        /// `max_namespaces_per_connection`.
        limit: usize,
    },
    /// One event more than allowed before the answer to CONNECT.
    #[error("the client sent more than {limit} events before its CONNECT was answered")]
    TooManyEarly {
        /// `max_early`.
        limit: usize,
    },
}

impl Client {
    /// The client of a connection that was just opened. It is in no namespace yet.
    #[must_use]
    pub fn new(io: &Io, outbox: Arc<dyn Outbox>, handshake: Arc<Handshake>) -> Self {
        Self::with_parser(io, outbox, handshake, Kind::V5)
    }

    /// As [`new`](Self::new), for a client of Socket.IO 2, on Engine.IO 3. With the first call it is let into `/`, if there
    /// is such a namespace. Its sockets have the id of the connection, from which it makes their ids by itself.
    #[must_use]
    pub fn new_v2(io: &Io, outbox: Arc<dyn Outbox>, handshake: Arc<Handshake>, sid: Id) -> Self {
        let mut client = Self::with_parser(io, outbox, handshake, Kind::V2);
        client.rare.get_or_insert_default().v2 = Some(sid);
        client
    }

    /// For a plain client, whose messages are not packets: they come through `receive_event` and `receive_ack`.
    pub(crate) fn new_plain(
        io: &Io,
        outbox: Arc<dyn Outbox>,
        handshake: Arc<Handshake>,
        observed: Option<Arc<ObservedConnection>>,
    ) -> Self {
        Self::open(io, outbox, handshake, Kind::Plain, None, observed)
    }

    /// Its socket takes over from the one that stood for its request.
    pub(crate) fn stand_for(&mut self, request: &Socket) {
        self.rare.get_or_insert_default().request = Some(request.clone());
    }

    /// The socket of a client that is in one namespace alone, once it is let in.
    pub(crate) fn only_socket(&self) -> Option<&Socket> {
        let entry = self.entries.first()?;
        (!matches!(entry.stage, Stage::Connecting(_))).then_some(&entry.socket)
    }

    fn with_parser(io: &Io, outbox: Arc<dyn Outbox>, handshake: Arc<Handshake>, kind: Kind) -> Self {
        let observed = ObservedConnection::open(io, 1, &outbox, &handshake);
        let outbox = observed.clone().map_or(outbox, |observed| observed as _);
        let (Some(form), Some(parser)) = (io.form(), &io.config().parser) else {
            return Self::open(io, outbox, handshake, kind, None, observed);
        };
        let reader = Some(Box::new(Reader::Parser(parser.decoder(&io.config().limits))));
        let outbox = Arc::new(Recoding::new(form.clone(), outbox));
        Self::open(io, outbox, handshake, kind, reader, observed)
    }

    fn open(
        io: &Io,
        outbox: Arc<dyn Outbox>,
        handshake: Arc<Handshake>,
        kind: Kind,
        reader: Option<Box<Reader>>,
        observed: Option<Arc<ObservedConnection>>,
    ) -> Self {
        let connection = Connection {
            handshake,
            attention: AtomicBool::new(false),
            close: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            writers: AtomicBool::new(false),
            is_v2: matches!(kind, Kind::V2),
            is_plain: matches!(kind, Kind::Plain),
        };
        Self {
            io: io.clone(),
            outbox,
            connection: Arc::new(connection),
            entries: Vec::new(),
            leaving: Vec::new(),
            reader,
            put_out: Vec::new(),
            lobby: None,
            is_closed: false,
            awaits_root: matches!(kind, Kind::V2),
            kind,
            rare: observed.map(|observed| {
                Box::new(Rare {
                    observed: Some(observed),
                    ..Rare::default()
                })
            }),
        }
    }

    /// Puts all sockets out of their namespaces, which the client is told, and ends the connection after that.
    pub fn expel(&mut self) {
        self.connection.close.store(true, Ordering::Release);
        self.connection.attention.store(true, Ordering::Release);
        self.attend();
    }

    /// Goes on with whatever runs, and does what other threads have asked for. To be called after messages were
    /// received, and whenever the task is woken.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        if self.awaits_root {
            self.open_root(cx);
        }
        self.attend();
        self.wake_writers();
        if self.lobby.is_some() {
            self.poll_lobby(cx);
        }
        let mut at = 0;
        while at < self.entries.len() {
            let is_waiting = matches!(self.entries[at].stage, Stage::Idle);
            if (is_waiting && !self.entries[at].has_mail()) || self.advance(at, cx) {
                // Whether something of it still runs is of no interest here.
                let _ = self.entries[at].beside.poll(cx);
                at += 1;
            }
        }
        // A handler that has just run may have asked for something, too.
        if self.attend() {
            for entry in &mut self.entries {
                let _ = entry.beside.poll(cx);
            }
        }
        if !self.leaving.is_empty() {
            self.leaving.retain_mut(|leaving| leaving.poll(cx).is_pending());
        }
    }

    /// Whether messages may be handed over: false while a mailbox is full, or while as many sockets have still to leave as
    /// one connection may have. What was read already may be handed over nevertheless.
    #[must_use]
    #[inline]
    pub fn wants_input(&self) -> bool {
        // Asked for each message of a burst, and nearly always nothing waits.
        let is_free = self.leaving.is_empty() && self.lobby.is_none();
        (is_free && !self.entries.iter().any(Entry::has_mail)) || self.has_room_for_input()
    }

    fn has_room_for_input(&self) -> bool {
        let config = self.io.config();
        if self.leaving.len() >= config.max_namespaces_per_connection.max(1) {
            return false;
        }
        let is_lobby_full = |lobby: &Lobby| lobby.size() >= config.mailbox_bytes;
        if self.lobby.as_deref().is_some_and(is_lobby_full) {
            return false;
        }
        self.entries.iter().all(|entry| entry.wants_input(config))
    }

    /// Whether nothing of the client's runs or waits: no handler, no connection that is to be decided on, no hook.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.lobby.is_none() && self.leaving.is_empty() && self.entries.iter().all(Entry::is_quiet)
    }

    /// Whether the client has been let into a namespace.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| !matches!(entry.stage, Stage::Connecting(_)))
    }

    /// The connection has ended, or is to end: all sockets leave their namespaces, and nothing is received any more.
    /// Only the first call does anything.
    pub fn close(&mut self, reason: DisconnectReason) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.observe_closed(reason);
        self.reader = None;
        self.lobby = None;
        for entry in std::mem::take(&mut self.entries) {
            let is_lost = match entry.socket.begin_leave(reason) {
                Some(State::Connected) => true,
                // Lost once more before it was let in: it can still come back.
                Some(State::Connecting) => entry.socket.recovered(),
                _ => false,
            };
            self.leave_and(entry, |socket| {
                if is_lost {
                    socket.save_session();
                }
            });
        }
    }

    /// After [`close`](Self::close): ready when all that was under way has ended, the hooks of the disconnect and what
    /// handlers still did.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.leaving.retain_mut(|leaving| leaving.poll(cx).is_pending());
        if self.entries.is_empty() && self.leaving.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn find(&self, namespace: &str) -> Option<usize> {
        let is_root = namespace == "/";
        self.entries.iter().position(|entry| {
            entry.is_root == is_root && (is_root || entry.socket.namespace().name() == namespace)
        })
    }

    fn find_waiting(&self, namespace: &str) -> Option<usize> {
        self.lobby.as_ref()?.find(namespace)
    }

    fn put_out(&mut self, namespace: &str) {
        if self.put_out.iter().any(|other| **other == *namespace) {
            return;
        }
        // Names may be the client's own inventions: only the last ones are remembered.
        if self.put_out.len() >= self.io.config().max_namespaces_per_connection.max(1) {
            self.put_out.remove(0);
        }
        self.put_out.push(namespace.into());
    }

    /// Does what sockets have asked for, on whatever thread; whether there was something.
    fn attend(&mut self) -> bool {
        if !self.connection.attention.load(Ordering::Acquire)
            || !self.connection.attention.swap(false, Ordering::AcqRel)
        {
            return false;
        }
        let is_closing = self.connection.close.swap(false, Ordering::AcqRel);
        let mut at = 0;
        while at < self.entries.len() {
            let socket = &self.entries[at].socket;
            if is_closing {
                socket.send_disconnect(DisconnectReason::ServerNamespaceDisconnect);
            }
            if socket.state() == State::Gone {
                let entry = self.entries.remove(at);
                self.put_out(entry.socket.namespace().name());
                self.leave(entry);
            } else {
                let entry = &mut self.entries[at];
                entry.beside.collect(&entry.socket);
                at += 1;
            }
        }
        if is_closing {
            self.outbox.close(CloseReason::ForcedClose);
        }
        true
    }

    /// Has those go on who wait for room to write, once there is some.
    fn wake_writers(&self) {
        if self.connection.writers.load(Ordering::Acquire)
            && self.outbox.has_room()
            && self.connection.writers.swap(false, Ordering::AcqRel)
        {
            for entry in &self.entries {
                entry.socket.take_writers().into_iter().for_each(Waker::wake);
            }
        }
    }

    /// Goes on with what runs for an entry. False if the entry has gone.
    fn advance(&mut self, at: usize, cx: &mut Context<'_>) -> bool {
        let entry = &mut self.entries[at];
        if let Stage::Connecting(future) = &mut entry.stage {
            let Poll::Ready(outcome) = poll_guarded(&entry.socket, future, cx) else {
                return true;
            };
            match outcome.unwrap_or_else(|| Err(internal_error())) {
                Ok(()) => {
                    if entry.complete_connect() {
                        entry.work(cx);
                    }
                }
                Err(error) => {
                    let entry = self.entries.remove(at);
                    let is_close = entry.socket.is_close_held();
                    // The reason is told to nobody: the socket was never connected.
                    entry
                        .socket
                        .begin_leave(DisconnectReason::ServerNamespaceDisconnect);
                    entry.socket.namespace().remove(&entry.socket);
                    entry.socket.clear_rooms();
                    entry.socket.end_listeners();
                    let namespace = entry.socket.namespace().name();
                    tracing::debug!(namespace, sid = %entry.socket.id(), reason = %error.message, "a client is refused");
                    self.put_out(namespace);
                    self.refuse(namespace, &error);
                    if is_close {
                        self.outbox.close(CloseReason::ForcedClose);
                    }
                    return false;
                }
            }
            return true;
        }
        entry.work(cx);
        true
    }

    fn refuse(&self, namespace: &str, error: &ConnectError) {
        // It holds a string and a JSON value: it cannot fail.
        let data = match self.kind {
            Kind::V5 | Kind::Plain => serde_json::to_vec(error),
            Kind::V2 => serde_json::to_vec(&v2::refusal(error)),
        };
        let data = data.unwrap_or_default();
        encode::plain(namespace, PacketKind::ConnectError, &data, |text| {
            self.outbox.send_text(&text)
        });
    }

    /// A socket that has begun to leave is taken out of its namespace, and its handler told if it was connected.
    fn leave(&mut self, entry: Entry) {
        self.leave_and(entry, |_| ());
    }

    /// As [`leave`](Self::leave), with `save` called before the handler is.
    fn leave_and(&mut self, entry: Entry, save: impl FnOnce(&Socket)) {
        entry.socket.namespace().remove(&entry.socket);
        save(&entry.socket);
        let leaving = Leaving::new(entry);
        if leaving.is_done() {
            leaving.socket.clear_rooms();
            leaving.socket.end_listeners();
        } else {
            self.leaving.push(leaving);
            // It was not polled yet: its waker is not known to anybody.
            self.outbox.wake();
        }
    }
}

/// A driver that is dropped leaves no socket behind; the hooks are not run then.
impl Drop for Client {
    fn drop(&mut self) {
        self.observe_closed(DisconnectReason::ForcedServerClose);
        for entry in &self.entries {
            let before = entry.socket.begin_leave(DisconnectReason::ForcedServerClose);
            entry.socket.namespace().remove(&entry.socket);
            if before == Some(State::Connected) {
                entry.socket.save_session();
            }
            entry.socket.clear_rooms();
            entry.socket.end_listeners();
            drop(entry.socket.take_spawned());
        }
        for leaving in &self.leaving {
            leaving.socket.end_listeners();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sockets: Vec<_> = self.entries.iter().map(|entry| &entry.socket).collect();
        f.debug_struct("Client")
            .field("sockets", &sockets)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_client_is_small() {
        assert!(size_of::<Client>() <= 144, "{} bytes", size_of::<Client>());
        assert!(size_of::<Entry>() <= 80, "{} bytes", size_of::<Entry>());
    }
}
