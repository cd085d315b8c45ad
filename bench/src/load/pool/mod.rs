//! The client connections and the one event loop that serves them. It knows the handshake, the join and the
//! heartbeat, and hands everything else to the mode that runs. Reads go into one shared buffer, writes leave once
//! per connection and turn; nothing is allocated per message.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use flate2::{Decompress, FlushDecompress};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::LoadError;
use crate::wire::flavour::{self, Flavour, Incoming};
use crate::wire::frame::{self, Opcode};
use crate::wire::tls::Wire;

/// How many connections are being opened at one time.
const OPENING: usize = 128;

/// The free room that a read needs at least, in bytes.
const READ_ROOM: usize = 16 << 10;

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
            if let Some(Wire::Plain(mut stream)) = connection.stream {
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
        self.connections[connection] = Connection {
            stream: Some(stream),
            stage: Stage::Connecting,
            ..Connection::default()
        };
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
            place.stage = Stage::Closing;
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

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Free,
    Connecting,
    Upgrading,
    Opening,
    Joining,
    Ready,
    Closing,
}

#[derive(Default)]
struct Connection {
    stream: Option<Wire>,
    stage: Stage,
    /// Read, but not a whole frame yet. Nearly always empty.
    tail: Vec<u8>,
    /// Not taken by the kernel yet. Nearly always empty.
    unsent: Vec<u8>,
}

/// What a connection needs besides itself to handle one event.
struct Turn<'a, F> {
    connection: usize,
    outgoing: Outgoing<'a>,
    handshake: &'a [u8],
    inflater: &'a mut Inflater,
    on: &'a mut F,
}

impl<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>> Turn<'_, F> {
    fn tell(&mut self, event: Event) -> Result<(), LoadError> {
        (self.on)(self.connection, event, &mut self.outgoing)
    }

    fn io(&self, source: io::Error) -> LoadError {
        LoadError::Io {
            connection: self.connection,
            source,
        }
    }
}

