//! The text, who edits it, and the edits of late, on which those are rebased that were made without knowing them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gatewire::prelude::*;

use super::dto::{Change, Content, Join, Submit, TextView};
use super::edit::{Edit, TEXT_LIMIT, WrongLength};
use crate::clock;
use crate::people::{Member, People};

/// How many edits are remembered: so far behind may an author be.
const HISTORY: usize = 500;
const GREETING: &str = "Open this page in a second window and write in both.\n\nEvery edit has a revision it was made at. \
                        The server puts them in order and rebases each on those that came before it; so do the windows, \
                        and all of them end up with the same text.\n";

/// The document.
#[injectable]
pub(crate) struct Document {
    #[inject(default)]
    state: Mutex<State>,
}

/// Why the document refuses an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// Only who has joined writes.
    NotHere,
    /// It was made at a revision that is forgotten, or not yet there.
    UnknownRevision,
    /// It is no edit of the text of its revision.
    WrongLength,
    /// The text would become too long.
    Full,
    /// It was taken before.
    Repeated,
}

struct State {
    /// Revisions of another run of the program are none of this one's.
    epoch: String,
    text: Vec<char>,
    revision: u64,
    /// Those that led to the text, the newest last.
    history: VecDeque<Change>,
    people: People,
}

impl Document {
    pub(crate) fn join(&self, id: &str, join: Join) -> TextView {
        let mut state = self.lock();
        state.people.enter(id, join.name);
        let since = join.since.filter(|since| since.epoch == state.epoch);
        let missed = since.and_then(|since| state.since(since.revision));
        TextView {
            id: id.to_owned(),
            epoch: state.epoch.clone(),
            revision: state.revision,
            content: match missed {
                Some(changes) => Content::Changes(changes.cloned().collect()),
                None => Content::Text(state.text.iter().collect()),
            },
            people: state.people.list(),
        }
    }

    /// Who is left, if `id` was there.
    pub(crate) fn leave(&self, id: &str) -> Option<Vec<Member>> {
        let mut state = self.lock();
        state.people.leave(id).then(|| state.people.list())
    }

    /// Takes an edit: rebases it on what its author had not seen, and applies it.
    pub(crate) fn edit(&self, id: &str, submit: Submit) -> Result<Change, TextError> {
        let mut state = self.lock();
        if !state.people.has(id) {
            return Err(TextError::NotHere);
        }
        let mut edit = submit.edit;
        for earlier in state.since(submit.revision).ok_or(TextError::UnknownRevision)? {
            if earlier.key == submit.key {
                return Err(TextError::Repeated);
            }
            (_, edit) = Edit::transform(&earlier.edit, &edit)?;
        }
        let text = edit.apply(&state.text)?;
        if text.len() > TEXT_LIMIT {
            return Err(TextError::Full);
        }
        state.text = text;
        state.revision += 1;
        let change = Change {
            revision: state.revision,
            author: id.to_owned(),
            key: submit.key,
            edit,
        };
        if state.history.len() == HISTORY {
            state.history.pop_front();
        }
        state.history.push_back(change.clone());
        Ok(change)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The changes after `revision`; none if they are not known any more.
    fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Change> + use<'_>> {
        let behind = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        let known = self.history.len().checked_sub(behind)?;
        Some(self.history.range(known..))
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: format!("{:x}", clock::millis().to_bits()),
            text: GREETING.chars().collect(),
            revision: 0,
            history: VecDeque::new(),
            people: People::default(),
        }
    }
}

impl From<WrongLength> for TextError {
    fn from(_: WrongLength) -> Self {
        Self::WrongLength
    }
}

