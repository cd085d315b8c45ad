//! Listeners of what changes about a socket while it is connected: its transport, and the data that others see.

use std::any::{Any, TypeId};
use std::sync::Arc;

use gatewire_proto::engineio::TransportKind;
use serde_json::Value;

use super::listen::CHANGES;
use super::{ListenerId, Socket};
use crate::guard::guarded;

pub(super) type OnUpgrade = Arc<dyn Fn(&Socket, TransportKind) + Send + Sync>;
pub(super) type OnDataChange = Arc<dyn Fn(&Socket, &Value) + Send + Sync>;

/// Changes. The listeners are dropped when the socket has left.
impl Socket {
    /// Calls `listener` when the connection has gone over to another transport; `upgrade` of `socket.conn` in Node.
    pub fn on_upgrade(&self, listener: impl Fn(&Self, TransportKind) + Send + Sync + 'static) -> ListenerId {
        let call: OnUpgrade = Arc::new(listener);
        self.add(|listeners, id| listeners.upgrade.push((id, call)))
    }

    /// Calls `listener` with what [`set_data`](Self::set_data) keeps, each time it was set or taken away (`null`).
    pub fn on_data_change(&self, listener: impl Fn(&Self, &Value) + Send + Sync + 'static) -> ListenerId {
        let call: OnDataChange = Arc::new(listener);
        self.add(|listeners, id| listeners.data_change.push((id, call)))
    }

    pub(crate) fn tell_upgraded(&self) {
        if !self.uses(CHANGES) {
            return;
        }
        let transport = self.transport();
        for (_, call) in &self.listeners().unwrap_or_default().upgrade {
            guarded(self, || call(self, transport));
        }
    }

    /// Tells that the value of type `T` was changed, if that is the one which others see.
    pub(super) fn tell_data_change<T: Any>(&self) {
        if !self.uses(CHANGES) || TypeId::of::<T>() != TypeId::of::<Value>() {
            return;
        }
        let data = self.data_json();
        for (_, call) in &self.listeners().unwrap_or_default().data_change {
            guarded(self, || call(self, &data));
        }
    }
}
