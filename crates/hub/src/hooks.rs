//! What a namespace's users have hung on it besides its handler: middleware, and listeners of connections. A namespace
//! without any of them has none of this, and looks at one word to know it.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;

use crate::{ConnectError, Socket};

/// Decides on a CONNECT before the handler does.
pub(crate) type Middleware =
    Arc<dyn Fn(Socket) -> BoxFuture<'static, Result<(), ConnectError>> + Send + Sync>;

/// Hears of a socket that is connected.
pub(crate) type OnConnection = Arc<dyn Fn(&Socket) + Send + Sync>;

/// The hooks of one namespace.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) middleware: List<Middleware>,
    pub(crate) connection: List<OnConnection>,
}

impl Hooks {
    /// The same hooks for another namespace; nothing if there are none.
    pub(crate) fn copy(&self) -> Option<Box<Self>> {
        let copy = Self {
            middleware: self.middleware.copy(),
            connection: self.connection.copy(),
        };
        let is_empty = copy.middleware.get().is_empty() && copy.connection.get().is_empty();
        (!is_empty).then(|| Box::new(copy))
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
