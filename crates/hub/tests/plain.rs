//! Plain WebSocket clients beside those of Socket.IO: the same sockets, rooms and acknowledgements, in another form.

mod support;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::{
    CloseReason, ConnectError, DisconnectReason, FramedText, Handshake, HandshakeParts, HubConfig, Io,
    Message, Outbox, PlainClient, PlainFormat, PlainFormats, Prepared, ProtocolError, Recovery,
    TransportKind,
};
use gatewire_proto::envelope::{CodecError, Incoming, JsonCodec, MessageCodec, Outgoing, WireKind};
use gatewire_proto::socketio::Limits;
use gatewire_proto::websocket::DeflateOptions;
use serde_json::json;
use support::{Peer, Script, serve, serve_with};

/// Writes down what leaves.
#[derive(Default)]
struct Recorder(Mutex<VecDeque<String>>);

impl Outbox for Recorder {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            self.0.lock().unwrap().push_back(match message {
                Message::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Message::Binary(data) => format!("{data:?}"),
            });
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        assert!(text.frame().ends_with(text.text()));
        let text = String::from_utf8(text.text().to_vec()).unwrap();
        self.0.lock().unwrap().push_back(text);
    }

    fn close(&self, reason: CloseReason) {
        self.0
            .lock()
            .unwrap()
            .push_back(format!("close: {}", reason.as_str()));
    }

    fn close_with(&self, code: u16, reason: &str) {
        self.0
            .lock()
            .unwrap()
            .push_back(format!("close: {code} {reason}"));
    }

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

fn handshake(url: &'static str) -> Arc<Handshake> {
    Arc::new(Handshake::new(HandshakeParts {
        headers: &http::HeaderMap::new(),
        uri: &http::Uri::from_static(url),
        peer: None,
        secure: false,
    }))
}

struct Plain {
    client: PlainClient,
    outbox: Arc<Recorder>,
}

impl Plain {
    fn open(io: &Io, format: &PlainFormat, url: &'static str) -> Self {
        let outbox = Arc::new(Recorder::default());
        let mut plain = Self {
            client: PlainClient::new(io, format, "/", outbox.clone(), handshake(url)),
            outbox,
        };
        plain.poll();
        plain
    }

    fn poll(&mut self) {
        self.client.poll(&mut Context::from_waker(Waker::noop()));
    }

    fn recv(&mut self, message: &str) -> Result<(), ProtocolError> {
        let result = self
            .client
            .receive_text(message, &mut Context::from_waker(Waker::noop()));
        self.poll();
        result
    }

    fn sent(&self) -> Vec<String> {
        self.outbox.0.lock().unwrap().drain(..).collect()
    }
}

fn echo() -> Script {
    Script::default().event(|socket, event| {
        match (event.name(), event.ack(socket)) {
            ("ask", Some(ack)) => ack.send(&event.body::<serde_json::Value>().unwrap()),
            ("many", Some(ack)) => ack.send_args(&(1, "b")),
            ("nothing", Some(ack)) => ack.send(&()),
            ("bytes", Some(ack)) => ack.send(&Bytes::from_static(b"\xff\x00")),
            ("never", _) => {}
            (name, _) => socket.emit_payload(name, &event.to_payload()),
        }
        None
    })
}

#[test]
fn events_and_answers() {
    let (io, _namespace) = serve(echo());
    let mut plain = Plain::open(&io, &PlainFormat::default(), "/ws");
    assert!(plain.sent().is_empty());
    for message in [
        r#"{"event":"hi","data":{"a":[1]}}"#,
        r#"{"event":"hi"}"#,
        r#"{"event":"ask","data":"x","id":7}"#,
        r#"{"event":"ask","data":null,"id":"a"}"#,
        r#"{"event":"never","id":1}"#,
        r#"{"event":"many","id":2}"#,
        r#"{"event":"nothing","id":3}"#,
        r#"{"event":"bytes","id":3}"#,
    ] {
        plain.recv(message).unwrap();
    }
    let expected = [
        r#"{"event":"hi","data":{"a":[1]}}"#,
        r#"{"event":"hi"}"#,
        r#"{"event":"ask","data":"x","id":7}"#,
        r#"{"event":"ask","data":null,"id":"a"}"#,
        r#"{"event":"many","data":[1,"b"],"id":2}"#,
        r#"{"event":"nothing","id":3}"#,
        r#"{"event":"bytes","data":"/wA=","id":3}"#,
    ];
    assert_eq!(plain.sent(), expected);
}

