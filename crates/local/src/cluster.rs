//! What an application is given: a directory. Each server that joins is a node of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatewire_hub::cluster::{Cluster, ClusterAdapter, ClusterError, SessionBus};
use tokio::runtime::Handle;

use crate::directory::Directory;
use crate::node::node;
use crate::sessions::LocalBus;
use crate::stats::Counters;
use crate::{LocalConfig, Stats};

/// A cluster of the processes that name the same directory. A clone is the same one.
#[derive(Clone)]
pub struct LocalCluster(Arc<Shared>);

/// What the nodes of one process share.
pub(crate) struct Shared {
    path: PathBuf,
    pub(crate) nodes: Directory,
    pub(crate) sessions: Directory,
    pub(crate) config: LocalConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) runtime: Handle,
}

impl LocalCluster {
    /// A cluster in that directory, with the default options. The directory is made if it is not there; the sockets are in
    /// directories within, which are for this user alone: whoever can connect to them can speak for any node.
    ///
    /// # Errors
    /// If sockets cannot be there: it cannot be written to, its path is too long for that (about 80 bytes), or others may
    /// write to it.
    pub async fn at(path: impl AsRef<Path>) -> Result<Self, ClusterError> {
        Self::with_config(path, LocalConfig::default()).await
    }

    /// As [`at`](Self::at), with options.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub async fn with_config(path: impl AsRef<Path>, config: LocalConfig) -> Result<Self, ClusterError> {
        let path = path.as_ref();
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            nodes: Directory::open(&path.join("nodes"))?,
            sessions: Directory::open(&path.join("sessions"))?,
            config,
            counters: Arc::default(),
            runtime: Handle::current(),
        })))
    }

    /// What has become of messages.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.stats()
    }
}

impl Cluster for LocalCluster {
    fn join(&self) -> Arc<dyn ClusterAdapter> {
        Arc::new(node(&self.0))
    }

    fn session_bus(&self) -> Option<Arc<dyn SessionBus>> {
        let is_shared = self.0.config.share_sessions;
        is_shared.then(|| Arc::new(LocalBus::new(self.0.clone())) as Arc<dyn SessionBus>)
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCluster")
            .field("path", &self.0.path)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
