//! What can be chosen about the instrumentation of a server.

use std::fmt;
use std::sync::Arc;

use crate::{MemoryStore, SessionStore};

/// Options of [`instrument`](crate::instrument()). How admins are let in has to be said; the rest has defaults.
#[derive(Clone)]
pub struct AdminOptions {
    pub(crate) namespace: String,
    pub(crate) basic: Option<Basic>,
    pub(crate) is_readonly: bool,
    pub(crate) server_id: Option<String>,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) mode: Mode,
}

/// A name, and the bcrypt hash of a password.
#[derive(Clone)]
pub(crate) struct Basic {
    pub(crate) username: String,
    pub(crate) hash: String,
}

/// How much admins see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Statistics, every socket with its handshake and data, and every event with its arguments.
    #[default]
    Development,
    /// Statistics alone.
    Production,
}

impl AdminOptions {
    /// Lets in who knows the name and the password of which `hash` is the bcrypt hash (`$2a$`, `$2b$`, `$2x$` or `$2y$`), or
    /// has a session.
    pub fn basic(username: impl Into<String>, hash: impl Into<String>) -> Self {
        Self::new(Some(Basic {
            username: username.into(),
            hash: hash.into(),
        }))
    }

    /// Lets everybody in who reaches the server: for development, or a namespace that middleware guards.
    #[must_use]
    pub fn without_auth() -> Self {
        Self::new(None)
    }

    fn new(basic: Option<Basic>) -> Self {
        Self {
            namespace: "/admin".to_owned(),
            basic,
            is_readonly: false,
            server_id: None,
            store: Arc::new(MemoryStore::default()),
            mode: Mode::default(),
        }
    }

    /// The namespace for admins. Default `/admin`.
    #[must_use]
    pub fn namespace_name(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Whether admins may only look. Default false: they may send events, and move and disconnect sockets.
    #[must_use]
    pub fn readonly(mut self, readonly: bool) -> Self {
        self.is_readonly = readonly;
        self
    }

    /// By which the servers of a cluster are told apart. Default: the name of the host, in a cluster with the id of the
    /// process, `host#pid`.
    #[must_use]
    pub fn server_id(mut self, id: impl Into<String>) -> Self {
        self.server_id = Some(id.into());
        self
    }

    /// Where the sessions of admins are kept. Default: a [`MemoryStore`], which the servers of a cluster do not share.
    #[must_use]
    pub fn store(mut self, store: impl SessionStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// How much admins see. Default: [`Mode::Development`], as in Node.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }
}

/// Without the hash.
impl fmt::Debug for AdminOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminOptions")
            .field("namespace", &self.namespace)
            .field("username", &self.basic.as_ref().map(|basic| &basic.username))
            .field("readonly", &self.is_readonly)
            .field("server_id", &self.server_id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
