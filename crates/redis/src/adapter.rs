//! What an application is given: Redis, and how to speak over it. Each server that joins is a node of its own.

use std::fmt;
use std::sync::Arc;

use gatewire_hub::cluster::{Cluster, ClusterAdapter, ClusterError, SessionBus};
use tokio::runtime::Handle;

use crate::classic::Classic;
use crate::connection::{Publisher, Source, Status, Subscriber, connect};
use crate::node::{Settings, random_name};
use crate::sessions::RedisBus;
use crate::wire::Limits;
use crate::wire::cluster::EMITTER;
use crate::{Mode, RedisConfig, Stats, sharded, streams};

/// A cluster over Redis. A clone is the same one.
#[derive(Clone)]
pub struct RedisAdapter(pub(crate) Arc<Shared>);

/// What the nodes of one adapter share.
pub(crate) struct Shared {
    pub(crate) config: RedisConfig,
    pub(crate) source: Arc<Source>,
    pub(crate) status: Arc<Status>,
    pub(crate) publisher: Publisher,
    pub(crate) runtime: Handle,
}

/// What a node is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has clients.
    Node,
    /// It only sends, and hears of nothing.
    Emitter,
}

impl Role {
    /// The name of a new node.
    pub(crate) fn name(self) -> Box<str> {
        match self {
            Self::Node => random_name(),
            Self::Emitter => EMITTER.into(),
        }
    }
}

impl Shared {
    /// What a node of that name is made with.
    pub(crate) fn settings(&self, uid: Box<str>) -> Settings {
        Settings {
            uid,
            limits: Limits {
                max_bytes: self.config.max_message,
                ..Limits::default()
            },
            requests_timeout: self.config.requests_timeout,
        }
    }

    /// The subscriptions of a new node.
    pub(crate) fn subscriber(&self, role: Role) -> Subscriber {
        match role {
            Role::Node => Subscriber::start(self.source.clone(), &self.config, &self.status, &self.runtime),
            Role::Emitter => Subscriber::idle(&self.config, &self.status),
        }
    }

    /// A new node.
    pub(crate) fn node(self: &Arc<Self>, role: Role) -> Arc<dyn ClusterAdapter> {
        match &self.config.mode {
            Mode::Classic(classic) => Arc::new(Classic::new(self.clone(), classic.clone(), role)),
            Mode::Sharded(sharded) => Arc::new(sharded::node(self, sharded, role)),
            Mode::Streams(streams) => Arc::new(streams::node(self, streams, role)),
        }
    }
}

impl RedisAdapter {
    /// Connects to Redis, with the default options: compatible with `createAdapter` of `@socket.io/redis-adapter`.
    ///
    /// The URL is one of
    /// `redis://[user:password@]host[:port][/db]`, `redis-cluster://[user:password@]host[:port],..` and
    /// `redis-sentinel://[user:password@]host[:port],..[/db]#service`; with the feature `tls`, `rediss` in place of
    /// `redis` is encrypted.
    ///
    /// # Errors
    /// If the URL is none, or Redis does not answer, or cannot do what the mode needs. The error does not name user and
    /// password.
    pub async fn connect(url: &str) -> Result<Self, ClusterError> {
        Self::connect_with(url, RedisConfig::default()).await
    }

    /// As [`connect`](Self::connect), with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); that Redis does not answer is no error with
    /// [`start_detached`](RedisConfig::start_detached).
    pub async fn connect_with(url: &str, config: RedisConfig) -> Result<Self, ClusterError> {
        let source = Arc::new(Source::new(url, &config)?);
        let link = match connect(&source).await {
            Ok((mut link, broken)) => {
                if let Mode::Sharded(_) = config.mode {
                    sharded::check(&mut link).await?;
                }
                Some((link, broken))
            }
            Err(_) if config.start_detached => None,
            Err(error) => {
                return Err(ClusterError::Unreachable {
                    address: source.address().to_owned(),
                    reason: error.to_string(),
                    advice:
                        "start Redis or correct the URL; with RedisConfig::start_detached the node starts \
                             without it and joins when it is there"
                            .to_owned(),
                });
            }
        };
        let status = Status::new(source.address());
        let runtime = Handle::current();
        let publisher = Publisher::start(source.clone(), &config, &status, link, &runtime);
        Ok(Self(Arc::new(Shared {
            config,
            source,
            status,
            publisher,
            runtime,
        })))
    }

    /// What has become of messages and connections.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.status.stats()
    }
}

impl Cluster for RedisAdapter {
    fn join(&self) -> Arc<dyn ClusterAdapter> {
        self.0.node(Role::Node)
    }

    fn session_bus(&self) -> Option<Arc<dyn SessionBus>> {
        let is_shared = self.0.config.share_sessions;
        is_shared.then(|| Arc::new(RedisBus::new(&self.0)) as Arc<dyn SessionBus>)
    }
}

impl fmt::Debug for RedisAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAdapter")
            .field("address", &self.0.source.address())
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
