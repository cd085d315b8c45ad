//! A certificate authority, servers with its certificates, and clients that trust it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Context;
use std::time::Duration;

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use gatewire_server::rustls::{self, ClientConfig, RootCertStore};
use gatewire_server::{
    Application, Body, Connection, Engine, EngineConfig, Limits, Listener, ListenerConfig, Origin, Rejected,
    Session, SseConfig, SseServer, Tls, WebSocketConfig, WebSocketServer,
};
use http_body_util::Either;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything a test waits for; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key for `localhost`, in PEM.
    pub(crate) fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a client needs that trusts this authority.
    pub(crate) fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let builder = self.client_builder(versions);
        builder.with_no_client_auth()
    }

    /// The same, with a certificate that `issuer` has signed.
    pub(crate) fn client_with_certificate(&self, issuer: &Self) -> ClientConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer.0).unwrap();
        self.client_builder(rustls::ALL_VERSIONS)
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap()
    }

    fn client_builder(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }
}

/// Files that are gone with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "gatewire-tls-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a file in its place at once, as who renews certificates should.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An echo that hands its connections out and reports how they end. `stall` keeps it from taking more for good.
struct Echo {
    opened: UnboundedSender<Opened>,
    closed: UnboundedSender<CloseReason>,
}

pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) handshake: Arc<Handshake>,
}

struct EchoSession {
    connection: Connection,
    closed: UnboundedSender<CloseReason>,
    stalled: bool,
}

impl Application for Echo {
    fn open(&self, connection: Connection, handshake: Arc<Handshake>) -> Box<dyn Session> {
        let opened = Opened {
            connection: connection.clone(),
            handshake,
        };
        // The receiver is gone when the test is over.
        let _ = self.opened.send(opened);
        Box::new(EchoSession {
            connection,
            closed: self.closed.clone(),
            stalled: false,
        })
    }
}

impl Session for EchoSession {
    fn receive_text(&mut self, text: &str, _cx: &mut Context<'_>) -> Result<(), Rejected> {
        if text == "stall" {
            self.stalled = true;
        } else {
            self.connection.send_text(text);
        }
        Ok(())
    }

    fn receive_binary(&mut self, data: &[u8], _cx: &mut Context<'_>) -> Result<(), Rejected> {
        self.connection.send_binary(data);
        Ok(())
    }

    fn wants_input(&self) -> bool {
        !self.stalled
    }

    fn close(&mut self, reason: CloseReason) {
        let _ = self.closed.send(reason);
    }
}

/// Listens, and reports how it ends.
struct Listening(UnboundedSender<CloseReason>);

impl Session for Listening {
    fn close(&mut self, reason: CloseReason) {
        let _ = self.0.send(reason);
    }
}

/// A server of plain WebSockets at `/ws`, streams of events at `/events`, and an engine at `/socket.io/`, behind TLS.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    subscribed: UnboundedReceiver<Connection>,
    pub(crate) engine: Engine,
    opened: UnboundedReceiver<Opened>,
    closed: UnboundedReceiver<CloseReason>,
}

impl Server {
    pub(crate) async fn start(tls: Tls) -> Self {
        Self::with(tls, ListenerConfig::default(), Limits::default()).await
    }

    pub(crate) async fn with(tls: Tls, config: ListenerConfig, limits: Limits) -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener.with_tls(tls).with_config(config), limits)
    }

    /// Serves a listener as it is.
    pub(crate) fn on(listener: Listener, limits: Limits) -> Self {
        let address = listener.local_addr().unwrap();
        let (opened_sender, opened) = unbounded_channel();
        let (closed_sender, closed) = unbounded_channel();
        let echo = || Echo {
            opened: opened_sender.clone(),
            closed: closed_sender.clone(),
        };
        let config = EngineConfig {
            limits: limits.clone(),
            ..EngineConfig::default()
        };
        let engine = Engine::new(config, echo()).unwrap();
        let served = engine.clone();
        let config = WebSocketConfig {
            origin: Some(Origin::List(vec!["https://good.example".to_owned()])),
            protocols: vec!["chat".to_owned()],
            limits,
            ..WebSocketConfig::default()
        };
        let sockets = WebSocketServer::new(config, echo()).unwrap();
        let sse = SseServer::new(SseConfig::default()).unwrap();
        let (subscribed_sender, subscribed) = unbounded_channel();
        let handler = move |request: http::Request<_>, peer| {
            let (engine, sockets, sse) = (served.clone(), sockets.clone(), sse.clone());
            let (subscribed, closed) = (subscribed_sender.clone(), closed_sender.clone());
            async move {
                match request.uri().path() {
                    path if engine.matches(path) => {
                        engine.handle(request, Some(peer)).await.map(Either::Left)
                    }
                    "/ws" => sockets.handle(request, Some(peer)).await.map(Either::Left),
                    "/events" => {
                        let opened = sse.open(move |connection| {
                            let _ = subscribed.send(connection);
                            Box::new(Listening(closed))
                        });
                        opened.unwrap().map(Either::Right)
                    }
                    _ => {
                        let mut response = http::Response::new(Either::Left(Body::from("nothing here")));
                        *response.status_mut() = http::StatusCode::NOT_FOUND;
                        response
                    }
                }
            }
        };
        tokio::spawn(listener.serve(handler, std::future::pending()));
        Self {
            address,
            engine,
            subscribed,
            opened,
            closed,
        }
    }

    pub(crate) async fn opened(&mut self) -> Opened {
        timeout(PATIENCE, self.opened.recv())
            .await
            .expect("a connection")
            .unwrap()
    }

    /// The connection of the next stream of events.
    pub(crate) async fn subscribed(&mut self) -> Connection {
        timeout(PATIENCE, self.subscribed.recv())
            .await
            .expect("a stream of events")
            .unwrap()
    }

    pub(crate) async fn closed(&mut self) -> CloseReason {
        timeout(PATIENCE, self.closed.recv())
            .await
            .expect("an end")
            .unwrap()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(config.clone());
        timeout(PATIENCE, connector.connect(name, self.tcp().await))
            .await
            .expect("a handshake")
    }

    /// Opens a plain WebSocket over HTTP/1.1.
    pub(crate) async fn websocket(&self, config: &Arc<ClientConfig>) -> Socket<TlsStream<TcpStream>> {
        let mut stream = self.connect(config).await.unwrap();
        let head = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Socket(stream)
    }
}

/// Status line and headers of an answer.
pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
        head.push(byte.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The client's end of a WebSocket, on any stream.
pub(crate) struct Socket<S>(pub(crate) S);

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Socket<S> {
    pub(crate) async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, opcode, [1, 2, 3, 4], payload);
        self.0.write_all(&frame).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    /// The opcode of the next frame, and its payload.
    pub(crate) async fn receive(&mut self) -> (u8, Vec<u8>) {
        timeout(PATIENCE, self.frame()).await.expect("a frame").unwrap()
    }

    pub(crate) async fn receive_text(&mut self) -> String {
        let (opcode, payload) = self.receive().await;
        assert_eq!(opcode, 0x81);
        String::from_utf8(payload).unwrap()
    }

    pub(crate) async fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await?;
        let length = match head[1] {
            126 => usize::from(self.0.read_u16().await?),
            127 => self.0.read_u64().await?.try_into().unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await?;
        Ok((head[0], payload))
    }
}

/// The certificate that the server has shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}
