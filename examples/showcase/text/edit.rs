//! Edits of a plain text, and what becomes of two that were made at the same time: operational transformation. Positions are
//! characters (Unicode scalar values).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The longest text, in characters; so much can one edit add, too.
pub(crate) const TEXT_LIMIT: usize = 10_000;

/// What becomes of a text, from its beginning to its end: as JSON a list of how many characters are kept (a number), how
/// many are deleted (a negative one), and what is inserted (a string): `[3,"abc",-2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<Wire>", into = "Vec<Wire>")]
pub(crate) struct Edit(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Keep(usize),
    Insert(Vec<char>),
    Delete(usize),
}

/// An edit that is one of another text: it is longer or shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongLength;

#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum Wire {
    Count(i32),
    Text(String),
}

impl Edit {
    /// The text after the edit.
    pub(crate) fn apply(&self, text: &[char]) -> Result<Vec<char>, WrongLength> {
        let mut rest = text;
        let mut edited = Vec::with_capacity(text.len());
        for part in &self.0 {
            match part {
                Part::Insert(new) => edited.extend_from_slice(new),
                Part::Keep(count) | Part::Delete(count) => {
                    let (taken, after) = rest.split_at_checked(*count).ok_or(WrongLength)?;
                    if matches!(part, Part::Keep(_)) {
                        edited.extend_from_slice(taken);
                    }
                    rest = after;
                }
            }
        }
        if rest.is_empty() {
            Ok(edited)
        } else {
            Err(WrongLength)
        }
    }

    /// Of two edits of the same text, each as it is after the other: `first` and then the new `second` make the same text as
    /// `second` and then the new `first`. Where both insert at one place, what `first` inserts is in front.
    pub(crate) fn transform(first: &Self, second: &Self) -> Result<(Self, Self), WrongLength> {
        let (mut new_first, mut new_second) = (Self::default(), Self::default());
        let mut firsts = Parts::of(first);
        let mut seconds = Parts::of(second);
        loop {
            if let Some(Part::Insert(text)) = firsts.peek() {
                new_second.keep(text.len());
                new_first.insert(text.clone());
                firsts.skip();
                continue;
            }
            if let Some(Part::Insert(text)) = seconds.peek() {
                new_first.keep(text.len());
                new_second.insert(text.clone());
                seconds.skip();
                continue;
            }
            let (Some(a), Some(b)) = (firsts.count(), seconds.count()) else {
                let are_over = firsts.peek().is_none() && seconds.peek().is_none();
                return if are_over {
                    Ok((new_first, new_second))
                } else {
                    Err(WrongLength)
                };
            };
            let count = a.min(b);
            match (firsts.take(count), seconds.take(count)) {
                (true, true) => {
                    new_first.keep(count);
                    new_second.keep(count);
                }
                (false, true) => new_first.delete(count),
                (true, false) => new_second.delete(count),
                // Both have deleted it: nothing is left to do for either.
                (false, false) => {}
            }
        }
    }

    fn keep(&mut self, more: usize) {
        match self.0.last_mut() {
            Some(Part::Keep(count)) => *count += more,
            _ if more > 0 => self.0.push(Part::Keep(more)),
            _ => {}
        }
    }

    fn delete(&mut self, more: usize) {
        match self.0.last_mut() {
            Some(Part::Delete(count)) => *count += more,
            _ if more > 0 => self.0.push(Part::Delete(more)),
            _ => {}
        }
    }

    fn insert(&mut self, more: Vec<char>) {
        match self.0.last_mut() {
            Some(Part::Insert(text)) => text.extend(more),
            _ if more.is_empty() => {}
            _ => self.0.push(Part::Insert(more)),
        }
    }
}

/// The parts of an edit, taken in pieces.
struct Parts<'a> {
    parts: &'a [Part],
    /// How much of the first part is taken.
    taken: usize,
}

impl<'a> Parts<'a> {
    fn of(edit: &'a Edit) -> Self {
        Self {
            parts: &edit.0,
            taken: 0,
        }
    }

    fn peek(&self) -> Option<&'a Part> {
        self.parts.first()
    }

    fn skip(&mut self) {
        self.parts = self.parts.get(1..).unwrap_or_default();
        self.taken = 0;
    }

    /// How many characters are left of a part that keeps or deletes.
    fn count(&self) -> Option<usize> {
        match self.peek()? {
            Part::Keep(count) | Part::Delete(count) => Some(count - self.taken),
            Part::Insert(_) => None,
        }
    }

    /// Takes `count` characters, which are there; whether they are kept.
    fn take(&mut self, count: usize) -> bool {
        let is_kept = matches!(self.peek(), Some(Part::Keep(_)));
        match self.count().map(|left| left.cmp(&count)) {
            Some(Ordering::Greater) => self.taken += count,
            _ => self.skip(),
        }
        is_kept
    }
}

