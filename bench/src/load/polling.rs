//! Clients on long-polling, as a page in a browser has them: two keep-alive connections each, one whose GET is held by the
//! server until there is something to tell, and one for the POSTs. A message is a POST and the end of a GET.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::idle::{self, Held};
use super::{LoadError, Outcome, PATIENCE, Plan, seconds};
use crate::system::probe::Probe;
use crate::wire::flavour::{Flavour, Incoming, put_ping_packet};
use crate::wire::http;

/// How many clients are being opened at one time.
const OPENING: usize = 64;

/// Between the packets of one payload (Engine.IO 4).
const SEPARATOR: u8 = 0x1e;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lane {
    Get,
    Post,
}

/// One connection, or none: the server may close it while nothing is asked on it, and it is opened again when there is.
#[derive(Default)]
struct Line {
    stream: Option<TcpStream>,
    /// Read, but no whole response yet.
    input: Vec<u8>,
    /// Not taken by the kernel yet.
    unsent: Vec<u8>,
    /// Whether a response is due.
    is_asked: bool,
}

#[derive(Default)]
struct Client {
    get: Line,
    post: Line,
    sid: String,
    is_joined: bool,
    /// The number of the last request.
    number: u32,
    /// Packets that wait until the POST that is under way is answered.
    waiting: Vec<u8>,
    /// Whether its answer has come; the next one goes out when the POST was answered, too.
    is_answered: bool,
}

/// All clients.
struct Clients {
    poll: Poll,
    address: SocketAddr,
    host: String,
    clients: Vec<Client>,
    scratch: Vec<u8>,
    joined: usize,
    answered: u64,
}

/// Runs request and answer.
pub(super) fn echo(
    address: SocketAddr,
    clients: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let mut all = Clients::new(address, clients)?;
    all.open_all(0..clients)?;
    for at in 0..clients {
        // As if it had its answer: the POST by which it joined may still be under way.
        all.clients[at].is_answered = true;
        all.proceed(at)?;
    }
    all.until(seconds(plan.warm_up), true, |_| false)?;
    let before = all.answered;
    let start = probe.sample()?;
    all.until(seconds(plan.measure), true, |_| false)?;
    let end = probe.sample()?;
    Ok(Outcome::between(&start, &end, all.answered - before))
}

/// Holds clients that do nothing; heartbeats are answered.
pub(super) fn idle(
    address: SocketAddr,
    clients: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let plan = Plan {
        // Longer than servers keep the connection of the POST, which has nothing to do: Node five seconds, Gatewire ten.
        settle: plan.settle * 3.0,
        hold: 0.0,
        ..*plan
    };
    idle::run(&mut Clients::new(address, clients)?, clients, &plan, probe)
}

impl Held for Clients {
    fn open(&mut self, clients: Range<usize>) -> Result<(), LoadError> {
        self.open_all(clients)
    }

    fn rest(&mut self, length: f64) -> Result<(), LoadError> {
        self.until(seconds(length), false, |_| false)
    }
}

impl Clients {
    fn new(address: SocketAddr, clients: usize) -> Result<Self, LoadError> {
        Ok(Self {
            poll: Poll::new().map_err(LoadError::Poll)?,
            address,
            host: address.to_string(),
            clients: (0..clients).map(|_| Client::default()).collect(),
            scratch: vec![0; 64 << 10],
            joined: 0,
            answered: 0,
        })
    }

    /// Opens the clients of a range and waits until each has joined.
    fn open_all(&mut self, Range { start, end }: Range<usize>) -> Result<(), LoadError> {
        let mut started = start;
        let until = seconds(60.0);
        while self.joined < end {
            while started < end.min(self.joined + OPENING) {
                let mut request = Vec::new();
                http::put_poll(&mut request, &self.host, "");
                self.ask(started, Lane::Get, &request)?;
                started += 1;
            }
            let joined = self.joined;
            self.until(until, true, |all| all.joined > joined)?;
            if Instant::now() >= until {
                return Err(LoadError::Stalled {
                    missing: format!("{} of {end} clients had joined", self.joined),
                });
            }
        }
        Ok(())
    }

