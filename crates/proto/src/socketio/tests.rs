//! The whole way of a packet, head and body, against what the official parser (socket.io-parser 4.2.7) does with the
//! same text, and the round trip of everything that can be written.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What a receiver does with a text message, up to the point where a binary packet waits.
fn receive(text: &str) -> Result<Packet<'_>, DecodeError> {
    let limits = Limits::default();
    let packet = decode(text, &limits)?;
    match packet.kind {
        PacketKind::Event => drop(scan_event(packet.data, &limits)?),
        PacketKind::Ack => drop(scan_args(packet.data, &limits)?),
        PacketKind::BinaryEvent | PacketKind::BinaryAck => match Assembler::new(&packet, &limits) {
            Ok(_) => {}
            Err(AttachmentError::Packet(error)) => return Err(error),
            Err(other) => panic!("{text:?}: {other}"),
        },
        _ => {}
    }
    Ok(packet)
}

/// What the official parser makes of a text, and what this one does.
enum Verdict {
    /// Both take it.
    Same,
    /// Both refuse it.
    Refused,
    /// The official parser takes it by accident, this one refuses it.
    Stricter,
}

use Verdict::{Refused, Same, Stricter};

#[test]
fn the_official_parsers_vectors() {
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    let one_attachment = format!(r#"51-["a",{placeholder}]"#);
    let with_namespace = format!(r#"51-/adm,7["a",{placeholder}]"#);
    let ack = format!("61-12[{placeholder}]");
    let table: [(&str, Verdict); 74] = [
        ("0", Same),
        ("0/adm,", Same),
        ("0/adm", Same),
        (r#"0{"a":1}"#, Same),
        (r#"0/adm,{"a":1}"#, Same),
        ("0/adm?x=1,", Same),
        ("0[]", Refused),
        ("0null", Refused),
        (r#"0"""#, Refused),
        ("1", Same),
        ("1/adm,", Same),
        ("1/adm", Same),
        ("1{}", Refused),
        (r#"2["a"]"#, Same),
        (r#"2/adm,["a",1]"#, Same),
        (r#"2/adm/x,12["a"]"#, Same),
        (r#"212["a"]"#, Same),
        (r#"2 1["a"]"#, Stricter),
        (r#"2-1["a"]"#, Refused),
        (r#"20["a"]"#, Same),
        (r#"21e3["a"]"#, Refused),
        (r#"21.5["a"]"#, Refused),
        (r#"2123456789012345678901234567890["a"]"#, Stricter),
        ("2", Stricter),
        ("25", Stricter),
        ("2[]", Refused),
        ("2{}", Refused),
        (r#"2"a""#, Refused),
        (r#"2["connect"]"#, Refused),
        (r#"2["disconnecting"]"#, Refused),
        (r#"2["newListener"]"#, Refused),
        (r#"2["connect_error"]"#, Refused),
        (r#"2["error"]"#, Same),
        (r#"2["connection"]"#, Same),
        (r#"2["__proto__"]"#, Same),
        (r#"2[1,"x"]"#, Same),
        ("2[null]", Refused),
        ("2[true]", Refused),
        ("2[{}]", Refused),
        (r#"2[["a"]]"#, Refused),
        (r#"2["a"]x"#, Refused),
        (r#"2 ["a"]"#, Stricter),
        (r#"2[ "a" ]"#, Same),
        ("3", Stricter),
        ("31", Stricter),
        ("31[]", Same),
        (r#"31["x"]"#, Same),
        ("3[]", Stricter),
        ("31{}", Refused),
        ("4", Same),
        (r#"4"err""#, Same),
        (r#"4{"message":"x"}"#, Same),
        ("4[]", Refused),
        (r#"4/adm,{"message":"x"}"#, Same),
        (r#"5["a"]"#, Refused),
        (r#"50-["a"]"#, Refused),
        (&one_attachment, Same),
        (r#"5-1-["a"]"#, Refused),
        (r#"51.0-["a"]"#, Stricter),
        (r#"5 1-["a"]"#, Stricter),
        (r#"5-["a"]"#, Refused),
        (r#"5+1-["a"]"#, Stricter),
        (r#"510-["a"]"#, Same),
        (r#"511-["a"]"#, Refused),
        (r#"5Infinity-["a"]"#, Refused),
        (r#"50x1-["a"]"#, Stricter),
        (&with_namespace, Same),
        (&ack, Same),
        ("61-12{}", Refused),
        ("7", Refused),
        ("a", Refused),
        ("", Stricter),
        ("9[]", Refused),
        ("-1", Refused),
    ];
    for (text, verdict) in table {
        let received = receive(text);
        assert_eq!(
            received.is_ok(),
            matches!(verdict, Same),
            "{text:?}: {received:?}"
        );
    }
}

#[test]
fn hostile_texts_are_refused_fast() {
    let long = 200_000;
    let table = [
        format!("2{}", "[".repeat(long)),
        format!("2[\"a\",{}", "[".repeat(long)),
        format!("2[\"a\",{}1{}]", "[".repeat(long), "]".repeat(long)),
        format!("2[\"a\",{}", "{\"a\":".repeat(long)),
        format!("0{}", "{\"a\":".repeat(long)),
        format!("51-[\"a\",{}", "[".repeat(long)),
        format!("31[{}", "[".repeat(long)),
        "2".repeat(long),
        format!("5{}-[\"a\"]", "9".repeat(long)),
        format!("51{}", "-".repeat(long)),
        format!("0/{}", "a".repeat(long)),
        format!("0/{},", "a".repeat(long)),
        format!("2[\"{}", "a".repeat(long)),
        format!("2[\"{}", "\\".repeat(long)),
        format!("2[\"a\",{}]", "-".repeat(long)),
        format!("2[\"a\"{}", " ".repeat(long)),
        format!("2{}", "\u{0}".repeat(long)),
        format!("2[\"a\"{}]", ",".repeat(long)),
    ];
    for text in &table {
        assert!(receive(text).is_err(), "{:?}", &text[..20]);
    }
}

/// JSON values whose text serde_json can read back to the same value.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[^_]{0,5}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[^,]{1,20}"]
}

proptest! {
    #[test]
    fn events_survive(
        namespace in namespace(),
        id in prop::option::of(0..=MAX_ID),
        name in any::<String>().prop_filter("reserved", |name| !is_reserved(name)),
        args in prop::collection::vec(json(), 0..4),
        blobs in prop::collection::vec(any::<Vec<u8>>(), 0..4),
    ) {
        let mut body = Vec::new();
        let mut attachments = Vec::new();
        body.push(b'[');
        put_json_string(&mut body, &name);
        for arg in &args {
            body.push(b',');
            to_json(&mut body, arg, &mut attachments).unwrap();
        }
        for blob in &blobs {
            body.push(b',');
            to_json(&mut body, &Bytes::from(blob.clone()), &mut attachments).unwrap();
        }
        body.push(b']');
        prop_assert_eq!(attachments.len(), blobs.len());
        let kind = if blobs.is_empty() { PacketKind::Event } else { PacketKind::BinaryEvent };
        let mut text = Vec::new();
        put_head(&mut text, kind, &namespace, id, attachments.len());
        text.extend_from_slice(&body);
        let text = String::from_utf8(text).unwrap();

        let limits = Limits::default();
        let packet = decode(&text, &limits).unwrap();
        prop_assert_eq!(packet, Packet {
            kind,
            namespace: &namespace,
            id,
            attachments: blobs.len(),
            data: std::str::from_utf8(&body).unwrap(),
        });
        let mut received = Vec::new();
        if kind.is_binary() {
            let mut assembler = Assembler::new(&packet, &limits).unwrap();
            for attachment in &attachments {
                if let Some((owned, all)) = assembler.push(attachment.clone()).unwrap() {
                    prop_assert_eq!(owned.as_packet(), packet);
                    received = all;
                }
            }
        }
        let event = scan_event(packet.data, &limits).unwrap();
        prop_assert_eq!(&*event.name, &*name);
        prop_assert_eq!(event.args.len(), args.len() + blobs.len());
        prop_assert_eq!(event.args.iter().count(), event.args.len());
        for (index, arg) in event.args.iter().enumerate() {
            if let Some(expected) = args.get(index) {
                prop_assert_eq!(&from_json::<Value>(arg, &received).unwrap(), expected);
            } else {
                let bytes: Bytes = from_json(arg, &received).unwrap();
                prop_assert_eq!(&bytes[..], &blobs[index - args.len()][..]);
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[0-7][\\[\\]{}\",:\\\\a0-9/.e_\\- né]{0,40}") {
        let _ = receive(&text);
    }

    #[test]
    fn any_string_never_panics(text in any::<String>()) {
        let _ = receive(&text);
        let _ = scan_event(&text, &Limits::default());
        let _ = scan_args(&text, &Limits::default());
        prop_assert_eq!(ArgSlice::from_parts(&text, 3).iter().count() <= text.len(), true);
    }
}
