//! What holds for all packets, values and bytes.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::super::super::MAX_ID;
use super::super::read::{Reader, Token};
use super::values::Everything;
use super::*;

/// JSON values that both forms keep exactly.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // With a fraction that serde_json reads exactly.
        (-1_000_000i32..1_000_000).prop_map(|n| Value::from((2.0 * f64::from(n) + 1.0) / 64.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::hash_map("[^_]{0,5}", inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Bytes that are MessagePack for a good part.
fn nearly_msgpack() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        (0x80u8..0xa4).prop_map(|head| vec![head]),
        json_value().prop_map(|value| written(&value)),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| written(&Bytes::from(bytes))),
        prop::sample::select(vec!["type", "nsp", "data", "id", "/", "_placeholder"]).prop_map(written),
        Just(hex("d40000")),
        Just(hex("d7000000018bcfe5687b")),
        Just(hex("d7ff1d5353006553f100")),
        Just(hex("83a47479706502a36e7370a12fa464617461")),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What every reader of the same bytes must agree on.
fn check(bytes: &[u8]) {
    let raw = Reader::new(bytes)
        .raw(MAX_DEPTH)
        .ok()
        .filter(|raw| raw.len() == bytes.len());
    let (mut json, mut attachments) = (Vec::new(), Vec::new());
    match transcode_to_json(bytes, &mut json, &mut attachments, usize::MAX) {
        Ok(()) => {
            assert!(raw.is_some());
            assert!(rmp_serde::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() || has_extension(bytes));
            let json = String::from_utf8(json).unwrap();
            let value: Value = serde_json::from_str(&json).unwrap();
            if attachments.is_empty() {
                let direct: Value = from_msgpack(bytes).unwrap();
                assert!(is_same(&direct, &value), "{json}");
            }
            let mut again = Vec::new();
            transcode_from_json(&json, &attachments, &mut again).unwrap();
            let (mut json_again, mut attachments_again) = (Vec::new(), Vec::new());
            transcode_to_json(&again, &mut json_again, &mut attachments_again, usize::MAX).unwrap();
            assert_eq!(String::from_utf8(json_again).unwrap(), json);
            assert_eq!(attachments_again, attachments);
        }
        Err(TranscodeError::Placeholder) => {}
        Err(error) => assert!(raw.is_none(), "{error}"),
    }
    let _ = from_msgpack::<Everything>(bytes);
    if let Ok(packet) = decoded(bytes) {
        let args = match &packet.data {
            Data::Event(event) => event.args,
            Data::Ack(args) => *args,
            Data::Value(value) => ArgSlice::from_parts(value, 1),
            Data::None => ArgSlice::default(),
        };
        assert_eq!(args.iter().count(), args.len());
        assert_eq!(args.iter().map(<[u8]>::len).sum::<usize>(), args.bytes().len());
        if let Ok((text, attachments)) = as_text(&packet) {
            let text_packet = socketio::decode(&text, &Limits::default());
            if let Ok(text_packet) = text_packet {
                let mut out = Vec::new();
                encode(&text_packet, &attachments, &mut out).unwrap();
                assert_eq!(as_text(&decoded(&out).unwrap()).unwrap(), (text, attachments));
            }
        }
    }
}

/// Equal, but that serde_json reads some floats one unit in the last place off.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (a, b) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            one == other || (a - b).abs() <= a.abs() * 1e-15
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| is_same(one, other)))
        }
        _ => one == other,
    }
}

fn has_extension(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0xc7..=0xc9 | 0xd4..=0xd8))
}

proptest! {
    #[test]
    fn values_survive(value in json_value()) {
        let bytes = written(&value);
        prop_assert_eq!(&from_msgpack::<Value>(&bytes).unwrap(), &value);
        prop_assert_eq!(&rmp_serde::from_slice::<Value>(&bytes).unwrap(), &value);
        let json = value.to_string();
        prop_assert_eq!(&from_json(&json).unwrap(), &bytes);
        prop_assert_eq!(to_json(&bytes).unwrap(), json);
    }

    #[test]
    fn floats_survive(number in any::<f64>(), single in any::<f32>()) {
        let again: f64 = from_msgpack(&written(&number)).unwrap();
        prop_assert!(again == number || again.is_nan() && number.is_nan());
        let again: f32 = from_msgpack(&written(&single)).unwrap();
        prop_assert!(again == single || again.is_nan() && single.is_nan());
    }

    #[test]
    fn packets_survive(
        namespace in prop_oneof![Just("/".to_owned()), "/[^,]{1,20}"],
        id in prop::option::of(0..=MAX_ID),
        name in any::<String>().prop_filter("reserved", |name| !socketio::is_reserved(name)),
        args in prop::collection::vec(json_value(), 0..4),
        blobs in prop::collection::vec(any::<Vec<u8>>().prop_map(Bytes::from), 0..4),
    ) {
        let mut message = Vec::new();
        put_head(&mut message, PacketKind::Event, &namespace, true, id);
        put_array_head(&mut message, 1 + args.len() + blobs.len());
        put_str(&mut message, &name);
        for arg in &args {
            to_msgpack(&mut message, arg).unwrap();
        }
        for blob in &blobs {
            to_msgpack(&mut message, blob).unwrap();
        }
        put_id(&mut message, id);

        let packet = decoded(&message).unwrap();
        prop_assert_eq!((packet.kind, packet.namespace, packet.id), (PacketKind::Event, &*namespace, id));
        let (text, attachments) = as_text(&packet).unwrap();
        prop_assert_eq!(&attachments, &blobs);
        let Data::Event(event) = &packet.data else { panic!("{packet:?}") };
        prop_assert_eq!(&*event.name, &*name);
        for (index, arg) in event.args.iter().enumerate() {
            match args.get(index) {
                Some(expected) => prop_assert_eq!(&from_msgpack::<Value>(arg).unwrap(), expected),
                None => prop_assert_eq!(&from_msgpack::<Bytes>(arg).unwrap(), &blobs[index - args.len()]),
            }
        }
        // Through the text form and back nothing is lost.
        prop_assert_eq!(from_text(&text, &attachments), message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        check(&bytes);
    }

    #[test]
    fn readers_agree_on_what_is_nearly_msgpack(bytes in nearly_msgpack()) {
        check(&bytes);
        let _ = ArgSlice::from_parts(&bytes, usize::MAX).iter().count();
    }

    #[test]
    fn arbitrary_json_never_panics(json in "[\\[\\]{}\",:\\\\a0-9.eEu+\\- trnl_]{0,30}") {
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
        prop_assert_eq!(from_json(&json).is_ok(), valid, "{}", json);
    }

    #[test]
    fn tokens_are_as_long_as_rmp_writes_them(number in any::<i64>()) {
        let bytes = written(&number);
        let mut reader = Reader::new(&bytes);
        let token = reader.token().unwrap();
        prop_assert!(reader.is_at_end());
        prop_assert_eq!(token, match u64::try_from(number) {
            Ok(number) => Token::Unsigned(number),
            Err(_) => Token::Signed(number),
        });
    }
}
