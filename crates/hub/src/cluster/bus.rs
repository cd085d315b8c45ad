//! What the engines of a cluster reach each other by when they share sessions: bytes to one node, or to all. What is in
//! them is the engines' affair; the bus reads nothing, promises no delivery, and knows who is there only by their joining.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::Id;
use crate::task;

/// Messages that wait for one node of a [`MemoryBus`]; what comes above is lost, as on any bus that is too slow.
const QUEUE: usize = 16_384;

/// Carries messages between the engines that share their sessions. Whoever can write to the bus can speak for any client:
/// it belongs where clients never come.
///
/// What one node sends to another comes in the order in which it was sent, or not at all, and never twice. No call may
/// block or call a receiver before it returns.
pub trait SessionBus: Send + Sync + 'static {
    /// From now on what is sent to `node`, and what others send to all, goes to `receiver`, one message after another.
    /// Called in a runtime.
    fn join(&self, node: Id, receiver: Weak<dyn BusReceiver>);

    /// Nothing more goes to `node`.
    fn leave(&self, node: Id);

    /// Sends a message to the node `to`, or to all others if it is `None`.
    ///
    /// # Errors
    /// If it is known already that the message does not go out. Without an error it may be lost all the same.
    fn send(&self, from: Id, to: Option<Id>, message: Bytes) -> Result<(), BusError>;
}

/// Whom a [`SessionBus`] gives its messages to. It does not block.
pub trait BusReceiver: Send + Sync + 'static {
    /// A message came.
    fn receive(&self, message: &[u8]);
}

/// Why a message does not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BusError {
    /// As many messages wait as may.
    #[error("the bus is full: messages come faster than it carries them")]
    Full,
    /// There is no connection to what carries the messages.
    #[error("the bus has no connection")]
    Disconnected,
}

/// A bus in memory: the engines of one process, for tests, or for servers of which each has a runtime of its own.
#[derive(Clone, Default)]
pub struct MemoryBus(Arc<Mutex<HashMap<Id, mpsc::Sender<Bytes>>>>);

impl MemoryBus {
    /// A bus that nobody has joined.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, mpsc::Sender<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionBus for MemoryBus {
    fn join(&self, node: Id, receiver: Weak<dyn BusReceiver>) {
        let (sender, mut messages) = mpsc::channel::<Bytes>(QUEUE);
        self.lock().insert(node, sender);
        // Ends with the sender, that is, when the node leaves or the bus is gone.
        task::spawn("gatewire bus", async move {
            while let Some(message) = messages.recv().await {
                let Some(receiver) = receiver.upgrade() else {
                    return;
                };
                receiver.receive(&message);
            }
        });
    }

    fn leave(&self, node: Id) {
        self.lock().remove(&node);
    }

    fn send(&self, from: Id, to: Option<Id>, message: Bytes) -> Result<(), BusError> {
        let nodes = self.lock();
        let result = |sent: Result<(), mpsc::error::TrySendError<Bytes>>| match sent {
            Err(mpsc::error::TrySendError::Full(_)) => Err(BusError::Full),
            // A node that is gone is as one that never was.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        };
        match to {
            Some(to) => nodes
                .get(&to)
                .map_or(Ok(()), |node| result(node.try_send(message))),
            None => nodes
                .iter()
                .filter(|(node, _)| **node != from)
                .map(|(_, node)| result(node.try_send(message.clone())))
                .fold(Ok(()), Result::and),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(mpsc::UnboundedSender<Vec<u8>>);

    impl BusReceiver for Heard {
        fn receive(&self, message: &[u8]) {
            // The test has ended if nobody listens.
            let _ = self.0.send(message.to_vec());
        }
    }

    fn node(bus: &MemoryBus) -> (Id, Arc<Heard>, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (sender, heard) = mpsc::unbounded_channel();
        let (id, receiver) = (Id::generate(), Arc::new(Heard(sender)));
        let weak: Weak<Heard> = Arc::downgrade(&receiver);
        bus.join(id, weak);
        (id, receiver, heard)
    }

    #[tokio::test]
    async fn messages_go_to_one_or_to_all_others() {
        let bus = MemoryBus::new();
        let (a, _a, mut at_a) = node(&bus);
        let (b, _b, mut at_b) = node(&bus);
        let (_, _c, mut at_c) = node(&bus);
        bus.send(a, None, Bytes::from_static(b"all")).unwrap();
        bus.send(a, Some(b), Bytes::from_static(b"b")).unwrap();
        assert_eq!(at_b.recv().await.unwrap(), b"all");
        assert_eq!(at_b.recv().await.unwrap(), b"b");
        assert_eq!(at_c.recv().await.unwrap(), b"all");
        bus.leave(b);
        bus.send(a, Some(b), Bytes::from_static(b"gone")).unwrap();
        bus.send(b, Some(a), Bytes::from_static(b"a")).unwrap();
        assert_eq!(at_a.recv().await.unwrap(), b"a");
        assert!(at_c.try_recv().is_err() && at_a.try_recv().is_err());
    }

    #[tokio::test]
    async fn what_is_too_much_is_an_error() {
        let bus = MemoryBus::new();
        let (a, _a, _) = node(&bus);
        // Nothing runs meanwhile that would take them.
        let sent = (0..=QUEUE).map(|_| bus.send(Id::generate(), Some(a), Bytes::new()));
        assert_eq!(sent.fold(Ok(()), Result::and), Err(BusError::Full));
    }
}
