//! Where the messages of other nodes come in. It does not keep the node: that keeps the connections which keep it.

use std::sync::{Arc, Weak};

use super::Member;
use crate::wire::cluster::{Entry, Message};
use crate::wire::{DecodeError, Frame};

/// The inbox of a node. A clone is the same one.
#[derive(Clone)]
pub struct Inbox(Weak<Member>);

impl Inbox {
    pub(super) fn new(member: &Arc<Member>) -> Self {
        Self(Arc::downgrade(member))
    }

    /// An entry of a stream has come, which is at that offset of the namespace's log.
    pub fn entry(&self, entry: &Entry<'_>, offset: Option<&str>) {
        let Some(member) = self.0.upgrade() else {
            return;
        };
        match entry.body() {
            Ok(body) => member.receive(entry.uid, entry.namespace, body, offset),
            Err(error) => member.carrier.malformed(entry.namespace, &error),
        }
    }

    /// Whether the node is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// A node has gone: questions that it has not answered wait for it no longer.
    pub fn gone(&self, uid: &str) {
        if let Some(member) = self.0.upgrade() {
            member.heard.forget(uid);
            member.requests.gone(uid);
        }
    }

    /// A message has come. `channel` is where from, for the log.
    pub fn receive(&self, channel: &str, message: &[u8]) {
        let Some(member) = self.0.upgrade() else {
            return;
        };
        let read = |frame: &Frame<'_>| -> Result<(), DecodeError> {
            let Message { uid, namespace, body } = frame.message()?;
            member.receive(&uid, &namespace, body, None);
            Ok(())
        };
        let result = Frame::read(message, &member.limits).and_then(|frame| read(&frame));
        if let Err(error) = result {
            member.carrier.malformed(channel, &error);
        }
    }
}
