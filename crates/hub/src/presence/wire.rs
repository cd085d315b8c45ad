//! What nodes tell each other about who is in rooms, as events between servers: adapters need not know of them, and Node
//! servers, where nobody listens to such an event, ignore them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::roster::Entry;
use crate::{Id, Room};

/// The name of the event.
pub(crate) const EVENT: &str = "gatewire:presence";

/// What a node tells, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    #[serde(deserialize_with = "id")]
    pub(super) node: Id,
    #[serde(flatten)]
    pub(super) message: Message,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Message {
    /// These are the rooms that it wants to know of: who has members of them tells.
    Watch { rooms: Vec<Room> },
    /// All its members of these rooms. `number` is that of its last change.
    Full { number: u64, rooms: Vec<Members> },
    /// A member came, or went.
    Change {
        number: u64,
        room: Room,
        member: Member,
        is_join: bool,
    },
    /// It is still there.
    Beat { number: u64, rooms: Vec<Room> },
    /// It goes.
    Bye,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Members {
    pub(super) room: Room,
    pub(super) members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    #[serde(deserialize_with = "id")]
    pub(super) id: Id,
    #[serde(default)]
    pub(super) data: Value,
}

impl From<Entry> for Member {
    fn from((id, data): Entry) -> Self {
        Self { id, data }
    }
}

impl From<Member> for Entry {
    fn from(member: Member) -> Self {
        (member.id, member.data)
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
    let text = String::deserialize(deserializer)?;
    Id::parse(&text).ok_or_else(|| serde::de::Error::custom("an id has 20 characters"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_as_written() {
        let (node, id) = (Id::generate(), Id::generate());
        let member = Member {
            id,
            data: json!({"name": "Ada"}),
        };
        let room: Room = "red".into();
        let messages = [
            Message::Watch {
                rooms: vec![room.clone()],
            },
            Message::Full {
                number: 7,
                rooms: vec![Members {
                    room: room.clone(),
                    members: vec![member.clone()],
                }],
            },
            Message::Change {
                number: 8,
                room: room.clone(),
                member,
                is_join: false,
            },
            Message::Beat {
                number: 8,
                rooms: vec![room],
            },
            Message::Bye,
        ];
        for message in messages {
            let envelope = Envelope { node, message };
            let json = serde_json::to_value(&envelope).unwrap();
            assert_eq!(serde_json::from_value::<Envelope>(json).unwrap(), envelope);
        }
        for wrong in [
            json!(null),
            json!({"node": "x", "type": "bye"}),
            json!({"node": node, "type": "?"}),
        ] {
            assert!(serde_json::from_value::<Envelope>(wrong).is_err());
        }
    }
}
