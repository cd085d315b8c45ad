//! Crossfire: sixteen connections send broadcasts at the same time, each several, and every connection receives all of them. Each
//! must arrive exactly once everywhere, and those of one sender in the order in which it sent them: this is demanded, because
//! it is what threads that deliver at the same time could get wrong.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, Shape, drive, misplaced, seconds};
use crate::system::probe::Probe;

/// How many connections send.
const SENDERS: usize = 16;

/// The numbers of one sender's broadcasts begin at its own multiple of this.
const STRIDE: u32 = 5_000_000;

struct State {
    connections: usize,
    depth: u32,
    senders: Vec<Sender>,
    /// For each sender and connection, which of its broadcasts is to come next.
    expected: Vec<u32>,
    delivered: u64,
}

#[derive(Clone, Copy, Default)]
struct Sender {
    /// The first broadcast that is in flight, and how many deliveries of it and those behind it are missing.
    first: u32,
    missing: usize,
}

/// Runs the mode.
pub(super) fn run(pool: &mut Pool, shape: Shape, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let connections = shape.connections;
    pool.open_all(0..connections)?;
    let senders = SENDERS.min(connections);
    let mut state = State {
        connections,
        depth: shape.depth as u32,
        senders: vec![Sender::default(); senders],
        expected: vec![0; senders * connections],
        delivered: 0,
    };
    state.send_due(pool)?;
    phase(pool, &mut state, plan.warm_up)?;
    let before = state.delivered;
    let start = probe.sample()?;
    phase(pool, &mut state, plan.measure)?;
    let end = probe.sample()?;
    Ok(Outcome::between(&start, &end, state.delivered - before))
}

fn phase(pool: &mut Pool, state: &mut State, length: f64) -> Result<(), LoadError> {
    drive(
        pool,
        state,
        seconds(length),
        "deliveries were due",
        |state, connection, event, _| match event {
            Event::Message(number) if state.deliver(connection, number) => Ok(()),
            other => Err(misplaced(connection, other)),
        },
        |state, pool| state.send_due(pool).map(|()| false),
    )
}

impl State {
    /// Notes a delivery; false when it is not the next one of its sender for this connection.
    fn deliver(&mut self, connection: usize, number: u32) -> bool {
        let (at, number) = ((number / STRIDE) as usize, number % STRIDE);
        let Some(sender) = self.senders.get_mut(at) else {
            return false;
        };
        let expected = &mut self.expected[at * self.connections + connection];
        let is_next = number == *expected && number < sender.first + self.depth && sender.missing > 0;
        if is_next {
            *expected += 1;
            sender.missing -= 1;
            self.delivered += 1;
        }
        is_next
    }

    /// A sender whose broadcasts all have arrived sends the next ones.
    fn send_due(&mut self, pool: &mut Pool) -> Result<(), LoadError> {
        for (at, sender) in self.senders.iter_mut().enumerate() {
            if sender.missing > 0 {
                continue;
            }
            sender.first = self.expected[at * self.connections];
            sender.missing = self.depth as usize * self.connections;
            let first = at as u32 * STRIDE + sender.first;
            pool.send(at, |outgoing| {
                (first..first + self.depth).for_each(|number| outgoing.broadcast(number))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_demanded_of_each_sender_alone() {
        let mut state = State {
            connections: 2,
            depth: 2,
            senders: vec![Sender { first: 0, missing: 4 }; 2],
            expected: vec![0; 4],
            delivered: 0,
        };
        for (connection, number, expected) in [
            (0, 1, false),
            (0, 0, true),
            (0, 0, false),
            (0, STRIDE, true),
            (0, 1, true),
            (0, 2, false),
            (1, STRIDE, true),
            (0, 2 * STRIDE, false),
        ] {
            assert_eq!(
                state.deliver(connection, number),
                expected,
                "{number} at {connection}"
            );
        }
        assert_eq!(state.delivered, 4);
    }
}
