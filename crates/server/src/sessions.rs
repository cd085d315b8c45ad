//! The table of open sessions, shared by all threads: an HTTP request may come on any connection and thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatewire_hub::Id;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::outbox::Outbox;

const SHARDS: usize = 16;

/// Sessions by their id.
pub(crate) struct Sessions {
    shards: [Mutex<HashMap<Id, Arc<Outbox>>>; SHARDS],
    count: AtomicUsize,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            count: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// False, and nothing is changed, if there is a session of that id already.
    #[must_use]
    pub(crate) fn insert(&self, outbox: Arc<Outbox>) -> bool {
        let mut shard = self.shard(outbox.sid.as_str());
        let Entry::Vacant(place) = shard.entry(outbox.sid) else {
            return false;
        };
        place.insert(outbox);
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }

    pub(crate) fn get(&self, sid: &str) -> Option<Arc<Outbox>> {
        let sid = Id::parse(sid)?;
        self.shard(sid.as_str()).get(&sid).cloned()
    }

    pub(crate) fn remove(&self, sid: Id) {
        if self.shard(sid.as_str()).remove(&sid).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Outbox>> {
        (0..SHARDS)
            .flat_map(|shard| self.lock(shard).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Ids are random, so any of their characters spreads them.
    fn shard(&self, sid: &str) -> MutexGuard<'_, HashMap<Id, Arc<Outbox>>> {
        self.lock(usize::from(sid.bytes().next().unwrap_or(0)) % SHARDS)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashMap<Id, Arc<Outbox>>> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
