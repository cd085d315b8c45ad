//! Recovery in memory: what was sent lately, and the sessions of sockets that lost their connection. One log serves all
//! namespaces of a server.
//!
//! Whoever sends notes the message and chooses its receivers under one lock, and whoever comes back enters its rooms and
//! reads the log under the same: so a message is either missed or received, never both.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Claim, Extensions, Recovery};
use crate::selection::{Room, Selection};
use crate::task;
use crate::{Id, Prepared, lock};

/// What a socket gets back.
pub(crate) struct Session {
    pub(crate) id: Id,
    pub(crate) private_id: Id,
    pub(crate) namespace: Box<str>,
    /// The own one included.
    pub(crate) rooms: Vec<Room>,
    pub(crate) extensions: Extensions,
}

/// The log and the sessions of one server.
pub(crate) struct Store {
    options: Recovery,
    next_offset: AtomicU64,
    /// A task forgets what is too old.
    is_purged: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    log: VecDeque<Message>,
    /// The place of each offset in the log, `first` being that of its front.
    places: HashMap<u64, u64>,
    first: u64,
    bytes: usize,
    sessions: HashMap<Id, (Session, Instant)>,
    /// In the order of their ages; some may have been taken meanwhile.
    by_age: VecDeque<(Id, Instant)>,
}

struct Message {
    offset: u64,
    at: Instant,
    namespace: Arc<str>,
    selection: Selection,
    message: Prepared,
}

impl Message {
    fn size(&self) -> usize {
        self.message.websocket_len() + size_of::<Self>()
    }

    fn is_for(&self, session: &Session) -> bool {
        *self.namespace == *session.namespace && self.selection.includes(session.id, &session.rooms)
    }
}

impl Store {
    pub(crate) fn new(options: Recovery) -> Self {
        // Offsets of a server that runs again are others than before.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            options,
            next_offset: AtomicU64::new(now.as_micros() as u64),
            is_purged: AtomicBool::new(false),
            kept: Mutex::default(),
        }
    }

    pub(crate) fn options(&self) -> &Recovery {
        &self.options
    }

    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes a message, and chooses its receivers meanwhile.
    pub(crate) fn keep<R>(
        &self,
        namespace: &Arc<str>,
        offset: u64,
        message: &Prepared,
        selection: Selection,
        receivers: impl FnOnce() -> R,
    ) -> R {
        let message = Message {
            offset,
            at: Instant::now(),
            namespace: namespace.clone(),
            selection,
            message: message.clone(),
        };
        let mut kept = lock(&self.kept);
        let receivers = receivers();
        if message.selection.rooms() != Some(&[]) {
            let place = kept.first + kept.log.len() as u64;
            kept.places.insert(offset, place);
            kept.bytes += message.size();
            let now = message.at;
            kept.log.push_back(message);
            kept.trim_log(&self.options, now);
        }
        receivers
    }

    /// Keeps a session. Values of the user that go with an old one go when the lock is free again.
    pub(crate) fn save(&self, session: Session) {
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        let id = session.private_id;
        let before = kept.sessions.insert(id, (session, now));
        kept.by_age.push_back((id, now));
        let forgotten = kept.trim_sessions(&self.options, now);
        drop(kept);
        drop((before, forgotten));
    }

    /// Takes the session that a client claims, with what it missed; `enter` brings its socket into the rooms meanwhile.
    pub(crate) fn restore<R>(
        &self,
        namespace: &str,
        claim: &Claim,
        enter: impl FnOnce(Session, Vec<Prepared>) -> R,
    ) -> Option<R> {
        let private_id = Id::parse(&claim.pid)?;
        let offset = parse_offset(&claim.offset)?;
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        let (session, since) = kept.sessions.get(&private_id)?;
        if *session.namespace != *namespace
            || now.duration_since(*since) > self.options.max_disconnection_duration
        {
            return None;
        }
        kept.trim_log(&self.options, now);
        let place = *kept.places.get(&offset)?;
        let at = usize::try_from(place - kept.first).ok()?;
        if *kept.log.get(at)?.namespace != *namespace {
            return None;
        }
        let (session, _) = kept.sessions.remove(&private_id)?;
        let missed = kept.log.range(at + 1..);
        let missed = missed.filter(|message| message.is_for(&session));
        let missed = missed.map(|message| message.message.clone()).collect();
        Some(enter(session, missed))
    }

    /// Has old sessions forgotten even if nothing happens any more, as long as there are any.
    pub(crate) fn purge_later(self: &Arc<Self>, runtime: Option<Handle>) {
        let Some(runtime) = runtime else {
            return;
        };
        if self.is_purged.swap(true, Ordering::AcqRel) {
            return;
        }
        let (store, pause) = (Arc::downgrade(self), self.options.max_disconnection_duration);
        task::spawn_on(&runtime, "gatewire recovery", async move {
            loop {
                tokio::time::sleep(pause.max(Duration::from_secs(1))).await;
                if store.upgrade().is_none_or(|store| !store.purge()) {
                    return;
                }
            }
        });
    }

    /// Forgets what is too old; whether anything is left.
    fn purge(&self) -> bool {
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        kept.trim_log(&self.options, now);
        let forgotten = kept.trim_sessions(&self.options, now);
        let is_left = !kept.log.is_empty() || !kept.by_age.is_empty();
        // Under the lock: a session that is saved later starts the task anew.
        self.is_purged.store(is_left, Ordering::Release);
        drop(kept);
        drop(forgotten);
        is_left
    }
}

