//! The sessions of admins: who has logged in comes back by a session id, without the password.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};
use tokio::time::Instant;

/// Keeps the ids of sessions. One that is shared by all servers of a cluster lets an admin log in once.
pub trait SessionStore: Send + Sync + 'static {
    /// Whether there is such a session. A store that cannot tell says false: the admin logs in again.
    fn does_session_exist(&self, id: &str) -> BoxFuture<'static, bool>;

    /// Keeps a session that has just begun.
    fn save_session(&self, id: &str) -> BoxFuture<'static, ()>;
}

/// Keeps sessions in memory, the last 1,024, for 24 hours each.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    id: Box<str>,
    until: Instant,
}

impl MemoryStore {
    const MAX_SESSIONS: usize = 1_024;
    const DURATION: Duration = Duration::from_secs(86_400);

    /// A store without sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sessions that have not ended, which are in the order of their beginnings.
    fn with_current<T>(&self, use_them: impl FnOnce(&mut VecDeque<Kept>) -> T) -> T {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while sessions.front().is_some_and(|session| session.until <= now) {
            sessions.pop_front();
        }
        use_them(&mut sessions)
    }
}

impl SessionStore for MemoryStore {
    fn does_session_exist(&self, id: &str) -> BoxFuture<'static, bool> {
        let exists = self.with_current(|sessions| sessions.iter().any(|session| *session.id == *id));
        future::ready(exists).boxed()
    }

    fn save_session(&self, id: &str) -> BoxFuture<'static, ()> {
        self.with_current(|sessions| {
            if sessions.len() >= Self::MAX_SESSIONS {
                sessions.pop_front();
            }
            sessions.push_back(Kept {
                id: id.into(),
                until: Instant::now() + Self::DURATION,
            });
        });
        future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_end_and_are_bounded() {
        let store = MemoryStore::new();
        store.save_session("first").await;
        assert!(store.does_session_exist("first").await);
        assert!(!store.does_session_exist("other").await);
        tokio::time::advance(MemoryStore::DURATION).await;
        assert!(!store.does_session_exist("first").await);
        store.save_session("second").await;
        for at in 0..MemoryStore::MAX_SESSIONS {
            assert!(store.does_session_exist("second").await);
            store.save_session(&at.to_string()).await;
        }
        assert!(!store.does_session_exist("second").await);
        assert!(store.does_session_exist("0").await);
    }
}
