//! Idle: many connections are opened and held. What they cost in memory is read after a rest; what their
//! heartbeats cost in CPU time, while they are held longer.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, Shape, drive, misplaced, seconds};
use crate::system::probe::Probe;

/// Connections that are opened before memory is first read, so that what a server allocates once is not counted
/// as belonging to the connections.
const FIRST: usize = 100;

/// Runs the mode; with `is_told` each connection receives one broadcast before it rests. The figure is the growth of the resident set from the first hundred connections to all of
/// them, by connection.
pub(super) fn run(
    pool: &mut Pool,
    shape: Shape,
    is_told: bool,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let first = FIRST.min(shape.connections / 2);
    pool.open_all(0..first)?;
    if is_told {
        tell(pool, first, 0)?;
    }
    rest(pool, plan.settle.min(1.0))?;
    let before = probe.sample()?.resident;
    pool.open_all(first..shape.connections)?;
    if is_told {
        tell(pool, shape.connections, 1)?;
    }
    rest(pool, plan.settle)?;
    let start = probe.sample()?;
    rest(pool, plan.hold)?;
    let end = probe.sample()?;
    let grown = end
        .resident
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let count = shape.connections - first;
    let outcome = Outcome::between(&start, &end, shape.connections as u64);
    Ok(Outcome {
        figure: grown.map(|bytes| bytes as f64 / count as f64),
        per_second: 0.0,
        // Without a hold there is no time to take a share of.
        server_share: outcome.server_share.filter(|_| plan.hold > 0.0),
        generator_share: if plan.hold > 0.0 {
            outcome.generator_share
        } else {
            0.0
        },
        ..outcome
    })
}

/// Sends a broadcast and waits until the connections that are open have it.
fn tell(pool: &mut Pool, connections: usize, number: u32) -> Result<(), LoadError> {
    pool.send(0, |outgoing| outgoing.broadcast(number))?;
    let mut missing = connections;
    drive(
        pool,
        &mut missing,
        seconds(30.0),
        "deliveries were due",
        |missing, connection, event, _| match event {
            Event::Message(received) if received == number && *missing > 0 => {
                *missing -= 1;
                Ok(())
            }
            other => Err(misplaced(connection, other)),
        },
        |missing, _| Ok(*missing == 0),
    )?;
    if missing == 0 {
        return Ok(());
    }
    Err(LoadError::Stalled {
        missing: format!("{missing} of {connections} deliveries were due"),
    })
}

fn rest(pool: &mut Pool, length: f64) -> Result<(), LoadError> {
    let until = seconds(length);
    // In short pieces: silence is what is expected here, and `drive` takes long silence for a stall.
    while std::time::Instant::now() < until {
        let piece = until.min(seconds(1.0));
        drive(
            pool,
            &mut (),
            piece,
            "nothing was due",
            |(), connection, event: Event, _| Err(misplaced(connection, event)),
            |(), _| Ok(false),
        )?;
    }
    Ok(())
}
