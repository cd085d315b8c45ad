//! Every message that the Node adapter and emitter were seen to send, read and written; and what they never send.

use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::{Id, Payload, Room};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::{DecodeError, EventData, Frame, Limits, Target};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn rooms(names: &[&str]) -> Vec<Room> {
    names.iter().map(|&name| name.into()).collect()
}

fn to(names: &[&str]) -> Target {
    Target {
        rooms: rooms(names),
        compress: true,
        ..Target::default()
    }
}

fn written(uid: &str, namespace: &str, data: &str, attachments: &[Bytes], target: &Target) -> Vec<u8> {
    let mut out = Vec::new();
    Broadcast::encode(&mut out, uid, namespace, EventData { data, attachments }, target).unwrap();
    out
}

#[test]
fn broadcasts_are_those_of_the_node_adapter() {
    let limited = Target {
        except: rooms(&["zz"]),
        volatile: true,
        compress: false,
        ..to(&["room1", "room2"])
    };
    let binary = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(&[4])];
    let placeholders = r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#;
    let cases: [(&str, &str, &[Bytes], Target); 4] = [
        (
            "93a6757a2d4c484a83a47479706502a46461746192a568656c6c6f01a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
            r#"["hello",1]"#,
            &[],
            to(&[]),
        ),
        (
            "93a6757a2d4c484a83a47479706502a46461746192a17281a1619201a178a36e7370a12f83a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380",
            r#"["r",{"a":[1,"x"]}]"#,
            &[],
            to(&["room1"]),
        ),
        (
            "93a6757a2d4c484a83a47479706502a46461746191a16da36e7370a12f83a5726f6f6d7392a5726f6f6d31a5726f6f6d32a665786365707491a27a7aa5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2",
            r#"["m"]"#,
            &[],
            limited,
        ),
        (
            "93a6757a2d4c484a83a47479706502a46461746193a362696ec40301020381a162c40104a36e7370a12f83a5726f6f6d7391b44f5f4e5752365862694643374d616d6741414141a665786365707490a5666c61677380",
            placeholders,
            &binary,
            to(&["O_NWR6XbiFC7MamgAAAA"]),
        ),
    ];
    for (bytes, data, attachments, target) in cases {
        let bytes = hex(bytes);
        assert_eq!(
            written("uz-LHJ", "/", data, attachments, &target),
            bytes,
            "{data}"
        );
        assert_eq!(Broadcast::sender(&bytes).unwrap(), "uz-LHJ");
        let read = Broadcast::decode(&bytes).unwrap();
        assert_eq!((&*read.uid, read.namespace), ("uz-LHJ", "/"));
        assert_eq!(read.target, target);
        let event = read.event(&Limits::default()).unwrap();
        assert_eq!(event, (data.to_owned(), attachments.to_vec()));
    }
}

