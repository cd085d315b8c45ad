//! Packet formats other than the text form: MessagePack, and parsers of the user.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gatewire_hub::{HubConfig, MsgpackParser, Parser, ProtocolError};
use gatewire_proto::socketio::{
    Decoder, Limits, Message, Packet, PacketKind, ParserError, Received, TextParser,
};
use serde_json::{Value, json};
use support::{Peer, Script, serve_with};

/// Counts what is encoded.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Parser for Counting {
    fn encode(&self, packet: &Packet<'_>, attachments: &[Bytes]) -> Result<Vec<Message>, ParserError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        MsgpackParser.encode(packet, attachments)
    }

    fn decoder(&self, limits: &Limits) -> Box<dyn Decoder> {
        MsgpackParser.decoder(limits)
    }
}

fn with(parser: impl Parser) -> HubConfig {
    HubConfig {
        parser: Some(Arc::new(parser)),
        ..HubConfig::default()
    }
}

fn packet<'a>(kind: PacketKind, id: Option<u64>, data: &'a str) -> Packet<'a> {
    Packet {
        kind,
        namespace: "/",
        id,
        attachments: 0,
        data,
    }
}

/// Sends a packet as a client with the MessagePack parser.
fn send(peer: &mut Peer, packet: &Packet<'_>, attachments: &[Bytes]) -> Result<(), ProtocolError> {
    for message in MsgpackParser.encode(packet, attachments).unwrap() {
        match message {
            Message::Binary(data) => peer.recv_binary(&data)?,
            Message::Text(text) => panic!("a text message: {text}"),
        }
    }
    Ok(())
}

/// What was sent, as the text form and the attachments.
fn sent(peer: &Peer) -> Vec<(String, Vec<Bytes>)> {
    let mut decoder = MsgpackParser.decoder(&Limits::default());
    let decode = |line: String| {
        let hex = line.trim_matches(['<', '>']).as_bytes().chunks(2);
        let bytes: Vec<u8> = hex
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let received = decoder.receive_binary(&bytes).unwrap().unwrap();
        let packet = received.check(&Limits::default()).unwrap();
        let messages = TextParser.encode(&packet, &[]).unwrap();
        let Message::Text(text) = &messages[0] else {
            panic!("no text");
        };
        (text.clone(), received.attachments)
    };
    peer.sent().into_iter().map(decode).collect()
}

