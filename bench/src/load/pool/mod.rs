//! The client connections and the one event loop that serves them. Reads go into one shared buffer, writes leave once
//! per connection and turn; nothing is allocated per message.

mod connection;
mod inflater;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::LoadError;
use crate::wire::flavour::{self, Flavour};
use crate::wire::frame::{self, Opcode};
use crate::wire::tls::Wire;
use connection::{Connection, Turn};
use inflater::Inflater;

/// How many connections are being opened at one time.
const OPENING: usize = 128;

/// What happened on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// It is open and has joined the namespace.
    Ready,
    /// The right answer to the request of this number.
    Reply(u32),
    /// The broadcast message of this number.
    Message(u32),
    /// It is closed, as was asked for.
    Closed,
}

/// How the connections of a run talk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    /// What the server speaks.
    pub(crate) flavour: Flavour,
    /// Messages are compressed.
    pub(crate) is_deflated: bool,
    /// Broadcasts are long.
    pub(crate) is_long: bool,
    /// The connections have TLS.
    pub(crate) is_encrypted: bool,
    /// How many namespaces they are spread over, `/n0` and so on; without any all are in `/`.
    pub(crate) namespaces: usize,
}

impl Talk {
    /// Plain messages in the namespace `/`.
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            is_deflated: false,
            is_long: false,
            is_encrypted: false,
            namespaces: 0,
        }
    }

    /// The same of the connection of this number.
    fn of(self, connection: usize) -> Self {
        Self {
            flavour: self.flavour.of(connection),
            ..self
        }
    }

    fn fillers(self) -> usize {
        if self.is_long { flavour::LONG } else { 1 }
    }
}

/// What a connection sends when the current turn has read all its messages.
pub(crate) struct Outgoing<'a> {
    talk: Talk,
    space: &'a [u8],
    out: &'a mut Vec<u8>,
    close: bool,
}

impl Outgoing<'_> {
    /// Sends the request `ping`.
    pub(crate) fn ping(&mut self, number: u32) {
        self.talk.flavour.put_ping(self.out, number, self.space);
    }

    /// Sends an event with JSON as its one argument.
    pub(crate) fn event(&mut self, name: &str, json: &str) {
        self.talk.flavour.put_event(self.out, name, json);
    }

    /// Sends the request `broadcast`.
    pub(crate) fn broadcast(&mut self, number: u32) {
        let fillers = self.talk.fillers();
        self.talk.flavour.put_broadcast(self.out, number, fillers);
    }

    /// Starts the close handshake; [`Event::Closed`] follows.
    pub(crate) fn close(&mut self) {
        frame::put(self.out, Opcode::Close, |out| {
            out.extend_from_slice(&1000_u16.to_be_bytes())
        });
        self.close = true;
    }
}

