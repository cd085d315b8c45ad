//! What the streams adapter of Node was seen to send and to keep, and the entry of its emitter.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::*;

const A: &str = "759d599889a69b88";
const B: &str = "ffb24fa954e4bf9b";

#[test]
fn the_messagepack_of_the_streams_adapter() {
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
        let fields = [("uid", A), ("nsp", "/"), ("type", kind), ("data", data)];
        let entry = Entry::read(fields, &LIMITS).unwrap();
        assert_eq!((entry.uid, entry.namespace), (A, "/"));
        assert_eq!(entry.body().unwrap(), body);
        let backwards = Entry::read(fields.into_iter().rev(), &LIMITS).unwrap();
        assert_eq!(backwards, entry);
        let written = message(A, body).to_entry().unwrap();
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
