//! The 20-character ids of sockets and Engine.IO sessions: 120 random bits. Unlike Node's they hold no counter, but they
//! have its length and alphabet, on which other programs of the Socket.IO world rely.

use std::borrow::Borrow;
use std::fmt;

use serde::{Serialize, Serializer};

const LEN: usize = 20;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// An unguessable id of 20 characters out of `A-Za-z0-9_-`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; LEN]);

impl Id {
    /// A new id from 15 bytes of the thread's cryptographic random source.
    #[must_use]
    pub fn generate() -> Self {
        let mut random = [0u8; 15];
        rand::fill(&mut random);
        let mut id = [0u8; LEN];
        for (chars, bytes) in id.chunks_exact_mut(4).zip(random.chunks_exact(3)) {
            let bits = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
            for (at, char) in chars.iter_mut().enumerate() {
                *char = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            }
        }
        Self(id)
    }

    /// The id that is written `text`; `None` if that has another length or other characters than an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; LEN] = text.as_bytes().try_into().ok()?;
        id.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            .then_some(Self(id))
    }

    /// The 20 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in: `generate` and `parse` see to it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A hash for tables whose keys the server has generated: the id is random already, its bits only want mixing.
    pub(crate) fn table_hash(&self) -> u64 {
        let [low, high] = [0, 8].map(|at| {
            let mut word = [0; 8];
            word.copy_from_slice(&self.0[at..at + 8]);
            u64::from_le_bytes(word)
        });
        let product = u128::from(low ^ high.rotate_left(29)) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        (product >> 64) as u64 ^ product as u64
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<[u8]> for Id {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_of_the_alphabet() {
        let ids: HashSet<Id> = (0..10_000).map(|_| Id::generate()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            assert_eq!(id.as_str().len(), 20);
            assert_eq!(Id::parse(id.as_str()), Some(id));
        }
    }

    #[test]
    fn only_ids_are_parsed() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAA/",
            "éAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_hash_spreads() {
        // hashbrown takes the low bits for the place and the top seven for the tag.
        let hashes: Vec<u64> = (0..4_096).map(|_| Id::generate().table_hash()).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 4_095).collect();
        let tags: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 2_300, "{} of 4096 places", low.len());
        assert_eq!(tags.len(), 128);
    }
}
