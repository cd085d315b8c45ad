//! Request and answer: every connection sends as many requests as it may have in flight, waits until all are
//! answered, and sends the next. Answers may come in any order, but each exactly once and with its own payload.
//!
//! A burst is refilled as a whole, not request by request: otherwise the quicker the generator is, the fewer
//! requests reach the server together, and the figure would measure the generator.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, Shape, drive, misplaced, seconds};
use crate::system::probe::Probe;

struct State {
    depth: u32,
    bursts: Vec<Burst>,
    answered: u64,
}

/// What one connection has in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Burst {
    /// The number of its first request.
    first: u32,
    /// Which of its requests lack their answer: a bit for each.
    missing: u64,
}

/// The most requests in flight: the bits of a burst.
const MAX_DEPTH: usize = 64;

/// Runs the mode; only the first `active` connections send, the others are held.
pub(super) fn run(
    pool: &mut Pool,
    shape: Shape,
    active: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    pool.open_all(0..shape.connections)?;
    let depth = shape.depth.min(MAX_DEPTH) as u32;
    let burst = Burst::new(0, depth);
    let mut state = State {
        depth,
        bursts: vec![burst; active],
        answered: 0,
    };
    for connection in 0..active {
        pool.send(connection, |outgoing| {
            (0..depth).for_each(|number| outgoing.ping(number))
        })?;
    }
    phase(pool, &mut state, plan.warm_up)?;
    let before = state.answered;
    let start = probe.sample()?;
    phase(pool, &mut state, plan.measure)?;
    let end = probe.sample()?;
    Ok(Outcome::between(&start, &end, state.answered - before))
}

fn phase(pool: &mut Pool, state: &mut State, length: f64) -> Result<(), LoadError> {
    drive(
        pool,
        state,
        seconds(length),
        "answers were due",
        |state, connection, event, outgoing| {
            let Event::Reply(number) = event else {
                return Err(misplaced(connection, event));
            };
            let Some(burst) = state.bursts.get_mut(connection) else {
                return Err(misplaced(connection, event));
            };
            if !burst.answer(number) {
                return Err(misplaced(connection, event));
            }
            state.answered += 1;
            if burst.missing == 0 {
                *burst = Burst::new(burst.first + state.depth, state.depth);
                (burst.first..burst.first + state.depth).for_each(|number| outgoing.ping(number));
            }
            Ok(())
        },
        |_, _| Ok(false),
    )
}

impl Burst {
    fn new(first: u32, depth: u32) -> Self {
        Self {
            first,
            missing: u64::MAX >> (u64::BITS - depth),
        }
    }

    /// Notes an answer; false when it answers nothing in flight.
    fn answer(&mut self, number: u32) -> bool {
        let Some(bit) = number
            .checked_sub(self.first)
            .and_then(|place| 1_u64.checked_shl(place))
        else {
            return false;
        };
        let was_missing = self.missing & bit != 0;
        self.missing &= !bit;
        was_missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_answered_once_in_any_order() {
        let mut burst = Burst::new(64, 3);
        for (number, expected) in [
            (66, true),
            (66, false),
            (63, false),
            (67, false),
            (128, false),
            (64, true),
            (65, true),
            (65, false),
        ] {
            assert_eq!(burst.answer(number), expected, "{number}");
        }
        assert_eq!(burst.missing, 0);
        assert_eq!(Burst::new(0, 64).missing, u64::MAX);
    }
}
