//! Recovery through a cluster adapter: a message gets its offset from the adapter's log before it is delivered, and a
//! client may come back to another node than the one it lost.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Missed;
use crate::{Broadcast, Prepared};

/// A message of this node that its sockets get when it has its place in the log. Dropped, it is delivered without one, so
/// that it is delivered once whatever happens.
#[must_use = "the sockets of this node get the message when it is delivered"]
pub struct Delivery(Option<(Prepared, Broadcast)>);

impl Delivery {
    pub(crate) fn new(message: Prepared, broadcast: Broadcast) -> Self {
        Self(Some((message, broadcast)))
    }

    /// The message is kept at that offset: sends it, with the offset, to the sockets of this node.
    pub fn at(mut self, offset: &str) {
        self.send(|message| message.with_offset(offset));
    }

    /// It is not known whether the message is kept: sends it without an offset.
    pub fn without_offset(self) {}

    fn send(&mut self, then: impl FnOnce(Prepared) -> Prepared) {
        if let Some((message, broadcast)) = self.0.take() {
            broadcast.send_here(then(message));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.send(|message| message);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delivery")
            .field(&self.0.as_ref().map(|(message, _)| message))
            .finish()
    }
}

/// How long after its return a socket may be handed messages that it got from the log already.
const OVERLAP: Duration = Duration::from_secs(30);

/// What a socket that came back got from the log: the same messages may still be on their way to this node.
pub(crate) struct Seen {
    offsets: HashSet<String>,
    until: Instant,
}

impl Seen {
    pub(crate) fn new(missed: &[Missed]) -> Self {
        Self {
            offsets: missed.iter().map(|missed| missed.offset.clone()).collect(),
            until: Instant::now() + OVERLAP,
        }
    }

    pub(crate) fn has(&self, message: &Prepared) -> bool {
        message
            .offset()
            .is_some_and(|offset| self.offsets.contains(offset))
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() > self.until
    }
}
