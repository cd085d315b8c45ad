//! A scripted peer: a `Client` driven by hand, an outbox that writes down what leaves, and a handler made of closures.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of each test file, which uses its own part"
)]

pub mod waiting;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use gatewire_hub::{
    BoxFuture, Client, CloseReason, ConnectError, DisconnectReason, Event, FramedText, Handshake,
    HandshakeParts, HubConfig, Id, Io, Message, Namespace, NamespaceHandler, Outbox, Prepared, ProtocolError,
    Socket, TransportKind,
};

/// Writes down every packet without the Engine.IO type; attachments as `<010203>`, the close as `close: reason`.
pub struct Recorder {
    lines: Mutex<VecDeque<String>>,
    pub writable: AtomicBool,
    pub full: AtomicBool,
    /// Events are dropped while it is full.
    pub lossy: bool,
    pub dropped: AtomicUsize,
    pub polling: AtomicBool,
    pub wakes: AtomicUsize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            writable: AtomicBool::new(true),
            full: AtomicBool::new(false),
            lossy: false,
            dropped: AtomicUsize::new(0),
            polling: AtomicBool::new(false),
            wakes: AtomicUsize::new(0),
        }
    }
}

impl Recorder {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push_back(line);
    }

    pub fn take(&self) -> Vec<String> {
        self.lines.lock().unwrap().drain(..).collect()
    }
}

impl Outbox for Recorder {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            self.note(match message {
                Message::Text(text) => std::str::from_utf8(&text)
                    .unwrap()
                    .strip_prefix('4')
                    .unwrap()
                    .to_owned(),
                Message::Binary(data) => {
                    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("<{hex}>")
                }
            });
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        assert!(text.frame().ends_with(text.text()));
        self.note(
            std::str::from_utf8(text.text())
                .unwrap()
                .strip_prefix('4')
                .unwrap()
                .to_owned(),
        );
    }

    fn close(&self, reason: CloseReason) {
        self.note(format!("close: {}", reason.as_str()));
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::SeqCst)
    }

    fn has_room(&self) -> bool {
        !self.full.load(Ordering::SeqCst)
    }

    fn is_lossy(&self) -> bool {
        self.lossy
    }

    fn drops_event(&self) -> bool {
        let drops = self.full.load(Ordering::SeqCst);
        self.dropped.fetch_add(usize::from(drops), Ordering::SeqCst);
        drops
    }

    fn transport(&self) -> TransportKind {
        if self.polling.load(Ordering::SeqCst) {
            TransportKind::Polling
        } else {
            TransportKind::WebSocket
        }
    }
}

