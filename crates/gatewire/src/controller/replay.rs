//! A log of events that clients of streams follow: it gives the ids, and who comes back gets what it missed. In memory,
//! bounded, and shared by all its followers: none of them keeps a copy of what waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{Stream, stream};
use gatewire_proto::sse::SseEvent;
use tokio::sync::watch;
use tokio::time::Instant;

/// Bounds of a [`ReplayLog`]: it forgets the oldest events above any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayConfig {
    /// Events. Default 1,024.
    pub max_events: usize,
    /// Bytes of their texts. Default 1 MiB.
    pub max_bytes: usize,
    /// How old they get. Default 5 min.
    pub max_age: Duration,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            max_events: 1024,
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(300),
        }
    }
}

/// Events with ids that mean something: a client that comes back with the id of the last one it got (`Last-Event-ID`) gets
/// those that followed, and then what comes. A clone is the same log.
///
/// An id is the log's epoch and a number, as `m3kq9x-17`. The epoch is another one after a restart, so that a client
/// whose place is not known any more, for that or because it was away for too long, is told so by an event `reset` without
/// an id, whose data is `null`; it goes on with what comes, and should fetch the state anew. The same goes for a client
/// that reads so slowly that the log has forgotten what waits for it.
///
/// ```
/// use gatewire::controller::{Followed, ReplayLog};
/// use gatewire::prelude::*;
///
/// #[controller("/prices")]
/// struct PricesController {
///     #[inject(default)]
///     log: ReplayLog,
/// }
///
/// #[routes]
/// impl PricesController {
///     #[sse("/ticker")]
///     fn ticker(&self, LastEventId(last): LastEventId) -> Followed {
///         self.log.follow(last)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct ReplayLog(Arc<Inner>);

struct Inner {
    config: ReplayConfig,
    epoch: Box<str>,
    log: Mutex<Log>,
    /// The number of the next event; `u64::MAX` at the end.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Log {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    bytes: usize,
    is_ended: bool,
}

struct Entry {
    event: SseEvent,
    size: usize,
    at: Instant,
}

impl ReplayLog {
    /// An empty log.
    #[must_use]
    pub fn new(config: ReplayConfig) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::with_epoch(config, &base36(now.as_micros()))
    }

    /// An empty log whose ids begin with `epoch`; one that is the same after a restart makes ids come twice.
    #[must_use]
    pub fn with_epoch(config: ReplayConfig, epoch: &str) -> Self {
        Self(Arc::new(Inner {
            config,
            epoch: epoch.into(),
            log: Mutex::default(),
            next: watch::Sender::new(0),
        }))
    }

    /// Adds an event, which gets an id; that is returned. Its followers get it in their own time.
    pub fn push(&self, event: SseEvent) -> String {
        let now = Instant::now();
        let mut log = self.lock();
        let number = log.next();
        let id = self.id(number);
        if log.is_ended {
            return id;
        }
        let event = event.id(&*id);
        let size = event.size();
        log.bytes += size;
        log.entries.push_back(Entry { event, size, at: now });
        log.trim(&self.0.config, now);
        drop(log);
        self.0.next.send_replace(number + 1);
        id
    }

    /// Says that nothing will come any more: streams end behind what waits, and who asks again is answered with 204, after
    /// which a browser does not come back.
    pub fn end(&self) {
        self.lock().is_ended = true;
        self.0.next.send_replace(u64::MAX);
    }

    /// Whether [`end`](Self::end) was called.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What came after the event with the id `last`, and then what comes. Without an id it is what comes from now on.
    pub fn follow(&self, last: impl Into<Option<String>>) -> Followed {
        let follower = Follower {
            place: self.start(last.into().as_deref()),
            changes: self.0.next.subscribe(),
            log: self.clone(),
        };
        let events = stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        });
        Followed(Box::pin(events))
    }

    /// As [`follow`](Self::follow); `None` if nothing is left for this client, and nothing will come: to be returned by a
    /// handler, it is the 204.
    pub fn resume(&self, last: impl Into<Option<String>>) -> Option<Followed> {
        let last = last.into();
        let is_over = {
            let place = self.start(last.as_deref());
            let log = self.lock();
            log.is_ended && matches!(place, Place::Number(number) if number >= log.next())
        };
        (!is_over).then(|| self.follow(last))
    }

    fn start(&self, last: Option<&str>) -> Place {
        let log = self.lock();
        let Some(last) = last.filter(|last| !last.is_empty()) else {
            return Place::Number(log.next());
        };
        let number = last
            .rsplit_once('-')
            .filter(|(epoch, _)| *epoch == &*self.0.epoch)
            .and_then(|(_, number)| number.parse::<u64>().ok())
            .and_then(|number| number.checked_add(1));
        match number {
            Some(number) if (log.first..=log.next()).contains(&number) => Place::Number(number),
            _ => Place::Lost,
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.0.epoch)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ReplayLog {
    fn default() -> Self {
        Self::new(ReplayConfig::default())
    }
}

impl fmt::Debug for ReplayLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayLog")
            .field("epoch", &self.0.epoch)
            .field("events", &self.len())
            .finish_non_exhaustive()
    }
}

