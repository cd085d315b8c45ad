//! A client behind TLS that puts any bytes into records sealed with the keys of its connection, and anything between them; or
//! that ends the handshake in any other way. Never a panic; afterwards a good client is served, and nothing is left of the other.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use gatewire_hub::{HubConfig, Io, PlainFormats};
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use gatewire_server::rustls::crypto::ring::default_provider;
use gatewire_server::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use gatewire_server::rustls::version::TLS13;
use gatewire_server::rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    SupportedCipherSuite,
};
use gatewire_server::{Limits, Listener, PlainSockets, Tls, WebSocketConfig, WebSocketServer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::server::{self, SECOND};

/// The byte between two steps of a script.
const SEPARATOR: u8 = 0xfe;

/// Steps of one script that are taken.
const MAX_STEPS: usize = 32;

/// Turns in which everything on this machine has been taken and answered.
const TURNS: usize = 12;

/// Longer than a run takes; only a run that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first bit of the choice: the client's first bytes are those of the script, no handshake of its own.
const BARE: u8 = 1;

/// The handshake of a WebSocket.
const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Panics of any thread: those of a task are caught by its runtime.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Runs the target on one input. The first byte chooses how it begins; steps follow, divided by the byte 0xFE.
pub fn run(input: &[u8]) {
    let Some((&choice, script)) = input.split_first() else {
        return;
    };
    count_panics();
    let before = PANICS.load(Ordering::Relaxed);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (address, server) = serve().await;
        if let Ok(mut client) = Client::open(address, choice & BARE != 0).await {
            client.play(script).await;
        }
        greet(address).await;
        let gone = async {
            while server.clients_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("clients are left");
    });
    assert_eq!(PANICS.load(Ordering::Relaxed), before, "the server panicked");
}

fn count_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(panic);
        }));
    });
}

/// One certificate for all runs: it is made anew by each process.
fn certificate() -> &'static CertifiedKey<rcgen::KeyPair> {
    static CERTIFICATE: OnceLock<CertifiedKey<rcgen::KeyPair>> = OnceLock::new();
    CERTIFICATE.get_or_init(|| generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate"))
}