/// Their keys are in another order.
#[test]
fn broadcasts_of_the_emitter_are_read() {
    let bytes = hex(
        "93a7656d697474657283a47479706502a46461746192ab66726f6d456d697474657201a36e7370a12f83a5726f6f6d7391a5726f6f6d31a5666c61677380a665786365707490",
    );
    let read = Broadcast::decode(&bytes).unwrap();
    assert_eq!((&*read.uid, read.namespace), ("emitter", "/"));
    assert_eq!(read.target, to(&["room1"]));
    assert_eq!(read.event(&Limits::default()).unwrap().0, r#"["fromEmitter",1]"#);
    let bytes = hex(
        "93a7656d697474657283a47479706502a46461746191a16ea36e7370a42f61646d83a5726f6f6d7390a5666c61677380a665786365707490",
    );
    assert_eq!(Broadcast::decode(&bytes).unwrap().namespace, "/adm");
}

#[test]
fn what_may_be_missing_is_empty() {
    // ["u", {data: ["e"]}, {flags: nil, rooms: [1, "a"], more: 0}]
    let bytes = hex("93a17581a46461746191a16583a5666c616773c0a5726f6f6d739201a161a46d6f726500");
    let read = Broadcast::decode(&bytes).unwrap();
    assert_eq!(read.namespace, "/");
    assert_eq!(read.target, to(&["1", "a"]), "the name of a room may be a number");
    assert_eq!(read.event(&Limits::default()).unwrap().0, r#"["e"]"#);
}

#[test]
fn what_is_no_broadcast_is_refused() {
    let none = Err(DecodeError::NotABroadcast);
    for bytes in [
        // Not an array, one too short, no packet, no data, no name, a name that is none.
        "80",
        "92a17580",
        "93a17501c0",
        "93a1758080",
        "93a17581a4646174619080",
        "93a17581a464617461918080",
        // Rooms that are none, a sender that is none.
        "93a17581a46461746191a16581a5726f6f6d7301",
        "93c081a46461746191a16580",
    ] {
        assert_eq!(Broadcast::decode(&hex(bytes)), none, "{bytes}");
    }
    for bytes in [
        "",
        "93",
        "93a1",
        "93a17581a46461746191a165",
        "93a17581a464617461dcffff",
    ] {
        assert!(
            matches!(Broadcast::decode(&hex(bytes)), Err(DecodeError::Msgpack(_))),
            "{bytes}"
        );
    }
    let limits = Limits {
        max_attachments: 1,
        ..Limits::default()
    };
    let two = written(
        "u",
        "/",
        r#"["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        &[Bytes::new()],
        &to(&[]),
    );
    assert!(Broadcast::decode(&two).unwrap().event(&limits).is_err());
}

fn request(text: &str) -> (Option<String>, Option<String>, String) {
    let limits = Limits::default();
    let frame = Frame::read(text.as_bytes(), &limits).unwrap();
    let request = Request::decode(&frame).unwrap();
    let written = request.encode().unwrap();
    assert_eq!(
        std::str::from_utf8(&written).unwrap(),
        text,
        "as the Node adapter writes it"
    );
    let own = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    (own(request.uid), own(request.id), format!("{:?}", request.ask))
}

#[test]
fn requests_are_those_of_the_node_adapter_and_emitter() {
    let has = |text: &str, parts: &[&str]| {
        let (_, _, ask) = request(text);
        for part in parts {
            assert!(ask.contains(part), "{part} in {ask}");
        }
    };
    let (uid, id, ask) =
        request(r#"{"uid":"uz-LHJ","requestId":"SYyQU6","type":5,"opts":{"rooms":[],"except":[]}}"#);
    assert_eq!((uid.as_deref(), id.as_deref()), (Some("uz-LHJ"), Some("SYyQU6")));
    assert!(ask.starts_with("Fetch"), "{ask}");
    has(
        r#"{"uid":"uz-LHJ","type":2,"opts":{"rooms":["room1"],"except":["b"]},"rooms":["x","y"]}"#,
        &[
            "Join",
            r#"rooms: ["room1"]"#,
            r#"except: ["b"]"#,
            r#"rooms: ["x", "y"]"#,
        ],
    );
    has(
        r#"{"uid":"uz-LHJ","type":3,"opts":{"rooms":[],"except":[]},"rooms":["x"]}"#,
        &["Leave"],
    );
    has(
        r#"{"uid":"uz-LHJ","type":4,"opts":{"rooms":["room1"],"except":[]},"close":true}"#,
        &["Disconnect", "close: true"],
    );
    has(
        r#"{"uid":"uz-LHJ","type":6,"data":["sse",1]}"#,
        &["ServerSideEmit", r#"name: "sse""#],
    );
    has(
        r#"{"uid":"uz-LHJ","requestId":"08PPEk","type":6,"data":["sse",1]}"#,
        &["ServerSideEmit"],
    );
    has(r#"{"uid":"uz-LHJ","requestId":"jgsObe","type":1}"#, &["AllRooms"]);
    has(
        r#"{"uid":"uz-LHJ","requestId":"jgsObe","type":0,"rooms":["a"]}"#,
        &["Sockets", r#"["a"]"#],
    );
    let (uid, _, ask) = request(r#"{"type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["z"]}"#);
    assert_eq!(uid, None);
    assert!(ask.starts_with("Join"));
    has(
        r#"{"uid":"emitter","type":6,"data":["sse",2]}"#,
        &["ServerSideEmit"],
    );
}

#[test]
fn a_broadcast_that_is_to_be_answered_is_msgpack() {
    let bytes = hex(
        "85a3756964a6757a2d4c484aa9726571756573744964a6474152317845a47479706507a67061636b657483a47479706502a46461746192a17107a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd01f4",
    );
    let limits = Limits::default();
    let frame = Frame::read(&bytes, &limits).unwrap();
    let request = Request::decode(&frame).unwrap();
    assert_eq!(
        request.ask,
        Ask::Broadcast {
            namespace: "/".into(),
            event: EventData {
                data: r#"["q",7]"#,
                attachments: &[],
            },
            target: Target {
                timeout: Some(Duration::from_millis(500)),
                ..to(&[])
            },
        }
    );
    assert_eq!(request.encode().unwrap(), bytes);
}

#[test]
fn old_forms_mean_one_socket() {
    let text = r#"{"requestId":"r","type":3,"sid":"O_NWR6XbiFC7MamgAAAA","room":"a"}"#;
    let limits = Limits::default();
    let frame = Frame::read(text.as_bytes(), &limits).unwrap();
    let Ask::Leave {
        target,
        rooms: left,
        one,
    } = Request::decode(&frame).unwrap().ask
    else {
        panic!("it is one");
    };
    assert_eq!(target.rooms, rooms(&["O_NWR6XbiFC7MamgAAAA"]));
    assert_eq!(
        (left, one.as_deref()),
        (rooms(&["a"]), Some("O_NWR6XbiFC7MamgAAAA"))
    );
}

#[test]
fn bytes_for_servers_are_msgpack() {
    let args = Payload::from_args(&(Bytes::from_static(&[7]), 1)).unwrap();
    let sent = Request {
        uid: Some("u".into()),
        id: None,
        ask: Ask::ServerSideEmit {
            name: "e".into(),
            args,
        },
    };
    let bytes = sent.encode().unwrap();
    assert_ne!(bytes[0], b'{');
    let limits = Limits::default();
    let frame = Frame::read(&bytes, &limits).unwrap();
    assert_eq!(Request::decode(&frame).unwrap(), sent);
}

fn answer(bytes: &[u8]) -> (String, Answer) {
    let limits = Limits::default();
    let frame = Frame::read(bytes, &limits).unwrap();
    let response = Response::decode(&frame).unwrap();
    let id = response.id().to_owned();
    (id, response.answer().unwrap())
}

#[test]
fn responses_are_those_of_the_node_adapter() {
    let payload = |value: &Value| Payload::from_value(value).unwrap();
    for (text, id, expected) in [
        (
            r#"{"type":8,"requestId":"GAR1xE","clientCount":1}"#,
            "GAR1xE",
            Answer::ClientCount(1),
        ),
        (
            r#"{"type":6,"requestId":"08PPEk","data":"pong"}"#,
            "08PPEk",
            Answer::ServerSide(payload(&json!("pong"))),
        ),
        (
            r#"{"requestId":"jgsObe","rooms":["O_NWR6XbiFC7MamgAAAA","room1","y"]}"#,
            "jgsObe",
            Answer::Rooms(rooms(&["O_NWR6XbiFC7MamgAAAA", "room1", "y"])),
        ),
        (
            r#"{"requestId":"r","sockets":["a"]}"#,
            "r",
            Answer::Ids(rooms(&["a"])),
        ),
        (
            r#"{"requestId":"r","sockets":[]}"#,
            "r",
            Answer::Sockets(Vec::new()),
        ),
        (r#"{"requestId":"r"}"#, "r", Answer::Done),
    ] {
        assert_eq!(answer(text.as_bytes()), (id.to_owned(), expected.clone()));
        assert_eq!(std::str::from_utf8(&expected.encode(id).unwrap()).unwrap(), text);
    }
    let ack = hex("83a47479706509a9726571756573744964a6474152317845a67061636b6574a3616e73");
    let expected = Answer::Ack(payload(&json!("ans")));
    assert_eq!(answer(&ack), ("GAR1xE".to_owned(), expected.clone()));
    assert_eq!(expected.encode("GAR1xE").unwrap(), ack);
}

#[test]
fn sockets_come_with_their_data() {
    let handshake = json!({"headers": {"host": "localhost:23027"}, "time": "Mon", "secure": false, "issued": 1, "auth": {}});
    let text = json!({
        "requestId": "SYyQU6",
        "sockets": [
            {"id": "O_NWR6XbiFC7MamgAAAA", "handshake": handshake, "rooms": ["O_NWR6XbiFC7MamgAAAA", 1], "data": {"name": "bob"}},
            {"id": "of another generateId", "handshake": {}, "rooms": [], "data": {}},
        ]
    });
    let (_, Answer::Sockets(sockets)) = answer(text.to_string().as_bytes()) else {
        panic!("these are sockets");
    };
    let [socket] = &*sockets else {
        panic!("{sockets:?}");
    };
    assert_eq!(socket.id, Id::parse("O_NWR6XbiFC7MamgAAAA").unwrap());
    assert_eq!(socket.rooms, rooms(&["O_NWR6XbiFC7MamgAAAA", "1"]));
    assert_eq!(
        (&socket.handshake, &socket.data),
        (&handshake, &json!({"name": "bob"}))
    );
    let again = Answer::Sockets(sockets.clone()).encode("r").unwrap();
    assert_eq!(answer(&again).1, Answer::Sockets(sockets));
}

/// The Node adapter takes the first value; the others are for nodes of our own.
#[test]
fn answers_keep_all_their_values() {
    let binary = Payload::from_args(&(Bytes::from_static(&[1]), "b", [2])).unwrap();
    let none = Payload::default();
    for payload in [binary, none, Payload::from_value(&json!(null)).unwrap()] {
        for sent in [Answer::Ack(payload.clone()), Answer::ServerSide(payload)] {
            assert_eq!(answer(&sent.encode("r").unwrap()).1, sent);
        }
    }
}

#[test]
fn what_is_no_request_or_response_is_refused() {
    for text in [
        "{",
        "{}",
        r#"{"type":99}"#,
        r#"{"type":"2"}"#,
        r#"{"type":6}"#,
        r#"{"type":6,"data":[]}"#,
        r#"{"type":6,"data":{}}"#,
        r#"{"type":7}"#,
        r#"{"type":7,"packet":{"data":1}}"#,
        r#"{"type":2,"opts":7}"#,
        r#"{"type":2,"rooms":[{}]}"#,
    ] {
        let limits = Limits::default();
        let frame = Frame::read(text.as_bytes(), &limits).unwrap();
        assert!(Request::decode(&frame).is_err(), "{text}");
    }
    for text in [
        "{",
        "[]",
        r#"{"requestId":7}"#,
        r#"{"requestId":"r","sockets":[7]}"#,
        r#"{"requestId":"r","rooms":{}}"#,
    ] {
        let limits = Limits::default();
        let frame = Frame::read(text.as_bytes(), &limits);
        let answer = frame
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|frame| Response::decode(frame)?.answer());
        assert!(answer.is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let limits = Limits::default();
        let _ = Broadcast::sender(&bytes);
        if let Ok(broadcast) = Broadcast::decode(&bytes) {
            let _ = broadcast.event(&limits);
        }
        if let Ok(frame) = Frame::read(&bytes, &limits) {
            let _ = Request::decode(&frame);
            let _ = Response::decode(&frame).and_then(Response::answer);
        }
    }

    #[test]
    fn broadcasts_are_read_as_they_were_written(
        names in prop::collection::vec(".{0,8}", 0..4),
        text in ".{0,40}",
        number in any::<i32>(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        volatile in any::<bool>(),
        compress in any::<bool>(),
    ) {
        let target = Target {
            rooms: names.iter().map(|name| name.as_str().into()).collect(),
            volatile,
            compress,
            ..Target::default()
        };
        let data = json!(["e", text, number, {"_placeholder": true, "num": 0}]).to_string();
        let attachments = [Bytes::from(bytes)];
        let written = written("u", "/n", &data, &attachments, &target);
        let read = Broadcast::decode(&written).unwrap();
        prop_assert_eq!(&read.target, &target);
        let (json, back) = read.event(&Limits::default()).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::from_str::<Value>(&data).unwrap());
        prop_assert_eq!(back, attachments);
    }
}