impl TryFrom<Vec<Wire>> for Edit {
    type Error = &'static str;

    fn try_from(wires: Vec<Wire>) -> Result<Self, Self::Error> {
        let mut edit = Self::default();
        let mut added = 0;
        for wire in wires {
            match wire {
                Wire::Count(0) => return Err("an edit has no empty parts"),
                Wire::Count(count) => {
                    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                    if size > TEXT_LIMIT {
                        return Err("an edit is one of a text of at most 10000 characters");
                    }
                    if count > 0 {
                        edit.keep(size)
                    } else {
                        edit.delete(size)
                    }
                }
                Wire::Text(text) => {
                    if text
                        .chars()
                        .any(|char| char.is_control() && !matches!(char, '\n' | '\t'))
                    {
                        return Err("a text has no control characters but line ends and tabs");
                    }
                    let text: Vec<_> = text.chars().collect();
                    added += text.len();
                    if added > TEXT_LIMIT {
                        return Err("an edit adds at most 10000 characters");
                    }
                    edit.insert(text);
                }
            }
        }
        Ok(edit)
    }
}

impl From<Edit> for Vec<Wire> {
    fn from(edit: Edit) -> Self {
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        edit.0
            .into_iter()
            .map(|part| match part {
                Part::Keep(kept) => Wire::Count(count(kept)),
                Part::Delete(deleted) => Wire::Count(-count(deleted)),
                Part::Insert(text) => Wire::Text(text.into_iter().collect()),
            })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    pub(crate) fn edit(json: &str) -> Edit {
        serde_json::from_str(json).unwrap()
    }

    /// An edit of a text of `length` characters, made of what chance gave.
    pub(crate) fn edit_of(length: usize, chances: &[(u8, usize, String)]) -> Edit {
        let mut edit = Edit::default();
        let mut left = length;
        for (kind, count, text) in chances {
            let count = *count.min(&left);
            match kind % 3 {
                0 => edit.insert(chars(text)),
                1 => {
                    edit.delete(count);
                    left -= count;
                }
                _ => {
                    edit.keep(count);
                    left -= count;
                }
            }
        }
        edit.keep(left);
        edit
    }

    pub(crate) fn chances() -> impl Strategy<Value = Vec<(u8, usize, String)>> {
        prop::collection::vec((any::<u8>(), 0_usize..6, "[a-zé🦀]{0,4}"), 0..8)
    }

    #[test]
    fn an_edit_changes_a_text() {
        let changed = edit(r#"[2,"XY",-1,2]"#).apply(&chars("abcde")).unwrap();
        assert_eq!(changed, chars("abXYde"));
        for wrong in ["[4]", "[6]", "[]", "[2,-4]"] {
            assert_eq!(edit(wrong).apply(&chars("abcde")), Err(WrongLength), "{wrong}");
        }
    }

    #[test]
    fn json_that_is_no_edit_is_refused() {
        for json in [
            "[0]",
            "[10001]",
            "[-10001]",
            r#"["\u0000"]"#,
            r#"["\r"]"#,
            "[1.5]",
            "[null]",
            "{}",
        ] {
            assert!(serde_json::from_str::<Edit>(json).is_err(), "{json}");
        }
        let there_and_back = r#"[3,"ab\n",-2]"#;
        assert_eq!(
            serde_json::to_string(&edit(there_and_back)).unwrap(),
            there_and_back
        );
    }

    #[test]
    fn the_first_one_inserts_in_front() {
        let (first, second) = Edit::transform(&edit(r#"[1,"A",1]"#), &edit(r#"[1,"B",1]"#)).unwrap();
        assert_eq!((first, second), (edit(r#"[1,"A",2]"#), edit(r#"[2,"B",1]"#)));
        assert_eq!(Edit::transform(&edit("[1]"), &edit("[2]")), Err(WrongLength));
        assert_eq!(Edit::transform(&edit("[1]"), &edit("[]")), Err(WrongLength));
    }

    proptest! {
        #[test]
        fn both_orders_make_the_same_text(text in "[a-z🦀]{0,20}", a in chances(), b in chances()) {
            let text = chars(&text);
            let (a, b) = (edit_of(text.len(), &a), edit_of(text.len(), &b));
            let (a_later, b_later) = Edit::transform(&a, &b).unwrap();
            let one = b_later.apply(&a.apply(&text).unwrap()).unwrap();
            let other = a_later.apply(&b.apply(&text).unwrap()).unwrap();
            prop_assert_eq!(one, other);
        }
    }
}
