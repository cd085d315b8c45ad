//! Who is in which room and what was said: the chat without a network. It knows people by their id and nothing of
//! sockets, so it is tested as plain data.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use gatewire::prelude::*;

use super::dto::{Message, RoomName, RoomSummary, RoomView, Text};
use crate::people::{Member, PersonName};

/// The rooms that are always there; others live as long as somebody is in them.
const PERMANENT: [&str; 3] = ["lobby", "gateways", "coffee"];
/// How many rooms there may be.
const ROOM_LIMIT: usize = 100;
/// How many messages a room remembers.
const HISTORY: usize = 50;

/// The state of the chat.
#[injectable]
pub(crate) struct ChatService {
    #[inject(default)]
    chat: Mutex<Chat>,
}

/// Why the chat refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatError {
    /// It would be one room too many.
    TooManyRooms,
    /// Only who is in a room can speak there.
    NotInRoom,
}

struct Chat {
    /// In the order of their making. Invariant: each of [`PERMANENT`] is there, any other has a member.
    rooms: Vec<Room>,
    people: HashMap<String, Person>,
    last_message: u64,
}

struct Room {
    name: RoomName,
    /// Ids, in the order of coming.
    members: Vec<String>,
    history: VecDeque<Message>,
}

struct Person {
    name: PersonName,
    room: RoomName,
}

impl ChatService {
    /// Puts the person `id` into `room` under `name`; returns the room that was left for it, if there was another.
    pub(crate) fn join(
        &self,
        id: &str,
        room: &RoomName,
        name: PersonName,
    ) -> Result<Option<RoomName>, ChatError> {
        let mut chat = self.lock();
        let before = chat.people.get(id).map(|person| person.room.clone());
        if before.as_ref() != Some(room) {
            chat.room_to_enter(room)?.members.push(id.to_owned());
        }
        chat.people.insert(
            id.to_owned(),
            Person {
                name,
                room: room.clone(),
            },
        );
        let left = before.filter(|before| before != room);
        if let Some(left) = &left {
            chat.remove(id, left);
        }
        Ok(left)
    }

    /// Forgets the person `id`; returns the room that was left.
    pub(crate) fn leave(&self, id: &str) -> Option<RoomName> {
        let mut chat = self.lock();
        let room = chat.people.remove(id)?.room;
        chat.remove(id, &room);
        Some(room)
    }

    /// Notes what the person `id` says in their room.
    pub(crate) fn say(&self, id: &str, text: Text) -> Result<Message, ChatError> {
        let mut chat = self.lock();
        let chat = &mut *chat;
        let person = chat.people.get(id).ok_or(ChatError::NotInRoom)?;
        let room = chat
            .rooms
            .iter_mut()
            .find(|room| room.name == person.room)
            .ok_or(ChatError::NotInRoom)?;
        chat.last_message += 1;
        let message = Message {
            id: chat.last_message,
            room: person.room.clone(),
            from: id.to_owned(),
            name: person.name.clone(),
            text,
            at: now(),
        };
        if room.history.len() == HISTORY {
            room.history.pop_front();
        }
        room.history.push_back(message.clone());
        Ok(message)
    }

    /// The person `id` and the room they are in.
    pub(crate) fn whereabouts(&self, id: &str) -> Option<(RoomName, Member)> {
        let chat = self.lock();
        let person = chat.people.get(id)?;
        Some((
            person.room.clone(),
            Member {
                id: id.to_owned(),
                name: person.name.clone(),
            },
        ))
    }

    /// What the person `id` sees of their room.
    pub(crate) fn view(&self, id: &str) -> Result<RoomView, ChatError> {
        let chat = self.lock();
        let person = chat.people.get(id).ok_or(ChatError::NotInRoom)?;
        Ok(RoomView {
            id: id.to_owned(),
            room: person.room.clone(),
            name: person.name.clone(),
            members: chat.members(&person.room),
            history: chat
                .room(&person.room)
                .map(|room| room.history.iter().cloned().collect())
                .unwrap_or_default(),
            rooms: chat.summaries(),
        })
    }

    /// Who is in `room`.
    pub(crate) fn members(&self, room: &RoomName) -> Vec<Member> {
        self.lock().members(room)
    }

    /// All rooms.
    pub(crate) fn rooms(&self) -> Vec<RoomSummary> {
        self.lock().summaries()
    }

