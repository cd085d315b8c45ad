//! A client on pipes in memory, and the clock that stands still but for it: a wait ends when everything has been done that
//! can be done.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::serve_stream;
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use crate::paused_runtime;
use crate::script::{Step, steps};
use crate::server::Server;

/// Bytes that a pipe holds.
const PIPE: usize = 16 << 10;

/// Bytes of the answers that are kept to look at.
const KEPT: usize = 8 << 10;

/// Connections that a client has at a time.
const MAX_CONNECTIONS: usize = 6;

/// The header lines that ask for a WebSocket.
const ASKING: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Seconds, more than any deadline of the servers here.
const A_WHILE: u32 = 90;

/// Plays a script against a server, and looks that nothing is left of it, and that the server still serves: `greet` is a
/// script of a good client, after which its answers must hold a text. The first byte of the input is no part of the script:
/// the options of the server are chosen by it.
pub(crate) fn play<S: Server>(input: &[u8], server: impl FnOnce(u8) -> S, greet: (&[u8], &str)) {
    let Some((&choice, script)) = input.split_first() else {
        return;
    };
    let runtime = paused_runtime();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let server = server(choice);
        let mut client = Client::new(server.clone());
        client.run(script).await;
        // A server that has not the time to answer must not be at an end.
        let mut good = Client::new(server.clone());
        good.run(greet.0).await;
        let heard = String::from_utf8_lossy(&good.heard).into_owned();
        assert!(heard.contains(greet.1), "a good client is not served: {heard}");
        drop((client, good));
        for _ in 0..A_WHILE {
            if server.clients() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(server.clients(), 0, "clients are left");
    });
}

struct Client<S> {
    server: S,
    /// The last one is that which is used.
    connections: Vec<DuplexStream>,
    /// The last bytes that came.
    heard: Vec<u8>,
    /// The id of the last session that was opened; 20 characters.
    sid: Vec<u8>,
    is_deaf: bool,
}

impl<S: Server> Client<S> {
    fn new(server: S) -> Self {
        let mut client = Self {
            server,
            connections: Vec::new(),
            heard: Vec::new(),
            sid: b"AAAAAAAAAAAAAAAAAAAA".to_vec(),
            is_deaf: false,
        };
        client.connect();
        client
    }

    fn connect(&mut self) {
        let (ours, theirs) = duplex(PIPE);
        let server = self.server.clone();
        tokio::task::spawn_local(async move {
            // What the client did wrong, or that it has gone.
            let _ = serve_stream(theirs, async |request| server.answer(request).await).await;
        });
        if self.connections.len() == MAX_CONNECTIONS {
            self.connections.remove(0);
        }
        self.connections.push(ours);
    }

    async fn run(&mut self, script: &[u8]) {
        for step in steps(script) {
            self.take(step).await;
            settle().await;
            if !self.is_deaf {
                self.hear().await;
            }
        }
    }

    async fn take(&mut self, step: Step<'_>) {
        match step {
            Step::Connect => self.connect(),
            Step::HangUp => {
                self.connections.pop();
                self.connect();
            }
            Step::End => {
                if let Some(stream) = self.connections.last_mut() {
                    let _ = stream.shutdown().await;
                }
            }
            Step::Raw(bytes) => self.write(&self.named(bytes)).await,
            Step::Get(target, headers) => self.request(b"GET", target, &lines(b"", headers), b"").await,
            Step::Post(target, body) => self.request(b"POST", target, b"", body).await,
            Step::Upgrade(target, headers) => {
                self.request(b"GET", target, &lines(ASKING, headers), b"").await;
            }
            Step::Text(payload) => self.frame(0x81, payload).await,
            Step::Binary(payload) => self.frame(0x82, payload).await,
            Step::Frame(first, payload) => self.frame(first, payload).await,
            Step::Wait(hundredths) => {
                tokio::time::sleep(Duration::from_millis(10) * u32::from(hundredths)).await
            }
            Step::Deafen => self.is_deaf = !self.is_deaf,
        }
    }

    async fn request(&mut self, method: &[u8], target: &[u8], headers: &[u8], body: &[u8]) {
        let body = self.named(body);
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = if body.is_empty() { "" } else { &length };
        let target = self.named(target);
        let parts: [&[u8]; 7] = [
            method,
            b" ",
            &target,
            b" HTTP/1.1\r\nHost: test\r\n",
            headers,
            length.as_bytes(),
            b"\r\n",
        ];
        let mut request = parts.concat();
        request.extend_from_slice(&body);
        self.write(&request).await;
    }

    async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, Opcode::Text, [1, 2, 3, 4], &self.named(payload));
        frame[0] = first;
        self.write(&frame).await;
    }

    /// The bytes, with the id of the session in the place of each `$`.
    fn named(&self, bytes: &[u8]) -> Vec<u8> {
        let mut named = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match byte {
                b'$' => named.extend_from_slice(&self.sid),
                _ => named.push(byte),
            }
        }
        named
    }

    async fn write(&mut self, bytes: &[u8]) {
        let Some(stream) = self.connections.last_mut() else {
            return;
        };
        // Whoever does not read us is waited for no longer than this.
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(bytes)).await;
    }

    /// Takes what has come on all connections.
    async fn hear(&mut self) {
        let mut buffer = [0; 4096];
        for stream in &mut self.connections {
            loop {
                let mut read = ReadBuf::new(&mut buffer);
                let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut read))).await;
                if !matches!(polled, Poll::Ready(Ok(()))) || read.filled().is_empty() {
                    break;
                }
                self.heard.extend_from_slice(read.filled());
                settle().await;
            }
        }
        let opened = b"\"sid\":\"";
        let found = self
            .heard
            .windows(opened.len())
            .rposition(|window| window == opened);
        if let Some(sid) = found.and_then(|at| self.heard[at + opened.len()..].get(..20)) {
            self.sid.copy_from_slice(sid);
        }
        let excess = self.heard.len().saturating_sub(KEPT);
        self.heard.drain(..excess);
    }
}

/// The header lines, each ended as HTTP wants it.
fn lines(first: &[u8], headers: &[u8]) -> Vec<u8> {
    let mut lines = first.to_vec();
    for line in headers
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// Returns when every task waits for something: only then does the paused clock go on.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
