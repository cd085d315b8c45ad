//! What changes: a number that becomes another one every so often, and the moment of it.

use std::time::Duration;

use gatewire::controller::{Followed, LongPoll, ReplayLog, Waited};
use gatewire::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use crate::clock;
use crate::noise::Noise;

/// How many changes a listener may be behind before it misses some.
const BEHIND: usize = 64;

/// The source, and how it may be listened to. A clone is the same.
#[injectable]
#[derive(Clone)]
pub(crate) struct Source {
    #[inject(value = LongPoll::new(Sample::default()))]
    now: LongPoll<Sample>,
    #[inject(default)]
    log: ReplayLog,
    #[inject(value = broadcast::Sender::new(BEHIND))]
    changes: broadcast::Sender<Sample>,
    #[inject(value = watch::Sender::new(Pace::default()))]
    pace: watch::Sender<Pace>,
}

/// One change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// One more each time, so that a page sees how many it missed.
    pub(crate) seq: u64,
    /// When it changed, in milliseconds since 1970.
    at: f64,
    pace: Pace,
}

/// Milliseconds from change to change on average: 50 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u16")]
pub(crate) struct Pace(u16);

impl Source {
    pub(crate) fn now(&self) -> Sample {
        self.now.get()
    }

    /// Waits for something else than what there was at `cursor`.
    pub(crate) async fn next(&self, cursor: Option<u64>, hold: Duration) -> Waited<Sample> {
        self.now.until(cursor, hold).await
    }

    /// The changes after the one with that id, and then those that come.
    pub(crate) fn follow(&self, last: Option<String>) -> Followed {
        self.log.follow(last)
    }

    /// The changes from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Sample> {
        self.changes.subscribe()
    }

    pub(crate) fn set_pace(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }

    fn change(&self) {
        let sample = Sample {
            seq: self.now.get().seq + 1,
            at: clock::millis(),
            pace: *self.pace.borrow(),
        };
        // An error is that nobody listens.
        let _ = self.changes.send(sample);
        self.log.push(SseEvent::json(&sample).unwrap_or_default());
        self.now.set(sample);
    }
}

impl OnApplicationBootstrap for Source {
    async fn on_application_bootstrap(&self) -> HookResult {
        let source = self.clone();
        tokio::spawn(async move {
            let mut pace = source.pace.subscribe();
            let mut noise = Noise::default();
            loop {
                // Half as long to half as long again, so that no poller falls into step with it.
                let every = pace
                    .borrow_and_update()
                    .duration()
                    .mul_f64(1.0 + noise.next() / 2.0);
                tokio::select! {
                    () = tokio::time::sleep(every) => source.change(),
                    // Another pace begins at once.
                    _ = pace.changed() => {}
                }
            }
        });
        Ok(())
    }
}

impl Pace {
    fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self(1000)
    }
}

impl TryFrom<u16> for Pace {
    type Error = &'static str;

    fn try_from(millis: u16) -> Result<Self, Self::Error> {
        match millis {
            50..=10_000 => Ok(Self(millis)),
            _ => Err("a pace is 50 to 10000 milliseconds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn a_change_is_told_in_all_ways() {
        let source = Source {
            now: LongPoll::new(Sample::default()),
            log: ReplayLog::default(),
            changes: broadcast::Sender::new(BEHIND),
            pace: watch::Sender::new(Pace(50)),
        };
        let mut changes = source.changes();
        let mut stream = source.follow(None);
        source.change();
        let sample = source.now();
        assert_eq!((sample.seq, sample.pace), (1, Pace(50)));
        assert_eq!(changes.try_recv(), Ok(sample));
        let event = stream.next().now_or_never().flatten().unwrap();
        assert_eq!(event.text(), Some(&*serde_json::to_string(&sample).unwrap()));
    }

    #[test]
    fn a_pace_is_bounded() {
        for (text, good) in [
            ("49", false),
            ("50", true),
            ("10000", true),
            ("10001", false),
            ("-1", false),
        ] {
            assert_eq!(serde_json::from_str::<Pace>(text).is_ok(), good, "{text}");
        }
    }
}
