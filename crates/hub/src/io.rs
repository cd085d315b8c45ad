//! One Socket.IO server: its namespaces, its bounds, and its cluster. It listens to nothing; connections come as
//! [`Client`](crate::Client)s.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use gatewire_proto::engineio::CloseReason;
use tokio::runtime::Handle;

use crate::cluster::ClusterAdapter;
use crate::dynamic::Parent;
use crate::guard::guarded_in;
use crate::hooks::List;
use crate::namespace::Shared;
use crate::recode::{ByParser, Recode};
use crate::recovery::Keeper;
use crate::stats::Meter;
use crate::{ConnectionObserver, HubConfig, Namespace};

/// A Socket.IO server, `Server` in Node. A clone is another handle of the same one.
#[derive(Clone)]
pub struct Io(Arc<Inner>);

/// A handle that does not keep the server: for what the server itself keeps, such as listeners.
#[derive(Clone)]
pub struct WeakIo(Weak<Inner>);

impl WeakIo {
    /// The server, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Io> {
        self.0.upgrade().map(Io)
    }
}

impl fmt::Debug for WeakIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakIo").finish()
    }
}

struct Inner {
    config: HubConfig,
    cluster: OnceLock<Arc<dyn ClusterAdapter>>,
    namespaces: RwLock<Table>,
    parents: List<Arc<Parent>>,
    on_new_namespace: List<OnNewNamespace>,
    observers: List<Arc<dyn ConnectionObserver>>,
    /// Once somebody wants figures.
    meter: OnceLock<Meter>,
    runtime: Option<Handle>,
    /// Made when it is first asked for: until then the server may still join a cluster, which may have a log.
    recovery: OnceLock<Option<Keeper>>,
    /// The form of [`HubConfig::parser`].
    form: Option<Arc<dyn Recode>>,
}

type OnNewNamespace = Arc<dyn Fn(&Namespace) + Send + Sync>;

/// The namespaces that there are.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) by_name: HashMap<Box<str>, Arc<Shared>>,
    /// How many of them have a parent.
    pub(crate) dynamic: usize,
    /// Who hears of each, under the same lock, so that everyone hears of every namespace once.
    on_each: Vec<OnNewNamespace>,
}

/// A namespace that came into being, and who is to hear of it.
pub(crate) struct Opened {
    pub(crate) namespace: Namespace,
    /// Whether the server was in a cluster by then; one that is joined later opens it itself.
    is_clustered: bool,
    on_each: Vec<OnNewNamespace>,
}

