//! Request and answer: every connection keeps a fixed number of requests in flight and sends the next when one is
//! answered. Answers may come in any order, but each exactly once and with its own payload.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, Shape, drive, misplaced, seconds};
use crate::system::probe::Probe;

struct State {
    depth: usize,
    /// For each connection, the numbers in flight; a number's place is its remainder by the depth.
    flying: Vec<u32>,
    answered: u64,
}

/// Runs the mode.
pub(super) fn run(pool: &mut Pool, shape: Shape, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let Shape { connections, depth } = shape;
    pool.open_all(0..connections)?;
    let first = 0..depth as u32;
    let mut state = State {
        depth,
        flying: (0..connections).flat_map(|_| first.clone()).collect(),
        answered: 0,
    };
    for connection in 0..connections {
        pool.send(connection, |outgoing| {
            first.clone().for_each(|number| outgoing.ping(number))
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
            let place = connection * state.depth + number as usize % state.depth;
            if state.flying[place] != number {
                return Err(misplaced(connection, event));
            }
            let next = number + state.depth as u32;
            state.flying[place] = next;
            state.answered += 1;
            outgoing.ping(next);
            Ok(())
        },
        |_, _| Ok(false),
    )
}
