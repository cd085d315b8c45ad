//! One TCP connection of a client, read and written by its own thread, with a deadline for everything; and HTTP/1.1 on it as
//! far as clients need it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::fault::{Fault, Result};

/// How long the server may take for anything that is due at once, on a machine that does other things beside.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of one read.
const CHUNK: usize = 16 << 10;

/// The longest head and body of a response.
const MAX_RESPONSE: usize = 64 << 20;

/// A connection, and what was read of it and not used yet.
pub(super) struct Link {
    stream: TcpStream,
    address: SocketAddr,
    input: Vec<u8>,
}

/// The answer to a request.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Link {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            address,
            input: Vec::new(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// What was read and not used.
    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Forgets the first bytes of the input.
    pub(super) fn consume(&mut self, count: usize) {
        self.input.drain(..count);
    }

    /// Reads more; false if nothing came until the deadline.
    pub(super) fn fill(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let filled = self.input.len();
        self.input.resize(filled + CHUNK, 0);
        let read = self.stream.read(&mut self.input[filled..]);
        self.input.truncate(filled + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(Fault::Gone(ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(true),
            Err(error) if is_late(&error) => Ok(false),
            Err(error) => Err(Fault::Gone(error)),
        }
    }

    /// Whether the server has closed the connection by the deadline; what it still sent is thrown away.
    pub(super) fn ends_by(&mut self, deadline: Instant) -> bool {
        loop {
            self.input.clear();
            match self.fill(deadline) {
                Ok(true) => {}
                Ok(false) if Instant::now() < deadline => {}
                Ok(false) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Sends a request.
    pub(super) fn request(&mut self, method: &str, target: &str, body: &[u8]) -> Result<()> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if method == "POST" {
            request += &format!(
                "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.write(&bytes)
    }

    /// The answer to a request.
    pub(super) fn response(&mut self) -> Result<Response> {
        self.response_within(PATIENCE)
    }

    pub(super) fn response_within(&mut self, patience: Duration) -> Result<Response> {
        let deadline = Instant::now() + patience;
        let head = self.head(deadline)?;
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| Fault::Wrong(format!("no HTTP response: {head:?}")))?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.unwrap_or(0);
        if length > MAX_RESPONSE {
            return Err(Fault::Wrong(format!("a response of {length} bytes")));
        }
        while self.input.len() < length {
            self.fill_or_fail(deadline, "the rest of a response")?;
        }
        let rest = self.input.split_off(length);
        let body = std::mem::replace(&mut self.input, rest);
        Ok(Response { status, body })
    }

    /// The head of a response, which is taken from the input.
    pub(super) fn head(&mut self, deadline: Instant) -> Result<String> {
        loop {
            if let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.consume(end + 4);
                return Ok(head);
            }
            self.fill_or_fail(deadline, "the head of a response")?;
        }
    }

    /// As [`fill`](Self::fill), where something must come.
    pub(super) fn fill_or_fail(&mut self, deadline: Instant, what: &str) -> Result<()> {
        if self.fill(deadline)? || Instant::now() < deadline {
            Ok(())
        } else {
            Err(Fault::Wrong(format!("waited in vain for {what}")))
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
