//! Which node has which session, as far as it is remembered: a table that forgets what was not asked for lately.

use gatewire_hub::Id;
use hashbrown::HashMap;

/// The nodes of sessions that are not of this node.
pub(super) struct Owners {
    /// Invariant: each of them has at most half of what may be remembered.
    recent: HashMap<Id, Id>,
    older: HashMap<Id, Id>,
    half: usize,
}

impl Owners {
    pub(super) fn new(max: usize) -> Self {
        Self {
            recent: HashMap::new(),
            older: HashMap::new(),
            half: max / 2,
        }
    }

    pub(super) fn get(&mut self, sid: Id) -> Option<Id> {
        if let Some(node) = self.recent.get(&sid) {
            return Some(*node);
        }
        let node = self.older.remove(&sid)?;
        self.insert(sid, node);
        Some(node)
    }

    pub(super) fn insert(&mut self, sid: Id, node: Id) {
        if self.half == 0 {
            return;
        }
        if self.recent.len() >= self.half {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(sid, node);
    }

    pub(super) fn remove(&mut self, sid: Id) {
        self.recent.remove(&sid);
        self.older.remove(&sid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_kept_and_the_rest_goes() {
        let mut owners = Owners::new(200);
        let (node, kept) = (Id::generate(), Id::generate());
        let sids: Vec<Id> = (0..1_000).map(|_| Id::generate()).collect();
        owners.insert(kept, node);
        for sid in &sids {
            owners.insert(*sid, node);
            assert_eq!(owners.get(kept), Some(node));
            assert!(owners.recent.len() <= 100 && owners.older.len() <= 100);
        }
        assert_eq!(owners.get(sids[0]), None);
        assert_eq!(owners.get(sids[999]), Some(node));
        owners.remove(kept);
        assert_eq!(owners.get(kept), None);
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        let mut owners = Owners::new(0);
        let sid = Id::generate();
        owners.insert(sid, sid);
        assert_eq!(owners.get(sid), None);
    }
}
