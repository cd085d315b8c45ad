//! What a namespace's users have hung on it besides its handler: middleware, and listeners of connections, rooms and
//! other servers. A namespace
//! without any of them has none of this, and looks at one word to know it.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::{BoxFuture, FutureExt};

use crate::server_side::OnServerSide;
use crate::{ConnectError, Id, Namespace, Socket};

/// Decides on a CONNECT before the handler does.
pub(crate) type Middleware =
    Arc<dyn Fn(Socket) -> BoxFuture<'static, Result<(), ConnectError>> + Send + Sync>;

/// What happened to a room of a namespace, the rooms of the sockets' own ids included: `create-room`, `delete-room`,
/// `join-room` and `leave-room` of the Node server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent<'a> {
    /// Its first socket is about to be told.
    Created {
        /// The room.
        room: &'a str,
    },
    /// Its last socket has left.
    Deleted {
        /// The room.
        room: &'a str,
    },
    /// A socket has entered.
    Joined {
        /// The room.
        room: &'a str,
        /// The socket.
        id: Id,
    },
    /// A socket has left.
    Left {
        /// The room.
        room: &'a str,
        /// The socket.
        id: Id,
    },
}

/// Hears of rooms.
pub(crate) type OnRoom = Arc<dyn Fn(&Namespace, RoomEvent<'_>) + Send + Sync>;

/// Hears of a socket that is connected; none of its events is handled before the future, if there is one, is ready.
pub(crate) type OnConnection = Arc<dyn Fn(&Socket) -> Option<BoxFuture<'static, ()>> + Send + Sync>;

/// The hooks of one namespace.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) middleware: List<Middleware>,
    pub(crate) connection: List<OnConnection>,
    pub(crate) rooms: List<OnRoom>,
    pub(crate) server_side: List<(Box<str>, OnServerSide)>,
}

impl Hooks {
    pub(crate) fn add_connection(&self, listener: impl Fn(&Socket) + Send + Sync + 'static) {
        self.connection.push(Arc::new(move |socket| {
            listener(socket);
            None
        }));
    }

    pub(crate) fn add_async_connection<F, Fut>(&self, listener: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.connection
            .push(Arc::new(move |socket| Some(listener(socket.clone()).boxed())));
    }

    /// The same hooks for another namespace.
    pub(crate) fn copy(&self) -> Self {
        Self {
            middleware: self.middleware.copy(),
            connection: self.connection.copy(),
            rooms: self.rooms.copy(),
            server_side: self.server_side.copy(),
        }
    }
}

/// A list that is read without a lock being held while its elements are used, and rarely added to.
pub(crate) struct List<T>(RwLock<Arc<[T]>>);

impl<T: Clone> List<T> {
    pub(crate) fn push(&self, element: T) {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *list = list.iter().cloned().chain([element]).collect();
    }

    fn copy(&self) -> Self {
        Self(RwLock::new(self.get()))
    }

    /// The elements as they are now.
    pub(crate) fn get(&self) -> Arc<[T]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(RwLock::new(Arc::new([])))
    }
}
