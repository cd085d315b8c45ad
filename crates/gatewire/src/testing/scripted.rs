//! A peer without a network, transport or timer: Socket.IO packets in and out as they are written, one at a time and by
//! hand. What a handler does at once has been done when a call returns, so that a test reads like a transcript.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use gatewire_hub::{
    Client, CloseReason, FramedText, Handshake, HandshakeParts, Message, Outbox, Prepared, TransportKind,
};
use http::{HeaderName, HeaderValue, Uri};

use crate::{DisconnectReason, Server};

/// Writes down every Socket.IO packet; attachments as `<010203>`.
#[derive(Default)]
struct Transcript {
    lines: Mutex<Vec<String>>,
    is_full: AtomicBool,
}

impl Transcript {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        // The first digit is Engine.IO's: a message.
        self.lines().push(text.get(1..).unwrap_or_default().to_owned());
    }
}

impl Outbox for Transcript {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            match message {
                Message::Text(text) => self.text(&text),
                Message::Binary(data) => {
                    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
                    self.lines().push(format!("<{hex}>"));
                }
            }
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.text(text.text());
    }

    fn close(&self, _: CloseReason) {}

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::SeqCst)
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

/// A client of one server, driven by hand.
///
/// ```
/// use gatewire::prelude::*;
/// use gatewire::testing::ScriptedClient;
///
/// #[websocket_gateway]
/// struct Gateway {
///     #[websocket_server]
///     server: Server,
/// }
///
/// #[subscriptions]
/// impl Gateway {
///     #[subscribe_message("double")]
///     fn double(&self, MessageBody(number): MessageBody<u32>) -> u32 {
///         number * 2
///     }
/// }
///
/// #[module(providers = [Gateway])]
/// struct AppModule;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> gatewire::Result<()> {
/// let app = App::create::<AppModule>().await?;
/// let mut client = ScriptedClient::joined(&app.get::<Gateway>().server);
/// assert_eq!(client.ask(r#"27["double",21]"#), ["37[42]"]);
/// # Ok(())
/// # }
/// ```
pub struct ScriptedClient {
    client: Client,
    outbox: Arc<Transcript>,
}

impl ScriptedClient {
    /// A connection to the server that `server` is a namespace of; no namespace is joined.
    pub fn new(server: &Server) -> Self {
        Self::with_headers(server, &[])
    }

    /// The same, with headers of the handshake.
    ///
    /// # Panics
    /// If one of them cannot be a header.
    #[track_caller]
    pub fn with_headers(server: &Server, headers: &[(&'static str, &'static str)]) -> Self {
        let outbox = Arc::new(Transcript::default());
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let parts = HandshakeParts {
            headers: &headers.collect(),
            uri: &Uri::from_static("/socket.io/?EIO=4&transport=websocket"),
            peer: None,
            secure: false,
        };
        let client = Client::new(server.io(), outbox.clone(), Arc::new(Handshake::new(parts)));
        Self { client, outbox }
    }

    /// A client that has joined the namespace of `server`; what it was sent meanwhile is dropped.
    ///
    /// # Panics
    /// If it is not let in at once.
    #[track_caller]
    pub fn joined(server: &Server) -> Self {
        let mut client = Self::new(server);
        client.join(server);
        client
    }

    /// Joins the namespace of `server`; what is sent meanwhile is dropped.
    ///
    /// # Panics
    /// If it is not let in at once.
    #[track_caller]
    pub fn join(&mut self, server: &Server) {
        let join = match server.name() {
            "/" => "0".to_owned(),
            name => format!("0{name},"),
        };
        let reply = self.ask(&join);
        assert!(
            reply
                .first()
                .is_some_and(|reply| reply.starts_with(&join) && reply.contains(r#""sid""#)),
            "the namespace has not let the client in: {reply:?}"
        );
    }

    /// Hands over one packet; what has been sent since the last call.
    ///
    /// # Panics
    /// If the packet breaks the protocol.
    #[track_caller]
    pub fn ask(&mut self, packet: &str) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let received = self.client.receive_text(packet, &mut cx);
        assert_eq!(
            received,
            Ok(()),
            "the server closes the connection after {packet}"
        );
        self.client.poll(&mut cx);
        self.sent()
    }

    /// Hands over one attachment.
    ///
    /// # Panics
    /// If no packet before has announced it.
    #[track_caller]
    pub fn ask_binary(&mut self, data: &[u8]) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let received = self.client.receive_binary(data, &mut cx);
        assert_eq!(
            received,
            Ok(()),
            "the server closes the connection after an attachment"
        );
        self.client.poll(&mut cx);
        self.sent()
    }

    /// Polls until `count` packets are there, and other tasks have their turns.
    ///
    /// # Panics
    /// If they do not come within some seconds.
    pub async fn wait(&mut self, count: usize) -> Vec<String> {
        let mut sent = self.sent();
        for _ in 0..2000 {
            if sent.len() >= count {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.client.poll(&mut Context::from_waker(Waker::noop()));
            sent.extend(self.sent());
        }
        panic!("{count} packets did not come: {sent:?}");
    }

    /// What has been sent since the last call.
    pub fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.outbox.lines())
    }

    /// Whether the client takes no more for now: streams wait then, as does whoever asks `Socket::writable`.
    pub fn set_full(&self, is_full: bool) {
        self.outbox.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Ends the connection, and waits until the handlers and the disconnect hooks have ended.
    pub async fn close(mut self) {
        self.client.close(DisconnectReason::TransportClose);
        std::future::poll_fn(|cx| self.client.poll_closed(cx)).await;
    }
}