impl From<TextError> for WsException {
    fn from(error: TextError) -> Self {
        Self::new(match error {
            TextError::NotHere => "Join the text first.",
            TextError::UnknownRevision => "The text of that revision is not known; fetch the text again.",
            TextError::WrongLength => "This is no edit of the text of that revision.",
            TextError::Full => "The text is full: it has at most 10000 characters.",
            TextError::Repeated => "This edit was taken before.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::edit::tests::{chances, chars, edit, edit_of};
    use super::*;

    fn document(text: &str) -> Document {
        let state = State {
            text: chars(text),
            ..State::default()
        };
        Document {
            state: Mutex::new(state),
        }
    }

    fn join(document: &Document, id: &str, since: Option<(&str, u64)>) -> TextView {
        let since =
            since.map(|(epoch, revision)| serde_json::json!({ "epoch": epoch, "revision": revision }));
        let join = serde_json::json!({ "name": id, "since": since });
        document.join(id, serde_json::from_value(join).unwrap())
    }

    fn submit(revision: u64, key: &str, edit: Edit) -> Submit {
        Submit {
            revision,
            key: key.to_owned().try_into().unwrap(),
            edit,
        }
    }

    fn text(document: &Document) -> String {
        document.lock().text.iter().collect()
    }

    #[test]
    fn edits_at_the_same_revision_are_rebased() {
        let document = document("abc");
        let insert = |text: &str| edit(&format!(r#"[1,"{text}",2]"#));
        assert_eq!(
            document.edit("a", submit(0, "a-1", insert("X"))),
            Err(TextError::NotHere)
        );
        join(&document, "a", None);
        join(&document, "b", None);
        document.edit("a", submit(0, "a-1", insert("X"))).unwrap();
        let change = document.edit("b", submit(0, "b-1", insert("Y"))).unwrap();
        assert_eq!((change.revision, change.edit), (2, edit(r#"[2,"Y",2]"#)));
        assert_eq!(text(&document), "aXYbc");
        for (submitted, error) in [
            (submit(0, "a-1", insert("X")), TextError::Repeated),
            (submit(3, "a-2", insert("X")), TextError::UnknownRevision),
            (submit(2, "a-2", insert("X")), TextError::WrongLength),
            (
                submit(2, "a-2", edit(&format!(r#"[5,"{}"]"#, "x".repeat(9_996)))),
                TextError::Full,
            ),
        ] {
            assert_eq!(document.edit("a", submitted), Err(error));
        }
        assert_eq!(text(&document), "aXYbc");
    }

    #[test]
    fn who_comes_back_gets_what_was_missed() {
        let document = document("");
        let first = join(&document, "a", None);
        assert_eq!(first.content, Content::Text(String::new()));
        for revision in 0..HISTORY as u64 + 1 {
            let length = usize::try_from(revision).unwrap();
            let edit = edit_of(length, &[(0, 0, "x".to_owned())]);
            document
                .edit("a", submit(revision, &format!("a-{revision}"), edit))
                .unwrap();
        }
        let missed = |since| match join(&document, "a", since).content {
            Content::Changes(changes) => Some(changes.len()),
            Content::Text(_) => None,
        };
        assert_eq!(missed(Some((&first.epoch, 1))), Some(HISTORY));
        assert_eq!(missed(Some((&first.epoch, HISTORY as u64 + 1))), Some(0));
        for lost in [
            None,
            Some(("other", 1)),
            Some((&*first.epoch, 0)),
            Some((&*first.epoch, 9_999)),
        ] {
            assert_eq!(missed(lost), None, "{lost:?}");
        }
    }

    /// A window as the page has it: its edits wait, one is under way, and what comes is put before them.
    struct Window {
        id: String,
        text: Vec<char>,
        revision: u64,
        pending: VecDeque<(String, Edit)>,
        is_under_way: bool,
        keys: u32,
    }

    impl Window {
        fn write(&mut self, edit: Edit) {
            self.text = edit.apply(&self.text).unwrap();
            self.keys += 1;
            self.pending
                .push_back((format!("{}-{}", self.id, self.keys), edit));
        }

        fn send(&mut self) -> Option<Submit> {
            let (key, edit) = self.pending.front().filter(|_| !self.is_under_way)?;
            self.is_under_way = true;
            Some(submit(self.revision, key, edit.clone()))
        }

        fn receive(&mut self, change: &Change) {
            self.revision += 1;
            assert_eq!(change.revision, self.revision);
            if change.author == self.id {
                self.pending.pop_front();
                self.is_under_way = false;
                return;
            }
            let mut incoming = change.edit.clone();
            for (_, edit) in &mut self.pending {
                (incoming, *edit) = Edit::transform(&incoming, edit).unwrap();
            }
            self.text = incoming.apply(&self.text).unwrap();
        }
    }

    proptest! {
        #[test]
        fn all_windows_end_up_with_the_same(steps in prop::collection::vec((0_usize..3, 0_u8..3, chances()), 0..60)) {
            let document = document("The same text.");
            let mut windows: Vec<_> = (0..3).map(|number| Window {
                id: format!("w{number}"),
                text: chars("The same text."),
                revision: 0,
                pending: VecDeque::new(),
                is_under_way: false,
                keys: 0,
            }).collect();
            for window in &windows {
                join(&document, &window.id, None);
            }
            // Edits on their way to the server, and changes on their way to the windows.
            let mut up: Vec<VecDeque<Submit>> = (0..3).map(|_| VecDeque::new()).collect();
            let mut down: Vec<VecDeque<Change>> = (0..3).map(|_| VecDeque::new()).collect();
            let rest = (0..600).map(|step| (step % 3, 1 + u8::try_from(step / 3 % 2).unwrap(), Vec::new()));
            for (who, what, chances) in steps.into_iter().chain(rest) {
                let window = &mut windows[who];
                match what {
                    0 => window.write(edit_of(window.text.len(), &chances)),
                    1 => if let Some(submit) = up[who].pop_front() {
                        let change = document.edit(&window.id, submit).unwrap();
                        for changes in &mut down {
                            changes.push_back(change.clone());
                        }
                    },
                    _ => if let Some(change) = down[who].pop_front() {
                        window.receive(&change);
                    },
                }
                up[who].extend(window.send());
            }
            for window in &windows {
                prop_assert!(window.pending.is_empty());
                prop_assert_eq!(window.text.iter().collect::<String>(), text(&document));
            }
        }
    }
}
