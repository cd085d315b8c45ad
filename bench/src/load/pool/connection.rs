//! One connection: the handshake, the join and the heartbeat; everything else is handed to the mode that runs.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;

use super::{Event, Inflater, Outgoing, Talk};
use crate::load::LoadError;
use crate::wire::flavour::{self, Flavour, Incoming};
use crate::wire::frame::{self, Opcode};
use crate::wire::tls::Wire;

/// The free room that a read needs at least, in bytes.
const READ_ROOM: usize = 16 << 10;

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

/// A place for a connection, free or taken.
#[derive(Default)]
pub(super) struct Connection {
    stream: Option<Wire>,
    stage: Stage,
    /// Read, but not a whole frame yet. Nearly always empty.
    tail: Vec<u8>,
    /// Not taken by the kernel yet. Nearly always empty.
    unsent: Vec<u8>,
}

/// What a connection needs besides itself to handle one event.
pub(super) struct Turn<'a, F> {
    pub(super) connection: usize,
    pub(super) outgoing: Outgoing<'a>,
    pub(super) handshake: &'a [u8],
    pub(super) inflater: &'a mut Inflater,
    pub(super) on: &'a mut F,
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
    /// One that has been started, and is not open yet.
    pub(super) fn connecting(stream: Wire) -> Self {
        Self {
            stream: Some(stream),
            stage: Stage::Connecting,
            ..Self::default()
        }
    }

    /// Its stream, if the place was not free.
    pub(super) fn into_stream(self) -> Option<Wire> {
        self.stream
    }

    /// The client's close frame is about to be sent, so that the end is no fault any more.
    pub(super) fn await_close(&mut self) {
        self.stage = Stage::Closing;
    }

    /// Handles what the event says, and writes what that has come to.
    pub(super) fn advance<F: FnMut(usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>>(
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
            self.await_close();
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
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
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
