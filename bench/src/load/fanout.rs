//! Fan-out: the first connection sends broadcasts, every connection receives them, the sender included. A new one
//! is sent when all have the oldest; each must arrive exactly once everywhere. Order is watched, not demanded.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, Shape, drive, misplaced, seconds};
use crate::system::probe::Probe;

struct State {
    connections: usize,
    /// How many receivers still lack each broadcast in flight; the oldest is `oldest`, its place the remainder.
    missing: Vec<usize>,
    /// For each connection, which broadcasts in flight it has: a bit for each place.
    received: Vec<u64>,
    /// For each connection, the number that is to come.
    expected: Vec<u32>,
    oldest: u32,
    next: u32,
    delivered: u64,
    overtaken: u64,
}

/// The most broadcasts in flight: the bits of a receiver's mask.
const MAX_DEPTH: usize = 64;

/// Runs the mode.
pub(super) fn run(pool: &mut Pool, shape: Shape, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let Shape { connections, depth } = shape;
    pool.open_all(0..connections)?;
    let mut state = State::new(connections, depth.min(MAX_DEPTH));
    state.send_due(pool)?;
    phase(pool, &mut state, plan.warm_up)?;
    let before = state.delivered;
    let start = probe.sample()?;
    phase(pool, &mut state, plan.measure)?;
    let end = probe.sample()?;
    let outcome = Outcome::between(&start, &end, state.delivered - before);
    Ok(Outcome {
        overtaken: state.overtaken,
        ..outcome
    })
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
    fn new(connections: usize, depth: usize) -> Self {
        Self {
            connections,
            missing: vec![0; depth],
            received: vec![0; connections],
            expected: vec![0; connections],
            oldest: 0,
            next: 0,
            delivered: 0,
            overtaken: 0,
        }
    }

    /// Notes a delivery; false when it was never sent or came before.
    fn deliver(&mut self, connection: usize, number: u32) -> bool {
        if !(self.oldest..self.next).contains(&number) {
            return false;
        }
        let place = number as usize % self.missing.len();
        let bit = 1 << place;
        if self.received[connection] & bit != 0 {
            return false;
        }
        self.received[connection] |= bit;
        self.missing[place] -= 1;
        self.overtaken += u64::from(number != self.expected[connection]);
        self.expected[connection] = number + 1;
        self.delivered += 1;
        true
    }

    fn send_due(&mut self, pool: &mut Pool) -> Result<(), LoadError> {
        let sent = self.next;
        while self.advance() {}
        if self.next == sent {
            return Ok(());
        }
        pool.send(0, |outgoing| {
            (sent..self.next).for_each(|number| outgoing.broadcast(number))
        })
    }

    /// Forgets the oldest broadcast if all have it, and takes up the next if there is room for it.
    fn advance(&mut self) -> bool {
        let depth = self.missing.len();
        if self.oldest < self.next && self.missing[self.oldest as usize % depth] == 0 {
            let bit = !(1 << (self.oldest as usize % depth));
            self.received.iter_mut().for_each(|received| *received &= bit);
            self.oldest += 1;
        }
        if ((self.next - self.oldest) as usize) < depth {
            self.missing[self.next as usize % depth] = self.connections;
            self.next += 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_done_when_every_receiver_has_it_once() {
        let mut state = State::new(2, 2);
        while state.advance() {}
        assert_eq!((state.oldest, state.next), (0, 2));
        assert!(state.deliver(0, 0));
        assert!(!state.deliver(0, 0), "twice");
        assert!(!state.deliver(1, 2), "never sent");
        assert!(state.deliver(0, 1));
        assert!(state.deliver(1, 1));
        assert!(!state.advance(), "the oldest is still due");
        assert_eq!(state.overtaken, 1);
        assert!(state.deliver(1, 0));
        while state.advance() {}
        assert_eq!((state.oldest, state.next, state.delivered), (2, 4, 4));
        assert!(!state.deliver(1, 0), "long done");
        assert!(state.deliver(0, 2));
    }
}
