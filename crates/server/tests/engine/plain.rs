//! WebSockets without Engine.IO: the handshake and its refusals, messages as they are, heartbeat, idle timeout, and how
//! each end looks from both sides.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{CloseCode, CloseFrame, Opcode, put_masked_frame};
use gatewire_server::{
    Application, ConfigError, Connection, DeflateOptions, Hooks, Limits, Listener, Origin, Rejected, Session,
    WebSocketConfig, WebSocketServer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::support::{Frame, TestSocket, read_head};

const PATIENCE: Duration = Duration::from_secs(10);

/// What the server saw of an end: the client's code and reason, if it closed, and why the session ended.
pub(crate) type End = (Option<(u16, String)>, CloseReason);

/// Echoes; a few texts are orders.
struct Echo(UnboundedSender<End>);

struct EchoSession {
    connection: Connection,
    frame: Option<(u16, String)>,
    is_full: bool,
    ends: UnboundedSender<End>,
}

impl Application for Echo {
    fn open(&self, connection: Connection, handshake: Arc<Handshake>) -> Box<dyn Session> {
        if handshake.url() == "/greeted" {
            connection.send_text("welcome");
        }
        Box::new(EchoSession {
            connection,
            frame: None,
            is_full: false,
            ends: self.0.clone(),
        })
    }
}

impl Session for EchoSession {
    fn receive_text(&mut self, text: &str, _: &mut Context<'_>) -> Result<(), Rejected> {
        match text {
            "close" => self.connection.close(),
            "close with" => {
                self.connection.send_text("before");
                let code = CloseCode::from_wire(4001).unwrap();
                self.connection.close_with(code, "as asked");
                self.connection.send_text("after");
            }
            "reject" => {
                return Err(Rejected {
                    reason: "as asked".to_owned(),
                });
            }
            "protocol" => {
                let protocol = self.connection.subprotocol().unwrap_or("none").to_owned();
                self.connection.send_text(&protocol);
            }
            "flood" => {
                let big = vec![7; 1 << 20];
                for _ in 0..64 {
                    self.connection.send_binary(&big);
                }
            }
            _ => {
                self.is_full = text == "no more";
                self.connection.send_text(text);
            }
        }
        Ok(())
    }

    fn receive_binary(&mut self, data: &[u8], _: &mut Context<'_>) -> Result<(), Rejected> {
        self.connection.send_binary(data);
        Ok(())
    }

    fn wants_input(&self) -> bool {
        !self.is_full
    }

    fn receive_close(&mut self, frame: Option<CloseFrame<'_>>) {
        self.frame = frame.map(|frame| (frame.code.get(), frame.reason.to_owned()));
    }

    fn close(&mut self, reason: CloseReason) {
        // The receiver is gone when the test is over.
        let _ = self.ends.send((self.frame.take(), reason));
    }
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    server: WebSocketServer,
    ends: UnboundedReceiver<End>,
}

impl TestServer {
    pub(crate) async fn start(config: WebSocketConfig) -> Self {
        Self::with_hooks(config, Hooks::new()).await
    }

    async fn with_hooks(config: WebSocketConfig, hooks: Hooks) -> Self {
        let (sender, ends) = unbounded_channel();
        let server = WebSocketServer::with_hooks(config, hooks, Echo(sender)).unwrap();
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = server.clone();
        let answer = move |request, peer| {
            let server = served.clone();
            async move { server.handle::<hyper::body::Incoming>(request, Some(peer)).await }
        };
        tokio::spawn(listener.serve(answer, pending()));
        Self {
            address,
            server,
            ends,
        }
    }

    async fn send(&self, request: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    /// Opens a WebSocket with these header lines, too.
    async fn open(&self, headers: &str) -> (TestSocket, String) {
        let (stream, head) = self.send(&handshake(headers)).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        (TestSocket(stream), head)
    }

    async fn socket(&self) -> TestSocket {
        self.open("").await.0
    }

    /// Status line, headers and body of the answer to a request that is refused.
    async fn refused(&self, request: &str) -> (String, String) {
        let (mut stream, head) = self.send(request).await;
        let mut body = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut body))
            .await
            .expect("the connection is closed")
            .unwrap();
        (head, body)
    }

    pub(crate) async fn end(&mut self) -> End {
        timeout(PATIENCE, self.ends.recv())
            .await
            .expect("a session ends")
            .unwrap()
    }
}

/// A valid handshake with these header lines, too; each of them replaces one of the same name.
pub(crate) fn handshake(headers: &str) -> String {
    let mut request = "GET /chat HTTP/1.1\r\n".to_owned();
    for line in [
        "Host: test",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let name = line.split(':').next().unwrap();
        if !headers.contains(&format!("{name}:")) {
            request += &format!("{line}\r\n");
        }
    }
    request + headers + "\r\n"
}

