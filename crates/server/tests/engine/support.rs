//! A raw client for the tests: HTTP requests and WebSocket frames written by hand, so that a test can send what no
//! client library would.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use gatewire_hub::Handshake;
use gatewire_hub::cluster::MemoryBus;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::{
    Application, Body, Connection, Engine, EngineConfig, Hooks, Listener, Rejected, Session, SharingConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Sleep, sleep, timeout};

/// Longer than anything a test waits for; only a failing test gets there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a session over polling begins, and its requests go.
pub(crate) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// How long the message `stall` keeps a session from taking more.
pub(crate) const STALL: Duration = Duration::from_millis(600);

/// An echo that reports how its sessions end. The message `close` ends the session from the server's side, `reject` is
/// not accepted, and `stall` keeps it from taking more for a while.
pub(crate) struct Echo(pub(crate) UnboundedSender<CloseReason>);

struct EchoSession {
    connection: Connection,
    closed: UnboundedSender<CloseReason>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Application for Echo {
    fn open(&self, connection: Connection, _handshake: Arc<Handshake>) -> Box<dyn Session> {
        Box::new(EchoSession {
            connection,
            closed: self.0.clone(),
            stall: None,
        })
    }
}

impl Session for EchoSession {
    fn receive_text(&mut self, text: &str, _cx: &mut Context<'_>) -> Result<(), Rejected> {
        match text {
            "close" => self.connection.close(),
            "stall" => self.stall = Some(Box::pin(sleep(STALL))),
            "reject" => {
                return Err(Rejected {
                    reason: "as asked".to_owned(),
                });
            }
            _ => self.connection.send_text(text),
        }
        Ok(())
    }

    fn receive_binary(&mut self, data: &[u8], _cx: &mut Context<'_>) -> Result<(), Rejected> {
        self.connection.send_binary(data);
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(stall) = &mut self.stall
            && stall.as_mut().poll(cx).is_ready()
        {
            self.stall = None;
        }
    }

    fn wants_input(&self) -> bool {
        self.stall.is_none()
    }

    fn close(&mut self, reason: CloseReason) {
        // The receiver is gone when the test is over.
        let _ = self.closed.send(reason);
    }
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) closed: UnboundedReceiver<CloseReason>,
}

impl TestServer {
    pub(crate) async fn start(config: EngineConfig) -> Self {
        Self::with_hooks(config, Hooks::new()).await
    }

    pub(crate) async fn with_hooks(config: EngineConfig, hooks: Hooks) -> Self {
        let (sender, closed) = unbounded_channel();
        let engine = Engine::with_hooks(config, hooks, Echo(sender)).unwrap();
        Self {
            closed,
            ..Self::of(engine).await
        }
    }

    /// Serves an engine whose application is the test's own.
    pub(crate) async fn of(engine: Engine) -> Self {
        let other = crate::RELAYED.then(|| sharing(&engine));
        Self::with_other(engine, other).await
    }

    /// As [`of`](Self::of); what is for a session goes to the `other` engine, if there is one.
    pub(crate) async fn with_other(engine: Engine, other: Option<Engine>) -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = engine.clone();
        tokio::spawn(listener.serve(
            move |request: http::Request<_>, peer| {
                let is_of_session = request
                    .uri()
                    .query()
                    .is_some_and(|query| query.contains("sid=") && !query.ends_with("sid="));
                let engine = other
                    .as_ref()
                    .filter(|_| is_of_session)
                    .unwrap_or(&served)
                    .clone();
                async move {
                    if engine.matches(request.uri().path()) {
                        return engine.handle(request, Some(peer)).await;
                    }
                    let mut response = http::Response::new(Body::default());
                    *response.status_mut() = http::StatusCode::NOT_FOUND;
                    response
                }
            },
            std::future::pending(),
        ));
        Self {
            address,
            engine,
            closed: unbounded_channel().1,
        }
    }

    /// The reason for which the next session ends.
    pub(crate) async fn closed(&mut self) -> CloseReason {
        timeout(PATIENCE, self.closed.recv())
            .await
            .expect("a session ends")
            .unwrap()
    }

    /// Sends one request on a connection of its own and returns status and body.
    pub(crate) async fn request(&self, method: &str, target: &str, body: &[u8]) -> (u16, String) {
        let (head, body) = self.exchange(method, target, "", body).await;
        (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    }

    /// Sends one request with these header lines on a connection of its own and returns head and body.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("an answer")
            .unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let body = answer.split_off(end.expect("a head") + 4);
        (String::from_utf8(answer).unwrap(), body)
    }

    /// Opens a session on polling and returns its id.
    pub(crate) async fn open_polling(&self) -> String {
        let (status, body) = self
            .request("GET", "/socket.io/?EIO=4&transport=polling", b"")
            .await;
        assert_eq!(status, 200, "{body}");
        sid_of(&body)
    }

    /// Opens a WebSocket; the open packet is not read yet.
    pub(crate) async fn websocket(&self, query: &str) -> TestSocket {
        let (socket, answer) = self.websocket_with(query, "").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        socket
    }

    /// Asks for a WebSocket with these header lines, too; the answer's head may be a refusal.
    pub(crate) async fn websocket_with(&self, query: &str, headers: &str) -> (TestSocket, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        (TestSocket(stream), answer)
    }
}

