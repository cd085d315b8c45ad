//! Echo of large binary messages: every connection sends one, reads it back, and sends the next. What comes is compared as it
//! comes, to the one right answer, so that nothing is copied or kept here. A run must end before an unanswered heartbeat ends its
//! connection: a pong would have to wait for the end of a message.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::pool::Pool;
use super::{LoadError, Outcome, PATIENCE, Plan, seconds};
use crate::system::probe::Probe;
use crate::wire::binary::{BinaryForm, Exchange};

/// Engine.IO's heartbeat, a whole frame.
const HEARTBEAT: &[u8] = &[0x81, 1, b'2'];

const MIB: f64 = (1 << 20) as f64;

struct Connection {
    stream: TcpStream,
    /// Which of the two messages is under way.
    kind: usize,
    /// How much of it was sent, and how much of its answer has come.
    sent: usize,
    received: usize,
}

/// The connections, and how many messages they have had back.
struct Bulk {
    poll: Poll,
    connections: Vec<Connection>,
    exchanges: [Exchange; 2],
    scratch: Vec<u8>,
    count: u64,
}

/// Runs the mode with messages of `size` bytes. The figure is by MiB, and so is what is done in a second.
pub(super) fn run(
    mut pool: Pool,
    form: BinaryForm,
    size: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    pool.open_all(0..pool.len())?;
    let mut bulk = Bulk::new(pool.into_streams()?, form, size).map_err(LoadError::Poll)?;
    bulk.phase(plan.warm_up)?;
    let before = bulk.count;
    let start = probe.sample()?;
    bulk.phase(plan.measure)?;
    let end = probe.sample()?;
    let outcome = Outcome::between(&start, &end, bulk.count - before);
    let mib = size as f64 / MIB;
    Ok(Outcome {
        figure: outcome.figure.map(|figure| figure / mib),
        per_second: outcome.per_second * mib,
        ..outcome
    })
}

impl Bulk {
    fn new(streams: Vec<TcpStream>, form: BinaryForm, size: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(streams.len());
        for (at, mut stream) in streams.into_iter().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), interest)?;
            connections.push(Connection {
                stream,
                kind: 0,
                sent: 0,
                received: 0,
            });
        }
        Ok(Self {
            poll,
            connections,
            exchanges: form.exchanges(size),
            scratch: vec![0; 256 << 10],
            count: 0,
        })
    }

    fn phase(&mut self, length: f64) -> Result<(), LoadError> {
        let until = seconds(length);
        let mut events = Events::with_capacity(64);
        let mut heard = Instant::now();
        loop {
            let now = Instant::now();
            let Some(left) = until.checked_duration_since(now) else {
                return Ok(());
            };
            if now - heard > PATIENCE {
                return Err(LoadError::Stalled {
                    missing: "large messages were due".to_owned(),
                });
            }
            match self
                .poll
                .poll(&mut events, Some(left.min(Duration::from_secs(1))))
            {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(LoadError::Poll)?,
            }
            for event in &events {
                heard = now;
                let at = event.token().0;
                let connection = &mut self.connections[at];
                self.count += connection.advance(at, &self.exchanges, &mut self.scratch)?;
            }
        }
    }
}

impl Connection {
    /// Sends and reads as much as can be; returns how many messages have come back.
    fn advance(
        &mut self,
        at: usize,
        exchanges: &[Exchange; 2],
        scratch: &mut [u8],
    ) -> Result<u64, LoadError> {
        let mut count = 0;
        loop {
            self.send(exchanges).map_err(|source| LoadError::Io {
                connection: at,
                source,
            })?;
            let read = match self.stream.read(scratch) {
                Ok(0) => return Err(LoadError::Closed { connection: at }),
                Ok(read) => read,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(count),
                    ErrorKind::Interrupted => continue,
                    _ => {
                        return Err(LoadError::Io {
                            connection: at,
                            source: error,
                        });
                    }
                },
            };
            count += u64::from(self.receive(at, &scratch[..read], exchanges)?);
        }
    }

    fn send(&mut self, exchanges: &[Exchange; 2]) -> io::Result<()> {
        let request = &exchanges[self.kind].request;
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the answer is whole now, and the next message is to be sent.
    fn receive(&mut self, at: usize, input: &[u8], exchanges: &[Exchange; 2]) -> Result<bool, LoadError> {
        // Some servers send the first one at once.
        let input = match input.strip_prefix(HEARTBEAT) {
            Some(rest) if self.received == 0 => rest,
            _ => input,
        };
        let reply = &exchanges[self.kind].reply;
        let rest = &reply[self.received..];
        if !rest.starts_with(input) {
            return Err(LoadError::Wrong {
                connection: at,
                text: "bytes that are not those of the answer".to_owned(),
            });
        }
        self.received += input.len();
        let is_whole = self.received == reply.len();
        if is_whole {
            self.kind = 1 - self.kind;
            (self.sent, self.received) = (0, 0);
        }
        Ok(is_whole)
    }
}
