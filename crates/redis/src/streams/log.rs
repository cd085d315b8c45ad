//! The stream as the log of connection state recovery: a client may come back to any node, as long as the last message that
//! it got is still in the stream.

use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::{BroadcastOptions, Delivery, Missed, RecoveryLog, SavedSession};
use gatewire_hub::{BoxFuture, Prepared, Selection};
use redis::{Cmd, Value, cmd};
use tokio::time::timeout;

use super::Streams;
use super::values::{Place, RawEntry, place, range};
use crate::wire::cluster::{Body, Entry, Message, decode_session, encode_session};
use crate::wire::{EventData, Target};

/// The log of one node.
pub(super) struct Log(pub(super) Arc<Streams>);

/// Entries that are read at a time by a client that comes back.
const PAGE: usize = 500;

impl RecoveryLog for Log {
    fn publish(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        delivery: Delivery,
    ) {
        let streams = &self.0;
        let attachments = message.attachments();
        let message = Message {
            uid: (&*streams.uid).into(),
            namespace: namespace.into(),
            body: Body::Broadcast {
                event: EventData {
                    data: message.data(),
                    attachments: &attachments,
                },
                target: Target::new(selection, options, None),
                request: None,
            },
        };
        let index = streams.index(namespace);
        let name = streams.name_of(index);
        match message.to_entry() {
            Ok(fields) => streams.turns[index].push(delivery, |number| {
                let (command, size) = streams.add(&name, &fields, Some(number));
                streams.publisher.send(command, size);
            }),
            Err(error) => {
                streams.status.unsendable(&name, &error);
                delivery.without_offset();
            }
        }
    }

    fn save_session(&self, namespace: &str, session: SavedSession, max_age: Duration) {
        let streams = &self.0;
        let key = streams.session_key(&session.private_id);
        let text = match encode_session(&session, namespace) {
            Ok(text) => text,
            Err(error) => return streams.status.unsendable(namespace, &error),
        };
        let size = key.len() + text.len();
        let mut command = cmd("SET");
        let ms = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX).max(1);
        command.arg(key).arg(text).arg("PX").arg(ms);
        streams.publisher.send(command, size);
    }

    fn take_session(
        &self,
        namespace: &str,
        private_id: &str,
        offset: &str,
    ) -> BoxFuture<'static, Option<SavedSession>> {
        let (streams, namespace) = (self.0.clone(), namespace.to_owned());
        let (private_id, at) = (private_id.to_owned(), place(offset));
        Box::pin(async move {
            // The session stays where it is if the message is gone, or was none of this namespace.
            let at = at?;
            let known = streams.entries(&namespace, at, Some(at)).await?;
            if known.first()?.field("nsp") != Some(&namespace) {
                return None;
            }
            let mut command = cmd("GETDEL");
            command.arg(streams.session_key(&private_id));
            let Value::BulkString(text) = streams.ask(command).await? else {
                return None;
            };
            let text = String::from_utf8(text).ok()?;
            match decode_session(&text, &streams.limits()) {
                Ok(kept) => kept
                    .filter(|kept| kept.is_of(&namespace))
                    .map(|kept| kept.session),
                Err(error) => {
                    streams
                        .status
                        .malformed(&streams.config.session_key_prefix, error);
                    None
                }
            }
        })
    }

    fn missed(
        &self,
        namespace: &str,
        session: &SavedSession,
        offset: &str,
    ) -> BoxFuture<'static, Option<Vec<Missed>>> {
        let (streams, namespace) = (self.0.clone(), namespace.to_owned());
        let (session, at) = (session.clone(), place(offset));
        Box::pin(async move {
            let mut at = at?;
            let mut missed = Vec::new();
            // Whoever puts in faster than this reads would keep it for ever.
            let pages = streams.config.max_len.saturating_mul(2) / PAGE + 2;
            for _ in 0..pages {
                let entries = streams.entries(&namespace, next(at)?, None).await?;
                let is_last = entries.len() < PAGE;
                for entry in entries {
                    at = place(&entry.id)?;
                    missed.extend(streams.read_missed(&entry, &namespace, &session));
                }
                if is_last {
                    return Some(missed);
                }
            }
            None
        })
    }
}

impl Streams {
    /// From one place to another, or to the end: as many as a page has.
    async fn entries(&self, namespace: &str, from: Place, to: Option<Place>) -> Option<Vec<RawEntry>> {
        let id = |(time, number): Place| format!("{time}-{number}");
        let mut command = cmd("XRANGE");
        command
            .arg(self.name_of(self.index(namespace)))
            .arg(id(from))
            .arg(to.map_or_else(|| "+".to_owned(), id))
            .arg("COUNT")
            .arg(PAGE);
        self.ask(command).await.map(range)
    }

    /// The message, if it was for the session. Volatile ones are not sent again.
    fn read_missed(&self, entry: &RawEntry, namespace: &str, session: &SavedSession) -> Option<Missed> {
        if entry.field("nsp") != Some(namespace) || entry.field("type") != Some("3") {
            return None;
        }
        // What cannot be read, the task that reads the stream tells of.
        let read = Entry::read(entry.fields(), &self.limits()).ok()?;
        let Body::Broadcast {
            event,
            target,
            request: None,
        } = read.body().ok()?
        else {
            return None;
        };
        let rooms = (!target.rooms.is_empty()).then_some(target.rooms);
        let is_for = session.is_for(&Selection::new(rooms, target.except));
        (is_for && !target.volatile).then(|| Missed {
            offset: entry.id.clone(),
            message: Prepared::from_data(namespace, event.data, event.attachments, None),
        })
    }

    /// What Redis answers; `None` if it does not, or not soon.
    async fn ask(&self, command: Cmd) -> Option<Value> {
        if !self.publisher.is_connected() {
            return None;
        }
        let size = self.config.session_key_prefix.len();
        let answer = timeout(self.redis.requests_timeout, self.publisher.command(command, size));
        answer.await.ok()?.ok()?.ok()
    }

    fn session_key(&self, private_id: &str) -> String {
        format!("{}{private_id}", self.config.session_key_prefix)
    }
}

/// The first place behind that one.
fn next((time, number): Place) -> Option<Place> {
    match number.checked_add(1) {
        Some(number) => Some((time, number)),
        None => Some((time.checked_add(1)?, 0)),
    }
}
