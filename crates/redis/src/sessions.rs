//! The bus by which engines share their sessions, over channels of Redis: one that all nodes hear, and one for each. It has
//! connections of its own, so that what is relayed for clients does not hold up what the adapter sends, nor is held up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::{BusError, BusReceiver, SessionBus};

use crate::adapter::{Role, Shared};
use crate::connection::{Publisher, Receiver, Subscriber, Topic};
use crate::lock;

/// The bus of one adapter.
pub(crate) struct RedisBus {
    shared: Arc<Shared>,
    publisher: Publisher,
    /// The subscriptions of each node of this process.
    nodes: Mutex<HashMap<Id, Subscriber>>,
}

impl RedisBus {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let Shared {
            config,
            source,
            status,
            runtime,
            ..
        } = &**shared;
        Self {
            shared: shared.clone(),
            publisher: Publisher::start(source.clone(), config, status, None, runtime),
            nodes: Mutex::default(),
        }
    }

    /// The channel of one node, or of all.
    fn channel(&self, node: Option<Id>) -> String {
        let prefix = &self.shared.config.session_channel;
        match node {
            Some(node) => format!("{prefix}#{node}"),
            None => format!("{prefix}#"),
        }
    }
}

impl SessionBus for RedisBus {
    fn join(&self, node: Id, receiver: Weak<dyn BusReceiver>) {
        let subscriber = self.shared.subscriber(Role::Node);
        for channel in [self.channel(None), self.channel(Some(node))] {
            let receiver = Arc::new(Forward(receiver.clone()));
            subscriber.subscribe(Topic::Channel(channel.into()), receiver);
        }
        lock(&self.nodes).insert(node, subscriber);
    }

    fn leave(&self, node: Id) {
        lock(&self.nodes).remove(&node);
    }

    fn send(&self, _from: Id, to: Option<Id>, message: Bytes) -> Result<(), BusError> {
        self.publisher.publish(&self.channel(to), &message);
        Ok(())
    }
}

struct Forward(Weak<dyn BusReceiver>);

impl Receiver for Forward {
    fn receive(&self, _channel: &str, message: Bytes) {
        if let Some(receiver) = self.0.upgrade() {
            receiver.receive(&message);
        }
    }
}
