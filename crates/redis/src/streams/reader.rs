//! The task that reads one stream, on a connection of its own, from where it is: what other nodes put in while the
//! connection was broken is read afterwards. Messages of this node that come back are delivered when it comes to them.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, RedisResult, Value, cmd};

use super::turns::Turns;
use super::values::{Place, RawEntry, place, range, read};
use super::{NUMBER, Streams, last_entry};
use crate::connection::{Backoff, Link, Lost, Part, Source, Status};
use crate::node::Inbox;
use crate::wire::Limits;
use crate::wire::cluster::Entry;

pub(super) struct Reader {
    stream: String,
    uid: Box<str>,
    source: Arc<Source>,
    inbox: Inbox,
    turns: Arc<Turns>,
    status: Arc<Status>,
    part: Part,
    backoff: Backoff,
    limits: Limits,
    count: usize,
    block: Duration,
    /// Whether what is read has its place in the log of its namespace.
    is_log: bool,
    /// The last entry that was read, once it is known where to begin.
    at: Option<Place>,
}

/// Why reading ended.
enum End {
    /// The node is gone.
    Closed,
    Broken(String),
}

impl From<redis::RedisError> for End {
    fn from(error: redis::RedisError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Reader {
    pub(super) fn new(
        streams: &Streams,
        source: Arc<Source>,
        stream: String,
        turns: Arc<Turns>,
        inbox: Inbox,
        is_log: bool,
    ) -> Self {
        Self {
            stream,
            uid: streams.uid.clone(),
            source,
            inbox,
            turns,
            status: streams.status.clone(),
            part: streams.status.part(),
            backoff: Backoff::new(streams.redis.max_reconnect_delay),
            limits: streams.limits(),
            count: streams.config.read_count.max(1),
            block: streams.config.block_time,
            is_log,
            at: None,
        }
    }

    /// `start` is the last entry that there was when the node came.
    pub(super) async fn run(mut self, start: impl Future<Output = Result<RedisResult<Value>, Lost>> + Send) {
        let turns = self.turns.clone();
        if let Ok(Ok(Ok(answer))) = meanwhile(&turns, start).await {
            self.at = Some(last_of(answer));
        }
        loop {
            match self.read_on().await {
                End::Closed => return,
                End::Broken(reason) => self.part.down(reason),
            }
            let delay = tokio::time::sleep(self.backoff.delay());
            if meanwhile(&turns, delay).await.is_err() {
                return;
            }
        }
    }

    /// Until the connection breaks.
    async fn read_on(&mut self) -> End {
        let turns = self.turns.clone();
        let reading = async {
            let mut link = self.source.connect_blocking(self.block).await?;
            let mut at = self.find_place(&mut link).await?;
            self.turns.resume();
            self.part.up();
            self.backoff.reset();
            loop {
                let entries = read(link.query(&self.command(at)).await?);
                if !entries.is_empty() {
                    self.turns.moved();
                }
                for entry in entries {
                    at = place(&entry.id).unwrap_or(at);
                    self.at = Some(at);
                    self.take(&entry);
                }
                if !self.inbox.is_open() {
                    return Err::<(), End>(End::Closed);
                }
            }
        };
        match meanwhile(&turns, reading).await {
            Ok(Err(end)) => end,
            _ => End::Closed,
        }
    }

    fn command(&self, (time, number): Place) -> Cmd {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(self.count);
        command
            .arg("BLOCK")
            .arg(u64::try_from(self.block.as_millis()).unwrap_or(u64::MAX));
        command
            .arg("STREAMS")
            .arg(&self.stream)
            .arg(format!("{time}-{number}"));
        command
    }

    /// Where to go on: behind what was read last, if that is still so.
    async fn find_place(&self, link: &mut Link) -> Result<Place, End> {
        let last = last_of(link.query(&last_entry(&self.stream)).await?);
        let Some(at) = self.at else {
            return Ok(last);
        };
        if last < at {
            tracing::warn!(
                stream = self.stream,
                "Redis has lost the stream, or the end of it: the messages that were there are gone"
            );
            return Ok(last);
        }
        let mut command = cmd("XRANGE");
        command.arg(&self.stream).arg("-").arg("+").arg("COUNT").arg(1);
        let first = last_of(link.query(&command).await?);
        if at != START && first > at {
            tracing::warn!(
                stream = self.stream,
                "the stream begins behind what was read of it last: messages of other nodes may be lost. \
                 A larger max_len keeps more of them"
            );
        }
        Ok(at)
    }

    fn take(&self, raw: &RawEntry) {
        self.status.counters.add_received();
        if raw.field("uid") == Some(&self.uid) {
            if let Some(number) = raw.field(NUMBER).and_then(|number| number.parse().ok()) {
                let due = self.turns.come_to(number);
                due.before
                    .into_iter()
                    .for_each(|delivery| delivery.without_offset());
                if let Some(delivery) = due.this {
                    delivery.at(&raw.id);
                }
            }
            return;
        }
        match Entry::read(raw.fields(), &self.limits) {
            Ok(entry) => self.inbox.entry(&entry, self.is_log.then_some(&*raw.id)),
            Err(error) => self.status.malformed(&self.stream, error),
        }
    }
}

/// Before all entries.
const START: Place = (0, 0);

fn last_of(answer: Value) -> Place {
    let entries = range(answer);
    entries
        .first()
        .and_then(|entry| place(&entry.id))
        .unwrap_or(START)
}

/// Waits for something, and delivers meanwhile what has waited for its turn too long. An error if the node is gone.
async fn meanwhile<T>(turns: &Turns, waiting: impl Future<Output = T>) -> Result<T, ()> {
    let mut waiting = std::pin::pin!(waiting);
    loop {
        tokio::select! {
            result = &mut waiting => return Ok(result),
            late = turns.late() => match late {
                Some(late) => late.into_iter().for_each(|delivery| delivery.without_offset()),
                None => return Err(()),
            },
        }
    }
}