    /// Handles what comes until the time, or until it `is_done`. Silence is an error if `is_due`.
    fn until(
        &mut self,
        until: Instant,
        is_due: bool,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), LoadError> {
        let mut events = Events::with_capacity(1024);
        let mut heard = Instant::now();
        while !is_done(self) {
            let now = Instant::now();
            let Some(left) = until.checked_duration_since(now) else {
                return Ok(());
            };
            if is_due && now - heard > PATIENCE {
                return Err(LoadError::Stalled {
                    missing: "responses were due".to_owned(),
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
                let at = event.token().0 / 2;
                let lane = if event.token().0.is_multiple_of(2) {
                    Lane::Get
                } else {
                    Lane::Post
                };
                self.advance(at, lane)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, at: usize, lane: Lane) -> &mut Line {
        match lane {
            Lane::Get => &mut self.clients[at].get,
            Lane::Post => &mut self.clients[at].post,
        }
    }

    /// Sends a request, on a new connection if there is none.
    fn ask(&mut self, at: usize, lane: Lane, request: &[u8]) -> Result<(), LoadError> {
        let io = |source| LoadError::Io {
            connection: at,
            source,
        };
        if self.line(at, lane).stream.is_none() {
            let mut stream = TcpStream::connect(self.address).map_err(io)?;
            let token = Token(at * 2 + usize::from(lane == Lane::Post));
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
                .map_err(LoadError::Poll)?;
            self.line(at, lane).stream = Some(stream);
        }
        let line = self.line(at, lane);
        line.is_asked = true;
        line.unsent.extend_from_slice(request);
        line.flush().map_err(io)
    }

    /// Sends the request `ping` of a client.
    fn request(&mut self, at: usize) -> Result<(), LoadError> {
        let mut packet = Vec::with_capacity(64);
        put_ping_packet(&mut packet, self.clients[at].number, b"");
        self.clients[at].is_answered = false;
        self.post(at, &packet)
    }

    /// Sends packets, behind those of the POST that is under way.
    fn post(&mut self, at: usize, packets: &[u8]) -> Result<(), LoadError> {
        let client = &mut self.clients[at];
        if client.post.is_asked {
            if !client.waiting.is_empty() {
                client.waiting.push(SEPARATOR);
            }
            client.waiting.extend_from_slice(packets);
            return Ok(());
        }
        let mut request = Vec::with_capacity(1024);
        http::put_post(&mut request, &self.host, &self.clients[at].sid, packets);
        self.ask(at, Lane::Post, &request)
    }

    fn poll_again(&mut self, at: usize) -> Result<(), LoadError> {
        let mut request = Vec::with_capacity(1024);
        http::put_poll(&mut request, &self.host, &self.clients[at].sid);
        self.ask(at, Lane::Get, &request)
    }

    fn advance(&mut self, at: usize, lane: Lane) -> Result<(), LoadError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = self.line(at, lane).read(&mut scratch);
        self.scratch = scratch;
        let is_closed = read.map_err(|source| LoadError::Io {
            connection: at,
            source,
        })?;
        loop {
            let input = &self.line(at, lane).input;
            let found = http::response(input).map_err(|text| LoadError::Wrong { connection: at, text })?;
            let Some(response) = found else {
                break;
            };
            let line = self.line(at, lane);
            line.input.drain(..response.len);
            if !response.is_ok || !line.is_asked {
                let text = String::from_utf8_lossy(&response.body).into_owned();
                return Err(LoadError::Handshake {
                    connection: at,
                    response: text,
                });
            }
            line.is_asked = false;
            match lane {
                Lane::Get => self.told(at, &response.body)?,
                Lane::Post if response.body == b"ok" => {
                    let waiting = std::mem::take(&mut self.clients[at].waiting);
                    if !waiting.is_empty() {
                        self.post(at, &waiting)?;
                    }
                    self.proceed(at)?;
                }
                Lane::Post => return Err(wrong(at, &response.body)),
            }
        }
        let line = self.line(at, lane);
        if is_closed {
            if line.is_asked {
                return Err(LoadError::Closed { connection: at });
            }
            *line = Line::default();
        }
        Ok(())
    }

    /// What a GET has brought.
    fn told(&mut self, at: usize, body: &[u8]) -> Result<(), LoadError> {
        for packet in body.split(|byte| *byte == SEPARATOR) {
            match Flavour::SocketIo.classify(packet, 1, b"") {
                Incoming::Open if self.clients[at].sid.is_empty() => {
                    self.clients[at].sid = sid_of(packet).ok_or_else(|| wrong(at, packet))?;
                    self.post(at, b"40")?;
                }
                Incoming::Joined if !self.clients[at].is_joined => {
                    self.clients[at].is_joined = true;
                    self.joined += 1;
                }
                Incoming::Heartbeat => self.post(at, b"3")?,
                Incoming::Reply(number)
                    if number == self.clients[at].number && !self.clients[at].is_answered =>
                {
                    self.clients[at].is_answered = true;
                    self.answered += 1;
                }
                _ => return Err(wrong(at, packet)),
            }
        }
        self.poll_again(at)?;
        self.proceed(at)
    }

    /// Sends the next request when the last one is answered in both ways.
    fn proceed(&mut self, at: usize) -> Result<(), LoadError> {
        let client = &mut self.clients[at];
        if !client.is_answered || client.post.is_asked {
            return Ok(());
        }
        client.number += 1;
        self.request(at)
    }
}

impl Line {
    fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) => match error.kind() {
                    // Not connected yet, or full: a writable event follows.
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Sends what is unsent and reads what is there; whether the server has closed.
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        self.flush()?;
        let Some(stream) = &mut self.stream else {
            return Ok(false);
        };
        loop {
            match stream.read(scratch) {
                Ok(0) => return Ok(true),
                Ok(read) => self.input.extend_from_slice(&scratch[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(false),
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// The session's id in Engine.IO's open packet, whose JSON no server here writes with escapes.
fn sid_of(packet: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(packet).ok()?;
    let (_, rest) = text.split_once("\"sid\":\"")?;
    rest.split_once('"').map(|(sid, _)| sid.to_owned())
}

fn wrong(connection: usize, payload: &[u8]) -> LoadError {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
    LoadError::Wrong { connection, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found() {
        let open = b"0{\"sid\":\"aB-_1\",\"upgrades\":[\"websocket\"]}";
        assert_eq!(sid_of(open).as_deref(), Some("aB-_1"));
        assert_eq!(sid_of(b"0{}"), None);
    }
}
