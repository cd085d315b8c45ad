//! Every message that the Node adapters were seen to send, read and written; and what they never send.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::SavedSession;
use gatewire_proto::socketio::msgpack::TranscodeError;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIMITS: Limits = Limits {
    max_bytes: 64 << 20,
    max_attachments: 1_000,
};

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

fn everyone() -> Target {
    Target {
        compress: true,
        ..Target::default()
    }
}

fn to(names: &[&str]) -> Target {
    Target {
        rooms: rooms(names),
        ..everyone()
    }
}

fn event(data: &str) -> EventData<'_> {
    EventData {
        data,
        attachments: &[],
    }
}

fn payload(value: &Value) -> Payload {
    Payload::from_value(value).unwrap()
}

fn message<'a>(uid: &'a str, body: Body<'a>) -> Message<'a> {
    Message {
        uid: uid.into(),
        namespace: "/".into(),
        body,
    }
}

/// The bytes are read as the message, and the message is written as the bytes.
fn is_both_ways(bytes: &[u8], form: Form, expected: &Message<'_>) {
    let frame = Frame::read(bytes, &LIMITS).unwrap();
    assert_eq!(frame.message().unwrap(), *expected);
    let written = expected.encode(form).unwrap();
    assert_eq!(
        written,
        bytes,
        "{} instead of {}",
        String::from_utf8_lossy(&written),
        String::from_utf8_lossy(bytes)
    );
}

const A: &str = "4ba7fd3530498b3c";
const B: &str = "f43b0ee63d461ab8";

#[test]
fn the_text_messages_of_the_sharded_adapter() {
    let cases: [(&str, &str, Body<'_>); 11] = [
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["hello",1]"#),
                target: everyone(),
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["r",{"a":[1,"x"]}]},"opts":{"rooms":["room1"],"except":[],"flags":{}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["r",{"a":[1,"x"]}]"#),
                target: to(&["room1"]),
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["room1","room2"],"except":["zz"],"flags":{"volatile":true,"compress":false}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["m"]"#),
                target: Target {
                    except: rooms(&["zz"]),
                    volatile: true,
                    compress: false,
                    ..to(&["room1", "room2"])
                },
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["q",7]},"requestId":"14e27d59e4ff5a57","opts":{"rooms":[],"except":[],"flags":{"timeout":500}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["q",7]"#),
                target: Target {
                    timeout: Some(Duration::from_millis(500)),
                    ..everyone()
                },
                request: Some("14e27d59e4ff5a57".into()),
            },
        ),
        (
            r#"{"type":11,"data":{"requestId":"14e27d59e4ff5a57","clientCount":1},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
            B,
            Body::BroadcastClientCount {
                request: "14e27d59e4ff5a57".into(),
                count: 1,
            },
        ),
        (
            r#"{"type":12,"data":{"requestId":"14e27d59e4ff5a57","packet":"ans"},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
            B,
            Body::BroadcastAck {
                request: "14e27d59e4ff5a57".into(),
                answer: payload(&json!("ans")),
            },
        ),
        (
            r#"{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"869d3e29c03388b7"},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::FetchSockets {
                target: everyone(),
                request: "869d3e29c03388b7".into(),
            },
        ),
        (
            r#"{"type":4,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["x","y"]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::SocketsJoin {
                target: to(&["room1"]),
                rooms: rooms(&["x", "y"]),
            },
        ),
        (
            r#"{"type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::SocketsLeave {
                target: everyone(),
                rooms: rooms(&["x"]),
            },
        ),
        (
            r#"{"type":6,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"close":true},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::DisconnectSockets {
                target: to(&["room1"]),
                close: true,
            },
        ),
        (
            r#"{"type":9,"data":{"packet":["sse",1]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::ServerSideEmit {
                name: "sse".into(),
                args: payload(&json!(1)),
                request: None,
            },
        ),
    ];
    for (text, uid, body) in cases {
        is_both_ways(text.as_bytes(), Form::Text, &message(uid, body));
    }
    is_both_ways(
        br#"{"type":9,"data":{"requestId":"d10cc8d94661835e","packet":["sse",1]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
        Form::Text,
        &message(
            A,
            Body::ServerSideEmit {
                name: "sse".into(),
                args: payload(&json!(1)),
                request: Some("d10cc8d94661835e".into()),
            },
        ),
    );
    is_both_ways(
        br#"{"type":10,"data":{"requestId":"d10cc8d94661835e","packet":"pong"},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
        Form::Text,
        &message(
            B,
            Body::ServerSideEmitResponse {
                request: "d10cc8d94661835e".into(),
                answer: payload(&json!("pong")),
            },
        ),
    );
}

