//! Every message that the Node adapters were seen to send, read and written; and what they never send.

mod properties;
mod sharded;
mod streams;

use gatewire_proto::socketio::msgpack::TranscodeError;
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
