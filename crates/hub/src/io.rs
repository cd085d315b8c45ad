//! One Socket.IO server: its namespaces, its bounds, and its cluster. It listens to nothing; connections come as
//! [`Client`](crate::Client)s.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use gatewire_proto::engineio::CloseReason;
use tokio::runtime::Handle;

use crate::cluster::ClusterAdapter;
use crate::namespace::Shared;
use crate::{HubConfig, Namespace};

/// A Socket.IO server, `Server` in Node. A clone is another handle of the same one.
#[derive(Clone)]
pub struct Io(Arc<Inner>);

struct Inner {
    config: HubConfig,
    cluster: Option<Arc<dyn ClusterAdapter>>,
    namespaces: RwLock<HashMap<Box<str>, Arc<Shared>>>,
    runtime: Option<Handle>,
}

impl Io {
    /// A server of one process. Large broadcasts are sent by tasks of the runtime that this is called in; without one,
    /// by those of the runtime that emits.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self::build(config, None)
    }

    /// A server that is one node of a cluster.
    #[must_use]
    pub fn with_cluster(config: HubConfig, cluster: Arc<dyn ClusterAdapter>) -> Self {
        Self::build(config, Some(cluster))
    }

    fn build(config: HubConfig, cluster: Option<Arc<dyn ClusterAdapter>>) -> Self {
        let runtime = Handle::try_current().ok();
        Self(Arc::new(Inner {
            config,
            cluster,
            namespaces: RwLock::default(),
            runtime,
        }))
    }

    /// The bounds and defaults.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.0.config
    }

    /// The namespace of that name, created if need be; a leading `/` is added.
    #[must_use]
    pub fn of(&self, name: &str) -> Namespace {
        if let Some(namespace) = self.get(name) {
            return namespace;
        }
        let name = with_slash(name);
        let mut namespaces = self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = namespaces.get(&*name) {
            return Namespace::new(shared.clone(), self.clone());
        }
        let shared = Arc::new(Shared::new(&name));
        namespaces.insert((*name).into(), shared.clone());
        drop(namespaces);
        let namespace = Namespace::new(shared, self.clone());
        if let Some(cluster) = self.cluster() {
            cluster.open(&namespace);
        }
        namespace
    }

    /// The namespace of that name, if it exists; a leading `/` is added.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Namespace> {
        let namespaces = self.0.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        namespaces
            .get(&*with_slash(name))
            .map(|shared| Namespace::new(shared.clone(), self.clone()))
    }

    /// All namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let namespaces = self.0.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        namespaces
            .values()
            .map(|shared| Namespace::new(shared.clone(), self.clone()))
            .collect()
    }

    /// Ends the connections of all sockets, with the reason "server shutting down". The clients are not told to stay
    /// away: they try to come back.
    pub fn close(&self) {
        for namespace in self.namespaces() {
            for socket in namespace.sockets() {
                socket.outbox().close(CloseReason::ServerShuttingDown);
            }
        }
        if let Some(cluster) = self.cluster() {
            cluster.close();
        }
    }

    pub(crate) fn cluster(&self) -> Option<&dyn ClusterAdapter> {
        self.0.cluster.as_deref()
    }

    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.0.runtime.clone().or_else(|| Handle::try_current().ok())
    }
}

impl Default for Io {
    fn default() -> Self {
        Self::new(HubConfig::default())
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("namespaces", &self.namespaces())
            .finish_non_exhaustive()
    }
}

fn with_slash(name: &str) -> Cow<'_, str> {
    if name.starts_with('/') {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("/{name}"))
    }
}