fn text(text: &str) -> Frame {
    Frame::Text(text.to_owned())
}

#[tokio::test]
async fn what_is_no_handshake_is_told_why() {
    let config = WebSocketConfig {
        origin: Some(Origin::List(vec!["https://app.example".to_owned()])),
        per_message_deflate: Some(DeflateOptions::default()),
        ..WebSocketConfig::default()
    };
    let hooks = Hooks::new().allow_request(|request| {
        let is_banned = request.headers.contains_key("x-banned");
        async move {
            if is_banned {
                Err("you are banned".to_owned())
            } else {
                Ok(())
            }
        }
    });
    let server = TestServer::with_hooks(config, hooks).await;
    let table = [
        (
            "GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(),
            426,
            "the Upgrade header does not name websocket",
        ),
        (
            handshake("Upgrade: h2c\r\n"),
            426,
            "the Upgrade header does not name websocket",
        ),
        (
            handshake("Sec-WebSocket-Version: 8\r\n"),
            426,
            "the Sec-WebSocket-Version header is not 13",
        ),
        (
            handshake("Sec-WebSocket-Version:\r\n"),
            426,
            "the Sec-WebSocket-Version header is not 13",
        ),
        (
            handshake("Sec-WebSocket-Key: short\r\n"),
            400,
            "the Sec-WebSocket-Key header is not the base64 form of 16 bytes",
        ),
        (
            handshake("Sec-WebSocket-Key:\r\n"),
            400,
            "the Sec-WebSocket-Key header is not the base64 form of 16 bytes",
        ),
        (
            handshake("Connection: close\r\n"),
            400,
            "the Connection header does not name Upgrade",
        ),
        (
            handshake("Content-Length: 5\r\n") + "hello",
            400,
            "a request that opens a WebSocket has no body",
        ),
        (
            handshake("Transfer-Encoding: chunked\r\n"),
            400,
            "a request that opens a WebSocket has no body",
        ),
        (
            handshake("Sec-WebSocket-Protocol: chat, not a token\r\n"),
            400,
            "the Sec-WebSocket-Protocol header is no list of tokens, each another one",
        ),
        (
            handshake("").replacen("GET", "POST", 1),
            405,
            "a WebSocket is opened with a GET request",
        ),
        (
            handshake("Sec-WebSocket-Extensions: permessage-deflate; ;\r\n"),
            400,
            "the Sec-WebSocket-Extensions header is no list of extensions with parameters",
        ),
        (
            handshake("Origin: https://other.example\r\n"),
            403,
            "pages of this Origin may not connect: the server's `cors` option names those that may",
        ),
        (
            handshake("Origin: https://app.example.evil\r\n"),
            403,
            "pages of this Origin may not connect: the server's `cors` option names those that may",
        ),
        (
            handshake("Origin: null\r\n"),
            403,
            "pages of this Origin may not connect: the server's `cors` option names those that may",
        ),
        (handshake("X-Banned: yes\r\n"), 403, "you are banned"),
    ];
    for (request, status, expected) in table {
        let (head, body) = server.refused(&request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}{head}");
        assert_eq!(body, expected, "{request}");
        assert_eq!(head.contains("allow: GET"), status == 405, "{head}");
        assert_eq!(head.contains("upgrade: websocket"), status == 426, "{head}");
    }
    for origin in ["https://app.example", "HTTPS://APP.EXAMPLE", "http://test"] {
        let (mut socket, _) = server.open(&format!("Origin: {origin}\r\n")).await;
        socket.text("hello").await;
        assert_eq!(socket.receive().await, text("hello"));
    }
}

