//! The bus by which engines share the sessions of their clients: endpoints of a directory of their own, so that what is
//! relayed for clients does not hold up what the nodes say, nor is held up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::{BusError, BusReceiver, SessionBus};

use crate::cluster::Shared;
use crate::endpoint::{Endpoint, Handler};
use crate::lock;

pub(crate) struct LocalBus {
    cluster: Arc<Shared>,
    /// Those of this process.
    engines: Mutex<HashMap<Id, Endpoint>>,
}

impl LocalBus {
    pub(crate) fn new(cluster: Arc<Shared>) -> Self {
        Self {
            cluster,
            engines: Mutex::default(),
        }
    }
}

impl SessionBus for LocalBus {
    fn join(&self, node: Id, receiver: Weak<dyn BusReceiver>) {
        let endpoint = Endpoint::start(
            node.as_str(),
            self.cluster.sessions.clone(),
            self.cluster.config.clone(),
            self.cluster.counters.clone(),
            Forward(receiver),
            &self.cluster.runtime,
        );
        lock(&self.engines).insert(node, endpoint);
    }

    fn leave(&self, node: Id) {
        if let Some(endpoint) = lock(&self.engines).remove(&node) {
            endpoint.close();
        }
    }

    fn send(&self, from: Id, to: Option<Id>, message: Bytes) -> Result<(), BusError> {
        let engines = lock(&self.engines);
        let endpoint = engines.get(&from).ok_or(BusError::Disconnected)?;
        let is_sent = match to {
            Some(to) => endpoint.send(to.as_str(), &message),
            None => endpoint.send_all(&message),
        };
        if is_sent { Ok(()) } else { Err(BusError::Full) }
    }
}

struct Forward(Weak<dyn BusReceiver>);

impl Handler for Forward {
    fn receive(&self, _peer: &str, message: &[u8]) {
        if let Some(receiver) = self.0.upgrade() {
            receiver.receive(message);
        }
    }

    /// The engines notice by themselves.
    fn gone(&self, _peer: &str) {}
}
