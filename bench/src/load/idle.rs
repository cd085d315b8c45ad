//! Idle: many connections are opened and held. What they cost in memory is read after a rest; what their
//! heartbeats cost in CPU time, while they are held longer.

use std::ops::Range;

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, drive, misplaced, seconds};
use crate::system::probe::Probe;

/// Connections that are opened before memory is first read, so that what a server allocates once is not counted
/// as belonging to the connections.
const FIRST: usize = 100;

/// Clients that are opened and held, over whatever transport.
pub(super) trait Held {
    /// Opens these, and has them do what they rest from.
    fn open(&mut self, clients: Range<usize>) -> Result<(), LoadError>;

    /// Holds all that are open for so many seconds, in which nothing but heartbeats may come.
    fn rest(&mut self, length: f64) -> Result<(), LoadError>;
}

/// Opens so many and holds them. The figure is the growth of the resident set from the first hundred to all of them, by client.
pub(super) fn run(
    held: &mut impl Held,
    clients: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let first = FIRST.min(clients / 2);
    held.open(0..first)?;
    held.rest(plan.settle.min(1.0))?;
    let before = probe.sample()?.resident;
    held.open(first..clients)?;
    held.rest(plan.settle)?;
    let start = probe.sample()?;
    held.rest(plan.hold)?;
    let end = probe.sample()?;
    let grown = end
        .resident
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let outcome = Outcome::between(&start, &end, clients as u64);
    Ok(Outcome {
        figure: grown.map(|bytes| bytes as f64 / (clients - first) as f64),
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

/// WebSockets; those that are told receive a broadcast each time that some were opened.
pub(super) struct Sockets<'a> {
    pub(super) pool: &'a mut Pool,
    pub(super) is_told: bool,
    /// Broadcasts so far.
    pub(super) told: u32,
}

impl Held for Sockets<'_> {
    fn open(&mut self, clients: Range<usize>) -> Result<(), LoadError> {
        self.pool.open_all(clients.clone())?;
        if self.is_told {
            tell(self.pool, clients.end, self.told)?;
            self.told += 1;
        }
        Ok(())
    }

    fn rest(&mut self, length: f64) -> Result<(), LoadError> {
        rest(self.pool, length)
    }
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