#[tokio::test]
async fn a_full_or_closed_server_takes_nobody() {
    let server = TestServer::start(WebSocketConfig {
        limits: Limits {
            max_sessions: 1,
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    })
    .await;
    let mut socket = server.socket().await;
    socket.text("hello").await;
    assert_eq!(socket.receive().await, text("hello"));
    let (head, body) = server.refused(&handshake("")).await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(body, "the server takes no more connections at present");

    server.server.close();
    assert_eq!(socket.receive().await, Frame::Close(1001));
    socket.send(Opcode::Close, &1001_u16.to_be_bytes()).await;
    assert_eq!(socket.receive().await, Frame::End);
    timeout(PATIENCE, server.server.drained())
        .await
        .expect("all are gone");
    let (head, _) = server.refused(&handshake("")).await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
}

#[tokio::test]
async fn the_clients_favourite_subprotocol_is_agreed_on() {
    let server = TestServer::start(WebSocketConfig {
        protocols: ["v1.json", "v2.json", "msgpack"].map(str::to_owned).to_vec(),
        ..WebSocketConfig::default()
    })
    .await;
    for (offered, agreed) in [
        ("", None),
        ("Sec-WebSocket-Protocol: unknown\r\n", None),
        ("Sec-WebSocket-Protocol: V1.JSON\r\n", None),
        ("Sec-WebSocket-Protocol: v1.json\r\n", Some("v1.json")),
        (
            "Sec-WebSocket-Protocol: unknown, msgpack, v1.json\r\n",
            Some("msgpack"),
        ),
        (
            "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: v2.json\r\n",
            Some("v2.json"),
        ),
    ] {
        let (mut socket, head) = server.open(offered).await;
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(line, agreed, "{offered}");
        socket.text("protocol").await;
        assert_eq!(socket.receive().await, text(agreed.unwrap_or("none")));
    }
}

#[tokio::test]
async fn messages_are_what_they_are() {
    let server = TestServer::start(WebSocketConfig {
        per_message_deflate: Some(DeflateOptions::default()),
        ..WebSocketConfig::default()
    })
    .await;
    // A greeting comes first; nothing of Engine.IO comes at all, and nothing is taken for it.
    let request = handshake("").replacen("/chat", "/greeted", 1);
    let (stream, _) = server.send(&request).await;
    let mut socket = TestSocket(stream);
    assert_eq!(socket.receive().await, text("welcome"));
    for message in ["", "1", "2probe", "40", "42[\"e\"]", "b4AQID", "\u{1e}"] {
        socket.text(message).await;
        assert_eq!(socket.receive().await, text(message));
    }
    for message in [&[][..], &[4, 1, 2], &[7; 70_000]] {
        socket.send(Opcode::Binary, message).await;
        assert_eq!(socket.receive().await, Frame::Binary(message.to_vec()));
    }
    socket.send(Opcode::Ping, b"there?").await;
    assert_eq!(socket.receive().await, Frame::Pong(b"there?".to_vec()));

    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut socket, _) = server.open(offer).await;
    let long = "4long ".repeat(1_000).into_bytes();
    for opcode in [Opcode::Text, Opcode::Binary] {
        socket.send_deflated(opcode, &long).await;
        assert_eq!(socket.receive().await, Frame::Deflated(opcode, long.clone()));
    }
}

#[tokio::test]
async fn the_close_handshake_has_the_codes_of_both_sides() {
    let mut server = TestServer::start(WebSocketConfig::default()).await;
    let mut socket = server.socket().await;
    socket.send(Opcode::Close, b"\x0f\xa2see you").await;
    assert_eq!(socket.receive().await, Frame::Close(4002), "echoed");
    assert_eq!(socket.receive().await, Frame::End);
    let frame = Some((4002, "see you".to_owned()));
    assert_eq!(server.end().await, (frame, CloseReason::TransportClose));

    let mut socket = server.socket().await;
    socket.send(Opcode::Close, b"").await;
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(server.end().await, (None, CloseReason::TransportClose));

    let mut socket = server.socket().await;
    socket.text("close with").await;
    assert_eq!(socket.receive().await, text("before"));
    assert_eq!(socket.closed_with().await, (4001, "as asked".to_owned()));
    socket.send(Opcode::Close, &4001_u16.to_be_bytes()).await;
    assert_eq!(socket.receive().await, Frame::End);
    assert_eq!(server.end().await, (None, CloseReason::ForcedClose));

    for (order, code) in [("close", 1000), ("reject", 1008)] {
        let mut socket = server.socket().await;
        socket.text(order).await;
        assert_eq!(socket.receive().await, Frame::Close(code), "{order}");
        assert_eq!(server.end().await, (None, CloseReason::ForcedClose), "{order}");
    }

    // A client that is gone without a word.
    drop(server.socket().await);
    assert_eq!(server.end().await, (None, CloseReason::TransportClose));
}

