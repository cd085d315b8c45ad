//! What holds for all messages, sessions and bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::SavedSession;
use proptest::prelude::*;

use super::*;

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