/// A server of plain WebSockets behind TLS.
async fn serve() -> (SocketAddr, WebSocketServer) {
    let io = Io::new(HubConfig::default());
    io.of("/").on_connection(server::listen_and_echo);
    let config = WebSocketConfig {
        max_message: 100_000,
        limits: Limits {
            close_timeout: SECOND,
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    };
    let sockets = PlainSockets::new(io, "/ws", PlainFormats::default());
    let server = WebSocketServer::new(config, sockets).expect("options that make sense");
    let certificate = certificate();
    let tls = Tls::from_pem(certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let served = server.clone();
    let answer = move |request: http::Request<_>, peer| {
        let server = served.clone();
        async move { server.handle(request, Some(peer)).await }
    };
    let listener = listener.with_tls(tls.expect("a certificate with its key"));
    tokio::spawn(listener.serve(answer, std::future::pending()));
    (address, server)
}

/// What seals the records of a client, from the keys of its handshake on.
struct Sealing {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealing {
    fn of(connection: ClientConnection) -> Self {
        let Some(SupportedCipherSuite::Tls13(suite)) = connection.negotiated_cipher_suite() else {
            unreachable!("the client speaks TLS 1.3 alone");
        };
        let secrets = connection
            .dangerous_extract_secrets()
            .expect("the client may know its keys");
        let (sequence, secrets) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            unreachable!("the provider has no other cipher");
        };
        Self {
            encrypter: suite.aead_alg.encrypter(key, iv),
            sequence,
        }
    }

    /// A record of this type; whoever opens it sees what it is of.
    fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.encrypter.encrypt(message, self.sequence);
        self.sequence += 1;
        sealed.expect("a record that is not too long").encode()
    }
}

/// One connection of a client.
struct Client {
    tcp: TcpStream,
    /// `None` if it has no keys.
    sealing: Option<Sealing>,
    /// The ClientHello of a client that has not sent it.
    hello: Vec<u8>,
    /// What is sent with the next wait, or when the script ends.
    waiting: Vec<u8>,
}

impl Client {
    async fn open(address: SocketAddr, is_bare: bool) -> io::Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        let mut connection = connection();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello)?;
        if is_bare {
            return Ok(Self {
                tcp,
                sealing: None,
                hello,
                waiting: Vec::new(),
            });
        }
        shake_hands(&mut tcp, &mut connection, hello).await?;
        Ok(Self {
            tcp,
            sealing: Some(Sealing::of(connection)),
            hello: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Takes the steps of a script, of which the first byte says what it is:
    ///
    /// - `R`: bytes as they are; `H`: so many pairs of bytes of the ClientHello,
    /// - `S`: a record whose type is the next byte; `O`: the handshake of a WebSocket, `F`: a masked frame whose first byte is
    ///   the next one, each in a record,
    /// - `K`: takes so many bytes off the end of what waits; `W`: sends it, and lets the server answer; `E`: sends no more.
    async fn play(&mut self, script: &[u8]) {
        for step in script.split(|&byte| byte == SEPARATOR).take(MAX_STEPS) {
            let Some((&kind, rest)) = step.split_first() else {
                continue;
            };
            match (kind, rest) {
                (b'R', bytes) => self.waiting.extend_from_slice(bytes),
                (b'H', &[pairs, ..]) => {
                    let length = self.hello.len().min(2 * usize::from(pairs));
                    self.waiting.extend(self.hello.drain(..length));
                }
                (b'S', &[typ, ref payload @ ..]) => self.seal(ContentType::from(typ), payload),
                (b'O', _) => self.seal(ContentType::ApplicationData, UPGRADE),
                (b'F', &[first, ref payload @ ..]) => {
                    self.seal(ContentType::ApplicationData, &frame(first, payload))
                }
                (b'K', &[bytes, ..]) => {
                    let length = self.waiting.len().saturating_sub(usize::from(bytes));
                    self.waiting.truncate(length);
                }
                (b'W', _) => self.send().await,
                (b'E', _) => {
                    self.send().await;
                    let _ = self.tcp.shutdown().await;
                    settle().await;
                }
                _ => {}
            }
        }
        self.send().await;
    }

    fn seal(&mut self, typ: ContentType, payload: &[u8]) {
        if let Some(sealing) = &mut self.sealing {
            let record = sealing.record(typ, payload);
            self.waiting.extend_from_slice(&record);
        }
    }

    /// Sends what waits, and reads what has come, so that the server is never held up.
    async fn send(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let _ = timeout(PATIENCE, self.tcp.write_all(&waiting)).await;
        settle().await;
        let mut heard = [0; 4096];
        while self.tcp.try_read(&mut heard).is_ok_and(|read| read > 0) {}
    }
}

/// A frame of the client, so short that its head has no length of its own.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let payload = &payload[..payload.len().min(125)];
    put_masked_frame(&mut frame, true, Opcode::Text, [1, 2, 3, 4], payload);
    frame[0] = first;
    frame
}

/// Lets everything be done that can be done now.
async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// A client that trusts the certificate, and whose keys can be had.
fn connection() -> ClientConnection {
    thread_local! {
        static CONFIG: RefCell<Option<Arc<ClientConfig>>> = const { RefCell::new(None) };
    }
    let config =
        CONFIG.with_borrow_mut(|config| config.get_or_insert_with(|| Arc::new(client_config())).clone());
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(config, name).expect("a client")
}

fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = certificate().cert.pem();
    let own = CertificateDer::from_pem_slice(pem.as_bytes()).expect("its own certificate");
    roots.add(own).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("a version of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

/// Ends the handshake of which the client has said `hello`.
async fn shake_hands(
    tcp: &mut TcpStream,
    connection: &mut ClientConnection,
    hello: Vec<u8>,
) -> io::Result<()> {
    let mut ours = hello;
    loop {
        tcp.write_all(&ours).await?;
        if !connection.is_handshaking() {
            return Ok(());
        }
        read_some(tcp, connection).await?;
        ours.clear();
        while connection.wants_write() {
            connection.write_tls(&mut ours)?;
        }
    }
}

async fn read_some(tcp: &mut TcpStream, connection: &mut ClientConnection) -> io::Result<()> {
    let mut theirs = [0; 4096];
    let read = timeout(PATIENCE, tcp.read(&mut theirs)).await??;
    let mut rest = &theirs[..read];
    if rest.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    while !rest.is_empty() {
        connection.read_tls(&mut rest)?;
        connection.process_new_packets().map_err(io::Error::other)?;
    }
    Ok(())
}

/// A good client comes, is answered and goes.
async fn greet(address: SocketAddr) {
    let answered = async {
        let mut tcp = TcpStream::connect(address).await?;
        let mut connection = connection();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello)?;
        shake_hands(&mut tcp, &mut connection, hello).await?;
        connection.writer().write_all(UPGRADE)?;
        connection
            .writer()
            .write_all(&frame(0x81, br#"{"event":"echo","data":"good"}"#))?;
        let (mut ours, mut heard) = (Vec::new(), Vec::new());
        while connection.wants_write() {
            connection.write_tls(&mut ours)?;
        }
        tcp.write_all(&ours).await?;
        while !String::from_utf8_lossy(&heard).contains(r#""good""#) {
            read_some(&mut tcp, &mut connection).await?;
            // There is no more for now.
            let _ = io::Read::read_to_end(&mut connection.reader(), &mut heard);
        }
        io::Result::Ok(())
    };
    let answered = timeout(PATIENCE, answered).await.map_err(io::Error::other);
    answered
        .and_then(|answered| answered)
        .expect("a good client is served");
}
