//! The sockets of one namespace and their rooms: who is where, and who is selected by a broadcast. The room of a socket's
//! own id is not in the tables: being in the namespace is being in it, until the socket leaves it.
//!
//! Everything here runs under the namespace's lock and sends nothing. What a broadcast takes away is a snapshot; that
//! of a whole room is kept and shared until somebody joins or leaves.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::{HashSet, HashTable};

use crate::selection::{Room, Selection};
use crate::{Id, Socket};

/// The sockets of one namespace, and its rooms.
#[derive(Default)]
pub(crate) struct Members {
    everyone: Crowd,
    rooms: HashMap<Room, Crowd>,
    /// The namespace has ended: nobody enters any more.
    is_closed: bool,
}

/// A socket is in as many rooms as it may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a socket is in no more than {limit} rooms: see `max_rooms_per_socket`")]
pub struct TooManyRooms {
    /// `max_rooms_per_socket`.
    pub limit: usize,
}

/// What a change of a socket's rooms did.
#[derive(Default)]
pub(crate) struct Changes {
    /// Rooms that came into being, or ceased to be.
    pub(crate) rooms: Vec<Room>,
    /// Rooms that the socket entered or left, its own included; empty if nobody wants to know.
    pub(crate) memberships: Vec<Room>,
    /// Whether the socket did not enter all of them, for it is in as many as it may be in.
    pub(crate) is_full: bool,
}

impl Members {
    /// False if the namespace has ended.
    pub(crate) fn add(&mut self, socket: &Socket) -> bool {
        !self.is_closed && self.everyone.insert(socket)
    }

    /// Ends the namespace if nobody is in it; false if it goes on, or has ended before.
    pub(crate) fn close_if_empty(&mut self) -> bool {
        self.everyone.sockets.is_empty() && !std::mem::replace(&mut self.is_closed, true)
    }

    /// Takes the socket out of the namespace and of all rooms; its own list of rooms stays.
    pub(crate) fn remove(&mut self, socket: &Socket, is_heard: bool) -> Changes {
        self.everyone.remove(socket);
        let left = socket.locked().rooms.clone();
        let rooms = left.iter().filter(|room| self.remove_from(room, socket));
        let rooms = rooms.cloned().collect();
        Changes {
            rooms,
            memberships: if is_heard { left } else { Vec::new() },
            is_full: false,
        }
    }

    /// `max` is how many rooms a socket may be in, beside its own.
    pub(crate) fn join(&mut self, socket: &Socket, rooms: Vec<Room>, max: usize, is_heard: bool) -> Changes {
        let mut changes = Changes::default();
        // A socket that has left meanwhile would never be taken out again.
        if self.everyone.get(&socket.id()) != Some(socket) {
            return changes;
        }
        let mut local = socket.locked();
        for room in rooms {
            if *room == *socket.id_str() {
                socket.set_in_own_room(true);
                if is_heard {
                    changes.memberships.push(room);
                }
                continue;
            }
            if local.rooms.len() >= max {
                // It may be in there already.
                changes.is_full |= !self
                    .rooms
                    .get(&room)
                    .is_some_and(|crowd| crowd.contains(&socket.id()));
                continue;
            }
            if !self.rooms.contains_key(&room) {
                changes.rooms.push(room.clone());
            }
            if self.rooms.entry(room.clone()).or_default().insert(socket) {
                if is_heard {
                    changes.memberships.push(room.clone());
                }
                local.rooms.push(room);
            }
        }
        changes
    }

    pub(crate) fn leave(&mut self, socket: &Socket, rooms: &[Room], is_heard: bool) -> Changes {
        let mut local = socket.locked();
        let mut changes = Changes::default();
        for room in rooms {
            if **room == *socket.id_str() {
                socket.set_in_own_room(false);
                if is_heard {
                    changes.memberships.push(room.clone());
                }
            }
            if let Some(at) = local.rooms.iter().position(|other| other == room) {
                local.rooms.swap_remove(at);
                if is_heard {
                    changes.memberships.push(room.clone());
                }
                if self.remove_from(room, socket) {
                    changes.rooms.push(room.clone());
                }
            }
        }
        changes
    }

    /// Whether the room has gone with its last socket.
    fn remove_from(&mut self, room: &Room, socket: &Socket) -> bool {
        let Some(crowd) = self.rooms.get_mut(room) else {
            return false;
        };
        crowd.remove(socket);
        let is_empty = crowd.sockets.is_empty();
        if is_empty {
            self.rooms.remove(room);
        }
        is_empty
    }

    pub(crate) fn len(&self) -> usize {
        self.everyone.sockets.len()
    }

    pub(crate) fn get(&self, id: &Id) -> Option<&Socket> {
        self.everyone.get(id)
    }

    pub(crate) fn rooms_len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn rooms(&self) -> Vec<Room> {
        self.rooms.keys().cloned().collect()
    }

