//! Whom a message is for: the rooms that a broadcast names, the rooms it leaves out, and how it is to be sent.

use std::sync::Arc;
use std::time::Duration;

use crate::Id;

/// The name of a room.
pub type Room = Arc<str>;

/// What names one room: a string, or the id of a socket, which is the room of that socket alone.
pub trait IntoRoom {
    /// The room's name.
    fn into_room(self) -> Room;
}

impl IntoRoom for &str {
    fn into_room(self) -> Room {
        self.into()
    }
}

impl IntoRoom for String {
    fn into_room(self) -> Room {
        self.into()
    }
}

impl IntoRoom for &String {
    fn into_room(self) -> Room {
        self.as_str().into()
    }
}

impl IntoRoom for Room {
    fn into_room(self) -> Room {
        self
    }
}

impl IntoRoom for &Room {
    fn into_room(self) -> Room {
        self.clone()
    }
}

impl IntoRoom for Id {
    fn into_room(self) -> Room {
        self.as_str().into()
    }
}

impl IntoRoom for &Id {
    fn into_room(self) -> Room {
        self.as_str().into()
    }
}

impl IntoRoom for &&str {
    fn into_room(self) -> Room {
        (*self).into()
    }
}

/// What names any number of rooms: one room, or an array, slice or vector of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no rooms",
    note = "rooms are named by a string, a socket's id, or an array, slice or vector of these"
)]
pub trait IntoRooms {
    /// The rooms' names.
    fn into_rooms(self) -> Vec<Room>;
}

impl<R: IntoRoom> IntoRooms for R {
    fn into_rooms(self) -> Vec<Room> {
        vec![self.into_room()]
    }
}

impl<R: IntoRoom> IntoRooms for Vec<R> {
    fn into_rooms(self) -> Vec<Room> {
        self.into_iter().map(IntoRoom::into_room).collect()
    }
}

impl<R: IntoRoom, const N: usize> IntoRooms for [R; N] {
    fn into_rooms(self) -> Vec<Room> {
        self.into_iter().map(IntoRoom::into_room).collect()
    }
}

impl<'a, R> IntoRooms for &'a [R]
where
    &'a R: IntoRoom,
{
    fn into_rooms(self) -> Vec<Room> {
        self.iter().map(IntoRoom::into_room).collect()
    }
}

impl<'a, R> IntoRooms for &'a Vec<R>
where
    &'a R: IntoRoom,
{
    fn into_rooms(self) -> Vec<Room> {
        self.iter().map(IntoRoom::into_room).collect()
    }
}

/// Sockets of one namespace: those in any of some rooms, or all, without those in any of some other rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `None` selects everyone, an empty list nobody.
    pub(crate) rooms: Option<Vec<Room>>,
    pub(crate) except: Vec<Room>,
    /// The socket that broadcasts.
    pub(crate) sender: Option<Id>,
}

impl Selection {
    /// Who is in any of the rooms, or everyone, without who is in any of the rooms of `except`.
    #[must_use]
    pub fn new(rooms: Option<Vec<Room>>, except: Vec<Room>) -> Self {
        Self {
            rooms,
            except,
            sender: None,
        }
    }

    /// The rooms, or `None` for everyone. An empty list is nobody, where the Node server sends to everyone.
    #[must_use]
    pub fn rooms(&self) -> Option<&[Room]> {
        self.rooms.as_deref()
    }

    /// The rooms left out. The socket that broadcasts is its own room here, as in the Node server's messages.
    #[must_use]
    pub fn except(&self) -> Vec<Room> {
        let sender = self.sender.map(IntoRoom::into_room);
        self.except.iter().cloned().chain(sender).collect()
    }

    /// Whether a socket in those rooms, its own among them, is selected.
    pub(crate) fn includes(&self, id: Id, rooms: &[Room]) -> bool {
        let is_in = |named: &[Room]| named.iter().any(|room| rooms.contains(room));
        self.sender != Some(id) && self.rooms.as_deref().is_none_or(is_in) && !is_in(&self.except)
    }

    pub(crate) fn add_rooms(&mut self, rooms: impl IntoRooms) {
        self.rooms.get_or_insert_default().extend(rooms.into_rooms());
    }
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Drop it for receivers that cannot take it at once.
    pub(crate) volatile: bool,
    pub(crate) compress: bool,
    /// Not to the other nodes of a cluster.
    pub(crate) local: bool,
    /// How long answers are waited for; the server's default without.
    pub(crate) timeout: Option<Duration>,
}

impl Flags {
    pub(crate) const DEFAULT: Self = Self {
        volatile: false,
        compress: true,
        local: false,
        timeout: None,
    };
}
