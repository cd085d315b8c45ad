//! Large messages are passed on without a copy: what a handler is given, and what goes out, lies where it came in; and a text
//! leaves in the memory that it was written to, which is used again.

mod support;

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use bytes::Bytes;
use gatewire_hub::{
    Client, CloseReason, FramedText, Handshake, HandshakeParts, Outbox, PlainClient, PlainFormat, Prepared,
    TransportKind,
};
use gatewire_proto::envelope::{MessageCodec, MsgpackCodec, Outgoing};
use gatewire_proto::large;
use support::{Script, serve};

const SIZE: usize = 100_000;

/// Keeps the pieces that leave.
#[derive(Default)]
struct Recorder(Mutex<Vec<Bytes>>);

impl Recorder {
    fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Outbox for Recorder {
    fn send(&self, message: &Prepared) {
        self.0.lock().unwrap().extend_from_slice(message.websocket());
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.0.lock().unwrap().push(Bytes::copy_from_slice(text.frame()));
    }

    fn close(&self, reason: CloseReason) {
        panic!("closed: {reason:?}");
    }

    fn wake(&self) {}

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
        uri: &http::Uri::from_static("/"),
        peer: None,
        secure: false,
    }))
}

/// Answers with the bytes that come, and sends them to all.
fn echo() -> Script {
    Script::default().event(|socket, event| {
        let bytes: Bytes = event.body().unwrap();
        match event.ack(socket) {
            Some(ack) => ack.send(&bytes),
            None => socket.namespace().emit("bytes", &(1, &bytes)),
        }
        None
    })
}

/// The pieces that lie in `message`.
fn shared(message: &Bytes, pieces: &[Bytes]) -> Vec<usize> {
    let place = message.as_ptr_range();
    let is_in = |piece: &&Bytes| place.contains(&piece.as_ptr());
    pieces.iter().filter(is_in).map(Bytes::len).collect()
}

#[test]
fn an_attachment_of_socket_io() {
    let (io, _) = serve(echo());
    let outbox = Arc::new(Recorder::default());
    let mut client = Client::new(&io, outbox.clone(), handshake());
    let mut cx = Context::from_waker(Waker::noop());
    client.receive_text("0", &mut cx).unwrap();
    outbox.take();
    let message = large::share(vec![7; SIZE]);
    for head in ["451-7", "451-"] {
        let event = format!(r#"{head}["e",{{"_placeholder":true,"num":0}}]"#);
        client.receive_text(&event[1..], &mut cx).unwrap();
        client.receive_binary(&message, &mut cx).unwrap();
        let pieces = outbox.take();
        assert_eq!(shared(&message, &pieces), [SIZE], "{head}");
        let own: usize = pieces.iter().map(Bytes::len).sum::<usize>() - SIZE;
        assert!(own < 100, "{own}");
    }
}

#[test]
fn bytes_in_a_message_of_a_plain_client() {
    let (io, _) = serve(echo());
    let outbox = Arc::new(Recorder::default());
    let format = PlainFormat::new(MsgpackCodec);
    let mut client = PlainClient::new(&io, &format, "/", outbox.clone(), handshake());
    let mut cx = Context::from_waker(Waker::noop());
    client.poll(&mut cx);
    for id in [Some("7"), None] {
        let message = Outgoing {
            event: "e",
            data: Some(r#"{"_placeholder":true,"num":0}"#),
            id,
            ack: None,
            attachments: &[vec![7; SIZE].into()],
        };
        let mut encoded = Vec::new();
        MsgpackCodec.encode(&message, &mut encoded).unwrap();
        let message = large::share(encoded);
        client.receive_binary(&message, &mut cx).unwrap();
        let pieces = outbox.take();
        assert_eq!(shared(&message, &pieces), [SIZE], "{id:?}");
        let own: usize = pieces.iter().map(Bytes::len).sum::<usize>() - SIZE;
        assert!(own < 100, "{own}");
        let frame = pieces.concat();
        assert_eq!(frame[..2], [0x82, 127]);
        assert_eq!(
            frame.len() - 10,
            usize::from_be_bytes(*frame[2..].first_chunk().unwrap())
        );
    }
}

#[test]
fn texts_are_written_to_the_memory_of_those_before() {
    let (io, _) = serve(Script::default().event(|socket, event| {
        let text: String = event.body().unwrap();
        event.ack(socket).unwrap().send(&text);
        None
    }));
    let outbox = Arc::new(Recorder::default());
    let mut cx = Context::from_waker(Waker::noop());
    let mut client = Client::new(&io, outbox.clone(), handshake());
    client.receive_text("0", &mut cx).unwrap();
    outbox.take();
    let mut plain = PlainClient::new(&io, &PlainFormat::default(), "/", outbox.clone(), handshake());
    plain.poll(&mut cx);
    let text = "x".repeat(SIZE);
    let packet = format!(r#"27["e","{text}"]"#);
    let message = format!(r#"{{"event":"e","data":"{text}","id":7}}"#);
    let mut places = Vec::new();
    for _ in 0..3 {
        client.receive_text(&packet, &mut cx).unwrap();
        plain.receive_text(&message, &mut cx).unwrap();
        let frames = outbox.take();
        let [answer, message_back] = &*frames else {
            panic!("each is one piece");
        };
        assert!(answer.ends_with(format!(r#"437["{text}"]"#).as_bytes()));
        assert!(message_back.ends_with(message.as_bytes()));
        places.push([answer.as_ptr(), message_back.as_ptr()]);
    }
    places[1].sort_unstable();
    places[2].sort_unstable();
    assert_eq!(places[1], places[2]);
}
