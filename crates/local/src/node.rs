//! What carries the messages of one server: an endpoint of the directory `nodes`.

use std::future::ready;
use std::sync::{Arc, OnceLock};

use gatewire_cluster::node::{Carrier, Inbox, Node, Settings, random_name};
use gatewire_cluster::wire::cluster::{Form, Message};
use gatewire_cluster::wire::{DecodeError, Limits};
use gatewire_hub::cluster::ClusterStatus;
use gatewire_hub::{BoxFuture, Namespace};

use crate::cluster::Shared;
use crate::endpoint::{Endpoint, Handler};
use crate::stats::{Counters, add};

struct Mesh {
    endpoint: Endpoint,
    inbox: Arc<OnceLock<Inbox>>,
    counters: Arc<Counters>,
}

/// A new node.
pub(crate) fn node(cluster: &Shared) -> Node {
    let name = random_name();
    let config = &cluster.config;
    let inbox = Arc::<OnceLock<Inbox>>::default();
    let endpoint = Endpoint::start(
        &name,
        cluster.nodes.clone(),
        config.clone(),
        cluster.counters.clone(),
        Forward(inbox.clone()),
        &cluster.runtime,
    );
    let mesh = Mesh {
        endpoint,
        inbox,
        counters: cluster.counters.clone(),
    };
    let settings = Settings {
        uid: name,
        limits: Limits {
            max_bytes: config.max_message,
            ..Limits::default()
        },
        requests_timeout: config.requests_timeout,
    };
    Node::new(settings, mesh)
}

impl Mesh {
    /// In the form that is the shorter way for what is in it.
    fn encoded(&self, message: &Message<'_>, send: impl FnOnce(&[u8])) {
        match message.encode(Form::Text) {
            Ok(bytes) => send(&bytes),
            Err(error) => {
                add(&self.counters.lost, 1);
                tracing::warn!("a message is not sent to the other nodes: {error}");
            }
        }
    }
}

impl Carrier for Mesh {
    fn open(&self, namespace: &Namespace, inbox: &Inbox) {
        self.inbox.get_or_init(|| inbox.clone());
        self.endpoint.open(namespace.name());
    }

    fn close_namespace(&self, namespace: &str) {
        self.endpoint.close_namespace(namespace);
    }

    fn publish(&self, message: &Message<'_>) {
        self.encoded(message, |bytes| {
            self.endpoint.send_all(bytes);
        });
    }

    fn respond(&self, requester: &str, message: &Message<'_>) {
        self.encoded(message, |bytes| {
            self.endpoint.send(requester, bytes);
        });
    }

    fn count(&self, namespace: &str) -> BoxFuture<'static, Option<usize>> {
        let nodes = 1 + self.endpoint.others(namespace).len();
        Box::pin(ready(Some(nodes)))
    }

    fn others(&self, namespace: &str) -> Option<Vec<Box<str>>> {
        Some(self.endpoint.others(namespace))
    }

    fn status(&self) -> ClusterStatus {
        let mut status = ClusterStatus::default();
        let stats = self.counters.stats();
        // The main namespace is on every node.
        status.nodes = Some(1 + self.endpoint.others("/").len());
        status.queued = self.endpoint.queued();
        (status.received, status.lost, status.malformed) = (stats.received, stats.lost, stats.malformed);
        status
    }

    fn malformed(&self, channel: &str, reason: &DecodeError) {
        add(&self.counters.malformed, 1);
        tracing::warn!(node = channel, "a message of another node was skipped: {reason}");
    }

    fn close(&self) {
        self.endpoint.close();
    }
}

/// To the node, once it has a namespace.
struct Forward(Arc<OnceLock<Inbox>>);

impl Handler for Forward {
    fn receive(&self, peer: &str, message: &[u8]) {
        if let Some(inbox) = self.0.get() {
            inbox.receive(peer, message);
        }
    }

    fn gone(&self, peer: &str) {
        if let Some(inbox) = self.0.get() {
            inbox.gone(peer);
        }
    }
}