fn joined(io: &gatewire_hub::Io) -> Peer {
    let mut peer = Peer::new(io);
    send(&mut peer, &packet(PacketKind::Connect, None, ""), &[]).unwrap();
    let reply = sent(&peer);
    assert!(reply[0].0.starts_with(r#"0{"sid":""#), "{reply:?}");
    peer
}

#[test]
fn events_and_answers_with_bytes_in_place() {
    let (io, _namespace) = serve_with(
        with(MsgpackParser),
        Script::default().event(|socket, event| {
            let (text, bytes): (String, Bytes) = event.body().unwrap();
            socket.emit_args("back", &(&bytes, &text));
            event.ack(socket).unwrap().send(&bytes);
            None
        }),
    );
    let mut peer = joined(&io);
    let data = r#"["e","é",{"_placeholder":true,"num":0}]"#;
    let event = Packet {
        attachments: 1,
        ..packet(PacketKind::BinaryEvent, Some(7), data)
    };
    let bytes = Bytes::from_static(b"\x00\xff");
    send(&mut peer, &event, std::slice::from_ref(&bytes)).unwrap();
    let expected = [
        (r#"51-["back",{"_placeholder":true,"num":0},"é"]"#, &bytes),
        (r#"61-7[{"_placeholder":true,"num":0}]"#, &bytes),
    ];
    let sent = sent(&peer);
    assert_eq!(sent.len(), expected.len(), "{sent:?}");
    for ((text, attachments), (expected, bytes)) in sent.iter().zip(expected) {
        assert_eq!(
            (&**text, &attachments[..]),
            (expected, std::slice::from_ref(bytes))
        );
    }
}

#[test]
fn more_than_ten_buffers_fit_into_one_message() {
    let (io, _namespace) = serve_with(
        with(MsgpackParser),
        Script::default().event(|socket, event| {
            let bodies: Vec<Bytes> = event.body().unwrap();
            socket.emit("count", &bodies.len());
            None
        }),
    );
    let mut peer = joined(&io);
    let places: Vec<Value> = (0..20)
        .map(|num| json!({"_placeholder": true, "num": num}))
        .collect();
    let data = json!(["e", places]).to_string();
    let event = Packet {
        attachments: 20,
        ..packet(PacketKind::BinaryEvent, None, &data)
    };
    send(&mut peer, &event, &vec![Bytes::from_static(b"x"); 20]).unwrap();
    assert_eq!(sent(&peer)[0].0, r#"2["count",20]"#);
}

#[test]
fn a_broadcast_is_encoded_once() {
    let parser = Arc::new(Counting::default());
    let config = HubConfig {
        parser: Some(parser.clone()),
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(config, Script::default());
    let peers: Vec<Peer> = (0..10).map(|_| joined(&io)).collect();
    let before = parser.0.load(Ordering::SeqCst);
    namespace.emit("news", &1);
    assert_eq!(parser.0.load(Ordering::SeqCst), before + 1);
    for peer in &peers {
        assert_eq!(sent(peer)[0].0, r#"2["news",1]"#);
    }
}

#[test]
fn who_speaks_another_form_is_refused() {
    let (io, _namespace) = serve_with(with(MsgpackParser), Script::default());
    let mut peer = Peer::new(&io);
    let error = peer.recv("0").unwrap_err();
    assert_eq!(error, ProtocolError::Parser(ParserError::UnexpectedText));
    let mut peer = Peer::new(&io);
    assert!(matches!(peer.recv_binary(b"\xc1"), Err(ProtocolError::Parser(_))));
    let (io, _namespace) = serve_with(HubConfig::default(), Script::default());
    let mut peer = Peer::new(&io);
    assert!(peer.recv_binary(b"\x81").is_err());
}

/// Takes and gives what it likes.
#[derive(Debug)]
struct Careless;

impl Parser for Careless {
    fn encode(&self, packet: &Packet<'_>, _: &[Bytes]) -> Result<Vec<Message>, ParserError> {
        match packet.data.contains("never") {
            true => Err(ParserError::Other("never".to_owned())),
            false => Ok(vec![
                Message::Binary(Bytes::from_static(b"z")),
                Message::Text(packet.data.to_owned()),
            ]),
        }
    }

    fn decoder(&self, _: &Limits) -> Box<dyn Decoder> {
        Box::new(Self)
    }
}

impl Decoder for Careless {
    fn receive_text<'a>(&mut self, message: &'a str) -> Result<Option<Received<'a>>, ParserError> {
        let kind = match message {
            "later" => return Ok(None),
            "" => PacketKind::Connect,
            _ => PacketKind::Event,
        };
        Ok(Some(Received {
            kind,
            namespace: "/".into(),
            id: None,
            data: message.into(),
            attachments: Vec::new(),
        }))
    }

    fn receive_binary<'a>(&mut self, _: &'a [u8]) -> Result<Option<Received<'a>>, ParserError> {
        Ok(Some(Received {
            kind: PacketKind::Event,
            namespace: "/".into(),
            id: None,
            data: r#"["e",{"_placeholder":true,"num":3}]"#.into(),
            attachments: vec![Bytes::new()],
        }))
    }
}

#[test]
fn what_a_users_parser_makes_is_checked() {
    let (io, namespace) = serve_with(with(Careless), Script::default());
    let mut peer = Peer::new(&io);
    peer.recv("").unwrap();
    peer.recv("later").unwrap();
    peer.recv(r#"["fine"]"#).unwrap();
    let connected = peer.sent();
    assert_eq!(connected[0], "<7a>");
    assert!(connected[1].starts_with(r#"{"sid""#), "{connected:?}");
    // What cannot be encoded is not sent, and what follows is.
    namespace.emit("never", &());
    namespace.emit("news", &1);
    assert_eq!(peer.sent(), ["<7a>", r#"["news",1]"#]);
    assert!(peer.recv_binary(b"x").is_err(), "a placeholder for nothing");
    assert!(peer.recv("{}").is_err(), "an event that is no array");
}
