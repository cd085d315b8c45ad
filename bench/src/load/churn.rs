//! Churn: connections are opened, upgraded, joined to the namespace, and closed with the close handshake, a fixed
//! number at a time.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, drive, misplaced, seconds};
use crate::system::probe::Probe;

/// How many connections a measurement makes at most: the ports of one address are few, and each stays taken for
/// a minute after its close.
const LIMIT: u64 = 10_000;
const WARM_UP_LIMIT: u64 = 2_000;

struct State {
    closed: Vec<usize>,
    count: u64,
}

/// Runs the mode, with as many connections at a time as the pool has room for.
pub(super) fn run(pool: &mut Pool, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let mut state = State {
        closed: Vec::new(),
        count: 0,
    };
    for connection in 0..pool.len() {
        pool.open(connection)?;
    }
    phase(pool, &mut state, plan.warm_up, WARM_UP_LIMIT)?;
    let before = state.count;
    let start = probe.sample()?;
    phase(pool, &mut state, plan.measure, before + LIMIT)?;
    let end = probe.sample()?;
    Ok(Outcome::between(&start, &end, state.count - before))
}

fn phase(pool: &mut Pool, state: &mut State, length: f64, limit: u64) -> Result<(), LoadError> {
    drive(
        pool,
        state,
        seconds(length),
        "connections were opening and closing",
        |state, connection, event, outgoing| {
            match event {
                Event::Ready => outgoing.close(),
                Event::Closed => {
                    state.closed.push(connection);
                    state.count += 1;
                }
                other => return Err(misplaced(connection, other)),
            }
            Ok(())
        },
        |state, pool| {
            for connection in state.closed.drain(..) {
                pool.open(connection)?;
            }
            Ok(state.count >= limit)
        },
    )
}