impl Connection {
    fn advance<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
        &mut self,
        event: &mio::event::Event,
        turn: &mut Turn<'_, F>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), LoadError> {
        if self.stage == Stage::Connecting && event.is_writable() {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            let stream = stream.tcp();
            if let Some(error) = stream.take_error().map_err(|error| turn.io(error))? {
                return Err(turn.io(error));
            }
            stream.set_nodelay(true).map_err(|error| turn.io(error))?;
            self.stage = Stage::Upgrading;
            turn.outgoing.out.extend_from_slice(turn.handshake);
        }
        let mut closed = false;
        if event.is_readable() || event.is_error() {
            closed = self.read(event.is_read_closed(), turn, scratch)?.is_break();
        }
        if turn.outgoing.close {
            turn.outgoing.close = false;
            self.stage = Stage::Closing;
        }
        if closed {
            return match self.stage {
                Stage::Closing => {
                    *self = Self::default();
                    turn.tell(Event::Closed)
                }
                Stage::Free => Ok(()),
                _ => Err(LoadError::Closed {
                    connection: turn.connection,
                }),
            };
        }
        if !turn.outgoing.out.is_empty() || !self.unsent.is_empty() {
            self.write(turn.outgoing.out).map_err(|error| turn.io(error))?;
        } else if let Some(stream) = &mut self.stream {
            stream.flush().map_err(|error| turn.io(error))?;
        }
        Ok(())
    }

    /// Reads what is there and handles it; `Break` when the server has closed.
    fn read<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
        &mut self,
        ended: bool,
        turn: &mut Turn<'_, F>,
        scratch: &mut Vec<u8>,
    ) -> Result<ControlFlow<()>, LoadError> {
        loop {
            let kept = self.tail.len();
            if scratch.len() < kept + READ_ROOM {
                scratch.resize((kept + READ_ROOM) * 2, 0);
            }
            let Some(stream) = &mut self.stream else {
                return Ok(ControlFlow::Continue(()));
            };
            let hands_out_records = stream.hands_out_records();
            let read = match stream.read(&mut scratch[kept..]) {
                Ok(0) => return Ok(ControlFlow::Break(())),
                Ok(read) => read,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(ControlFlow::Continue(())),
                    ErrorKind::Interrupted => continue,
                    ErrorKind::ConnectionReset if self.stage == Stage::Closing => {
                        return Ok(ControlFlow::Break(()));
                    }
                    _ => return Err(turn.io(error)),
                },
            };
            scratch[..kept].copy_from_slice(&self.tail);
            self.tail.clear();
            let end = kept + read;
            let (used, flow) = self.consume(&scratch[..end], turn)?;
            if flow.is_break() {
                return Ok(flow);
            }
            if used < end {
                self.tail.extend_from_slice(&scratch[used..end]);
            } else if self.tail.capacity() > READ_ROOM {
                self.tail = Vec::new();
            }
            // Edge-triggered: a short read has emptied the socket, and what comes later makes a new event. Only
            // the end of the stream can hide behind the data.
            if end < scratch.len() && !ended && !hands_out_records {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Handles all whole frames; returns how many bytes they took, and `Break` after a close frame.
    fn consume<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
        &mut self,
        input: &[u8],
        turn: &mut Turn<'_, F>,
    ) -> Result<(usize, ControlFlow<()>), LoadError> {
        let connection = turn.connection;
        let mut used = 0;
        if turn.outgoing.talk.flavour == Flavour::Sse {
            return self
                .consume_stream(input, turn)
                .map(|used| (used, ControlFlow::Continue(())));
        }
        if self.stage == Stage::Upgrading {
            match flavour::check_handshake(input, turn.outgoing.talk.is_deflated)
                .map_err(|response| LoadError::Handshake { connection, response })?
            {
                None => return Ok((0, ControlFlow::Continue(()))),
                Some(body) => used = body,
            }
            match turn.outgoing.talk.flavour {
                Flavour::SocketIo | Flavour::Recovery => self.stage = Stage::Opening,
                Flavour::Ws | Flavour::Sse => {
                    self.stage = Stage::Ready;
                    turn.tell(Event::Ready)?;
                }
            }
        }
        while let Some(frame) = frame::parse(&input[used..], turn.outgoing.talk.is_deflated)
            .map_err(|source| LoadError::Frame { connection, source })?
        {
            let payload = &input[used..][frame.payload.clone()];
            used += frame.payload.end;
            match frame.opcode {
                Opcode::Text if frame.is_compressed => {
                    let mut message = std::mem::take(&mut turn.inflater.message);
                    if !turn.inflater.inflate(payload, &mut message) {
                        return Err(wrong(connection, payload));
                    }
                    self.text(&message, turn)?;
                    turn.inflater.message = message;
                }
                Opcode::Text => self.text(payload, turn)?,
                Opcode::Close => return Ok((used, ControlFlow::Break(()))),
                Opcode::Ping => {
                    frame::put(turn.outgoing.out, Opcode::Pong, |out| {
                        out.extend_from_slice(payload)
                    });
                }
                Opcode::Pong => {}
                Opcode::Binary => return Err(wrong(connection, payload)),
            }
        }
        Ok((used, ControlFlow::Continue(())))
    }

    /// Handles all whole chunks of a stream of events; returns how many bytes they took.
    fn consume_stream<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
        &mut self,
        input: &[u8],
        turn: &mut Turn<'_, F>,
    ) -> Result<usize, LoadError> {
        let connection = turn.connection;
        let wrong_response = |response| LoadError::Handshake { connection, response };
        let mut used = 0;
        if self.stage == Stage::Upgrading {
            match flavour::check_stream(input).map_err(wrong_response)? {
                None => return Ok(0),
                Some(body) => used = body,
            }
            self.stage = Stage::Joining;
        }
        while let Some((content, end)) = flavour::chunk(&input[used..]).map_err(wrong_response)? {
            let content = content.start + used..content.end + used;
            used += end;
            self.text(&input[content], turn)?;
        }
        Ok(used)
    }

    fn text<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
        &mut self,
        payload: &[u8],
        turn: &mut Turn<'_, F>,
    ) -> Result<(), LoadError> {
        let Talk { flavour, .. } = turn.outgoing.talk;
        let incoming = flavour.classify(payload, turn.outgoing.talk.fillers(), turn.outgoing.space);
        match (incoming, self.stage) {
            (Incoming::Reply(number), Stage::Ready) => turn.tell(Event::Reply(number)),
            (Incoming::Message(number), Stage::Ready) => turn.tell(Event::Message(number)),
            (Incoming::Heartbeat, _) => {
                flavour.put_heartbeat(turn.outgoing.out);
                Ok(())
            }
            (Incoming::Open, Stage::Opening) => {
                self.stage = Stage::Joining;
                flavour.put_join(turn.outgoing.out, turn.outgoing.space);
                Ok(())
            }
            (Incoming::Joined, Stage::Joining) => {
                self.stage = Stage::Ready;
                turn.tell(Event::Ready)
            }
            (_, Stage::Closing) => Ok(()),
            _ => Err(wrong(turn.connection, payload)),
        }
    }

    /// Writes `bytes` behind what is unsent; what the kernel does not take waits for the next writable event.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            let sent = write_some(stream, &self.unsent)?;
            self.unsent.drain(..sent);
            return Ok(());
        }
        let sent = write_some(stream, bytes)?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

/// Reads compressed messages, each of which stands for itself.
struct Inflater {
    inflate: Decompress,
    message: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            message: Vec::with_capacity(64 << 10),
        }
    }
}

impl Inflater {
    /// False if it is not compressed, or longer than any message here.
    fn inflate(&mut self, payload: &[u8], message: &mut Vec<u8>) -> bool {
        message.clear();
        self.inflate.reset(false);
        // What the sender leaves out (RFC 7692 section 7.2.2).
        let inputs = [payload, &[0, 0, 0xff, 0xff]];
        inputs.into_iter().all(|input| {
            let before = self.inflate.total_in();
            let result = self.inflate.decompress_vec(input, message, FlushDecompress::Sync);
            result.is_ok() && self.inflate.total_in() - before == input.len() as u64
        })
    }
}

fn write_some(stream: &mut Wire, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => sent += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn wrong(connection: usize, payload: &[u8]) -> LoadError {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
    LoadError::Wrong { connection, text }
}
