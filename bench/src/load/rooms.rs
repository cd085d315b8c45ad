//! Rooms: many of them, ten connections in each, and every connection in as many as it takes. One connection sends messages to
//! one room after another, several at a time; each must come exactly once to each of the ten, and to nobody else.

use super::pool::{Event, Pool};
use super::{LoadError, Outcome, Plan, drive, misplaced, seconds};
use crate::system::probe::Probe;
use crate::wire::flavour::payload_text;

/// How many connections are in each room.
const MEMBERS: usize = 10;

/// How many messages are under way, each to another room.
const DEPTH: u32 = 8;

/// Rooms are taken in steps of this, a prime, so that neighbours in time are no neighbours in memory.
const STEP: usize = 7_919;

struct State {
    connections: usize,
    rooms: usize,
    /// The first message that is under way, and for each of them which members still lack it: a bit for each.
    first: u32,
    missing: [u16; DEPTH as usize],
    delivered: u64,
}

/// Runs the mode with so many rooms.
pub(crate) fn run(pool: &mut Pool, rooms: usize, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let connections = pool.len();
    pool.open_all(0..connections)?;
    join(pool, rooms)?;
    let mut state = State {
        connections,
        rooms,
        first: 0,
        missing: [0; DEPTH as usize],
        delivered: 0,
    };
    state.send(pool)?;
    phase(pool, &mut state, plan.warm_up)?;
    let before = state.delivered;
    let start = probe.sample()?;
    phase(pool, &mut state, plan.measure)?;
    let end = probe.sample()?;
    Ok(Outcome::between(&start, &end, state.delivered - before))
}

/// Has every connection join its rooms. A request follows, and its answer says that this is done.
fn join(pool: &mut Pool, rooms: usize) -> Result<(), LoadError> {
    let connections = pool.len();
    let mut rooms_of = vec![Vec::new(); connections];
    for (room, place) in (0..rooms).flat_map(|room| (0..MEMBERS).map(move |place| (room, place))) {
        rooms_of[member(room, place, connections)].push(format!("\"room-{room}\""));
    }
    for (connection, rooms) in rooms_of.iter().enumerate() {
        let json = format!("[{}]", rooms.join(","));
        pool.send(connection, |outgoing| {
            outgoing.event("join", &json);
            outgoing.ping(0);
        })?;
    }
    let mut missing = connections;
    drive(
        pool,
        &mut missing,
        seconds(30.0),
        "rooms were being joined",
        |missing, connection, event, _| match event {
            Event::Reply(0) if *missing > 0 => {
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
        missing: format!("{missing} of {connections} connections were joining rooms"),
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
        |state, pool| {
            if state.missing == [0; DEPTH as usize] {
                state.first += DEPTH;
                state.send(pool)?;
            }
            Ok(false)
        },
    )
}

/// The connection that has a place in a room.
fn member(room: usize, place: usize, connections: usize) -> usize {
    (room * MEMBERS + place) % connections
}

impl State {
    fn room(&self, number: u32) -> usize {
        number as usize * STEP % self.rooms
    }

    fn send(&mut self, pool: &mut Pool) -> Result<(), LoadError> {
        self.missing = [(1 << MEMBERS) - 1; DEPTH as usize];
        pool.send(0, |outgoing| {
            for number in self.first..self.first + DEPTH {
                let json = format!(
                    "{{\"room\":\"room-{}\",\"message\":\"{}\"}}",
                    self.room(number),
                    payload_text(number)
                );
                outgoing.event("room", &json);
            }
        })
    }

    /// Notes a delivery; false when this connection is not in the room, or has the message.
    fn deliver(&mut self, connection: usize, number: u32) -> bool {
        let room = self.room(number);
        let place = (0..MEMBERS).find(|place| member(room, *place, self.connections) == connection);
        let missing = number
            .checked_sub(self.first)
            .and_then(|at| self.missing.get_mut(at as usize));
        let (Some(place), Some(missing)) = (place, missing) else {
            return false;
        };
        let was_missing = *missing & (1 << place) != 0;
        *missing &= !(1 << place);
        self.delivered += u64::from(was_missing);
        was_missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_for_the_members_of_its_room() {
        let mut state = State {
            connections: 100,
            rooms: 1_000,
            first: 8,
            missing: [(1 << MEMBERS) - 1; DEPTH as usize],
            delivered: 0,
        };
        // 8 × 7,919 % 1,000 is 352: places 20 to 29 of a hundred.
        for (connection, number, expected) in [
            (20, 8, true),
            (20, 8, false),
            (29, 8, true),
            (30, 8, false),
            (19, 8, false),
            (20, 7, false),
            (20, 16, false),
        ] {
            assert_eq!(
                state.deliver(connection, number),
                expected,
                "{number} at {connection}"
            );
        }
        assert_eq!(state.delivered, 2);
    }
}
