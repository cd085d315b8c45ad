//! Who is in which room on which node, as far as this node has been told. It sends nothing and knows no time.

use std::collections::HashMap;

use serde_json::Value;

use crate::{Id, Room};

/// A socket in a room, and what is known of it.
pub(super) type Entry = (Id, Value);

/// What has become of a socket in a room of the cluster: its first place there is a join, its last a leave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) room: Room,
    pub(super) id: Id,
    pub(super) data: Value,
    pub(super) is_join: bool,
}

/// The nodes' members, by room and socket. A socket that changes its node may be on both for a moment.
#[derive(Default)]
pub(super) struct Roster(HashMap<Room, HashMap<Id, Vec<(Id, Value)>>>);

impl Roster {
    pub(super) fn insert(&mut self, node: Id, room: &Room, id: Id, data: &Value) -> Option<Change> {
        let places = self.0.entry(room.clone()).or_default().entry(id).or_default();
        if let Some((_, known)) = places.iter_mut().find(|(place, _)| *place == node) {
            known.clone_from(data);
            return None;
        }
        places.push((node, data.clone()));
        (places.len() == 1).then(|| Change {
            room: room.clone(),
            id,
            data: data.clone(),
            is_join: true,
        })
    }

    pub(super) fn remove(&mut self, node: Id, room: &Room, id: Id) -> Option<Change> {
        let members = self.0.get_mut(room)?;
        let places = members.get_mut(&id)?;
        let at = places.iter().position(|(place, _)| *place == node)?;
        let (_, data) = places.swap_remove(at);
        if !places.is_empty() {
            return None;
        }
        members.remove(&id);
        if members.is_empty() {
            self.0.remove(room);
        }
        Some(Change {
            room: room.clone(),
            id,
            data,
            is_join: false,
        })
    }

    /// A node tells all its members of a room.
    pub(super) fn replace(&mut self, node: Id, room: &Room, entries: &[Entry]) -> Vec<Change> {
        let gone: Vec<Id> = self
            .of_node(node, room)
            .into_iter()
            .map(|(id, _)| id)
            .filter(|id| entries.iter().all(|(other, _)| other != id))
            .collect();
        let mut changes: Vec<Change> = gone
            .into_iter()
            .filter_map(|id| self.remove(node, room, id))
            .collect();
        changes.extend(
            entries
                .iter()
                .filter_map(|(id, data)| self.insert(node, room, *id, data)),
        );
        changes
    }

    /// A node is gone.
    pub(super) fn forget(&mut self, node: Id) -> Vec<Change> {
        let rooms: Vec<Room> = self.0.keys().cloned().collect();
        rooms
            .iter()
            .flat_map(|room| self.replace(node, room, &[]))
            .collect()
    }

    /// Of other rooms nobody wants to know any more.
    pub(super) fn retain(&mut self, is_watched: impl Fn(&Room) -> bool) {
        self.0.retain(|room, _| is_watched(room));
    }

    pub(super) fn of_node(&self, node: Id, room: &Room) -> Vec<Entry> {
        let members = self.0.get(room).into_iter().flatten();
        members
            .filter_map(|(id, places)| {
                let (_, data) = places.iter().find(|(place, _)| *place == node)?;
                Some((*id, data.clone()))
            })
            .collect()
    }

    /// Everyone in the room, once.
    pub(super) fn members(&self, room: &Room) -> Vec<Entry> {
        let members = self.0.get(room).into_iter().flatten();
        members
            .filter_map(|(id, places)| Some((*id, places.first()?.1.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(usize, usize, usize),
        Remove(usize, usize, usize),
        Replace(usize, usize, Vec<usize>),
        Forget(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let place = || (0..3_usize, 0..2_usize, 0..4_usize);
        let step = prop_oneof![
            place().prop_map(|(node, room, id)| Step::Insert(node, room, id)),
            place().prop_map(|(node, room, id)| Step::Remove(node, room, id)),
            (0..3_usize, 0..2_usize, prop::collection::vec(0..4_usize, 0..4))
                .prop_map(|(node, room, ids)| Step::Replace(node, room, ids)),
            (0..3_usize).prop_map(Step::Forget),
        ];
        prop::collection::vec(step, 0..40)
    }

    proptest! {
        /// Who follows the changes knows who is there.
        #[test]
        fn changes_tell_everything(steps in steps()) {
            let ids: Vec<Id> = (0..4).map(|_| Id::generate()).collect();
            let nodes: Vec<Id> = (0..3).map(|_| Id::generate()).collect();
            let rooms: [Room; 2] = ["a".into(), "b".into()];
            let mut roster = Roster::default();
            let mut places = HashSet::new();
            let mut followed = HashSet::new();
            for step in steps {
                let changes = match step {
                    Step::Insert(node, room, id) => {
                        places.insert((node, room, id));
                        roster.insert(nodes[node], &rooms[room], ids[id], &Value::Null).into_iter().collect()
                    }
                    Step::Remove(node, room, id) => {
                        places.remove(&(node, room, id));
                        roster.remove(nodes[node], &rooms[room], ids[id]).into_iter().collect()
                    }
                    Step::Replace(node, room, new) => {
                        places.retain(|(n, r, _)| (*n, *r) != (node, room));
                        places.extend(new.iter().map(|id| (node, room, *id)));
                        let entries: Vec<Entry> = new.iter().map(|id| (ids[*id], Value::Null)).collect();
                        roster.replace(nodes[node], &rooms[room], &entries)
                    }
                    Step::Forget(node) => {
                        places.retain(|(n, ..)| *n != node);
                        roster.forget(nodes[node])
                    }
                };
                for change in changes {
                    let member = (change.room, change.id);
                    if change.is_join {
                        prop_assert!(followed.insert(member));
                    } else {
                        prop_assert!(followed.remove(&member));
                    }
                }
                let expected: HashSet<_> =
                    places.iter().map(|(_, room, id)| (rooms[*room].clone(), ids[*id])).collect();
                prop_assert_eq!(&followed, &expected);
                let told: HashSet<_> = rooms
                    .iter()
                    .flat_map(|room| roster.members(room).into_iter().map(|(id, _)| (room.clone(), id)))
                    .collect();
                prop_assert_eq!(&told, &expected);
            }
            prop_assert_eq!(roster.0.is_empty(), places.is_empty());
        }
    }
}
