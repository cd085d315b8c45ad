//! The way out of one connection, as the hub sees it. What carries the packets, and when, is the implementer's affair.

use gatewire_proto::engineio::{CloseReason, TransportKind};

use crate::plain::Wire;
use crate::{FramedText, Id, Prepared};

/// The sending side of one Engine.IO connection. No call blocks, and each may come from any thread; packets leave in
/// the order of the calls. An implementation must not call back into the hub.
pub trait Outbox: Send + Sync + 'static {
    /// Sends a message that other connections get, too: it is kept by reference count.
    fn send(&self, message: &Prepared);

    /// Sends messages in a row, with one write where the connection allows it.
    fn send_all(&self, messages: &[Prepared]) {
        for message in messages {
            self.send(message);
        }
    }

    /// Sends one small packet for this connection alone: what cannot be written at once is copied.
    fn send_text(&self, text: &FramedText<'_>);

    /// What the hub has put before a plain client's connection; nobody else has one.
    #[doc(hidden)]
    fn wire(&self) -> Option<&Wire> {
        None
    }

    /// Ends the connection after what is queued. The driver then calls [`Client::close`](crate::Client::close).
    fn close(&self, reason: CloseReason);

    /// Ends a plain WebSocket after what is queued, with a code and words for the client (RFC 6455 §7.4); what is no plain
    /// WebSocket has neither.
    fn close_with(&self, code: u16, reason: &str) {
        let _ = (code, reason);
        self.close(CloseReason::ForcedClose);
    }

    /// Notes that the client has sent what nobody can handle. Of a plain client these are counted, and too many end its
    /// connection; Socket.IO does not count.
    fn note_fault(&self) {}

    /// What a plain client that is put out of its namespace is closed with, instead of 1000. Others have no use for it.
    fn set_farewell(&self, code: u16, reason: &str) {
        let _ = (code, reason);
    }

    /// Has the driver call [`Client::poll`](crate::Client::poll) soon.
    fn wake(&self);

    /// Whether a packet would be written at once: volatile messages are dropped otherwise.
    fn is_writable(&self) -> bool;

    /// Whether so little waits to be written that more may be sent without haste. After a `false` the driver calls
    /// [`Client::poll`](crate::Client::poll) once there is room again.
    fn has_room(&self) -> bool {
        true
    }

    /// Whether events that the client does not take are dropped, one by one, and its connection is kept. Asked once.
    fn is_lossy(&self) -> bool {
        false
    }

    /// Whether an event is to be dropped now, of a connection that [is lossy](Self::is_lossy). A `true` counts one.
    fn drops_event(&self) -> bool {
        false
    }

    /// What carries the packets at present.
    fn transport(&self) -> TransportKind;

    /// The id of the session, if it has one.
    fn sid(&self) -> Option<Id> {
        None
    }

    /// The subprotocol that was agreed on in the handshake of a WebSocket (RFC 6455 §1.9).
    fn subprotocol(&self) -> Option<&str> {
        None
    }
}

/// What an outbox that stands before another one, its field `outbox`, leaves to that one.
macro_rules! left_to_next {
    () => {
        fn close(&self, reason: gatewire_proto::engineio::CloseReason) {
            self.outbox.close(reason);
        }

        fn wake(&self) {
            self.outbox.wake();
        }

        fn is_writable(&self) -> bool {
            self.outbox.is_writable()
        }

        fn has_room(&self) -> bool {
            self.outbox.has_room()
        }

        fn is_lossy(&self) -> bool {
            self.outbox.is_lossy()
        }

        fn drops_event(&self) -> bool {
            self.outbox.drops_event()
        }

        fn sid(&self) -> Option<$crate::Id> {
            self.outbox.sid()
        }

        fn subprotocol(&self) -> Option<&str> {
            self.outbox.subprotocol()
        }
    };
}

pub(crate) use left_to_next;