/// One connection, and the task that would drive it.
pub struct Peer {
    pub client: Client,
    pub outbox: Arc<Recorder>,
    woken: Arc<Flag>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Peer {
    pub fn new(io: &Io) -> Self {
        Self::open(Recorder::default(), |outbox| Client::new(io, outbox, handshake()))
    }

    /// A peer whose events are dropped while it is full.
    pub fn lossy(io: &Io) -> Self {
        let outbox = Recorder {
            lossy: true,
            ..Recorder::default()
        };
        Self::open(outbox, |outbox| Client::new(io, outbox, handshake()))
    }

    /// A peer on the polling transport.
    pub fn polling(io: &Io) -> Self {
        let outbox = Recorder {
            polling: AtomicBool::new(true),
            ..Recorder::default()
        };
        Self::open(outbox, |outbox| Client::new(io, outbox, handshake()))
    }

    /// A client of Socket.IO 2, on the connection of that id.
    pub fn v2(io: &Io, sid: Id) -> Self {
        Self::open(Recorder::default(), |outbox| {
            Client::new_v2(io, outbox, handshake(), sid)
        })
    }

    fn open(outbox: Recorder, client: impl FnOnce(Arc<Recorder>) -> Client) -> Self {
        let outbox = Arc::new(outbox);
        let client = client(outbox.clone());
        Self {
            client,
            outbox,
            woken: Arc::default(),
        }
    }

    /// A peer that has joined the namespace, the reply taken off the transcript.
    pub fn joined(io: &Io, namespace: &str) -> Self {
        let mut peer = Self::new(io);
        peer.join(namespace);
        peer
    }

    pub fn join(&mut self, namespace: &str) -> String {
        let head = if namespace == "/" {
            "0".to_owned()
        } else {
            format!("0{namespace},")
        };
        self.recv(&head).unwrap();
        let sent = self.sent();
        let reply = sent[0]
            .strip_prefix(&head)
            .and_then(|rest| rest.strip_prefix(r#"{"sid":""#));
        reply.unwrap_or_else(|| panic!("no CONNECT reply: {sent:?}"))[..20].to_owned()
    }

    /// Hands over a message and polls once, as a driver does.
    pub fn recv(&mut self, text: &str) -> Result<(), ProtocolError> {
        let waker = Waker::from(self.woken.clone());
        let mut cx = Context::from_waker(&waker);
        let result = self.client.receive_text(text, &mut cx);
        self.client.poll(&mut cx);
        result
    }

    pub fn recv_binary(&mut self, data: &[u8]) -> Result<(), ProtocolError> {
        let waker = Waker::from(self.woken.clone());
        let mut cx = Context::from_waker(&waker);
        let result = self.client.receive_binary(data, &mut cx);
        self.client.poll(&mut cx);
        result
    }

    /// Polls as long as anybody asks for it.
    pub fn run(&mut self) {
        let waker = Waker::from(self.woken.clone());
        loop {
            self.woken.0.store(false, Ordering::SeqCst);
            let wakes = self.outbox.wakes.load(Ordering::SeqCst);
            self.client.poll(&mut Context::from_waker(&waker));
            if !self.woken.0.load(Ordering::SeqCst) && wakes == self.outbox.wakes.load(Ordering::SeqCst) {
                break;
            }
        }
    }

    /// Whether the connection has been asked to poll since the last [`run`](Self::run).
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    pub fn close(&mut self, reason: DisconnectReason) {
        self.client.close(reason);
    }

    pub fn poll_closed(&mut self) -> Poll<()> {
        let waker = Waker::from(self.woken.clone());
        self.client.poll_closed(&mut Context::from_waker(&waker))
    }

    /// What has left since the last call.
    pub fn sent(&self) -> Vec<String> {
        self.outbox.take()
    }
}

pub fn handshake() -> Arc<Handshake> {
    let headers = http::HeaderMap::new();
    let uri = http::Uri::from_static("/socket.io/?EIO=4");
    Arc::new(Handshake::new(HandshakeParts {
        headers: &headers,
        uri: &uri,
        peer: None,
        secure: false,
    }))
}

/// A server whose namespace `/` has the handler.
pub fn serve(handler: Script) -> (Io, Namespace) {
    serve_with(HubConfig::default(), handler)
}

pub fn serve_with(config: HubConfig, handler: Script) -> (Io, Namespace) {
    let io = Io::new(config);
    let namespace = io.of("/");
    assert!(namespace.set_handler(Arc::new(handler)));
    (io, namespace)
}

type OnConnect = dyn Fn(&Socket) -> BoxFuture<'static, Result<(), ConnectError>> + Send + Sync;
type OnSocket = dyn Fn(&Socket) + Send + Sync;
type OnEvent = dyn Fn(&Socket, Event<'_>) -> Option<BoxFuture<'static, ()>> + Send + Sync;
type OnDisconnect = dyn Fn(&Socket, DisconnectReason) -> Option<BoxFuture<'static, ()>> + Send + Sync;

/// A handler made of closures.
pub struct Script {
    connect: Box<OnConnect>,
    connected: Box<OnSocket>,
    event: Box<OnEvent>,
    disconnect: Box<OnDisconnect>,
    waits: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            connect: Box::new(|_| Box::pin(std::future::ready(Ok(())))),
            connected: Box::new(|_| ()),
            event: Box::new(|_, _| None),
            disconnect: Box::new(|_, _| None),
            waits: false,
        }
    }
}

impl Script {
    pub fn connect(
        mut self,
        on: impl Fn(&Socket) -> BoxFuture<'static, Result<(), ConnectError>> + Send + Sync + 'static,
    ) -> Self {
        self.connect = Box::new(on);
        self
    }

    pub fn connected(mut self, on: impl Fn(&Socket) + Send + Sync + 'static) -> Self {
        self.connected = Box::new(on);
        self
    }

    pub fn event(
        mut self,
        on: impl Fn(&Socket, Event<'_>) -> Option<BoxFuture<'static, ()>> + Send + Sync + 'static,
    ) -> Self {
        self.event = Box::new(on);
        self
    }

    pub fn disconnect(
        mut self,
        on: impl Fn(&Socket, DisconnectReason) -> Option<BoxFuture<'static, ()>> + Send + Sync + 'static,
    ) -> Self {
        self.disconnect = Box::new(on);
        self
    }

    /// The disconnect is told when everything else has ended.
    pub fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }
}

impl NamespaceHandler for Script {
    fn connect(&self, socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        (self.connect)(socket)
    }

    fn connected(&self, socket: &Socket) {
        (self.connected)(socket);
    }

    fn event(&self, socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>> {
        (self.event)(socket, event)
    }

    fn waits_for_handlers(&self) -> bool {
        self.waits
    }

    fn disconnect(&self, socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
        (self.disconnect)(socket, reason)
    }
}

/// A log that closures share.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A gate that futures wait at until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<tokio::sync::Notify>);

impl Gate {
    pub fn open(&self) {
        self.0.notify_one();
    }

    pub async fn wait(&self) {
        self.0.notified().await;
    }

    pub fn future(&self) -> BoxFuture<'static, ()> {
        let gate = self.clone();
        Box::pin(async move { gate.wait().await })
    }
}