#[test]
fn an_answer_that_cannot_be_encoded_is_still_owed() {
    let script = Script::default().event(|socket, event| {
        if let Some(ack) = event.ack(socket) {
            let no_json = HashMap::from([(vec![1], 2)]);
            assert!(ack.try_send(&no_json).is_err());
            ack.send(&1);
        }
        None
    });
    let (io, _namespace) = serve(script);
    let mut plain = Plain::open(&io, &PlainFormat::default(), "/ws");
    plain.recv(r#"{"event":"ask","id":7}"#).unwrap();
    assert_eq!(plain.sent(), [r#"{"event":"ask","data":1,"id":7}"#]);
}

#[tokio::test]
async fn the_server_asks_and_is_answered() {
    let (io, namespace) = serve(echo());
    let mut plain = Plain::open(&io, &PlainFormat::default(), "/ws");
    let socket = namespace.sockets().pop().unwrap();
    assert!(socket.is_plain());
    let question = socket.emit_with_ack("name?", &1);
    assert_eq!(plain.sent(), [r#"{"event":"name?","data":1,"ack":0}"#]);
    plain.recv(r#"{"ack":0,"data":"Ada"}"#).unwrap();
    plain.recv(r#"{"ack":0,"data":"again"}"#).unwrap();
    assert_eq!(question.await.unwrap().body::<String>().unwrap(), "Ada");
    let all = namespace
        .timeout(Duration::from_secs(5))
        .emit_with_ack("all?", &());
    assert_eq!(plain.sent(), [r#"{"event":"all?","ack":1}"#]);
    plain.recv(r#"{"ack":1}"#).unwrap();
    assert_eq!(all.await.unwrap().len(), 1);
}

/// Counts what is encoded.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl MessageCodec for Counting {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        JsonCodec.decode_text(message, limits)
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        if message.event == "no" {
            return Err(CodecError::Other("no".to_owned()));
        }
        JsonCodec.encode(message, out)?;
        Ok(WireKind::Binary)
    }
}

#[test]
fn one_broadcast_reaches_both_kinds_and_is_encoded_once() {
    let (io, namespace) = serve(Script::default().event(|socket, _| {
        socket.join("room");
        None
    }));
    let count = Arc::new(AtomicUsize::new(0));
    let (json, counting) = (PlainFormat::default(), PlainFormat::new(Counting(count.clone())));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["join"]"#).unwrap();
    let mut plain = Plain::open(&io, &json, "/");
    let mut others: Vec<_> = (0..3).map(|_| Plain::open(&io, &counting, "/")).collect();
    plain.recv(r#"{"event":"join"}"#).unwrap();
    for other in &mut others {
        other.recv(r#"{"event":"join"}"#).unwrap();
    }
    let outside = Plain::open(&io, &json, "/");
    namespace.to("room").emit_args("news", &(1, 2));
    namespace.to("room").emit("no", &());
    assert_eq!(peer.sent(), [r#"2["news",1,2]"#, r#"2["no"]"#]);
    assert_eq!(
        plain.sent(),
        [r#"{"event":"news","data":[1,2]}"#, r#"{"event":"no"}"#]
    );
    for other in &others {
        assert_eq!(other.sent(), [r#"b"{\"event\":\"news\",\"data\":[1,2]}""#]);
    }
    assert!(outside.sent().is_empty());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

/// Writes down where the compressed frames lie that it would send.
#[derive(Default)]
struct Deflating(Mutex<Vec<(usize, usize)>>);

impl Outbox for Deflating {
    fn send(&self, message: &Prepared) {
        let [frames] = message.deflated(&DeflateOptions::default(), 15) else {
            panic!("one piece is compressed");
        };
        self.0
            .lock()
            .unwrap()
            .push((frames.as_ptr() as usize, frames.len()));
    }

    fn send_text(&self, _: &FramedText<'_>) {}

    fn close(&self, _: CloseReason) {}

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

/// All receivers send the bytes of one and the same compression.
#[test]
fn one_broadcast_is_compressed_once_for_all_of_a_form() {
    let (io, namespace) = serve(Script::default());
    let format = PlainFormat::default();
    let receivers: Vec<_> = (0..1_000)
        .map(|_| {
            let outbox = Arc::new(Deflating::default());
            let mut client = PlainClient::new(&io, &format, "/", outbox.clone(), handshake("/"));
            client.poll(&mut Context::from_waker(Waker::noop()));
            (client, outbox)
        })
        .collect();
    let text = "compressible ".repeat(315);
    namespace.emit("news", &text);
    let mut sent: Vec<_> = receivers
        .iter()
        .flat_map(|(_, outbox)| outbox.0.lock().unwrap().clone())
        .collect();
    assert_eq!(sent.len(), 1_000);
    sent.dedup();
    assert_eq!(sent.len(), 1, "each receiver has the same bytes");
    assert!(
        sent[0].1 < text.len() / 10,
        "and they are compressed: {}",
        sent[0].1
    );
}

#[test]
fn a_namespace_may_have_a_form_of_its_own() {
    let own = |limit| PlainFormat::default().max_faults(limit);
    let formats = PlainFormats::new(own(1))
        .with("/chat", own(2))
        .with("/room-:id", own(3));
    for (namespace, limit) in [
        ("/", 1),
        ("/chat", 2),
        ("/chats", 1),
        ("/room-7", 3),
        ("/room-", 1),
    ] {
        let format = format!("{:?}", formats.of(namespace));
        assert_eq!(format, format!("{:?}", own(limit)), "{namespace}");
    }
}

#[test]
fn the_query_is_the_auth_and_a_refusal_is_told() {
    let (io, namespace) = serve(Script::default().connect(|socket| {
        let is_known = socket.auth_json() == r#"{"token":"sesame"}"#;
        Box::pin(std::future::ready(if is_known {
            Ok(())
        } else {
            Err(ConnectError::new("who are you?").with_data(json!({"code": 7})))
        }))
    }));
    let refused = Plain::open(&io, &PlainFormat::default(), "/ws?token=x");
    assert_eq!(
        refused.sent(),
        [
            r#"{"event":"exception","data":{"data":{"code":7},"message":"who are you?","status":"error"}}"#,
            "close: 1008 who are you?"
        ]
    );
    let welcome = Plain::open(&io, &PlainFormat::default(), "/ws?token=sesame");
    assert!(welcome.sent().is_empty());
    namespace.sockets().pop().unwrap().disconnect(false);
    assert_eq!(welcome.sent(), ["close: 1000 "]);
}

#[test]
fn what_is_no_message_is_told_and_at_last_ends_the_connection() {
    let (io, _namespace) = serve(echo());
    let mut plain = Plain::open(&io, &PlainFormat::default().max_faults(2), "/");
    plain.recv("hello").unwrap();
    plain.recv(r#"{"data":1}"#).unwrap();
    plain.recv(r#"{"event":"hi"}"#).unwrap();
    let message =
        |text: &str| format!(r#"{{"event":"exception","data":{{"message":"{text}","status":"error"}}}}"#);
    assert_eq!(
        plain.sent(),
        [
            message("the message is not JSON from byte 0 on"),
            message("the message has no field `event`"),
            r#"{"event":"hi"}"#.to_owned(),
        ]
    );
    let mut cx = Context::from_waker(Waker::noop());
    plain.client.receive_binary(b"{}", &mut cx).unwrap();
    assert_eq!(
        plain.sent(),
        [
            message("a binary message came, but every message is text"),
            "close: 1008 too many messages that are none".to_owned(),
        ]
    );
    plain.client.close(DisconnectReason::ForcedClose);
    plain.recv(r#"{"event":"late"}"#).unwrap();
    assert!(plain.sent().is_empty());
}

#[test]
fn what_nobody_handles_counts_as_well() {
    let (io, namespace) = serve(echo());
    let plain = Plain::open(&io, &PlainFormat::default().max_faults(2), "/");
    let mut peer = Peer::joined(&io, "/");
    for socket in namespace.sockets() {
        for _ in 0..3 {
            socket.note_fault();
        }
    }
    assert_eq!(plain.sent(), ["close: 1008 too many messages that are none"]);
    assert!(peer.sent().is_empty());
    peer.recv(r#"2["hi"]"#).unwrap();
    assert_eq!(peer.sent(), [r#"2["hi"]"#], "of Socket.IO nothing is counted");
}

#[test]
fn offsets_of_recovery_are_not_for_plain_clients() {
    let config = HubConfig {
        connection_state_recovery: Some(Recovery::default()),
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(config, echo());
    let mut plain = Plain::open(&io, &PlainFormat::default(), "/");
    namespace.emit("one", &1);
    namespace.emit("nothing", &());
    namespace.emit_args("two", &(1, "\""));
    namespace.sockets().pop().unwrap().emit("own", "x");
    plain.recv(r#"{"event":"back","data":[2]}"#).unwrap();
    assert_eq!(
        plain.sent(),
        [
            r#"{"event":"one","data":1}"#,
            r#"{"event":"nothing"}"#,
            r#"{"event":"two","data":[1,"\""]}"#,
            r#"{"event":"own","data":"x"}"#,
            r#"{"event":"back","data":[2]}"#,
        ]
    );
}

#[test]
fn questions_that_nobody_answers_are_bounded() {
    let config = HubConfig {
        max_pending_acks: 3,
        ..HubConfig::default()
    };
    let (io, _namespace) = serve_with(config, echo());
    let mut plain = Plain::open(&io, &PlainFormat::default(), "/");
    for id in 0..1_000 {
        plain.recv(&format!(r#"{{"event":"never","id":{id}}}"#)).unwrap();
    }
    plain.recv(r#"{"event":"ask","id":1}"#).unwrap();
    assert_eq!(plain.sent(), [r#"{"event":"ask","data":null,"id":1}"#]);
}
