//! Who hears of whole connections: that they open, upgrade and close, and of each message with its size. In Node these are
//! the events of `io.engine` and `socket.conn`. An outbox of its own counts what is sent, so that a server without an
//! observer pays nothing for this.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatewire_proto::engineio::TransportKind;

use crate::guard::guarded_in;
use crate::outbox::left_to_next;
use crate::{DisconnectReason, FramedText, Handshake, Id, Io, Message, Outbox, Prepared};

/// Hears of the connections of a server: see [`Io::observe_connections`]. The calls come from any thread, in the middle of
/// receiving and sending: none may block, nor send anything. A panic is caught and logged.
pub trait ConnectionObserver: Send + Sync + 'static {
    /// A connection was opened; `connection` of `io.engine` in Node.
    fn opened(&self, connection: &ObservedConnection) {
        let _ = connection;
    }

    /// The connection goes over another transport from now on; `upgrade` of `socket.conn` in Node.
    fn upgraded(&self, connection: &ObservedConnection) {
        let _ = connection;
    }

    /// A message came, of so many bytes without its Engine.IO type; `packet` of `socket.conn` in Node.
    fn received(&self, connection: &ObservedConnection, bytes: usize) {
        let _ = (connection, bytes);
    }

    /// A message goes out, of so many bytes without its Engine.IO type; `packetCreate` of `socket.conn` in Node. One that
    /// the connection takes no more, for it ends, is told, too.
    fn sent(&self, connection: &ObservedConnection, bytes: usize) {
        let _ = (connection, bytes);
    }

    /// The connection has ended, or is about to. Called once for each that was opened.
    fn closed(&self, connection: &ObservedConnection, reason: DisconnectReason) {
        let _ = (connection, reason);
    }
}

impl Io {
    /// Has `observer` hear of each connection that is opened from now on. There may be several observers.
    pub fn observe_connections(&self, observer: Arc<dyn ConnectionObserver>) {
        self.observers().push(observer);
    }
}

/// A connection that observers hear of, whatever namespaces it is in.
pub struct ObservedConnection {
    handshake: Arc<Handshake>,
    outbox: Arc<dyn Outbox>,
    observers: Arc<[Arc<dyn ConnectionObserver>]>,
    /// The bytes of a text that are its Engine.IO type.
    type_bytes: usize,
    /// As observers were told last; the outbox may know better already.
    is_polling: AtomicBool,
    is_closed: AtomicBool,
}

impl ObservedConnection {
    /// `None` if nobody observes. Texts begin with so many bytes that are not counted.
    pub(crate) fn open(
        io: &Io,
        type_bytes: usize,
        outbox: &Arc<dyn Outbox>,
        handshake: &Arc<Handshake>,
    ) -> Option<Arc<Self>> {
        let observers = io.observers().get();
        if observers.is_empty() {
            return None;
        }
        let connection = Arc::new(Self {
            handshake: handshake.clone(),
            type_bytes,
            is_polling: AtomicBool::new(outbox.transport() == TransportKind::Polling),
            is_closed: AtomicBool::new(false),
            outbox: outbox.clone(),
            observers,
        });
        connection.tell(|observer| observer.opened(&connection));
        Some(connection)
    }

    /// The id of the session: the key to it, not to be shown to other clients. `None` if the outbox knows none.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        self.outbox.sid()
    }

    /// The request that opened the connection.
    #[must_use]
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }

    /// The transport, as [`opened`](ConnectionObserver::opened) and [`upgraded`](ConnectionObserver::upgraded) told it.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        match self.outbox.transport() {
            TransportKind::Sse => TransportKind::Sse,
            _ if self.is_polling.load(Ordering::Acquire) => TransportKind::Polling,
            _ => TransportKind::WebSocket,
        }
    }

    pub(crate) fn upgraded(&self) {
        let is_polling = self.outbox.transport() == TransportKind::Polling;
        if self.is_polling.swap(is_polling, Ordering::AcqRel) != is_polling {
            self.tell(|observer| observer.upgraded(self));
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.tell(|observer| observer.received(self, bytes));
    }

    /// Only the first call does anything.
    pub(crate) fn closed(&self, reason: DisconnectReason) {
        if !self.is_closed.swap(true, Ordering::AcqRel) {
            self.tell(|observer| observer.closed(self, reason));
        }
    }

    fn sent(&self, bytes: usize) {
        self.tell(|observer| observer.sent(self, bytes));
    }

    fn sent_all_of(&self, message: &Prepared) {
        for message in message.messages() {
            self.sent(match message {
                Message::Text(text) => text.len().saturating_sub(self.type_bytes),
                Message::Binary(data) => data.len(),
            });
        }
    }

    fn tell(&self, call: impl Fn(&dyn ConnectionObserver)) {
        for observer in &*self.observers {
            guarded_in("an observer's", || call(&**observer));
        }
    }
}

impl fmt::Debug for ObservedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedConnection")
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

/// Stands before the connection's own outbox, behind the parser's: what it counts is what goes out.
impl Outbox for ObservedConnection {
    fn send(&self, message: &Prepared) {
        self.sent_all_of(message);
        self.outbox.send(message);
    }

    fn send_all(&self, messages: &[Prepared]) {
        for message in messages {
            self.sent_all_of(message);
        }
        self.outbox.send_all(messages);
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.sent(text.text().len().saturating_sub(self.type_bytes));
        self.outbox.send_text(text);
    }

    fn close_with(&self, code: u16, reason: &str) {
        self.outbox.close_with(code, reason);
    }

    fn transport(&self) -> TransportKind {
        self.outbox.transport()
    }

    left_to_next!();
}
