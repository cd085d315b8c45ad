//! The floor: what the system calls alone cost. A bare epoll loop (mio) on one thread that reads once for each connection that is
//! ready, knows exactly the requests of this benchmark by where their bytes are, and writes the bytes that a Socket.IO server
//! writes: one `write` for all answers to what came together, and one to each receiver for all broadcasts that came together. Each
//! connection is pinged when it is due, and its pong is read. It checks nothing, also not whether the pong comes, and has no
//! rooms, and no memory of what does not go out at once.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

/// The answer to the handshake: the generator's key is always the same.
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const OPEN: &[u8] =
    b"0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}";
/// A text frame.
const HEARTBEAT: &[u8] = b"\x81\x012";
const JOINED: &[u8] = b"40{\"sid\":\"x\"}";
const PING: &[u8] = b"[\"ping\",\"";
const BROADCAST: &[u8] = b"42[\"broadcast\",\"";

/// Each connection is pinged so often.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Those whose pings are due within this time are pinged together, as by Gatewire's timer.
const TICK: Duration = Duration::from_millis(200);

struct Connection {
    stream: TcpStream,
    is_upgraded: bool,
    /// What came of a frame that is not whole yet.
    tail: Vec<u8>,
}

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let address = format!("{host}:{port}").parse().map_err(io::Error::other)?;
    let mut listener = TcpListener::bind(address)?;
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on http://{}", listener.local_addr()?);

    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let (mut input, mut out, mut shared) = (vec![0; 64 << 10], Vec::new(), Vec::new());
    // All wait equally long, so who opened first, or was pinged first, is due first.
    let (mut due, mut ticked) = (VecDeque::<(Instant, usize)>::new(), Instant::now());
    loop {
        let next = due.front().map(|(at, _)| (*at).max(ticked + TICK));
        let wait = next.map(|next| next.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        let now = Instant::now();
        let is_tick = next.is_some_and(|next| next <= now);
        if is_tick {
            ticked = now;
        }
        while is_tick
            && let Some(&(at, connection)) = due.front()
            && at <= now
        {
            due.pop_front();
            if let Some(Connection { stream, .. }) = &mut connections[connection] {
                send(stream, HEARTBEAT)?;
                due.push_back((now + PING_INTERVAL, connection));
            }
        }
        for event in &events {
            if event.token() == LISTENER {
                let known = connections.len();
                accept(&listener, &poll, &mut connections)?;
                due.extend((known..connections.len()).map(|connection| (now + PING_INTERVAL, connection)));
                continue;
            }
            let at = event.token().0;
            let Some(connection) = &mut connections[at] else {
                continue;
            };
            let read = match connection.stream.read(&mut input) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Ok(0) | Err(_) => {
                    connections[at] = None;
                    continue;
                }
                Ok(read) => read,
            };
            out.clear();
            shared.clear();
            connection.take(&mut input[..read], &mut out, &mut shared);
            if !out.is_empty() {
                send(&mut connection.stream, &out)?;
            }
            if !shared.is_empty() {
                for receiver in connections.iter_mut().flatten() {
                    send(&mut receiver.stream, &shared)?;
                }
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, connections: &mut Vec<Option<Connection>>) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?.0,
        };
        stream.set_nodelay(true)?;
        poll.registry()
            .register(&mut stream, Token(connections.len()), Interest::READABLE)?;
        connections.push(Some(Connection {
            stream,
            is_upgraded: false,
            tail: Vec::new(),
        }));
    }
}

impl Connection {
    /// Handles what came: answers go to `out`, broadcasts to `shared`.
    fn take(&mut self, input: &mut [u8], out: &mut Vec<u8>, shared: &mut Vec<u8>) {
        if !self.is_upgraded {
            self.is_upgraded = input.ends_with(b"\r\n\r\n");
            if self.is_upgraded {
                out.extend_from_slice(UPGRADED);
                put(out, &[OPEN]);
            }
            return;
        }
        if !self.tail.is_empty() {
            let mut whole = std::mem::take(&mut self.tail);
            whole.extend_from_slice(input);
            let used = messages(&mut whole, out, shared);
            whole.drain(..used);
            self.tail = whole;
            return;
        }
        let used = messages(input, out, shared);
        if used < input.len() {
            self.tail.extend_from_slice(&input[used..]);
        }
    }
}

/// Handles all whole frames; returns how many bytes they took.
fn messages(input: &mut [u8], out: &mut Vec<u8>, shared: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let [_, len, a, b, c, d, rest @ ..] = &mut input[used..] {
        // No request of this benchmark is so long that its length has more than seven bits.
        let len = usize::from(*len & 0x7f);
        let mask = [*a, *b, *c, *d];
        let Some(message) = rest.get_mut(..len) else {
            break;
        };
        used += 6 + len;
        let (words, last) = message.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
        }
        for (byte, key) in last.iter_mut().zip(mask) {
            *byte ^= key;
        }
        answer(message, out, shared);
    }
    used
}

fn answer(message: &[u8], out: &mut Vec<u8>, shared: &mut Vec<u8>) {
    if let Some(rest) = message.strip_prefix(BROADCAST) {
        put(shared, &[b"42[\"message\",\"", rest]);
    } else if message == b"40" {
        put(out, &[JOINED]);
    } else if let Some(rest) = message.strip_prefix(b"42") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(payload) = rest[digits..].strip_prefix(PING) {
            put(out, &[b"43", &rest[..digits], b"[\"pong: ", payload]);
        }
    }
}

/// Appends one text frame.
fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&[0x81, len as u8]);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Writes all of it; the generator reads faster than a socket fills.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    match stream.write(bytes) {
        Ok(sent) if sent == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::other("a socket is full")),
        // Gone: its own event says so.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        Err(error) => Err(error),
    }
}