#[tokio::test]
async fn the_clients_close_frame_is_found_behind_what_is_no_longer_read() {
    let server = TestServer::start(WebSocketConfig {
        limits: Limits {
            close_timeout: Duration::from_secs(3_600),
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    })
    .await;
    for order in ["reject", "no more"] {
        let mut socket = server.socket().await;
        let mut frames = Vec::new();
        for (opcode, payload) in [(Opcode::Text, order), (Opcode::Text, "late"), (Opcode::Close, "")] {
            put_masked_frame(&mut frames, true, opcode, [1, 2, 3, 4], payload.as_bytes());
        }
        socket.0.write_all(&frames).await.unwrap();
        if order == "no more" {
            assert_eq!(socket.receive().await, text(order));
            server.server.close();
        }
        assert!(matches!(socket.receive().await, Frame::Close(_)), "{order}");
        assert_eq!(socket.receive().await, Frame::End, "{order}");
    }
}

#[tokio::test]
async fn each_violation_has_its_close_code() {
    let mut server = TestServer::start(WebSocketConfig {
        max_message: 100,
        limits: Limits {
            max_fragments: 3,
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    })
    .await;
    let frame = |fin, opcode, payload: &[u8]| {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, fin, opcode, [1, 2, 3, 4], payload);
        frame
    };
    let fragments = [
        frame(false, Opcode::Text, b"a"),
        frame(false, Opcode::Continuation, b"b"),
        frame(false, Opcode::Continuation, b"c"),
        frame(true, Opcode::Continuation, b"d"),
    ];
    for (what, bytes, code) in [
        ("too big", frame(true, Opcode::Text, &[b'a'; 101]), 1009),
        ("too many fragments", fragments.concat(), 1008),
        ("not UTF-8", frame(true, Opcode::Text, b"\xff"), 1007),
        ("not masked", b"\x81\x01a".to_vec(), 1002),
        ("RSV1 without agreement", b"\xc1\x80\0\0\0\0".to_vec(), 1002),
        ("an unknown opcode", b"\x83\x80\0\0\0\0".to_vec(), 1002),
        (
            "a code that must not be sent",
            frame(true, Opcode::Close, b"\x03\xee"),
            1002,
        ),
    ] {
        let mut socket = server.socket().await;
        socket.0.write_all(&bytes).await.unwrap();
        assert_eq!(socket.receive().await, Frame::Close(code), "{what}");
        assert_eq!(socket.receive().await, Frame::End, "{what}");
        assert_eq!(server.end().await, (None, CloseReason::TransportError), "{what}");
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let mut server = TestServer::start(WebSocketConfig {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(200),
        ..WebSocketConfig::default()
    })
    .await;
    let mut socket = server.socket().await;
    for _ in 0..4 {
        assert_eq!(socket.receive().await, Frame::Ping(vec![]));
        socket.send(Opcode::Pong, b"").await;
    }
    let started = Instant::now();
    assert_eq!(socket.receive().await, Frame::Ping(vec![]));
    let told = socket.closed_with().await;
    assert_eq!(told, (1011, "no pong came within the ping timeout".to_owned()));
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(server.end().await, (None, CloseReason::PingTimeout));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let idle_timeout = Duration::from_millis(400);
    let mut server = TestServer::start(WebSocketConfig {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(5_000),
        idle_timeout: Some(idle_timeout),
        ..WebSocketConfig::default()
    })
    .await;
    let mut socket = server.socket().await;
    let opened = Instant::now();
    let mut last = opened;
    // The heartbeat is no message.
    loop {
        match socket.receive().await {
            Frame::Ping(payload) => socket.send(Opcode::Pong, &payload).await,
            Frame::Text(_) => {}
            end => {
                assert_eq!(end, Frame::Close(1001));
                break;
            }
        }
        if opened.elapsed() < 3 * idle_timeout {
            socket.text("here").await;
            last = Instant::now();
        }
    }
    assert!(opened.elapsed() > 3 * idle_timeout);
    assert!(last.elapsed() >= idle_timeout);
    assert_eq!(server.end().await, (None, CloseReason::PingTimeout));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed() {
    let mut server = TestServer::start(WebSocketConfig {
        limits: Limits {
            max_outbox: 4 << 20,
            close_timeout: Duration::from_millis(100),
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    })
    .await;
    let mut socket = server.socket().await;
    socket.text("flood").await;
    assert_eq!(server.end().await, (None, CloseReason::TransportError));
    timeout(PATIENCE, async {
        while server.server.clients_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is forgotten");
}

#[test]
fn nonsense_is_refused_by_name() {
    let start = |config| {
        let (sender, _) = unbounded_channel();
        WebSocketServer::new(config, Echo(sender)).err()
    };
    let zero = WebSocketConfig {
        idle_timeout: Some(Duration::ZERO),
        ..WebSocketConfig::default()
    };
    let option = "idle_timeout";
    assert_eq!(start(zero), Some(ConfigError::Zero { option }));
    let many = WebSocketConfig {
        protocols: vec!["a".to_owned(); 256],
        ..WebSocketConfig::default()
    };
    assert_eq!(start(many), Some(ConfigError::Protocols { count: 256 }));
    assert_eq!(start(WebSocketConfig::default()), None);
}