impl Kept {
    fn trim_log(&mut self, options: &Recovery, now: Instant) {
        while let Some(front) = self.log.front() {
            let is_old = now.duration_since(front.at) > options.max_disconnection_duration;
            if !is_old && self.log.len() <= options.max_packets && self.bytes <= options.max_bytes {
                break;
            }
            let (offset, size) = (front.offset, front.size());
            self.log.pop_front();
            self.places.remove(&offset);
            self.bytes -= size;
            self.first += 1;
        }
        if self.log.is_empty() {
            self.log = VecDeque::new();
            self.places = HashMap::new();
        }
    }

    #[must_use]
    fn trim_sessions(&mut self, options: &Recovery, now: Instant) -> Vec<Session> {
        let mut forgotten = Vec::new();
        while let Some(&(id, since)) = self.by_age.front() {
            let is_old = now.duration_since(since) > options.max_disconnection_duration;
            // Places of sessions that were taken are bounded, too.
            let is_long = self.by_age.len() > options.max_sessions.saturating_mul(2);
            if !is_old && !is_long && self.sessions.len() <= options.max_sessions {
                break;
            }
            self.by_age.pop_front();
            if self.sessions.get(&id).is_some_and(|(_, at)| *at == since)
                && let Some((session, _)) = self.sessions.remove(&id)
            {
                forgotten.push(session);
            }
        }
        forgotten
    }
}

/// Digits as in the offsets of the Node server.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// Always as long, the most significant digit first.
pub(crate) fn offset_text(offset: u64) -> OffsetText {
    OffsetText(std::array::from_fn(|at| {
        DIGITS[(offset >> (60 - 6 * at) & 63) as usize]
    }))
}

/// An offset as the client gets it.
pub(crate) struct OffsetText([u8; 11]);

impl OffsetText {
    pub(crate) fn as_str(&self) -> &str {
        // They are digits of the table, all of them ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn parse_offset(text: &str) -> Option<u64> {
    let text: &[u8; 11] = text.as_bytes().try_into().ok()?;
    text.iter().try_fold(0u64, |offset, byte| {
        let digit = DIGITS.iter().position(|digit| digit == byte)?;
        offset.checked_mul(64)?.checked_add(digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn offsets_are_read_as_written(offset: u64) {
            let text = offset_text(offset);
            prop_assert_eq!(parse_offset(text.as_str()), Some(offset));
        }

        #[test]
        fn no_text_is_a_panic(text: String) {
            let _ = parse_offset(&text);
            let _ = Claim::read(&text);
        }
    }

    fn session(n: u8) -> Session {
        Session {
            id: Id::generate(),
            private_id: Id::parse(&format!("{n:020}")).unwrap(),
            namespace: "/".into(),
            rooms: Vec::new(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn the_bounds_hold() {
        let store = Store::new(Recovery {
            max_packets: 5,
            max_sessions: 3,
            ..Recovery::default()
        });
        let message = Prepared::event("/", "e", &1, None).unwrap();
        for n in 0..20 {
            let offset = store.next_offset();
            store.keep(&"/".into(), offset, &message, Selection::default(), || ());
            store.save(session(n));
        }
        let kept = lock(&store.kept);
        assert_eq!(
            (kept.log.len(), kept.places.len(), kept.sessions.len()),
            (5, 5, 3)
        );
        let bytes: usize = kept.log.iter().map(Message::size).sum();
        assert_eq!(kept.bytes, bytes);
    }
}
