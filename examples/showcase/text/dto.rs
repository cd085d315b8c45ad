//! The messages of the text.

use serde::{Deserialize, Serialize};

use super::edit::Edit;
use crate::people::{Member, PersonName};

/// The longest key of an edit, in bytes.
const KEY_LIMIT: usize = 40;

/// By what an author knows an edit again: up to 40 letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Key(String);

/// `join`: under this name; `since` is where a page was that comes back. The answer is a [`TextView`].
#[derive(Debug, Deserialize)]
pub(crate) struct Join {
    pub(crate) name: PersonName,
    pub(crate) since: Option<Since>,
}

/// A revision of one run of the program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Since {
    pub(crate) epoch: String,
    pub(crate) revision: u64,
}

/// `edit`: of the text as it was at `revision`.
#[derive(Debug, Deserialize)]
pub(crate) struct Submit {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    pub(crate) edit: Edit,
}

/// The answer to `join`.
#[derive(Debug, Serialize)]
pub(crate) struct TextView {
    /// The client's own id.
    pub(crate) id: String,
    pub(crate) epoch: String,
    /// The number of the last change that is in here.
    pub(crate) revision: u64,
    #[serde(flatten)]
    pub(crate) content: Content,
    pub(crate) people: Vec<Member>,
}

/// The text, or what has come since.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    Text(String),
    Changes(Vec<Change>),
}

/// To everybody, as `change`; its author knows by it that the edit was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// One more than that of the change before.
    pub(crate) revision: u64,
    pub(crate) author: String,
    pub(crate) key: Key,
    /// Of the text as it was at the revision before.
    pub(crate) edit: Edit,
}

/// `caret`: what is selected in the text of that revision; to the others with the client's `id`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Caret {
    revision: u64,
    from: u32,
    to: u32,
}

/// To the others, as `caret`.
#[derive(Debug, Serialize)]
pub(crate) struct CaretNotice {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) caret: Caret,
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if key.is_empty() || key.len() > KEY_LIMIT || !key.bytes().all(allowed) {
            return Err("a key has 1 to 40 letters, digits and hyphens");
        }
        Ok(Self(key))
    }
}
