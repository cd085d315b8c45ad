//! A connection without a network: packets in and out as text, driven by hand.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gatewire::{DisconnectReason, Server};
use gatewire_hub::{
    Client, CloseReason, FramedText, Handshake, HandshakeParts, Message, Outbox, Prepared, TransportKind,
};

/// Writes down every Socket.IO packet; attachments as `<010203>`.
#[derive(Default)]
struct Transcript(Mutex<Vec<String>>);

impl Transcript {
    fn text(&self, text: &[u8]) {
        let text = std::str::from_utf8(text).unwrap();
        self.0
            .lock()
            .unwrap()
            .push(text.strip_prefix('4').unwrap().to_owned());
    }
}

impl Outbox for Transcript {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            match message {
                Message::Text(text) => self.text(&text),
                Message::Binary(data) => {
                    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
                    self.0.lock().unwrap().push(format!("<{hex}>"));
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

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

/// One client.
pub(crate) struct Peer {
    client: Client,
    outbox: Arc<Transcript>,
}

impl Peer {
    /// A connection to the server that `server` is a namespace of; no namespace is joined.
    pub(crate) fn new(server: &Server) -> Self {
        let outbox = Arc::new(Transcript::default());
        let mut headers = http::HeaderMap::new();
        headers.insert("x-user", http::HeaderValue::from_static("ada"));
        let uri = http::Uri::from_static("/socket.io/?EIO=4");
        let parts = HandshakeParts {
            headers: &headers,
            uri: &uri,
            peer: None,
            secure: false,
        };
        let client = Client::new(server.io(), outbox.clone(), Arc::new(Handshake::new(parts)));
        Self { client, outbox }
    }

    /// A client that has joined the namespace of `server`; what it was sent meanwhile is dropped.
    pub(crate) fn joined(server: &Server) -> Self {
        let mut peer = Self::new(server);
        let join = match server.name() {
            "/" => "0".to_owned(),
            name => format!("0{name},"),
        };
        let reply = peer.ask(&join);
        assert!(
            reply[0].starts_with(&join) && reply[0].contains(r#""sid""#),
            "{reply:?}"
        );
        peer
    }

    /// Hands over one packet; what has been sent since the last call.
    pub(crate) fn ask(&mut self, packet: &str) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        self.client.receive_text(packet, &mut cx).unwrap();
        self.client.poll(&mut cx);
        self.sent()
    }

    /// Hands over one attachment.
    pub(crate) fn ask_binary(&mut self, data: &[u8]) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        self.client.receive_binary(data, &mut cx).unwrap();
        self.client.poll(&mut cx);
        self.sent()
    }

    /// Polls until `count` packets are there, and other tasks have their turns.
    pub(crate) async fn wait(&mut self, count: usize) -> Vec<String> {
        let mut sent = self.sent();
        for _ in 0..1000 {
            if sent.len() >= count {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.client.poll(&mut Context::from_waker(Waker::noop()));
            sent.extend(self.sent());
        }
        panic!("{count} packets did not come: {sent:?}");
    }

    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.outbox.0.lock().unwrap())
    }

    /// Ends the connection and waits for the hooks.
    pub(crate) async fn close(mut self) {
        self.client.close(DisconnectReason::TransportClose);
        std::future::poll_fn(
            |_| match self.client.poll_closed(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => panic!("a hook is still running"),
            },
        )
        .await;
    }
}
