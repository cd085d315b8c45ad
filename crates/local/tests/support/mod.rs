//! What the tests have in common: a directory of their own, nodes that can be killed, and peers by hand, which the tests of
//! the hub have.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of each test file, which uses its own part"
)]

#[path = "../../../hub/tests/support/mod.rs"]
mod hub;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatewire_hub::cluster::{Cluster, ClusterAdapter};
use gatewire_hub::{HubConfig, Io, Namespace};
use gatewire_local::{LocalCluster, LocalConfig};
use tokio::runtime::{Builder, Runtime};

pub use hub::waiting::{PATIENCE, eventually, receive};
pub use hub::{Peer, Script};

/// A directory that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gatewire-local-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The names of the sockets of nodes.
    pub fn sockets(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join("nodes")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test that failed early has none.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that is a node of the cluster.
pub struct Node {
    pub io: Io,
    pub adapter: Arc<dyn ClusterAdapter>,
    pub cluster: LocalCluster,
    runtime: Option<Runtime>,
}

impl Node {
    pub async fn start(folder: &Folder, config: LocalConfig) -> Self {
        let cluster = LocalCluster::with_config(folder.path(), config).await.unwrap();
        let adapter = cluster.join();
        let io = Io::with_cluster(HubConfig::default(), adapter.clone());
        let _ = io.of("/");
        Self {
            io,
            adapter,
            cluster,
            runtime: None,
        }
    }

    /// One whose connections have a runtime of their own, as if it were a process.
    pub async fn start_apart(folder: &Folder, config: LocalConfig) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let path = folder.path().to_owned();
        let starting = runtime.spawn(async move { Self::start(&Folder(path).kept(), config).await });
        let mut node = starting.await.unwrap();
        node.runtime = Some(runtime);
        node
    }

    /// Ends it as a signal would: nothing is said, and its socket stays.
    pub fn kill(mut self) {
        self.stop();
        std::mem::forget(self);
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Waits until there are so many nodes.
    pub async fn meet(&self, count: usize) {
        eventually("the nodes to meet", async || {
            self.adapter.server_count("/").await == count
        })
        .await;
    }

    pub fn main(&self) -> Namespace {
        self.io.of("/")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Folder {
    /// The same directory, which is not removed with this.
    fn kept(self) -> std::mem::ManuallyDrop<Self> {
        std::mem::ManuallyDrop::new(self)
    }
}