#[test]
fn the_members_that_come_and_go() {
    for (kind, body) in [
        (1, Body::InitialHeartbeat),
        (2, Body::Heartbeat),
        (13, Body::AdapterClose),
    ] {
        let text = format!(r#"{{"type":{kind},"uid":"{A}","nsp":"/"}}"#);
        is_both_ways(text.as_bytes(), Form::Text, &message(A, body));
    }
}

#[test]
fn the_sockets_of_a_node() {
    let text = r#"{"type":8,"data":{"requestId":"869d3e29c03388b7","sockets":[{"id":"sS8I4MuwqbAWq7taAAAA","handshake":{"headers":{"sec-websocket-version":"13","sec-websocket-key":"siHYHeKO71Z1EhiXYhKHNA==","connection":"Upgrade","upgrade":"websocket","sec-websocket-extensions":"permessage-deflate; client_max_window_bits","host":"localhost:23027"},"time":"Mon Nov 23 2026 06:29:27 GMT+0000 (Coordinated Universal Time)","address":"::ffff:127.0.0.1","xdomain":false,"secure":false,"issued":1795415367966,"url":"/socket.io/?EIO=4&transport=websocket","query":{"EIO":"4","transport":"websocket"},"auth":{}},"rooms":["sS8I4MuwqbAWq7taAAAA","room1"],"data":{"name":"bob"}}]},"uid":"f43b0ee63d461ab8","nsp":"/"}"#;
    let frame = Frame::read(text.as_bytes(), &LIMITS).unwrap();
    let message = frame.message().unwrap();
    let Body::FetchSocketsResponse { request, sockets } = &message.body else {
        panic!("{message:?}")
    };
    assert_eq!(request, "869d3e29c03388b7");
    let [socket] = sockets.as_slice() else {
        panic!("{sockets:?}")
    };
    assert_eq!(socket.id.as_str(), "sS8I4MuwqbAWq7taAAAA");
    assert_eq!(socket.rooms, rooms(&["sS8I4MuwqbAWq7taAAAA", "room1"]));
    assert_eq!(socket.data, json!({"name": "bob"}));
    assert_eq!(socket.handshake["issued"], json!(1_795_415_367_966_u64));
    for form in [Form::Text, Form::Msgpack] {
        let bytes = message.encode(form).unwrap();
        let again = Frame::read(&bytes, &LIMITS).unwrap();
        assert_eq!(again.message().unwrap(), message);
    }
}

#[test]
fn bytes_in_the_data_of_a_socket_are_spelled_as_javascript_does() {
    // notepack 3 of {type:8,data:{requestId:"r",sockets:[{id,rooms:[7],data:{avatar:<Buffer 01 02>}}]},uid:"u",nsp:"/"}
    let bytes = hex(
        "84a47479706508a46461746182a9726571756573744964a172a7736f636b6574739183a26964b473533849344d7577716241577137746141414141a5726f6f6d739107a46461746181a6617661746172c4020102a3756964a175a36e7370a12f",
    );
    let frame = Frame::read(&bytes, &LIMITS).unwrap();
    let message = frame.message().unwrap();
    let Body::FetchSocketsResponse { sockets, .. } = &message.body else {
        panic!("{message:?}")
    };
    assert_eq!(sockets[0].rooms, rooms(&["7"]));
    assert_eq!(sockets[0].handshake, Value::Null);
    assert_eq!(
        sockets[0].data,
        json!({"avatar": {"type": "Buffer", "data": [1, 2]}})
    );
}

#[test]
fn the_messagepack_of_the_sharded_adapter() {
    let attachments = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(&[4])];
    is_both_ways(
        &hex(
            "84a47479706503a46461746182a67061636b657482a47479706502a46461746193a362696ec40301020381a162c40104a46f70747383a5726f6f6d7391b473533849344d7577716241577137746141414141a665786365707490a5666c61677380a3756964b034626137666433353330343938623363a36e7370a12f",
        ),
        Form::Text,
        &message(
            A,
            Body::Broadcast {
                event: EventData {
                    data: r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#,
                    attachments: &attachments,
                },
                target: to(&["sS8I4MuwqbAWq7taAAAA"]),
                request: None,
            },
        ),
    );
}