    fn lock(&self) -> MutexGuard<'_, Chat> {
        self.chat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chat {
    fn room(&self, name: &RoomName) -> Option<&Room> {
        self.rooms.iter().find(|room| room.name == *name)
    }

    /// The room of that name, made if there is none.
    fn room_to_enter(&mut self, name: &RoomName) -> Result<&mut Room, ChatError> {
        let index = match self.rooms.iter().position(|room| room.name == *name) {
            Some(index) => index,
            None if self.rooms.len() >= ROOM_LIMIT => return Err(ChatError::TooManyRooms),
            None => {
                self.rooms.push(Room::new(name.clone()));
                self.rooms.len() - 1
            }
        };
        Ok(&mut self.rooms[index])
    }

    fn members(&self, room: &RoomName) -> Vec<Member> {
        let ids = self.room(room).map_or(&[][..], |room| &room.members);
        ids.iter()
            .filter_map(|id| {
                Some(Member {
                    id: id.clone(),
                    name: self.people.get(id)?.name.clone(),
                })
            })
            .collect()
    }

    fn summaries(&self) -> Vec<RoomSummary> {
        self.rooms
            .iter()
            .map(|room| RoomSummary {
                name: room.name.clone(),
                members: room.members.len(),
            })
            .collect()
    }

    fn remove(&mut self, id: &str, name: &RoomName) {
        if let Some(room) = self.rooms.iter_mut().find(|room| room.name == *name) {
            room.members.retain(|member| member != id);
        }
        self.rooms
            .retain(|room| !room.members.is_empty() || PERMANENT.contains(&room.name.as_str()));
    }
}

impl Default for Chat {
    fn default() -> Self {
        let rooms = PERMANENT
            .iter()
            .map(|name| Room::new(RoomName::fixed(name)))
            .collect();
        Self {
            rooms,
            people: HashMap::new(),
            last_message: 0,
        }
    }
}

impl Room {
    fn new(name: RoomName) -> Self {
        Self {
            name,
            members: Vec::new(),
            history: VecDeque::new(),
        }
    }
}

impl From<ChatError> for WsException {
    fn from(error: ChatError) -> Self {
        Self::new(match error {
            ChatError::TooManyRooms => "There are too many rooms; join one of those.",
            ChatError::NotInRoom => "Join a room first.",
        })
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ChatService {
        ChatService {
            chat: Mutex::default(),
        }
    }

    fn room(name: &str) -> RoomName {
        RoomName::try_from(name.to_owned()).unwrap()
    }

    fn person(name: &str) -> PersonName {
        PersonName::try_from(name.to_owned()).unwrap()
    }

    fn text(text: &str) -> Text {
        Text::try_from(text.to_owned()).unwrap()
    }

    fn names(chat: &ChatService) -> Vec<(String, usize)> {
        chat.rooms()
            .into_iter()
            .map(|room| (room.name.as_str().to_owned(), room.members))
            .collect()
    }

    #[test]
    fn a_room_lives_as_long_as_somebody_is_in_it() {
        let chat = service();
        assert_eq!(chat.join("1", &room("attic"), person("Ada")), Ok(None));
        assert_eq!(chat.join("2", &room("attic"), person("Bob")), Ok(None));
        assert_eq!(names(&chat).last(), Some(&("attic".to_owned(), 2)));
        assert_eq!(
            chat.join("1", &room("lobby"), person("Ada")),
            Ok(Some(room("attic")))
        );
        assert_eq!(chat.leave("2"), Some(room("attic")));
        assert_eq!(chat.leave("2"), None);
        assert_eq!(names(&chat).len(), PERMANENT.len());
        assert_eq!(names(&chat)[0], ("lobby".to_owned(), 1));
    }

    #[test]
    fn joining_again_renames() {
        let chat = service();
        chat.join("1", &room("lobby"), person("Ada")).unwrap();
        assert_eq!(chat.join("1", &room("lobby"), person("Ada L.")), Ok(None));
        assert_eq!(
            chat.members(&room("lobby")),
            [Member {
                id: "1".to_owned(),
                name: person("Ada L.")
            }]
        );
    }

    #[test]
    fn a_room_remembers_its_last_messages() {
        let chat = service();
        assert_eq!(chat.say("1", text("hi")), Err(ChatError::NotInRoom));
        chat.join("1", &room("lobby"), person("Ada")).unwrap();
        for n in 0..HISTORY + 5 {
            chat.say("1", text(&n.to_string())).unwrap();
        }
        let view = chat.view("1").unwrap();
        assert_eq!(view.history.len(), HISTORY);
        assert_eq!(view.history[0].text, text("5"));
        assert_eq!(view.history[0].id, 6);
        chat.join("2", &room("coffee"), person("Bob")).unwrap();
        assert_eq!(chat.view("2").unwrap().history, []);
    }

    #[test]
    fn there_are_not_more_rooms_than_allowed() {
        let chat = service();
        for n in PERMANENT.len()..ROOM_LIMIT {
            chat.join(&n.to_string(), &room(&format!("r{n}")), person("Ada"))
                .unwrap();
        }
        assert_eq!(
            chat.join("x", &room("more"), person("Bob")),
            Err(ChatError::TooManyRooms)
        );
        assert_eq!(chat.whereabouts("x"), None);
        assert_eq!(chat.join("x", &room("lobby"), person("Bob")), Ok(None));
    }
}
