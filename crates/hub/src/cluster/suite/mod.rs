//! What every cluster adapter must do: a suite of tests for adapters, which the adapters of Gatewire itself run. It needs
//! the feature `conformance`, in `dev-dependencies`, and a function that makes the adapters of a fresh cluster;
//! [`cluster_suite!`](crate::cluster_suite) makes a test of each case. Recovery, which an adapter may have or not, is no
//! part of it.
//!
//! ```
//! use std::sync::Arc;
//! use gatewire_hub::cluster::{Cluster, ClusterAdapter, InProcess};
//!
//! async fn nodes(count: usize) -> Vec<Arc<dyn ClusterAdapter>> {
//!     let cluster = InProcess::new();
//!     (0..count).map(|_| cluster.join()).collect()
//! }
//!
//! mod conforms {
//!     gatewire_hub::cluster_suite!(super::nodes);
//! }
//! ```

mod acks;
mod broadcasts;
mod guest;
mod rooms;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::ClusterAdapter;
use crate::{HubConfig, Id, Io, Namespace};

use guest::Guest;

pub use acks::*;
pub use broadcasts::*;
pub use rooms::*;
pub use servers::*;

/// How long a thing may take that takes no time to speak of.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// How many nodes the cases are run on.
pub const NODES: usize = 3;

/// A test of each case, each on a cluster of its own: `cluster_suite!(nodes)`, where
/// `async fn nodes(count: usize) -> Vec<Arc<dyn ClusterAdapter>>`. What a case needs beside the adapters until its end, a
/// broker for instance, may be with them: `(Vec<Arc<dyn ClusterAdapter>>, Broker)`. Without adapters the cases are left
/// out: who makes none, for instance because there is no broker, says so.
#[macro_export]
macro_rules! cluster_suite {
    ($nodes:path) => {
        $crate::cluster_suite! { @cases $nodes:
            a_broadcast_reaches_every_client_of_every_node
            a_broadcast_reaches_rooms_wherever_they_are
            who_is_excepted_gets_nothing
            a_message_to_an_id_reaches_its_socket
            what_is_local_stays
            flags_are_heeded_on_other_nodes
            binary_arrives_as_it_was
            whatever_json_can_say_arrives
            odd_names_are_names
            namespaces_do_not_hear_each_other
            messages_arrive_once_and_in_order
            clients_of_all_nodes_answer
            who_does_not_answer_is_missing
            nobody_to_ask_is_no_answer
            binary_answers_arrive
            sockets_of_other_nodes_enter_and_leave_rooms
            sockets_of_other_nodes_are_put_out
            sockets_of_all_nodes_are_fetched
            fetched_sockets_are_reached
            servers_hear_of_each_other
            servers_answer_each_other
            servers_that_do_not_answer_are_missing
            nodes_are_counted
            a_namespace_comes_again
        }
    };
    (@cases $nodes:path: $($case:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                use $crate::cluster::suite;
                let (adapters, _kept) = suite::Made::split($nodes(suite::NODES).await);
                if !adapters.is_empty() {
                    suite::$case(suite::Nodes::start(adapters).await).await;
                }
            }
        )*
    };
}

/// What makes a fresh cluster.
pub trait Made {
    /// What is kept until the end of the case.
    type Kept;

    /// The adapters, and the rest.
    fn split(self) -> (Vec<Arc<dyn ClusterAdapter>>, Self::Kept);
}

impl Made for Vec<Arc<dyn ClusterAdapter>> {
    type Kept = ();

    fn split(self) -> (Self, ()) {
        (self, ())
    }
}

impl<K> Made for (Vec<Arc<dyn ClusterAdapter>>, K) {
    type Kept = K;

    fn split(self) -> Self {
        self
    }
}

/// The servers of a fresh cluster that know each other.
pub struct Nodes {
    ios: Vec<Io>,
}

impl Nodes {
    /// A server for each adapter. Ready when each counts all of them.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn start(adapters: Vec<Arc<dyn ClusterAdapter>>) -> Self {
        let config = HubConfig {
            cleanup_empty_child_namespaces: true,
            ..HubConfig::default()
        };
        let start = |adapter| {
            let io = Io::with_cluster(config.clone(), adapter);
            for name in NAMESPACES {
                let _ = io.of(name);
            }
            io
        };
        let nodes = Self {
            ios: adapters.into_iter().map(start).collect(),
        };
        for name in NAMESPACES {
            nodes.know_each_other(name).await;
        }
        nodes
    }

    /// Waits until each node counts all of them in the namespace.
    async fn know_each_other(&self, name: &str) {
        let all = self.ios.len();
        for (index, io) in self.ios.iter().enumerate() {
            let what = format!("node {index} of {all} counts all of them in {name}");
            eventually(&what, async || self.count(io, name).await == all).await;
        }
    }

    async fn count(&self, io: &Io, name: &str) -> usize {
        match io.cluster() {
            Some(cluster) => cluster.server_count(name).await,
            None => 1,
        }
    }

    fn io(&self, node: usize) -> &Io {
        &self.ios[node]
    }

    fn namespace(&self, node: usize, name: &str) -> Namespace {
        self.ios[node].of(name)
    }

    fn main(&self, node: usize) -> Namespace {
        self.namespace(node, "/")
    }

    /// The guest enters rooms. An adapter may need a moment to hear of what is sent there: it is waited for.
    async fn enter(&self, guests: &mut [Guest], index: usize, rooms: &[&str]) {
        let others: Vec<Id> = guests
            .iter()
            .map(Guest::id)
            .filter(|id| *id != guests[index].id())
            .collect();
        let guest = &mut guests[index];
        guest.socket().join(rooms);
        let name = guest.socket().namespace().name().to_owned();
        for room in rooms {
            for node in (0..self.ios.len()).filter(|node| *node != index) {
                let namespace = self.namespace(node, &name);
                let probe = async {
                    let probe = namespace.to(*room).except(&others);
                    loop {
                        probe.emit("probe", &());
                        if guest.comes_soon().await {
                            return;
                        }
                    }
                };
                let heard = tokio::time::timeout(SOON, probe).await;
                assert!(
                    heard.is_ok(),
                    "what node {node} sends to {room} does not reach node {index}"
                );
                namespace.to(guest.id()).emit("heard", &());
                while guest.event().await[0] != "heard" {}
            }
        }
    }

    /// A client of each node, in that namespace.
    fn guests(&self, namespace: &str) -> Vec<Guest> {
        self.ios.iter().map(|io| Guest::join(io, namespace)).collect()
    }
}

const NAMESPACES: [&str; 2] = ["/", "/chat"];

/// Waits until `is_so`; it is asked again and again.
///
/// # Panics
/// If that takes too long.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let trying = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(SOON, trying).await.is_ok(),
        "it takes too long: {what}"
    );
}