impl Log {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn trim(&mut self, config: &ReplayConfig, now: Instant) {
        while let Some(oldest) = self.entries.front()
            && (self.entries.len() > config.max_events
                || self.bytes > config.max_bytes
                || now.duration_since(oldest.at) > config.max_age)
        {
            self.bytes -= oldest.size;
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

/// The events that a [`ReplayLog`] has for one client.
pub struct Followed(Pin<Box<dyn Stream<Item = SseEvent> + Send>>);

impl Stream for Followed {
    type Item = SseEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SseEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

/// Where a follower is.
enum Place {
    /// The number of the next event for it.
    Number(u64),
    /// What it missed is not known any more.
    Lost,
}

struct Follower {
    log: ReplayLog,
    changes: watch::Receiver<u64>,
    place: Place,
}

impl Follower {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            // Before the look at the log, so that nothing between is missed.
            self.changes.borrow_and_update();
            {
                let mut log = self.log.lock();
                log.trim(&self.log.0.config, Instant::now());
                match self.place {
                    Place::Number(number) if number >= log.first => {
                        let at = usize::try_from(number - log.first).unwrap_or(usize::MAX);
                        if let Some(entry) = log.entries.get(at) {
                            self.place = Place::Number(number + 1);
                            return Some(entry.event.clone());
                        }
                        if log.is_ended {
                            return None;
                        }
                    }
                    _ => {
                        self.place = Place::Number(log.next());
                        return Some(SseEvent::data("null").event("reset"));
                    }
                }
            }
            // An error would be the log gone, which is held.
            let _ = self.changes.changed().await;
        }
    }
}

fn base36(mut number: u128) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn log(config: ReplayConfig) -> ReplayLog {
        ReplayLog::with_epoch(config, "e")
    }

    fn push(log: &ReplayLog, texts: &[&str]) {
        for text in texts {
            log.push(SseEvent::data(*text));
        }
    }

    /// What is there at once.
    fn read(stream: impl Stream<Item = SseEvent>) -> Vec<String> {
        let mut stream = pin!(stream);
        std::iter::from_fn(|| stream.next().now_or_never().flatten())
            .map(|event| {
                let name = event.event_name().unwrap_or("message");
                format!(
                    "{name} {} {}",
                    event.event_id().unwrap_or(""),
                    event.text().unwrap_or("")
                )
            })
            .collect()
    }

    fn after(log: &ReplayLog, id: &str) -> Vec<String> {
        read(log.follow(id.to_owned()))
    }

    #[test]
    fn what_was_missed_is_replayed() {
        let log = log(ReplayConfig::default());
        push(&log, &["a", "b", "c"]);
        assert_eq!(after(&log, "e-0"), ["message e-1 b", "message e-2 c"]);
        assert_eq!(after(&log, "e-2"), [""; 0]);
        assert_eq!(read(log.follow(None)), [""; 0]);
        for lost in ["e-3", "other-1", "e-x", "17", "e-18446744073709551615"] {
            assert_eq!(after(&log, lost), ["reset  null"], "{lost}");
        }
    }

    #[test]
    fn the_bounds_hold_and_a_gap_is_told() {
        let count = log(ReplayConfig {
            max_events: 2,
            ..ReplayConfig::default()
        });
        push(&count, &["a", "b", "c", "d"]);
        assert_eq!(after(&count, "e-1"), ["message e-2 c", "message e-3 d"]);
        assert_eq!(after(&count, "e-0"), ["reset  null"]);
        let bytes = log(ReplayConfig {
            max_bytes: 12,
            ..ReplayConfig::default()
        });
        push(&bytes, &["aaaa", "bbbb", "c"]);
        assert_eq!(bytes.len(), 2);
        push(&bytes, &["much more than there is place for"]);
        assert_eq!(bytes.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn old_events_are_forgotten() {
        let log = log(ReplayConfig {
            max_age: Duration::from_secs(10),
            ..ReplayConfig::default()
        });
        push(&log, &["a"]);
        tokio::time::advance(Duration::from_secs(6)).await;
        push(&log, &["b"]);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(after(&log, "e-0"), ["message e-1 b"]);
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn a_slow_follower_is_told_of_its_gap() {
        let log = log(ReplayConfig {
            max_events: 2,
            ..ReplayConfig::default()
        });
        let stream = log.follow(None);
        push(&log, &["a", "b", "c"]);
        assert_eq!(read(stream), ["reset  null"]);
        let stream = log.follow(None);
        push(&log, &["d"]);
        assert_eq!(read(stream), ["message e-3 d"]);
    }

    #[test]
    fn the_end_is_no_more() {
        let log = log(ReplayConfig::default());
        push(&log, &["a", "b"]);
        let open = log.follow("e-0".to_owned());
        log.end();
        push(&log, &["never"]);
        assert_eq!(open.collect::<Vec<_>>().now_or_never().unwrap().len(), 1);
        assert!(log.resume("e-0".to_owned()).is_some());
        assert!(log.resume("e-1".to_owned()).is_none());
        assert!(log.resume(None).is_none());
        assert!(log.resume("lost-1".to_owned()).is_some());
    }

    #[tokio::test]
    async fn a_follower_waits_for_what_comes() {
        let log = log(ReplayConfig::default());
        let mut stream = pin!(log.follow(None));
        let (event, ()) = tokio::join!(stream.next(), async {
            tokio::task::yield_now().await;
            push(&log, &["a"]);
        });
        assert_eq!(event.unwrap().event_id(), Some("e-0"));
    }
}