impl Table {
    pub(crate) fn insert(&mut self, shared: Shared, io: &Io) -> Opened {
        let namespace = Namespace::new(Arc::new(shared), io.clone());
        self.dynamic += usize::from(namespace.parent().is_some());
        self.by_name
            .insert(namespace.name().into(), namespace.shared().clone());
        Opened {
            namespace,
            is_clustered: io.is_clustered(),
            on_each: self.on_each.clone(),
        }
    }
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
        let form = config.parser.clone();
        Self(Arc::new(Inner {
            form: form.map(|parser| Arc::new(ByParser(parser)) as Arc<dyn Recode>),
            config,
            cluster: cluster.map(OnceLock::from).unwrap_or_default(),
            namespaces: RwLock::default(),
            parents: List::default(),
            on_new_namespace: List::default(),
            observers: List::default(),
            meter: OnceLock::new(),
            runtime,
            recovery: OnceLock::new(),
        }))
    }

    /// Makes the server a node of a cluster; to be called before clients come. What happens in the namespaces that there
    /// are, and in those that come, is carried to the other nodes from now on. A second cluster is not taken, and the answer
    /// is false.
    pub fn use_cluster(&self, cluster: Arc<dyn ClusterAdapter>) -> bool {
        // With the lock, no namespace comes into being that is opened twice, or never.
        let namespaces = self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if self.0.cluster.set(cluster).is_err() {
            return false;
        }
        let present: Vec<_> = namespaces.by_name.values().cloned().collect();
        drop(namespaces);
        if self.0.recovery.get().is_some_and(Option::is_some) {
            tracing::warn!(
                "a cluster is joined after clients came: what is kept for those that lose their connection stays in memory"
            );
        }
        if let Some(cluster) = self.cluster() {
            for shared in present {
                let namespace = Namespace::new(shared, self.clone());
                cluster.open(&namespace);
                if let Some(watcher) = namespace.watcher_if_any() {
                    watcher.joined();
                }
            }
        }
        true
    }

    /// The bounds and defaults.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.0.config
    }

    /// The namespace of that name, created if need be; a leading `/` is added. If the name fits the pattern of a parent
    /// ([`of_pattern`](Self::of_pattern)), it becomes a child of that.
    #[must_use]
    pub fn of(&self, name: &str) -> Namespace {
        if let Some(namespace) = self.get(name) {
            return namespace;
        }
        let name = with_slash(name);
        let mut namespaces = self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = namespaces.by_name.get(&*name) {
            return Namespace::new(shared.clone(), self.clone());
        }
        let parents = self.0.parents.get();
        let shared = match parents.iter().find(|parent| parent.matches(&name)) {
            Some(parent) => parent.child(&name),
            None => Shared::new(&name),
        };
        let opened = namespaces.insert(shared, self);
        drop(namespaces);
        self.opened(&opened);
        opened.namespace
    }

    /// Calls `listener` for each namespace that comes into being from now on, `/` excepted; `new_namespace` in Node.
    pub fn on_new_namespace(&self, listener: impl Fn(&Namespace) + Send + Sync + 'static) {
        self.0.on_new_namespace.push(Arc::new(listener));
    }

    /// Calls `listener` for each namespace that there is, and for each that comes into being from now on, `/` included,
    /// once for each.
    pub fn for_each_namespace(&self, listener: impl Fn(&Namespace) + Send + Sync + 'static) {
        let listener: OnNewNamespace = Arc::new(listener);
        let present: Vec<_> = {
            let mut namespaces = self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner);
            namespaces.on_each.push(listener.clone());
            namespaces.by_name.values().cloned().collect()
        };
        for shared in present {
            let namespace = Namespace::new(shared, self.clone());
            guarded_in(namespace.name(), || listener(&namespace));
        }
    }

    /// Tells that a namespace came into being.
    pub(crate) fn opened(&self, opened: &Opened) {
        let Opened {
            namespace,
            is_clustered,
            on_each,
        } = opened;
        if let Some(cluster) = self.cluster().filter(|_| *is_clustered) {
            cluster.open(namespace);
        }
        for listener in on_each {
            guarded_in(namespace.name(), || listener(namespace));
        }
        if namespace.name() != "/" {
            for listener in &*self.0.on_new_namespace.get() {
                guarded_in(namespace.name(), || listener(namespace));
            }
        }
    }

    /// Ends a namespace of a parent, unless a socket is in it.
    pub(crate) fn close_child(&self, namespace: &Namespace) {
        let mut namespaces = self.0.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if namespace.shared().close_if_empty() {
            namespaces.by_name.remove(namespace.name());
            namespaces.dynamic -= 1;
            // Under the lock, so that the adapter does not hear of the next one of that name before.
            if let Some(cluster) = self.cluster() {
                cluster.close_namespace(namespace.name());
            }
        }
    }

    /// The namespace of that name, if it exists; a leading `/` is added.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Namespace> {
        let namespaces = self.0.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        namespaces
            .by_name
            .get(&*with_slash(name))
            .map(|shared| Namespace::new(shared.clone(), self.clone()))
    }

    /// The main namespace, `/`; `io.sockets` in Node.
    #[must_use]
    pub fn sockets(&self) -> Namespace {
        self.of("/")
    }

    /// Whether the server is one node of a cluster.
    #[must_use]
    pub fn is_clustered(&self) -> bool {
        self.cluster().is_some()
    }

    /// A handle that does not keep the server.
    #[must_use]
    pub fn downgrade(&self) -> WeakIo {
        WeakIo(Arc::downgrade(&self.0))
    }

    /// All namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let namespaces = self.0.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        namespaces
            .by_name
            .values()
            .map(|shared| Namespace::new(shared.clone(), self.clone()))
            .collect()
    }

    /// Ends the connections of all sockets, with the reason "server shutting down", and leaves the cluster. The clients are
    /// not told to stay away: they try to come back. Where an engine feeds the server, that is closed and drained before:
    /// what sockets still do when they leave reaches the cluster, then.
    pub fn close(&self) {
        for namespace in self.namespaces() {
            for socket in namespace.sockets() {
                socket.outbox().close(CloseReason::ServerShuttingDown);
            }
            if let Some(watcher) = namespace.watcher_if_any() {
                watcher.leave();
            }
        }
        if let Some(cluster) = self.cluster() {
            cluster.close();
        }
    }

    /// Lets go of the handlers: what they hold may hold a namespace of this server, and would keep all of it alive.
    /// Sockets that there are keep theirs to their end; new ones find none.
    pub fn release_handlers(&self) {
        for namespace in self.namespaces() {
            namespace.shared().release();
        }
        for parent in &*self.0.parents.get() {
            parent.release();
        }
    }

    pub(crate) fn table(&self) -> &RwLock<Table> {
        &self.0.namespaces
    }

    pub(crate) fn observers(&self) -> &List<Arc<dyn ConnectionObserver>> {
        &self.0.observers
    }

    pub(crate) fn set_meter(&self) {
        self.0.meter.get_or_init(Meter::default);
    }

    /// `None` if nobody wants figures.
    #[inline]
    pub(crate) fn metered(&self) -> Option<&Meter> {
        self.0.meter.get()
    }

    pub(crate) fn parents(&self) -> &List<Arc<Parent>> {
        &self.0.parents
    }

    pub(crate) fn cluster(&self) -> Option<&dyn ClusterAdapter> {
        self.0.cluster.get().map(|cluster| &**cluster)
    }

    /// In which the packets of clients go out, if not in the text form.
    pub(crate) fn form(&self) -> Option<&Arc<dyn Recode>> {
        self.0.form.as_ref()
    }

    /// `None` with recovery off.
    pub(crate) fn recovery(&self) -> Option<&Keeper> {
        let keeper = self.0.recovery.get_or_init(|| {
            let options = self.0.config.connection_state_recovery.clone()?;
            Some(Keeper::new(options, self.0.cluster.get()))
        });
        keeper.as_ref()
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
