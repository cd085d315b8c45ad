//! What the tests have in common: Redis servers of their own, servers that are nodes of a cluster, and peers by hand, which
//! the tests of the hub have.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of each test file, which uses its own part"
)]

pub mod operations;
pub mod proxy;
pub mod server;

#[path = "../../../hub/tests/support/mod.rs"]
mod hub;

use std::sync::Arc;

use gatewire_hub::cluster::{Cluster, ClusterAdapter};
use gatewire_hub::{HubConfig, Io, Namespace};
use gatewire_redis::{RedisAdapter, RedisConfig};

pub use hub::waiting::{PATIENCE, eventually, receive};
pub use hub::{Peer, Script};
pub use server::{Redis, RedisCluster};

/// A server that is a node of the cluster.
pub struct Node {
    pub io: Io,
    pub cluster: Arc<dyn ClusterAdapter>,
    pub adapter: RedisAdapter,
}

impl Node {
    pub async fn start(url: &str, config: &RedisConfig) -> Self {
        Self::start_with(url, config, HubConfig::default()).await
    }

    pub async fn start_with(url: &str, config: &RedisConfig, hub: HubConfig) -> Self {
        let adapter = RedisAdapter::connect_with(url, config.clone()).await.unwrap();
        let cluster = adapter.join();
        let io = Io::with_cluster(hub, cluster.clone());
        let _ = io.of("/");
        Self { io, cluster, adapter }
    }

    /// Several, which know each other.
    pub async fn start_all<const N: usize>(url: &str, config: &RedisConfig, hub: &HubConfig) -> [Self; N] {
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(Self::start_with(url, config, hub.clone()).await);
        }
        for node in &nodes {
            node.meet(N).await;
        }
        nodes.try_into().unwrap_or_else(|_| unreachable!())
    }

    /// Waits until there are so many nodes.
    pub async fn meet(&self, count: usize) {
        eventually("the nodes to meet", async || {
            self.cluster.server_count("/").await == count
        })
        .await;
    }

    pub fn main(&self) -> Namespace {
        self.io.of("/")
    }
}

/// The adapters of a fresh cluster, for the suite of the hub, and their Redis; none without one.
pub async fn conforming(count: usize, config: &RedisConfig) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    if !server::is_there() {
        return (Vec::new(), None);
    }
    let redis = Redis::start();
    let mut nodes = Vec::new();
    for _ in 0..count {
        let adapter = RedisAdapter::connect_with(&redis.url(), config.clone()).await;
        nodes.push(adapter.unwrap().join());
    }
    (nodes, Some(redis))
}
