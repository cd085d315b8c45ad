//! The life of a socket: connecting, connected, gone; what waits for CONNECT to be answered; and which answers the
//! client owes. Changes are made under the socket's lock, looks at the state are not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::Waker;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use gatewire_proto::socketio::{ArgSlice, PacketKind};
use serde_json::Value;

use super::Socket;
use super::listen::Listeners;
use crate::ack::PendingAck;
use crate::cluster::{Missed, SavedSession};
use crate::encode::{self, Arguments};
use crate::meter::Count;
use crate::recovery::{self, Extensions, Keeper, Seen, Session};
use crate::selection::{Flags, Room};
use crate::stats::Counts;
use crate::{AckError, DisconnectReason, EmitError, Handshake, Id, Outbox, Payload, Prepared, lock};

/// What the sockets of one connection share with its driver.
pub(crate) struct Connection {
    pub(crate) handshake: Arc<Handshake>,
    /// A socket wants something of the driver.
    pub(crate) attention: AtomicBool,
    /// The connection is to be closed, with all its sockets.
    pub(crate) close: AtomicBool,
    /// The driver may not be reading: it must hear of it when an answer of the client is awaited.
    pub(crate) stalled: AtomicBool,
    /// Somebody waits for room to write.
    pub(crate) writers: AtomicBool,
    /// The client speaks Socket.IO 2.
    pub(crate) is_v2: bool,
    /// The client is a plain one, or only listens.
    pub(crate) is_plain: bool,
}

