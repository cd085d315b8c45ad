//! One server with Socket.IO, plain WebSockets, a stream of events and a page that says whom it sees; and raw clients.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::{Io, PlainFormat};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::{
    ClientLimiter, ClientLimits, Cors, Engine, EngineConfig, Listener, Networks, PlainSockets, Reception,
    Secured, Session, SocketIo, SseConfig, SseServer, Tls, Visitor, WebSocketConfig, WebSocketServer,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything a test waits for; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// No limits, for nobody exempt.
pub(crate) fn unlimited() -> ClientLimits {
    ClientLimits {
        max_connections: usize::MAX,
        max_http_connections: usize::MAX,
        connections: None,
        requests: None,
        messages: None,
        bytes: None,
        exempt: Networks::default(),
        ..ClientLimits::default()
    }
}

/// A server with these limits alone.
pub(crate) async fn limited(limits: ClientLimits) -> SocketAddr {
    let limiter = ClientLimiter::new(limits);
    serve(Reception::new().limit_clients(limiter), None).await
}

struct Quiet;

impl Session for Quiet {
    fn close(&mut self, _: CloseReason) {}
}

pub(crate) async fn serve(reception: Reception, tls: Option<Tls>) -> SocketAddr {
    let io = Io::default();
    io.of("/").on_connection(|socket| {
        socket.emit("you", &[socket.handshake().address()]);
        socket.on("echo", |socket, event| {
            if let Some(ack) = event.ack(socket) {
                ack.send_payload(&event.to_payload());
            }
        });
    });
    let config = EngineConfig {
        cors: Some(Cors::any()),
        ..EngineConfig::default()
    };
    let engine = Engine::new(config, SocketIo::new(io.clone())).unwrap();
    let sockets = PlainSockets::new(io, "/ws", PlainFormat::default());
    let plain = WebSocketServer::new(WebSocketConfig::default(), sockets).unwrap();
    let streams = SseServer::new(SseConfig::default()).unwrap();
    let mut listener = Listener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .with_reception(reception);
    if let Some(tls) = tls {
        listener = listener.with_tls(tls);
    }
    let address = listener.local_addr().unwrap();
    let answer = move |request: Request<Incoming>, client: SocketAddr| {
        let (engine, plain, streams) = (engine.clone(), plain.clone(), streams.clone());
        async move {
            match request.uri().path() {
                "/ws" => plain.handle(request, Some(client)).await.map(BodyExt::boxed),
                "/events" => match Visitor::seat(request.extensions()) {
                    Ok(seat) => {
                        let response = streams.open_on(seat, |_| Box::new(Quiet)).unwrap();
                        response.map(BodyExt::boxed)
                    }
                    Err(too_many) => text(429, too_many.to_string()),
                },
                "/whoami" => {
                    let is_secure = request.extensions().get::<Secured>().is_some();
                    text(200, format!("{client} {is_secure}"))
                }
                _ => engine.handle(request, Some(client)).await.map(BodyExt::boxed),
            }
        }
    };
    tokio::spawn(listener.serve(answer, pending()));
    address
}

type AnyBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

fn text(status: u16, text: String) -> Response<AnyBody> {
    let response = Response::builder().status(status);
    response.body(Full::new(Bytes::from(text)).boxed()).unwrap()
}

/// Head and body of the answer to a request on a connection of its own, which begins with `before`.
pub(crate) async fn get_behind(
    address: SocketAddr,
    before: &[u8],
    target: &str,
    headers: &str,
) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(before).await.unwrap();
    request(&mut stream, target, headers).await
}

pub(crate) async fn get(address: SocketAddr, target: &str, headers: &str) -> (String, String) {
    get_behind(address, b"", target, headers).await
}

/// Asks for `target`, and reads to the end of the connection; both are empty if there is no answer.
pub(crate) async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &str,
    headers: &str,
) -> (String, String) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    // Who is not wanted may be gone already.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an end");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_lowercase(), body.to_owned())
}

/// A WebSocket.
pub(crate) struct Socket<S = TcpStream>(S);

impl Socket {
    /// Opens one, or gives the head of the refusal.
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Result<Self, String> {
        Self::open_on(TcpStream::connect(address).await.unwrap(), target, "").await
    }

    /// A Socket.IO client in `/`, and the address that the server says it has.
    pub(crate) async fn socketio(address: SocketAddr, headers: &str) -> (Self, String) {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::open_on(stream, ENGINE, headers).await.unwrap().join().await
    }
}

pub(crate) const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";
pub(crate) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) async fn open_on(mut stream: S, target: &str, headers: &str) -> Result<Self, String> {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(
                timeout(PATIENCE, stream.read_u8())
                    .await
                    .expect("an answer")
                    .unwrap(),
            );
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        if answer.starts_with("http/1.1 101") {
            Ok(Self(stream))
        } else {
            Err(answer)
        }
    }

    /// Joins `/`.
    pub(crate) async fn join(mut self) -> (Self, String) {
        assert!(self.text().await.starts_with("0{"));
        self.send("40").await;
        assert!(self.text().await.starts_with("40{"));
        let you = self.text().await;
        let address = you.split('"').nth(3).expect("an address").to_owned();
        (self, address)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_frame(Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, opcode, [1, 2, 3, 4], payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next frame: its first byte, and what it carries. `None` is the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let stream = &mut self.0;
        let reading = async {
            let kind = stream.read_u8().await.ok()?;
            let length = match stream.read_u8().await.ok()? {
                126 => u64::from(stream.read_u16().await.ok()?),
                127 => stream.read_u64().await.ok()?,
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).await.ok()?;
            Some((kind, payload))
        };
        timeout(PATIENCE, reading).await.expect("a frame")
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        let (kind, payload) = self.frame().await.expect("a text before the end");
        assert_eq!(kind, 0x81, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }
}