/// Another engine that shares its sessions with `engine` and has none.
fn sharing(engine: &Engine) -> Engine {
    struct Nobody;
    impl Application for Nobody {
        fn open(&self, _: Connection, _: Arc<Handshake>) -> Box<dyn Session> {
            panic!("a session is opened where none should be")
        }
    }
    let other = Engine::new(engine.config().clone(), Nobody).unwrap();
    let bus = Arc::new(MemoryBus::new());
    for engine in [engine, &other] {
        assert_eq!(
            engine.share_sessions(bus.clone(), SharingConfig::default()),
            Ok(true)
        );
    }
    other
}

/// Status line and headers of an answer, with the empty line behind them.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(
            timeout(PATIENCE, stream.read_u8())
                .await
                .expect("an answer")
                .unwrap(),
        );
    }
    String::from_utf8(head).unwrap()
}

/// What a client makes of a compressed payload.
fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 << 20);
    let payload = [payload, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false)
        .decompress_vec(&payload, &mut message, FlushDecompress::Sync)
        .unwrap();
    message
}

/// The payload of a compressed message.
fn deflate(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 100);
    Compress::new(Compression::default(), false)
        .compress_vec(message, &mut payload, FlushCompress::Sync)
        .unwrap();
    payload.truncate(payload.len() - 4);
    payload
}

/// The id in an open packet.
pub(crate) fn sid_of(open: &str) -> String {
    open.split('"').nth(3).expect("an open packet").to_owned()
}

/// One frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// A compressed message, as it was before.
    Deflated(Opcode, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// With the code, or 1005 for none.
    Close(u16),
    /// The TCP connection has ended.
    End,
}

/// The client's end of a WebSocket.
pub(crate) struct TestSocket(pub(crate) TcpStream);

impl TestSocket {
    pub(crate) async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, opcode, [1, 2, 3, 4], payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Sends a compressed message.
    pub(crate) async fn send_deflated(&mut self, opcode: Opcode, message: &[u8]) {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, opcode, [1, 2, 3, 4], &deflate(message));
        frame[0] |= 0x40;
        self.0.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn receive(&mut self) -> Frame {
        timeout(PATIENCE, self.frame()).await.expect("a frame")
    }

    /// Reads on to the Close frame, and returns its code and reason.
    pub(crate) async fn closed_with(&mut self) -> (u16, String) {
        let reading = async {
            loop {
                let (kind, payload) = self.raw().await.expect("a Close frame before the end");
                if kind == 0x88 {
                    let (code, reason) = payload.split_first_chunk().expect("a code");
                    return (
                        u16::from_be_bytes(*code),
                        String::from_utf8(reason.to_vec()).unwrap(),
                    );
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("a Close frame")
    }

    /// The first byte of a frame, and its payload.
    async fn raw(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => usize::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap().try_into().unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.unwrap();
        Some((head[0], payload))
    }

    async fn frame(&mut self) -> Frame {
        let Some((kind, payload)) = self.raw().await else {
            return Frame::End;
        };
        match kind {
            0x81 => Frame::Text(String::from_utf8(payload).unwrap()),
            0x82 => Frame::Binary(payload),
            0xc1 => Frame::Deflated(Opcode::Text, inflate(&payload)),
            0xc2 => Frame::Deflated(Opcode::Binary, inflate(&payload)),
            0x89 => Frame::Ping(payload),
            0x8a => Frame::Pong(payload),
            0x88 => Frame::Close(
                payload
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code)),
            ),
            other => panic!("a frame of kind {other:#x}"),
        }
    }

    /// Reads the open packet and returns the session id.
    pub(crate) async fn opened(&mut self) -> String {
        match self.receive().await {
            Frame::Text(open) => sid_of(&open),
            other => panic!("no open packet but {other:?}"),
        }
    }
}
