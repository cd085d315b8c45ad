//! Listeners over Server-Sent Events beside clients of Socket.IO: sockets of the same namespaces and rooms, that send
//! nothing.

mod support;

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::cluster::{Cluster, InProcess};
use gatewire_hub::{
    Admission, CloseReason, ConnectError, ConnectionObserver, DisconnectReason, FramedText, Handshake,
    HandshakeParts, Io, Namespace, ObservedConnection, Outbox, Prepared, Socket, SseClient, TransportKind,
};
use serde_json::json;
use support::{Log, Peer, Script, serve};

/// Keeps the bytes that leave.
#[derive(Default)]
struct Recorder(Mutex<Vec<Bytes>>);

impl Outbox for Recorder {
    fn send(&self, message: &Prepared) {
        self.0.lock().unwrap().extend_from_slice(message.websocket());
    }

    fn send_text(&self, text: &FramedText<'_>) {
        panic!("{text:?} is no event");
    }

    fn close(&self, reason: CloseReason) {
        let closed = Bytes::from(reason.as_str());
        self.0.lock().unwrap().push(closed);
    }

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::Sse
    }
}

struct Listener {
    client: SseClient,
    admission: Admission,
    outbox: Arc<Recorder>,
}

impl Listener {
    fn open(namespace: &Namespace, rooms: &[&str]) -> Self {
        Self::standing_for(namespace, rooms, &request(namespace))
    }

    fn standing_for(namespace: &Namespace, rooms: &[&str], request: &Socket) -> Self {
        let outbox = Arc::new(Recorder::default());
        let (client, admission) = SseClient::new(namespace, rooms, outbox.clone(), request);
        let mut listener = Self {
            client,
            admission,
            outbox,
        };
        listener.client.poll(&mut Context::from_waker(Waker::noop()));
        listener
    }

    fn socket(&mut self) -> Socket {
        self.admission
            .try_recv()
            .expect("it is decided")
            .expect("it is let in")
    }

    fn sent(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.outbox.0.lock().unwrap())
    }
}

fn request(namespace: &Namespace) -> Socket {
    let handshake = Arc::new(Handshake::new(HandshakeParts {
        headers: &http::HeaderMap::new(),
        uri: &http::Uri::from_static("/feed?token=x"),
        peer: None,
        secure: false,
    }));
    Socket::stand_in(namespace, handshake)
}

#[test]
fn a_broadcast_is_one_chunk_for_all_listeners() {
    let (io, chat) = serve(Script::default());
    let peer = Peer::joined(&io, "/");
    let mut first = Listener::open(&chat, &["a"]);
    let second = Listener::open(&chat, &["a", "b"]);
    let other = Listener::open(&chat, &[]);
    peer.sent();
    chat.to("a").emit("tick", &json!({ "n": 1 }));
    let sent = first.sent();
    assert_eq!(sent, ["1b\r\nevent: tick\ndata: {\"n\":1}\n\n\r\n"]);
    assert_eq!(second.sent()[0].as_ptr(), sent[0].as_ptr());
    assert!(other.sent().is_empty() && peer.sent().is_empty());

    chat.emit("all", &());
    assert_eq!(peer.sent(), [r#"2["all"]"#]);
    assert_eq!(other.sent(), ["17\r\nevent: all\ndata: null\n\n\r\n"]);
    first.sent();
    first.socket().emit("own", "x");
    assert_eq!(first.sent(), ["16\r\nevent: own\ndata: \"x\"\n\n\r\n"]);
    assert_eq!(chat.sockets().len(), 4);
}

#[tokio::test]
async fn what_another_node_sends_reaches_listeners() {
    let cluster = InProcess::new();
    let (io, chat) = serve(Script::default());
    io.use_cluster(cluster.join());
    let there = Io::default();
    there.use_cluster(cluster.join());
    let listener = Listener::open(&chat, &["a"]);
    let other = Listener::open(&chat, &["b"]);
    there.of(chat.name()).to("a").emit("tick", &1);
    let sent = async {
        loop {
            let sent = listener.sent();
            if !sent.is_empty() {
                break sent;
            }
            tokio::task::yield_now().await;
        }
    };
    let sent = tokio::time::timeout(Duration::from_secs(5), sent).await;
    assert_eq!(sent.unwrap(), ["15\r\nevent: tick\ndata: 1\n\n\r\n"]);
    assert!(other.sent().is_empty());
}

#[test]
fn its_request_gives_it_id_and_values_and_the_handler_decides() {
    let log = Log::default();
    let noted = log.clone();
    let script = Script::default().disconnect(move |socket, reason| {
        noted.note(format!("{} left: {reason}", socket.id()));
        None
    });
    let (_io, chat) = serve(script);
    let request = request(&chat);
    request.set(7_u32);
    request.join("nowhere");
    assert!(chat.socket(request.id().as_str()).is_none());
    let mut listener = Listener::standing_for(&chat, &[], &request);
    let socket = listener.socket();
    assert_eq!(socket.id(), request.id());
    assert_eq!(socket.get::<u32>().as_deref(), Some(&7));
    assert_eq!(socket.auth_json(), r#"{"token":"x"}"#);
    assert_eq!(socket.transport(), TransportKind::Sse);
    assert!(chat.socket(socket.id().as_str()).is_some());
    listener.client.close(DisconnectReason::TransportClose);
    assert_eq!(log.take(), [format!("{} left: transport close", socket.id())]);
    assert!(chat.socket(socket.id().as_str()).is_none());
}

#[test]
fn a_refusal_is_told_with_its_data() {
    let script = Script::default().connect(|_| {
        Box::pin(async { Err(ConnectError::new("members only").with_data(json!({ "code": 7 }))) })
    });
    let (_io, chat) = serve(script);
    let mut listener = Listener::open(&chat, &["a"]);
    let error = listener.admission.try_recv().unwrap().unwrap_err();
    assert_eq!(
        error,
        ConnectError::new("members only").with_data(json!({ "code": 7 }))
    );
    assert_eq!(listener.sent(), ["forced close"]);
    assert_eq!(chat.sockets().len(), 0);
}

#[test]
fn a_disconnect_ends_the_stream() {
    let (_io, chat) = serve(Script::default());
    let mut listener = Listener::open(&chat, &[]);
    listener.socket().disconnect(false);
    assert_eq!(listener.sent(), ["forced close"]);
}

#[test]
fn observers_are_told_the_transport() {
    struct Observer(Log);

    impl ConnectionObserver for Observer {
        fn opened(&self, connection: &ObservedConnection) {
            self.0.note(connection.transport().as_str());
        }

        fn closed(&self, connection: &ObservedConnection, _: DisconnectReason) {
            self.0.note(format!("not {}", connection.transport().as_str()));
        }
    }

    let (io, log) = (Io::default(), Log::default());
    io.observe_connections(Arc::new(Observer(log.clone())));
    let listener = Listener::open(&io.of("/"), &["red"]);
    assert_eq!(log.take(), ["sse"]);
    drop(listener);
    assert_eq!(log.take(), ["not sse"]);
}
