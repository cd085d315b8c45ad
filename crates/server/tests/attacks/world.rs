//! A Socket.IO server to be attacked, and the good client that it must go on to serve.

use std::net::SocketAddr;
use std::time::Duration;

use gatewire_hub::{HubConfig, Io, Namespace, Socket};
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::{Engine, EngineConfig, Limits, Listener, ListenerConfig, SocketIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Frame, TestSocket, read_head, sid_of};

/// Longer than anything a test waits for; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Deadlines that a test can wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) io: Io,
}

/// The options of an engine whose deadlines a test can wait for.
pub(crate) fn hurried() -> EngineConfig {
    EngineConfig {
        ping_interval: SHORT,
        ping_timeout: SHORT,
        upgrade_timeout: SHORT,
        connect_timeout: SHORT,
        limits: Limits {
            close_timeout: SHORT,
            polling_close_timeout: SHORT,
            ..Limits::default()
        },
        ..EngineConfig::default()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(
            EngineConfig::default(),
            HubConfig::default(),
            ListenerConfig::default(),
        )
        .await
    }

    pub(crate) async fn with(engine: EngineConfig, hub: HubConfig, listener: ListenerConfig) -> Self {
        let io = Io::new(hub);
        io.on_connection(listen);
        let engine = Engine::new(engine, SocketIo::new(io.clone())).unwrap();
        let bound = Listener::bind("127.0.0.1:0").await.unwrap().with_config(listener);
        let address = bound.local_addr().unwrap();
        let served = engine.clone();
        let answer = move |request: http::Request<_>, peer| {
            let engine = served.clone();
            async move {
                if engine.matches(request.uri().path()) {
                    return engine.handle(request, Some(peer)).await;
                }
                let mut response = http::Response::default();
                *response.status_mut() = http::StatusCode::NOT_FOUND;
                response
            }
        };
        tokio::spawn(bound.serve(answer, std::future::pending()));
        Self { address, engine, io }
    }

    pub(crate) fn root(&self) -> Namespace {
        self.io.of("/")
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes on a connection of its own, and returns all that comes back until the server closes it.
    pub(crate) async fn answer_to(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read everything.
        let _ = stream.write_all(request.as_ref()).await;
        all_of(&mut stream).await
    }

    /// The status and the body of a GET or, with a body, a POST.
    pub(crate) async fn request(&self, target: &str, body: &str) -> (u16, String) {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let length = body.len();
        let answer = self
            .answer_to(format!(
                "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer but {answer:?}"));
        (status_of(head), body.to_owned())
    }

    /// Opens a session on polling.
    pub(crate) async fn polling(&self) -> String {
        let (status, open) = self.request("/socket.io/?EIO=4&transport=polling", "").await;
        assert_eq!(status, 200, "{open}");
        format!("/socket.io/?EIO=4&transport=polling&sid={}", sid_of(&open))
    }

    /// Opens a WebSocket that has joined nothing.
    pub(crate) async fn websocket(&self) -> TestSocket {
        let mut stream = self.connect().await;
        stream.write_all(upgrade("", "").as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let mut socket = TestSocket(stream);
        let _ = socket.opened().await;
        socket
    }

    /// A WebSocket that has joined `/`.
    pub(crate) async fn joined(&self) -> TestSocket {
        let mut socket = self.websocket().await;
        socket.text("40").await;
        let joined = socket.receive().await;
        assert!(
            matches!(&joined, Frame::Text(text) if text.starts_with("40{")),
            "{joined:?}"
        );
        socket
    }

    /// A good client comes, is answered, and goes.
    pub(crate) async fn serves(&self) {
        let mut socket = self.joined().await;
        answers(&mut socket).await;
        let polling = self.polling().await;
        let (status, body) = self.request(&polling, "40").await;
        assert_eq!((status, &*body), (200, "ok"));
        assert!(self.request(&polling, "").await.1.starts_with("40{"));
        assert_eq!(self.request(&polling, "1").await.0, 200);
    }

    /// Waits until so many sessions are left.
    pub(crate) async fn has_clients(&self, count: usize) {
        let waiting = async {
            while self.engine.clients_count() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let left = || self.engine.clients_count();
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{} sessions instead of {count}", left()));
    }
}

/// `echo` is answered with its arguments, `join` enters a room, `ask` asks back and waits for the answer, `flood` sends as
/// many kilobytes.
fn listen(socket: &Socket) {
    socket.on("echo", |socket, event| event.answer(socket, &event.to_payload()));
    socket.on("join", |socket, event| {
        let entered = event
            .arg::<String>(0)
            .is_ok_and(|room| socket.try_join(room).is_ok());
        if let Some(ack) = event.ack(socket) {
            ack.send(&entered);
        }
    });
    socket.on("ask", |socket, event| {
        let socket = socket.clone();
        let ack = event.ack(&socket);
        tokio::spawn(async move {
            let answer = socket.emit_with_ack("asked", &()).await;
            if let Some(ack) = ack {
                ack.send(&answer.is_ok());
            }
        });
    });
    socket.on("flood", |socket, event| {
        let text = "x".repeat(1_000);
        for _ in 0..event.arg::<u32>(0).unwrap_or_default() {
            socket.emit("flood", &text);
        }
    });
}

/// The joined client is served.
pub(crate) async fn answers(socket: &mut TestSocket) {
    socket.text(r#"421["echo","well"]"#).await;
    loop {
        match socket.receive().await {
            Frame::Text(text) if text == "2" => socket.text("3").await,
            Frame::Text(text) if text == r#"431["well"]"# => return,
            Frame::Text(_) | Frame::Pong(_) | Frame::Binary(_) => {}
            other => panic!("{other:?} instead of an answer"),
        }
    }
}

/// The head of a WebSocket handshake, with more in the query and more lines.
pub(crate) fn upgrade(query: &str, lines: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A masked frame.
pub(crate) fn frame(is_last: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_masked_frame(&mut frame, is_last, opcode, [1, 2, 3, 4], payload);
    frame
}

pub(crate) fn status_of(head: &str) -> u16 {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status in {head:?}"))
}

/// What comes until the server closes the connection.
pub(crate) async fn all_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let reading = stream.read_to_end(&mut answer);
    let _ = timeout(PATIENCE, reading)
        .await
        .expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Megabytes that the process has in memory; tests that run beside are in it, so only much is telling.
pub(crate) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| {
            let pages = statm.split(' ').nth(1)?;
            pages.parse::<usize>().ok()
        });
    (pages.unwrap_or(0) * 4096) >> 20
}