impl Connection {
    /// Of a client that only listens, or of none.
    pub(crate) fn of_listener(handshake: Arc<Handshake>) -> Self {
        Self {
            handshake,
            attention: AtomicBool::new(false),
            close: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            writers: AtomicBool::new(false),
            is_v2: false,
            is_plain: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// CONNECT is not answered yet: what is sent waits.
    Connecting,
    Connected,
    /// It is to leave as soon as what was sent before has gone out.
    Ending,
    /// It has left, or is about to: nothing is sent any more.
    Gone,
}

/// The part of a socket that changes.
#[derive(Default)]
pub(crate) struct Local {
    /// Without the own room.
    pub(crate) rooms: Vec<Room>,
    /// What most sockets have none of.
    pub(super) rare: Option<Box<Rare>>,
}

#[derive(Default)]
pub(super) struct Rare {
    held: Vec<Prepared>,
    /// To be disconnected as soon as CONNECT is answered; true with the connection.
    pub(super) leave: Option<bool>,
    acks: HashMap<u64, PendingAck>,
    pub(super) listeners: Option<Arc<Listeners>>,
    pub(super) extensions: Extensions,
    /// Futures that the driver has still to take.
    pub(super) spawned: Vec<BoxFuture<'static, ()>>,
    /// Who waits for room to write.
    pub(super) writers: Vec<Waker>,
    /// By which the client gets its session back; only with recovery.
    private_id: Option<Id>,
    pub(super) is_recovered: bool,
    /// What goes out before CONNECT is answered.
    missed: Vec<Prepared>,
    /// What of that may be delivered once more.
    seen: Option<Seen>,
}

impl Local {
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives the memory back if there is nothing rare any more.
    pub(super) fn trim(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| {
            rare.held.is_empty()
                && rare.leave.is_none()
                && rare.acks.is_empty()
                && rare.listeners.is_none()
                && rare.extensions.is_empty()
                && rare.private_id.is_none()
                && rare.seen.is_none()
                && rare.spawned.is_empty()
                && rare.writers.is_empty()
        }) {
            self.rare = None;
        }
    }
}

impl Socket {
    pub(crate) fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Connecting,
            1 => State::Connected,
            2 => State::Ending,
            _ => State::Gone,
        }
    }

    pub(crate) fn locked(&self) -> MutexGuard<'_, Local> {
        lock(&self.0.local)
    }

    pub(crate) fn outbox(&self) -> &dyn Outbox {
        &*self.0.outbox
    }

    pub(crate) fn is_in_own_room(&self) -> bool {
        self.0.in_own_room.load(Ordering::Acquire)
    }

    pub(crate) fn set_in_own_room(&self, is_in: bool) {
        self.0.in_own_room.store(is_in, Ordering::Release);
    }

    /// Adds to a count of the server, if anybody wants figures.
    #[inline]
    pub(crate) fn count(&self, count: impl FnOnce(&Counts) -> &Count, by: usize) {
        if let Some(meter) = self.namespace().io().metered() {
            meter.count(count, by);
        }
    }

    /// Sends one message of a broadcast.
    pub(crate) fn deliver(&self, message: &Prepared, flags: Flags) {
        if self.looks_at_outgoing() && self.state() != State::Gone && !self.look_at_outgoing(message) {
            return;
        }
        match self.state() {
            State::Connected | State::Ending if !flags.volatile || self.0.outbox.is_writable() => {
                self.0.outbox.send(message);
            }
            State::Connecting if !flags.volatile => self.hold(message),
            State::Connecting | State::Connected | State::Ending => {
                self.count(|counts| &counts.dropped_volatile, 1);
            }
            State::Gone => {}
        }
    }

    /// Sends messages of several broadcasts at once, none of them volatile.
    pub(crate) fn deliver_all(&self, messages: &[Prepared]) {
        if self.looks_at_outgoing() {
            return messages
                .iter()
                .for_each(|message| self.deliver(message, Flags::DEFAULT));
        }
        match self.state() {
            State::Connected | State::Ending => self.0.outbox.send_all(messages),
            State::Connecting => messages.iter().for_each(|message| self.hold(message)),
            State::Gone => {}
        }
    }

    /// Answers CONNECT, lets go what was held, and tells whether the socket stays.
    pub(crate) fn complete_connect(&self) -> bool {
        let mut local = self.locked();
        if self.state() != State::Connecting {
            return false;
        }
        let reply = if self.0.connection.is_v2 {
            String::new()
        } else {
            match local.rare.as_ref().and_then(|rare| rare.private_id) {
                None => [r#"{"sid":""#, self.id_str(), r#""}"#].concat(),
                Some(private) => format!(r#"{{"sid":"{}","pid":"{private}"}}"#, self.id()),
            }
        };
        if let Some(rare) = &mut local.rare {
            for message in std::mem::take(&mut rare.missed) {
                self.0.outbox.send(&message);
            }
        }
        encode::plain(
            self.namespace().name(),
            PacketKind::Connect,
            reply.as_bytes(),
            |text| {
                self.0.outbox.send_text(&text);
            },
        );
        let (held, leave) = match &mut local.rare {
            Some(rare) => (std::mem::take(&mut rare.held), rare.leave.take()),
            None => (Vec::new(), None),
        };
        for message in &held {
            self.0.outbox.send(message);
        }
        local.trim();
        self.0.state.store(State::Connected as u8, Ordering::Release);
        drop(local);
        if let Some(close) = leave {
            self.disconnect(close);
        }
        leave.is_none()
    }

    /// From now on the client may get its session back, under a new private id.
    pub(crate) fn make_recoverable(&self) {
        self.locked().rare().private_id = Some(Id::generate());
    }

    /// Gets what was kept of a socket before it, but for the rooms.
    pub(crate) fn recover(&self, private_id: Id, extensions: Extensions, missed: Vec<Prepared>) {
        let mut local = self.locked();
        let rare = local.rare();
        rare.private_id = Some(private_id);
        rare.is_recovered = true;
        rare.extensions = extensions;
        rare.missed = missed;
    }

    /// Gets the values that are kept with `other`, which shares them.
    pub(crate) fn take_values(&self, other: &Self) {
        let values = other.locked().rare.as_ref().map(|rare| rare.extensions.clone());
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            self.locked().rare().extensions = values;
        }
    }

    /// Gets what a cluster kept of a socket before it, but for the rooms and the messages.
    pub(crate) fn come_back(&self, private_id: Id, data: Value) {
        if !data.is_null() {
            self.set(data);
        }
        let mut local = self.locked();
        let rare = local.rare();
        rare.private_id = Some(private_id);
        rare.is_recovered = true;
    }

    /// Gets the messages that it missed; what was held meanwhile may be among them.
    pub(crate) fn catch_up(&self, missed: &[Missed]) {
        let seen = Seen::new(missed);
        let missed = missed
            .iter()
            .map(|missed| missed.message.with_offset(&missed.offset))
            .collect();
        let mut local = self.locked();
        if self.state() != State::Connecting {
            return;
        }
        let rare = local.rare();
        rare.held.retain(|message| !seen.has(message));
        rare.missed = missed;
        rare.seen = Some(seen);
        self.mark_seen(true);
    }

    /// It did not come back after all: nothing is left of the socket before it but the id.
    pub(crate) fn begin_afresh(&self) {
        let rooms = self.rooms();
        self.namespace().leave(self, &rooms);
        self.namespace().join(self, vec![self.id_str().into()]);
        let mut local = self.locked();
        let rare = local.rare();
        rare.private_id = Some(Id::generate());
        rare.is_recovered = false;
        let held = std::mem::take(&mut rare.held);
        let extensions = std::mem::take(&mut rare.extensions);
        drop(local);
        drop((held, extensions));
    }

    /// Whether the client got the message already, from a cluster's log.
    pub(super) fn has_seen(&self, message: &Prepared) -> bool {
        let mut local = self.locked();
        let Some(rare) = &mut local.rare else {
            return false;
        };
        let has_seen = rare.seen.as_ref().is_some_and(|seen| seen.has(message));
        if rare.seen.as_ref().is_none_or(Seen::is_over) {
            rare.seen = None;
            self.mark_seen(false);
        }
        has_seen
    }

    /// Keeps the session of a socket that was connected, if its client may come back.
    pub(crate) fn save_session(&self) {
        let Some(keeper) = self.namespace().io().recovery() else {
            return;
        };
        if !recovery::is_recoverable(self.reason()) {
            return;
        }
        let rooms = self.rooms();
        let kept = self.locked().rare.as_deref().and_then(|rare| {
            let private_id = rare.private_id?;
            Some((private_id, rare.extensions.clone()))
        });
        let Some((private_id, extensions)) = kept else {
            return;
        };
        let name = self.namespace().name();
        match keeper {
            Keeper::Memory(store) => {
                store.save(Session {
                    id: self.id(),
                    private_id,
                    namespace: name.into(),
                    rooms,
                    extensions,
                });
                store.purge_later(self.namespace().io().runtime());
            }
            Keeper::Log(options, log) => {
                let session = SavedSession {
                    id: self.id(),
                    private_id: private_id.to_string(),
                    rooms,
                    data: self.data_json(),
                };
                log.save_session(name, session, options.max_disconnection_duration);
            }
        }
    }

    /// Whether the socket has left for good.
    pub(crate) fn is_over(&self) -> bool {
        self.state() == State::Gone && !recovery::is_recoverable(self.reason())
    }

    /// The socket itself, or the one that has come back in its place.
    pub(crate) fn present(&self) -> Self {
        let is_away = self.state() == State::Gone && self.namespace().io().recovery().is_some();
        let heir = is_away.then(|| self.namespace().socket(self.id_str())).flatten();
        heir.unwrap_or_else(|| self.clone())
    }

    /// Whether the socket was to be disconnected, with its connection, as soon as CONNECT is answered.
    pub(crate) fn is_close_held(&self) -> bool {
        self.locked()
            .rare
            .as_ref()
            .is_some_and(|rare| rare.leave == Some(true))
    }

    /// From now on nothing is sent. What it was before, if it has not left already.
    pub(crate) fn begin_leave(&self, reason: DisconnectReason) -> Option<State> {
        let (before, acks) = {
            let mut local = self.locked();
            let before = self.state();
            if before == State::Gone {
                return None;
            }
            self.0.reason.store(reason as u8, Ordering::Relaxed);
            self.0.state.store(State::Gone as u8, Ordering::Release);
            let acks = local.rare.as_mut().map(|rare| {
                rare.held = Vec::new();
                rare.missed = Vec::new();
                std::mem::take(&mut rare.acks)
            });
            local.trim();
            (before, acks)
        };
        for waker in self.take_writers() {
            waker.wake();
        }
        for pending in acks.into_iter().flatten() {
            pending.1.fail(self.id());
        }
        Some(before)
    }

    /// Why the socket has left.
    pub(crate) fn reason(&self) -> DisconnectReason {
        DisconnectReason::ALL
            [usize::from(self.0.reason.load(Ordering::Relaxed)) % DisconnectReason::ALL.len()]
    }

    /// Leaves, and tells the client if it was connected.
    pub(crate) fn send_disconnect(&self, reason: DisconnectReason) {
        if matches!(self.begin_leave(reason), Some(State::Connected | State::Ending)) {
            encode::plain(self.namespace().name(), PacketKind::Disconnect, b"", |text| {
                self.0.outbox.send_text(&text);
            });
        }
    }

    /// Forgets the rooms; the tables of the namespace have forgotten the socket already.
    pub(crate) fn clear_rooms(&self) {
        self.locked().rooms = Vec::new();
        self.set_in_own_room(false);
    }

    /// Notes that an answer is awaited.
    pub(crate) fn add_ack(&self, id: u64, pending: PendingAck) -> Result<(), AckError> {
        let limit = self.namespace().io().config().max_pending_acks;
        let mut local = self.locked();
        if matches!(self.state(), State::Ending | State::Gone) {
            return Err(AckError::Disconnected);
        }
        let acks = &mut local.rare().acks;
        if acks.len() >= limit {
            return Err(AckError::TooMany { limit });
        }
        acks.insert(id, pending);
        drop(local);
        self.count(|counts| &counts.acks_asked, 1);
        if self.0.connection.stalled.swap(false, Ordering::AcqRel) {
            self.0.outbox.wake();
        }
        Ok(())
    }

    /// Answers that the client owes.
    pub(crate) fn pending_acks(&self) -> usize {
        self.locked().rare.as_ref().map_or(0, |rare| rare.acks.len())
    }

    /// Whether an answer of the client is awaited. For a driver that does not read otherwise: if not, it is woken when
    /// one is.
    pub(crate) fn is_asked_while_stalled(&self) -> bool {
        // Before the look: whoever asks after it finds the note.
        self.0.connection.stalled.store(true, Ordering::Release);
        let local = self.locked();
        local.rare.as_ref().is_some_and(|rare| !rare.acks.is_empty())
    }

    pub(crate) fn remove_ack(&self, id: u64) -> Option<PendingAck> {
        let mut local = self.locked();
        let pending = local.rare.as_mut()?.acks.remove(&id);
        local.trim();
        pending
    }

    /// An answer of the client; one that nobody waits for is dropped.
    pub(crate) fn resolve_ack(&self, id: u64, args: ArgSlice<'_>, attachments: Vec<Bytes>) {
        if let Some(pending) = self.remove_ack(id) {
            pending.resolve(Payload::new(args, attachments));
        }
    }

    /// Sends an answer to the client: it waits for nothing but the connection.
    pub(crate) fn send_ack(&self, id: u64, args: &dyn Arguments) -> Result<(), EmitError> {
        if !self.connected() {
            return Ok(());
        }
        if let Some(wire) = self.wire() {
            return wire.send_answer(id, args);
        }
        encode::ack(self.namespace().name(), args, id, |packet| {
            packet.send_to(self.outbox())
        })
    }

    /// Keeps a message until CONNECT is answered.
    pub(super) fn hold(&self, message: &Prepared) {
        let limit = self.namespace().io().config().max_held;
        let mut local = self.locked();
        match self.state() {
            State::Connecting => {
                let rare = local.rare();
                if rare.leave.is_some() {
                    return;
                }
                if rare.held.len() < limit {
                    rare.held.push(message.clone());
                } else {
                    self.count(|counts| &counts.dropped_held, 1);
                    tracing::warn!(socket = %self.id(), "a message was dropped: max_held others wait for CONNECT to be answered");
                }
            }
            State::Connected => {
                drop(local);
                self.0.outbox.send(message);
            }
            State::Ending | State::Gone => {}
        }
    }
}
