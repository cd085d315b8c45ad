//! What a client tells of its connection: to the observers, if there are any, and to its sockets' listeners.

use super::Client;
use crate::DisconnectReason;
use crate::observe::ObservedConnection;

impl Client {
    /// To be called when the packets go over another transport than before.
    pub fn upgraded(&mut self) {
        if let Some(observed) = self.observed() {
            observed.upgraded();
        }
        for entry in &self.entries {
            entry.socket.tell_upgraded();
        }
    }

    fn observed(&self) -> Option<&ObservedConnection> {
        self.rare.as_ref()?.observed.as_deref()
    }

    #[inline]
    pub(crate) fn observe_received(&self, bytes: usize) {
        if let Some(observed) = self.observed() {
            observed.received(bytes);
        }
    }

    pub(super) fn observe_closed(&self, reason: DisconnectReason) {
        if let Some(observed) = self.observed() {
            observed.closed(reason);
        }
    }
}
