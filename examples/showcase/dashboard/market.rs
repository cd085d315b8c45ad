//! The prices, which are made up: a walk that tends to come home. Their last minutes are kept, and each move is an event of
//! a log that streams follow.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatewire::controller::{Followed, ReplayLog};
use gatewire::prelude::*;
use serde::Serialize;

use crate::clock;
use crate::noise::Noise;

const SYMBOLS: [&str; 4] = ["OAK", "ELM", "FIR", "ASH"];
/// Where the prices begin, and to where they tend.
const HOME: [f64; 4] = [12_000.0, 8_600.0, 15_400.0, 10_300.0];
/// How often they move.
const EVERY: Duration = Duration::from_millis(500);
/// How many moves a page is shown at first: two minutes.
const HISTORY: usize = 240;

/// The market. A clone is the same.
#[injectable]
#[derive(Clone)]
pub(crate) struct Market {
    #[inject(default)]
    state: Arc<Mutex<State>>,
    #[inject(default)]
    log: ReplayLog,
}

/// One move of all prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tick {
    /// One more each time, so that a page sees that it missed none.
    seq: u64,
    /// When, in milliseconds since 1970.
    at: f64,
    /// In the order of the symbols.
    cents: [u32; 4],
}

/// The last minutes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    symbols: [&'static str; 4],
    /// Milliseconds from move to move.
    every: u64,
    ticks: Vec<Tick>,
    /// The id of the last one's event; empty if there is none.
    last_id: String,
}

struct State {
    walk: Walk,
    seq: u64,
    ticks: VecDeque<Tick>,
    last_id: String,
}

impl Market {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            symbols: SYMBOLS,
            every: u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX),
            ticks: state.ticks.iter().cloned().collect(),
            last_id: state.last_id.clone(),
        }
    }

    /// The moves after the one with that id, and then those that come.
    pub(crate) fn follow(&self, last: Option<String>) -> Followed {
        self.log.follow(last)
    }

    fn step(&self) {
        let mut state = self.lock();
        state.seq += 1;
        let tick = Tick {
            seq: state.seq,
            at: clock::millis(),
            cents: state.walk.step(),
        };
        // Within the lock: a snapshot and its id belong together.
        state.last_id = self
            .log
            .push(SseEvent::json(&tick).unwrap_or_default().event("tick"));
        if state.ticks.len() == HISTORY {
            state.ticks.pop_front();
        }
        state.ticks.push_back(tick);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnApplicationBootstrap for Market {
    async fn on_application_bootstrap(&self) -> HookResult {
        let market = self.clone();
        tokio::spawn(async move {
            let mut moves = tokio::time::interval(EVERY);
            loop {
                moves.tick().await;
                market.step();
            }
        });
        Ok(())
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            walk: Walk {
                noise: Noise::default(),
                prices: HOME,
            },
            seq: 0,
            ticks: VecDeque::new(),
            last_id: String::new(),
        }
    }
}

struct Walk {
    noise: Noise,
    prices: [f64; 4],
}

impl Walk {
    fn step(&mut self) -> [u32; 4] {
        for (index, home) in HOME.iter().enumerate() {
            let push = self.noise.next() * home * 0.004;
            let price = &mut self.prices[index];
            *price += push + (home - *price) * 0.01;
        }
        self.prices.map(cents)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates"
)]
fn cents(price: f64) -> u32 {
    price.round() as u32
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn market() -> Market {
        Market {
            state: Arc::default(),
            log: ReplayLog::default(),
        }
    }

    #[test]
    fn the_stream_goes_on_where_the_snapshot_ends() {
        let market = market();
        for _ in 0..HISTORY + 3 {
            market.step();
        }
        let snapshot = market.snapshot();
        assert_eq!(snapshot.ticks.len(), HISTORY);
        assert_eq!(snapshot.ticks[0].seq, 4);
        let mut stream = market.follow(Some(snapshot.last_id));
        assert!(stream.next().now_or_never().is_none());
        market.step();
        let event = stream.next().now_or_never().flatten().unwrap();
        let next = HISTORY + 4;
        assert!(event.text().unwrap().starts_with(&format!("{{\"seq\":{next},")));
    }

    #[test]
    fn prices_stay_about_home() {
        let mut walk = Walk {
            noise: Noise::new(7),
            prices: HOME,
        };
        for _ in 0..10_000 {
            for (price, home) in walk.step().into_iter().zip(HOME) {
                let share = f64::from(price) / home;
                assert!((0.7..1.3).contains(&share), "{share}");
            }
        }
    }
}