/// All connections of a run.
pub(crate) struct Pool {
    poll: Poll,
    events: Events,
    address: SocketAddr,
    talk: Talk,
    inflater: Inflater,
    handshake: Vec<u8>,
    /// That of the first connection, which sends.
    first_handshake: Vec<u8>,
    connections: Vec<Connection>,
    /// How packets name the namespaces that the connections are spread over.
    spaces: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

impl Pool {
    /// Makes room for so many connections; none is open yet.
    pub(crate) fn new(address: SocketAddr, talk: Talk, connections: usize) -> io::Result<Self> {
        let host = address.to_string();
        let handshake = talk.flavour.handshake(&host, talk.is_deflated);
        let first_handshake = talk.flavour.of(0).handshake(&host, talk.is_deflated);
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            address,
            talk,
            inflater: Inflater::default(),
            handshake: handshake.into_bytes(),
            first_handshake: first_handshake.into_bytes(),
            connections: (0..connections).map(|_| Connection::default()).collect(),
            spaces: (0..talk.namespaces)
                .map(|at| format!("/n{at},").into_bytes())
                .collect(),
            scratch: vec![0; 256 << 10],
            out: Vec::with_capacity(64 << 10),
        })
    }

    /// Gives up the connections, each joined and with nothing read that was not handled; those over TLS are closed.
    pub(crate) fn into_streams(self) -> Result<Vec<TcpStream>, LoadError> {
        let mut streams = Vec::with_capacity(self.connections.len());
        for connection in self.connections {
            if let Some(Wire::Plain(mut stream)) = connection.into_stream() {
                self.poll
                    .registry()
                    .deregister(&mut stream)
                    .map_err(LoadError::Poll)?;
                streams.push(stream);
            }
        }
        Ok(streams)
    }

    /// How many connections there is room for.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Opens the connections of `range` and waits until each has joined.
    pub(crate) fn open_all(&mut self, range: Range<usize>) -> Result<(), LoadError> {
        struct Progress {
            started: usize,
            ready: usize,
        }
        let count = range.len();
        let mut progress = Progress {
            started: count.min(OPENING),
            ready: 0,
        };
        for connection in range.clone().take(progress.started) {
            self.open(connection)?;
        }
        super::drive(
            self,
            &mut progress,
            super::seconds(120.0),
            "connections were opening",
            |progress, connection, event, _| match event {
                Event::Ready => {
                    progress.ready += 1;
                    Ok(())
                }
                other => Err(super::misplaced(connection, other)),
            },
            |progress, pool| {
                while progress.started < count.min(progress.ready + OPENING) {
                    pool.open(range.start + progress.started)?;
                    progress.started += 1;
                }
                Ok(progress.ready == count)
            },
        )?;
        if progress.ready == count {
            Ok(())
        } else {
            Err(LoadError::Stalled {
                missing: format!("{} of {count} connections were open", progress.ready),
            })
        }
    }

    /// Starts to open a connection whose place is free.
    pub(crate) fn open(&mut self, connection: usize) -> Result<(), LoadError> {
        let mut stream =
            TcpStream::connect(self.address).map_err(|source| LoadError::Io { connection, source })?;
        self.poll
            .registry()
            .register(
                &mut stream,
                Token(connection),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(LoadError::Poll)?;
        let stream = if self.talk.is_encrypted {
            Wire::tls(stream).map_err(|source| LoadError::Io { connection, source })?
        } else {
            Wire::Plain(stream)
        };
        self.connections[connection] = Connection::connecting(stream);
        Ok(())
    }

    /// Sends on a connection outside of its events.
    pub(crate) fn send(
        &mut self,
        connection: usize,
        fill: impl FnOnce(&mut Outgoing<'_>),
    ) -> Result<(), LoadError> {
        self.out.clear();
        let mut outgoing = Outgoing {
            talk: self.talk.of(connection),
            space: space(&self.spaces, connection),
            out: &mut self.out,
            close: false,
        };
        fill(&mut outgoing);
        let close = outgoing.close;
        let place = &mut self.connections[connection];
        if close {
            place.await_close();
        }
        place
            .write(&self.out)
            .map_err(|source| LoadError::Io { connection, source })
    }

    /// Waits for events, at most for `timeout`, and handles them; returns how many connections had one.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut on: impl FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>,
    ) -> Result<usize, LoadError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            other => other.map_err(LoadError::Poll)?,
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            let connection = event.token().0;
            let place = &mut self.connections[connection];
            self.out.clear();
            let mut turn = Turn {
                connection,
                outgoing: Outgoing {
                    talk: self.talk.of(connection),
                    space: space(&self.spaces, connection),
                    out: &mut self.out,
                    close: false,
                },
                handshake: if connection == 0 {
                    &self.first_handshake
                } else {
                    &self.handshake
                },
                inflater: &mut self.inflater,
                on: &mut on,
            };
            place.advance(event, &mut turn, &mut self.scratch)?;
        }
        Ok(count)
    }
}

fn space(spaces: &[Vec<u8>], connection: usize) -> &[u8] {
    match spaces.len() {
        0 => &[],
        count => &spaces[connection % count],
    }
}
