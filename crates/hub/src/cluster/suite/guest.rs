//! A client without a connection: what is sent to it is kept until it is looked at.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_proto::socketio::PacketKind;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::SOON;
use crate::{
    Client, FramedText, Handshake, HandshakeParts, Id, Io, Namespace, Outbox, Prepared, Socket, lock,
};

/// After this, what has not come is sent again.
const MOMENT: Duration = Duration::from_millis(50);

/// A client of one node, in one namespace.
pub(super) struct Guest {
    client: Arc<Mutex<Client>>,
    /// Polls the client, as the driver of a connection does.
    driver: JoinHandle<()>,
    inbox: Arc<Inbox>,
    namespace: Namespace,
    id: Id,
}

/// A packet that came.
#[derive(Debug)]
pub(super) struct Got {
    kind: PacketKind,
    ack_id: Option<u64>,
    data: String,
    pub(super) attachments: Vec<Bytes>,
    pub(super) is_compressible: bool,
}

impl Got {
    /// Name and arguments of an event.
    pub(super) fn event(&self) -> Value {
        assert!(
            matches!(self.kind, PacketKind::Event | PacketKind::BinaryEvent),
            "no event: {self:?}"
        );
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Guest {
    pub(super) fn join(io: &Io, namespace: &str) -> Self {
        let inbox = Arc::<Inbox>::default();
        let mut client = Client::new(io, inbox.clone(), handshake());
        let connect = match namespace {
            "/" => "0".to_owned(),
            name => format!("0{name},"),
        };
        let mut cx = Context::from_waker(Waker::noop());
        client
            .receive_text(&connect, &mut cx)
            .unwrap_or_else(|error| panic!("CONNECT to {namespace}: {error}"));
        client.poll(&mut cx);
        let reply = lock(&inbox.packets)
            .pop_front()
            .filter(|got| got.kind == PacketKind::Connect);
        let reply = reply.unwrap_or_else(|| panic!("no answer to the CONNECT to {namespace}"));
        let reply: Value = serde_json::from_str(&reply.data).unwrap_or_default();
        let id = reply["sid"].as_str().and_then(Id::parse);
        let client = Arc::new(Mutex::new(client));
        let (driven, waker) = (client.clone(), inbox.clone());
        let driver = tokio::spawn(poll_fn(move |cx| {
            waker.driver.register(cx.waker());
            lock(&driven).poll(cx);
            Poll::Pending
        }));
        Self {
            client,
            driver,
            inbox,
            namespace: io.of(namespace),
            id: id.unwrap_or_else(|| panic!("no id in {reply}")),
        }
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    pub(super) fn socket(&self) -> Socket {
        let socket = self.namespace.socket(self.id.as_str());
        socket.unwrap_or_else(|| panic!("{} has left", self.id))
    }

    /// The next packet.
    pub(super) async fn next(&mut self) -> Got {
        let next = async {
            loop {
                if let Some(got) = lock(&self.inbox.packets).pop_front() {
                    return got;
                }
                self.inbox.arrived.notified().await;
            }
        };
        let got = tokio::time::timeout(SOON, next).await;
        got.unwrap_or_else(|_| panic!("{} waits in vain for a packet", self.id))
    }

    /// Whether a packet is there, or comes in a moment.
    pub(super) async fn comes_soon(&self) -> bool {
        let coming = async {
            while lock(&self.inbox.packets).is_empty() {
                self.inbox.arrived.notified().await;
            }
        };
        tokio::time::timeout(MOMENT, coming).await.is_ok()
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> Value {
        self.next().await.event()
    }

    /// Takes an event and answers it with values, commas between.
    pub(super) async fn answer(&mut self, values: &str, attachment: Option<&[u8]>) -> Value {
        let got = self.next().await;
        let id = got
            .ack_id
            .unwrap_or_else(|| panic!("no answer is wanted: {got:?}"));
        let name = match self.namespace.name() {
            "/" => String::new(),
            name => format!("{name},"),
        };
        let mut cx = Context::from_waker(Waker::noop());
        let kind = if attachment.is_some() { "61-" } else { "3" };
        let mut client = lock(&self.client);
        let mut sent = client.receive_text(&format!("{kind}{name}{id}[{values}]"), &mut cx);
        if let Some(bytes) = attachment {
            sent = sent.and_then(|()| client.receive_binary(bytes, &mut cx));
        }
        sent.unwrap_or_else(|error| panic!("the answer: {error}"));
        got.event()
    }

    /// Whether it was put out of the namespace.
    pub(super) async fn is_put_out(&mut self) -> bool {
        self.next().await.kind == PacketKind::Disconnect
    }

    /// Waits for the end of its connection.
    pub(super) async fn connection_ends(&mut self) {
        let ended = async {
            while !self.inbox.is_closed.load(Ordering::Acquire) {
                self.inbox.arrived.notified().await;
            }
        };
        assert!(
            tokio::time::timeout(SOON, ended).await.is_ok(),
            "the connection of {} does not end",
            self.id
        );
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Default)]
struct Inbox {
    packets: Mutex<VecDeque<Got>>,
    is_closed: AtomicBool,
    arrived: Notify,
    driver: AtomicWaker,
}

impl Outbox for Inbox {
    fn send(&self, message: &Prepared) {
        let Some(packet) = message.packet() else {
            return;
        };
        lock(&self.packets).push_back(Got {
            kind: packet.kind,
            ack_id: packet.id,
            data: packet.data.to_owned(),
            attachments: message.attachments(),
            is_compressible: message.is_compressible(),
        });
        self.arrived.notify_one();
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.send(&Prepared::from(text));
    }

    fn close(&self, _: CloseReason) {
        self.is_closed.store(true, Ordering::Release);
        self.arrived.notify_one();
    }

    fn wake(&self) {
        self.driver.wake();
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

fn handshake() -> Arc<Handshake> {
    Arc::new(Handshake::new(HandshakeParts {
        headers: &http::HeaderMap::new(),
        uri: &http::Uri::from_static("/socket.io/?EIO=4"),
        peer: None,
        secure: false,
    }))
}