#[test]
fn the_messagepack_of_the_streams_adapter() {
    const A: &str = "759d599889a69b88";
    const B: &str = "ffb24fa954e4bf9b";
    let cases = [
        (
            "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a17107a9726571756573744964b066613538626565663438393565313030a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd01f4a3756964b037353964353939383839613639623838a36e7370a12f",
            message(
                A,
                Body::Broadcast {
                    event: event(r#"["q",7]"#),
                    target: Target {
                        timeout: Some(Duration::from_millis(500)),
                        ..everyone()
                    },
                    request: Some("fa58beef4895e100".into()),
                },
            ),
        ),
        (
            "84a4747970650ba46461746182a9726571756573744964b066613538626565663438393565313030ab636c69656e74436f756e7401a3756964b066666232346661393534653462663962a36e7370a12f",
            message(
                B,
                Body::BroadcastClientCount {
                    request: "fa58beef4895e100".into(),
                    count: 1,
                },
            ),
        ),
        (
            "84a4747970650ca46461746182a9726571756573744964b066613538626565663438393565313030a67061636b6574a3616e73a3756964b066666232346661393534653462663962a36e7370a12f",
            message(
                B,
                Body::BroadcastAck {
                    request: "fa58beef4895e100".into(),
                    answer: payload(&json!("ans")),
                },
            ),
        ),
        (
            "84a47479706507a46461746182a46f70747383a5726f6f6d7390a665786365707490a5666c61677380a9726571756573744964b035353065333738363537646162366634a3756964b037353964353939383839613639623838a36e7370a12f",
            message(
                A,
                Body::FetchSockets {
                    target: everyone(),
                    request: "550e378657dab6f4".into(),
                },
            ),
        ),
        (
            "84a47479706509a46461746181a67061636b657492a373736501a3756964b037353964353939383839613639623838a36e7370a12f",
            message(
                A,
                Body::ServerSideEmit {
                    name: "sse".into(),
                    args: payload(&json!(1)),
                    request: None,
                },
            ),
        ),
        (
            "84a47479706509a46461746182a9726571756573744964b038653061653739383866303961623831a67061636b657492a373736501a3756964b037353964353939383839613639623838a36e7370a12f",
            message(
                A,
                Body::ServerSideEmit {
                    name: "sse".into(),
                    args: payload(&json!(1)),
                    request: Some("8e0ae7988f09ab81".into()),
                },
            ),
        ),
        (
            "84a4747970650aa46461746182a9726571756573744964b038653061653739383866303961623831a67061636b6574a4706f6e67a3756964b066666232346661393534653462663962a36e7370a12f",
            message(
                B,
                Body::ServerSideEmitResponse {
                    request: "8e0ae7988f09ab81".into(),
                    answer: payload(&json!("pong")),
                },
            ),
        ),
    ];
    for (bytes, message) in cases {
        is_both_ways(&hex(bytes), Form::Msgpack, &message);
    }
}

#[test]
fn the_entries_of_the_streams_adapter() {
    let attachments = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(&[4])];
    let cases = [
        (
            "3",
            r#"{"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}}"#,
            Body::Broadcast {
                event: event(r#"["hello",1]"#),
                target: everyone(),
                request: None,
            },
        ),
        (
            "3",
            "gqZwYWNrZXSCpHR5cGUCpGRhdGGTo2JpbsQDAQIDgaFixAEEpG9wdHODpXJvb21zkbRHN1ZqR1YwanZJM1Y0NGtEQUFBQaZleGNlcHSQpWZsYWdzgA==",
            Body::Broadcast {
                event: EventData {
                    data: r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#,
                    attachments: &attachments,
                },
                target: to(&["G7VjGV0jvI3V44kDAAAA"]),
                request: None,
            },
        ),
        (
            "4",
            r#"{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["x","y"]}"#,
            Body::SocketsJoin {
                target: to(&["room1"]),
                rooms: rooms(&["x", "y"]),
            },
        ),
        (
            "5",
            r#"{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]}"#,
            Body::SocketsLeave {
                target: everyone(),
                rooms: rooms(&["x"]),
            },
        ),
        (
            "6",
            r#"{"opts":{"rooms":["room1"],"except":[],"flags":{}},"close":true}"#,
            Body::DisconnectSockets {
                target: to(&["room1"]),
                close: true,
            },
        ),
    ];
    for (kind, data, body) in cases {
        let fields = [
            ("uid", "759d599889a69b88"),
            ("nsp", "/"),
            ("type", kind),
            ("data", data),
        ];
        let entry = Entry::read(fields, &LIMITS).unwrap();
        assert_eq!((entry.uid, entry.namespace), ("759d599889a69b88", "/"));
        assert_eq!(entry.body().unwrap(), body);
        let backwards = Entry::read(fields.into_iter().rev(), &LIMITS).unwrap();
        assert_eq!(backwards, entry);
        let written = message("759d599889a69b88", body).to_entry().unwrap();
        let written: Vec<_> = written
            .iter()
            .map(|(field, value)| (*field, value.as_str()))
            .collect();
        assert_eq!(written, fields);
    }
}

#[test]
fn the_entry_of_the_emitter() {
    let fields = [
        ("uid", "emitter"),
        ("nsp", "/adm"),
        ("type", "3"),
        (
            "data",
            r#"{"packet":{"type":2,"data":["n",null],"nsp":"/adm"},"opts":{"rooms":["a"],"flags":{},"except":[]}}"#,
        ),
    ];
    let entry = Entry::read(fields, &LIMITS).unwrap();
    assert_eq!(entry.uid, EMITTER);
    assert_eq!(
        entry.body().unwrap(),
        Body::Broadcast {
            event: event(r#"["n",null]"#),
            target: to(&["a"]),
            request: None,
        }
    );
}

#[test]
fn entries_that_are_none() {
    let missing = |field| Err(DecodeError::Field { field });
    assert_eq!(Entry::read([("type", "3")], &LIMITS), missing("nsp"));
    assert_eq!(Entry::read([("nsp", "/")], &LIMITS), missing("type"));
    assert_eq!(
        Entry::read([("nsp", "/"), ("type", "x")], &LIMITS),
        missing("type")
    );
    let data = [("nsp", "/"), ("type", "3"), ("data", "?")];
    assert_eq!(Entry::read(data, &LIMITS), Err(DecodeError::Base64));
    let heartbeat = Entry::read([("nsp", "/"), ("type", "2")], &LIMITS).unwrap();
    assert_eq!(heartbeat.body(), Ok(Body::Heartbeat));
}

/// What the streams adapter keeps for `{sid, pid, rooms: [sid, "room1", 7], data: {name, since: new Date(…), gone:
/// undefined}}`, by @msgpack/msgpack 2.8.
const SESSION: &str = "hKNzaWS0RzdWakdWMGp2STNWNDRrREFBQUGjcGlktEZkbXl2dFBhN0ZSVHlMV0JBQUFCpXJvb21zk7RHN1ZqR1YwanZJM1Y0NGtEQUFBQaVyb29tMQekZGF0YYOkbmFtZaNib2Klc2luY2XW/2VT8QCkZ29uZcA=";

#[test]
fn sessions_are_kept_as_node_does() {
    let kept = decode_session(SESSION, &LIMITS).unwrap().unwrap();
    assert!(kept.is_of("/") && kept.is_of("/any"));
    let session = kept.session;
    assert_eq!(session.id.as_str(), "G7VjGV0jvI3V44kDAAAA");
    assert_eq!(session.private_id, "FdmyvtPa7FRTyLWBAAAB");
    assert_eq!(session.rooms, rooms(&["G7VjGV0jvI3V44kDAAAA", "room1", "7"]));
    assert_eq!(
        session.data,
        json!({"name": "bob", "since": "2023-11-14T22:13:20.000Z", "gone": null})
    );
    let again = encode_session(&session, "/own").unwrap();
    let again = decode_session(&again, &LIMITS).unwrap().unwrap();
    assert_eq!(again.session, session);
    assert!(again.is_of("/own") && !again.is_of("/"));
    for other in ["", "gA==", "{}", "?"] {
        assert!(decode_session(other, &LIMITS).is_err(), "{other}");
    }
    let short = STANDARD.encode(hex("83a3736964a178a3706964a179a5726f6f6d7390"));
    assert_eq!(decode_session(&short, &LIMITS), Ok(None));
}

#[test]
fn keys_come_in_any_order_and_some_not_at_all() {
    let texts = [
        r#"{"nsp":"/","extra":[1],"data":{"opts":{"flags":null},"packet":{"nsp":"/","data":["e"],"type":2}},"type":3,"uid":"u"}"#,
        r#"{"data":{"packet":{"data":["e"]},"requestId":null},"type":3,"nsp":"/","uid":"u"}"#,
        r#"{"type":3,"uid":"u","nsp":"/","data":{"packet":{"data":["e"]},"opts":{"rooms":null,"except":null,"flags":{"broadcast":true,"timeout":null,"local":false}}}}"#,
    ];
    for text in texts {
        let frame = Frame::read(text.as_bytes(), &LIMITS).unwrap();
        let body = Body::Broadcast {
            event: event(r#"["e"]"#),
            target: everyone(),
            request: None,
        };
        assert_eq!(frame.message().unwrap(), message("u", body), "{text}");
    }
}

#[test]
fn answers_have_none_one_or_more_values() {
    let cases = [
        (r#"{"requestId":"r"}"#, Payload::default()),
        (r#"{"requestId":"r","packet":null}"#, payload(&Value::Null)),
        (r#"{"requestId":"r","packet":[1,2]}"#, payload(&json!([1, 2]))),
        (
            r#"{"requestId":"r","packet":1,"more":["a",null]}"#,
            Payload::from_args(&(1, "a", Value::Null)).unwrap(),
        ),
    ];
    for (data, answer) in cases {
        let text = format!(r#"{{"type":12,"data":{data},"uid":"u","nsp":"/"}}"#);
        let body = Body::BroadcastAck {
            request: "r".into(),
            answer,
        };
        is_both_ways(text.as_bytes(), Form::Text, &message("u", body));
    }
    // What @msgpack/msgpack makes of an undefined answer.
    let bytes =
        hex("84a4747970650ca46461746182a9726571756573744964a172a67061636b6574c0a3756964a175a36e7370a12f");
    let frame = Frame::read(&bytes, &LIMITS).unwrap();
    let Body::BroadcastAck { answer, .. } = frame.message().unwrap().body else {
        panic!("an answer was read as something else")
    };
    assert_eq!(answer, payload(&Value::Null));
}

#[test]
fn what_is_no_message_is_an_error() {
    let limits = Limits {
        max_bytes: 200,
        max_attachments: 1,
    };
    for (bytes, expected) in [
        (vec![b'{'; 201], DecodeError::TooLong { len: 201, max: 200 }),
        (b"{\xff}".to_vec(), DecodeError::Utf8),
    ] {
        assert_eq!(Frame::read(&bytes, &limits), Err(expected));
    }
    assert!(matches!(Frame::read(b"", &limits), Err(DecodeError::Msgpack(_))));
    assert!(matches!(
        Frame::read(&hex("92c40101c40102"), &limits),
        Err(DecodeError::Msgpack(TranscodeError::TooManyAttachments {
            max: 1
        }))
    ));
    let unknown = Frame::read(br#"{"type":14,"uid":"u","nsp":"/"}"#, &limits).unwrap();
    assert_eq!(unknown.message(), Err(DecodeError::UnknownType { kind: 14 }));
    for text in [
        "{",
        "{}",
        r#"{"type":"3"}"#,
        r#"{"type":-1}"#,
        r#"{"type":3}"#,
        r#"{"type":3,"data":7}"#,
        r#"{"type":3,"data":{"packet":{"data":7}}}"#,
        r#"{"type":3,"data":{"packet":{"data":[]}}}"#,
        r#"{"type":3,"data":{"packet":{"data":["disconnect"]}}}"#,
        r#"{"type":3,"data":{"packet":{"data":["e"]},"opts":{"rooms":[[]]}}}"#,
        r#"{"type":4,"data":{"rooms":"x"}}"#,
        r#"{"type":7,"data":{}}"#,
        r#"{"type":9,"data":{"packet":[]}}"#,
        r#"{"type":11,"data":{"requestId":"r","clientCount":-1}}"#,
        r#"{"type":12,"data":{"packet":1}}"#,
    ] {
        let frame = Frame::read(text.as_bytes(), &limits).unwrap();
        assert!(
            matches!(frame.message(), Err(DecodeError::Json { .. })),
            "{text}: {:?}",
            frame.message()
        );
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,5}", inner, 0..4)
                .prop_map(|fields: BTreeMap<String, Value>| fields.into_iter().collect()),
        ]
    })
}

fn payloads() -> impl Strategy<Value = Payload> {
    let bytes = prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    (
        prop::collection::vec(values(), 0..3),
        prop::collection::vec(bytes, 0..3),
    )
        .prop_map(|(values, attachments)| {
            let placeholder = |num| json!({"_placeholder": true, "num": num});
            let all = values
                .into_iter()
                .chain((0..attachments.len()).map(placeholder))
                .map(|value| value.to_string());
            let json = all.collect::<Vec<_>>().join(",");
            Payload::from_json(&json, attachments).unwrap()
        })
}

fn targets() -> impl Strategy<Value = Target> {
    let names = || prop::collection::vec(".{0,8}".prop_map(Room::from), 0..3);
    let timeout = prop::option::of((0..100_000_u64).prop_map(Duration::from_millis));
    (names(), names(), any::<bool>(), any::<bool>(), timeout).prop_map(
        |(rooms, except, volatile, compress, timeout)| Target {
            rooms,
            except,
            volatile,
            compress,
            timeout,
        },
    )
}

fn sockets() -> impl Strategy<Value = Vec<FoundSocket>> {
    let socket = (values(), values(), targets()).prop_map(|(handshake, data, target)| FoundSocket {
        id: Id::generate(),
        rooms: target.rooms,
        handshake,
        data,
    });
    prop::collection::vec(socket, 0..3)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        uid in ".{0,16}",
        namespace in ".{0,8}",
        target in targets(),
        more in targets(),
        args in payloads(),
        sockets in sockets(),
        request in ".{0,16}",
        count: u32,
        close: bool,
        has_request: bool,
    ) {
        let name = serde_json::to_string(&format!("e{uid}")).unwrap();
        let data = if args.is_empty() {
            format!("[{name}]")
        } else {
            format!("[{name},{}]", args.args().json())
        };
        let event = EventData { data: &data, attachments: args.attachments() };
        let rooms = more.rooms;
        let request: Cow<'_, str> = request.into();
        let maybe = has_request.then(|| request.clone());
        let bodies = [
            Body::InitialHeartbeat,
            Body::Heartbeat,
            Body::Broadcast { event, target: target.clone(), request: maybe.clone() },
            Body::SocketsJoin { target: target.clone(), rooms: rooms.clone() },
            Body::SocketsLeave { target: target.clone(), rooms },
            Body::DisconnectSockets { target: target.clone(), close },
            Body::FetchSockets { target, request: request.clone() },
            Body::FetchSocketsResponse { request: request.clone(), sockets },
            Body::ServerSideEmit { name: format!("e{uid}").into(), args: args.clone(), request: maybe },
            Body::ServerSideEmitResponse { request: request.clone(), answer: args.clone() },
            Body::BroadcastClientCount { request: request.clone(), count: count as usize },
            Body::BroadcastAck { request, answer: args.clone() },
            Body::AdapterClose,
        ];
        for body in bodies {
            let message = Message { uid: uid.as_str().into(), namespace: namespace.as_str().into(), body };
            for form in [Form::Text, Form::Msgpack] {
                let bytes = message.encode(form).unwrap();
                let frame = Frame::read(&bytes, &LIMITS).unwrap();
                prop_assert_eq!(&frame.message().unwrap(), &message);
            }
            let fields = message.to_entry().unwrap();
            let fields = fields.iter().map(|(field, value)| (*field, value.as_str()));
            let entry = Entry::read(fields, &LIMITS).unwrap();
            prop_assert_eq!(&entry.body().unwrap(), &message.body);
        }
    }

    #[test]
    fn sessions_are_read_as_written(data in values(), target in targets(), private_id in ".{0,20}") {
        let session = SavedSession { id: Id::generate(), private_id, rooms: target.rooms, data };
        let text = encode_session(&session, "/").unwrap();
        prop_assert_eq!(decode_session(&text, &LIMITS).unwrap().unwrap().session, session);
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u64..15) {
        if let Ok(frame) = Frame::read(&bytes, &LIMITS) {
            let _ = frame.message();
            let _ = frame.body(kind);
        }
        let text = STANDARD.encode(&bytes);
        let _ = decode_session(&text, &LIMITS);
        let _ = Entry::read([("nsp", "/"), ("type", "3"), ("data", text.as_str())], &LIMITS)
            .map(|entry| entry.body().is_ok());
    }

    #[test]
    fn no_message_with_a_wrong_byte_is_a_panic(at: prop::sample::Index, byte: u8, args in payloads()) {
        let body = Body::ServerSideEmit { name: "e".into(), args, request: None };
        for form in [Form::Text, Form::Msgpack] {
            let mut bytes = message("u", body.clone()).encode(form).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(frame) = Frame::read(&bytes, &LIMITS) {
                let _ = frame.message();
            }
        }
    }
}