    pub(crate) fn select(&mut self, selection: &Selection) -> Receivers {
        match (selection.rooms.as_deref(), selection.except.as_slice()) {
            (None, []) => Receivers::all(self.everyone.snapshot(), selection.sender),
            (Some([room]), []) => match (self.owner(room).cloned(), self.rooms.get_mut(room)) {
                (None, None) => Receivers::default(),
                (None, Some(crowd)) => Receivers::all(crowd.snapshot(), selection.sender),
                _ => self.gather(selection),
            },
            _ => self.gather(selection),
        }
    }

    /// Whether somebody is in it.
    pub(crate) fn has_room(&self, room: &str) -> bool {
        self.rooms.contains_key(room) || self.owner(room).is_some()
    }

    /// The socket whose own room this is.
    fn owner(&self, room: &str) -> Option<&Socket> {
        self.everyone
            .get(&Id::parse(room)?)
            .filter(|socket| socket.is_in_own_room())
    }

    fn gather(&self, selection: &Selection) -> Receivers {
        let mut sockets = Vec::new();
        let mut add = |socket: &Socket| {
            let is_sender = selection.sender.is_some_and(|sender| sender == socket.id());
            if !is_sender && !self.is_in_any(&selection.except, socket) {
                sockets.push(socket.clone());
            }
        };
        match selection.rooms.as_deref() {
            None => self.everyone.sockets.iter().for_each(&mut add),
            Some(rooms) => {
                // Only what several rooms select can be selected twice.
                let mut seen = HashSet::new();
                for room in rooms {
                    let crowd = self
                        .rooms
                        .get(room)
                        .into_iter()
                        .flat_map(|crowd| crowd.sockets.iter());
                    for socket in self.owner(room).into_iter().chain(crowd) {
                        if seen.insert(socket.id()) {
                            add(socket);
                        }
                    }
                }
            }
        }
        Receivers::all(sockets.into(), None)
    }

    fn is_in_any(&self, rooms: &[Room], socket: &Socket) -> bool {
        rooms.iter().any(|room| {
            (**room == *socket.id_str() && socket.is_in_own_room())
                || self
                    .rooms
                    .get(room)
                    .is_some_and(|crowd| crowd.contains(&socket.id()))
        })
    }
}

/// A set of sockets.
#[derive(Default)]
struct Crowd {
    sockets: HashTable<Socket>,
    /// Invariant: the content of `sockets`, if there.
    snapshot: Option<Arc<[Socket]>>,
}

impl Crowd {
    fn insert(&mut self, socket: &Socket) -> bool {
        if self.contains(&socket.id()) {
            return false;
        }
        let hash = socket.id().table_hash();
        self.sockets
            .insert_unique(hash, socket.clone(), |socket| socket.id().table_hash());
        self.snapshot = None;
        true
    }

    fn remove(&mut self, socket: &Socket) {
        if let Ok(entry) = self
            .sockets
            // Not one of the same id that has come in its place.
            .find_entry(socket.id().table_hash(), |other| other == socket)
        {
            entry.remove();
            self.snapshot = None;
            if self.sockets.capacity() > 64 && self.sockets.len() < self.sockets.capacity() / 8 {
                self.sockets.shrink_to_fit(|socket| socket.id().table_hash());
            }
        }
    }

    fn get(&self, id: &Id) -> Option<&Socket> {
        self.sockets.find(id.table_hash(), |socket| socket.id() == *id)
    }

    fn contains(&self, id: &Id) -> bool {
        self.get(id).is_some()
    }

    fn snapshot(&mut self) -> Arc<[Socket]> {
        self.snapshot
            .get_or_insert_with(|| self.sockets.iter().cloned().collect())
            .clone()
    }
}

/// The sockets that a message goes to, as they were at the time of the call.
#[derive(Clone, Default)]
pub(crate) struct Receivers {
    sockets: Arc<[Socket]>,
    /// The sender, who is among them but gets nothing.
    skip: Option<Id>,
}

impl Receivers {
    pub(crate) fn one(socket: Socket) -> Self {
        Self {
            sockets: Arc::new([socket]),
            skip: None,
        }
    }

    fn all(sockets: Arc<[Socket]>, skip: Option<Id>) -> Self {
        Self { sockets, skip }
    }

    /// How many at most.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether these are the same sockets out of the same snapshot.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sockets, &other.sockets) && self.skip == other.skip
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.range(0, self.sockets.len())
    }

    /// Those from the `start`th on, `count` at most.
    pub(crate) fn range(&self, start: usize, count: usize) -> impl Iterator<Item = &Socket> {
        let end = start.saturating_add(count).min(self.sockets.len());
        let skip = self.skip;
        self.sockets[start..end]
            .iter()
            .filter(move |socket| skip != Some(socket.id()))
    }
}
