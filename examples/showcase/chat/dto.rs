//! The messages of the chat. What a client may send is checked where it is decoded: a handler never sees a room name, a
//! person's name or a text that breaks its rule.

use serde::{Deserialize, Serialize};

use crate::people::{Member, PersonName};

/// The longest name of a room, in bytes.
const ROOM_LIMIT: usize = 24;
/// The longest text of a message, in characters.
const TEXT_LIMIT: usize = 500;

/// A room's name: up to 24 lower-case letters, digits and hyphens, the first no hyphen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct RoomName(String);

/// What somebody says: up to 500 characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Text(String);

/// `join`: into this room, under this name. The answer is a [`RoomView`].
#[derive(Debug, Deserialize)]
pub(crate) struct Join {
    pub(crate) room: RoomName,
    pub(crate) name: PersonName,
}

/// `message`: said in the room that the client is in. The answer is [`Said`].
#[derive(Debug, Deserialize)]
pub(crate) struct Say {
    pub(crate) text: Text,
}

/// `typing`: whether the client is writing; no answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Typing {
    pub(crate) typing: bool,
}

/// The answer to `message`.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    pub(crate) id: u64,
}

/// The answer to `join`: everything that the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct RoomView {
    /// The client's own id, which is the sender of what it says.
    pub(crate) id: String,
    pub(crate) room: RoomName,
    pub(crate) name: PersonName,
    pub(crate) members: Vec<Member>,
    pub(crate) history: Vec<Message>,
    pub(crate) rooms: Vec<RoomSummary>,
}

/// To the room, as `members`: who is there now.
#[derive(Debug, Serialize)]
pub(crate) struct Members {
    pub(crate) room: RoomName,
    pub(crate) members: Vec<Member>,
}

/// To everybody, in the list `rooms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RoomSummary {
    pub(crate) name: RoomName,
    /// How many are in it.
    pub(crate) members: usize,
}

/// To the room, as `message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) room: RoomName,
    /// The sender's id.
    pub(crate) from: String,
    /// The sender's name when it was said.
    pub(crate) name: PersonName,
    pub(crate) text: Text,
    /// When, in milliseconds since 1970.
    pub(crate) at: u64,
}

/// To the others in the room, as `typing`.
#[derive(Debug, Serialize)]
pub(crate) struct TypingNotice {
    #[serde(flatten)]
    pub(crate) member: Member,
    pub(crate) typing: bool,
}

impl RoomName {
    /// A name that is written in the program.
    ///
    /// # Panics
    /// If it breaks the rule, which a test finds.
    pub(crate) fn fixed(name: &'static str) -> Self {
        match Self::try_from(name.to_owned()) {
            Ok(name) => name,
            Err(rule) => panic!("{name:?}: {rule}"),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > ROOM_LIMIT || name.starts_with('-') || !name.bytes().all(allowed) {
            return Err("a room's name has 1 to 24 lower-case letters, digits and hyphens");
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > TEXT_LIMIT {
            return Err("a message has 1 to 500 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rooms() {
        for (name, good) in [
            ("lobby", true),
            ("room-2", true),
            ("2", true),
            ("", false),
            ("-x", false),
            ("Lobby", false),
            ("a b", false),
            ("žluť", false),
            ("abcdefghijklmnopqrstuvwx", true),
            ("abcdefghijklmnopqrstuvwxy", false),
        ] {
            assert_eq!(RoomName::try_from(name.to_owned()).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_bounded() {
        let text = |text: &str| Text::try_from(text.to_owned());
        assert_eq!(text(" hi \n"), Ok(Text("hi".to_owned())));
        assert!(text(&"🦀".repeat(500)).is_ok());
        for bad in ["", " \n ", &"x".repeat(501)] {
            assert!(text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_broken_rule_is_told_by_the_decoder() {
        let error = serde_json::from_str::<Join>(r#"{"room":"No Room","name":"Ada"}"#).unwrap_err();
        assert!(error.to_string().starts_with("a room's name has"), "{error}");
    }
}
