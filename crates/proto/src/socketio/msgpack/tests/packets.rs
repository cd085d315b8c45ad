//! Whole packets: recorded ones, and everything that is none.

use bytes::Bytes;
use serde_json::Value;

use super::*;

#[test]
fn recorded_packets_in_both_directions() {
    let one = [Bytes::from_static(&[1])];
    let table: [(&str, &str, &[Bytes]); 5] = [
        (
            "83a47479706500a36e7370a12fa46461746181a3736964a3616263",
            r#"0{"sid":"abc"}"#,
            &[],
        ),
        ("82a47479706501a36e7370a12f", "1", &[]),
        ("83a47479706502a36e7370a12fa46461746192a16101", r#"2["a",1]"#, &[]),
        (
            "84a47479706502a36e7370a42f61646da46461746192a161c40101a2696403",
            r#"51-/adm,3["a",{"_placeholder":true,"num":0}]"#,
            &one,
        ),
        ("84a47479706503a36e7370a12fa4646174619101a2696400", "30[1]", &[]),
    ];
    for (bytes, text, attachments) in table {
        let bytes = hex(bytes);
        let packet = decoded(&bytes).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(as_text(&packet).unwrap(), (text.to_owned(), attachments.to_vec()));
        assert_eq!(from_text(text, attachments), bytes, "{text}");
    }
}

#[test]
fn the_parts_of_an_event() {
    let bytes = hex("84a47479706502a36e7370a42f61646da46461746192a161c40101a2696403");
    let packet = decoded(&bytes).unwrap();
    assert_eq!(
        (packet.kind, packet.namespace, packet.id),
        (PacketKind::Event, "/adm", Some(3))
    );
    let Data::Event(event) = packet.data else {
        panic!("{packet:?}");
    };
    assert_eq!((&*event.name, event.args.len()), ("a", 1));
    assert_eq!(event.args.bytes(), [0xc4, 1, 1]);
    assert_eq!(event.args.get(0), Some(&[0xc4, 1, 1][..]));
    assert_eq!(event.args.get(1), None);
    let bytes: Bytes = from_msgpack(event.args.get(0).unwrap()).unwrap();
    assert_eq!(bytes, [1][..]);
    let stored = ArgSlice::from_parts(&[1, 0xa1, b'x', 0x90], 3);
    assert_eq!(
        stored.into_iter().collect::<Vec<_>>(),
        [&[1][..], &[0xa1, b'x'], &[0x90]]
    );
    assert_eq!(stored.get(1), Some(&[0xa1, b'x'][..]));
}

#[test]
fn keys_come_in_any_order_and_strange_ones_are_ignored() {
    let table = [
        // data, id, nsp, type
        "84a4646174619101a2696400a36e7370a12fa474797065 03",
        // options:{compress:true} as the official client sends it, and attachments: undefined
        "86a47479706503a46461746191 01a76f7074696f6e7381a8636f6d7072657373c3a2696400\
         a36e7370a12faB6174746163686d656e7473d40000",
        // The same numbers, not in their shortest form, the map's length neither.
        "de0004a474797065cc03a36e7370d9012fa464617461dc000101a2696_4d300000000000000 00",
    ];
    for text in table {
        let bytes = hex(text);
        assert_eq!(as_text(&decoded(&bytes).unwrap()).unwrap().0, "30[1]", "{text}");
    }
}

#[test]
fn undefined_and_nil_are_nothing() {
    for nothing in ["c0", "d40000", "c7010000"] {
        for kind in ["00", "01"] {
            let bytes = hex(&format!(
                "84a474797065{kind}a36e7370a12fa464617461{nothing}a26964{nothing}"
            ));
            let packet = decoded(&bytes).unwrap();
            assert_eq!((packet.id, packet.data), (None, Data::None));
        }
        assert_eq!(from_msgpack::<Option<u8>>(&hex(nothing)), Ok(None));
        assert_eq!(from_msgpack::<Option<String>>(&hex(nothing)), Ok(None));
        assert_eq!(from_msgpack::<Value>(&hex(nothing)), Ok(Value::Null));
        assert_eq!(from_msgpack::<()>(&hex(nothing)), Ok(()));
        assert_eq!(to_json(&hex(nothing)).unwrap(), "null");
    }
}

#[test]
fn dates_of_all_dialects() {
    let table = [
        ("d7000000018bcfe5687b", "2023-11-14T22:13:20.123Z"),
        ("c708000000018bcfe5687b", "2023-11-14T22:13:20.123Z"),
        ("d700ffffffffffffffff", "1969-12-31T23:59:59.999Z"),
        ("d7ff1d5353006553f100", "2023-11-14T22:13:20.123Z"),
        ("d6ff6553f100", "2023-11-14T22:13:20.000Z"),
        ("c70cff00000000ffffffffffffffff", "1969-12-31T23:59:59.000Z"),
    ];
    for (bytes, text) in table {
        let bytes = hex(bytes);
        assert_eq!(from_msgpack::<String>(&bytes).unwrap(), text);
        assert_eq!(
            from_msgpack::<Option<String>>(&bytes).unwrap().as_deref(),
            Some(text)
        );
        assert_eq!(to_json(&bytes).unwrap(), format!("\"{text}\""));
    }
    for invalid in ["d7007fffffffffffffff", "c70cff000000007fffffffffffffff"] {
        assert_eq!(to_json(&hex(invalid)).unwrap(), "null");
        assert_eq!(from_msgpack::<Option<String>>(&hex(invalid)), Ok(None));
        assert_eq!(from_msgpack::<Value>(&hex(invalid)), Ok(Value::Null));
    }
}

/// A packet map with these values; `None` leaves the key out.
fn message(kind: Option<&str>, namespace: Option<&str>, data: Option<&str>, id: Option<&str>) -> Vec<u8> {
    let fields = [
        ("a474797065", kind),
        ("a36e7370", namespace),
        ("a464617461", data),
        ("a26964", id),
    ];
    let there = fields.iter().filter(|(_, value)| value.is_some()).count();
    let mut text = format!("8{there}");
    for (key, value) in fields {
        if let Some(value) = value {
            text.push_str(key);
            text.push_str(value);
        }
    }
    hex(&text)
}

#[test]
fn refused_packets() {
    use DecodeError as E;
    use PacketKind::{Ack, Connect, ConnectError, Disconnect, Event};
    let root = Some("a12f");
    let table = [
        (message(None, root, None, None), E::Kind),
        (message(Some("05"), root, Some("91a161"), None), E::Kind),
        (message(Some("ff"), root, None, None), E::Kind),
        (message(Some("a130"), root, None, None), E::Kind),
        (message(Some("cb0000000000000000"), root, None, None), E::Kind),
        (message(Some("c0"), root, None, None), E::Kind),
        (message(Some("00"), None, None, None), E::Namespace),
        (message(Some("00"), Some("01"), None, None), E::Namespace),
        (message(Some("00"), Some("c0"), None, None), E::Namespace),
        (message(Some("00"), Some("c4012f"), None, None), E::Namespace),
        (
            message(Some("00"), root, Some("90"), None),
            E::Data { kind: Connect },
        ),
        (
            message(Some("00"), root, Some("a0"), None),
            E::Data { kind: Connect },
        ),
        (
            message(Some("01"), root, Some("80"), None),
            E::Data { kind: Disconnect },
        ),
        (message(Some("02"), root, None, None), E::Data { kind: Event }),
        (
            message(Some("02"), root, Some("c0"), None),
            E::Data { kind: Event },
        ),
        (
            message(Some("02"), root, Some("80"), None),
            E::Data { kind: Event },
        ),
        (
            message(Some("02"), root, Some("a161"), None),
            E::Data { kind: Event },
        ),
        (
            message(Some("03"), root, Some("80"), Some("00")),
            E::Data { kind: Ack },
        ),
        (message(Some("03"), root, None, Some("00")), E::Data { kind: Ack }),
        (
            message(Some("04"), root, Some("90"), None),
            E::Data { kind: ConnectError },
        ),
        (
            message(Some("04"), root, Some("01"), None),
            E::Data { kind: ConnectError },
        ),
        (message(Some("02"), root, Some("90"), None), E::EventName),
        (message(Some("02"), root, Some("91c0"), None), E::EventName),
        (message(Some("02"), root, Some("91c3"), None), E::EventName),
        (message(Some("02"), root, Some("9180"), None), E::EventName),
        (message(Some("02"), root, Some("9190"), None), E::EventName),
        (message(Some("02"), root, Some("91c40161"), None), E::EventName),
        (
            message(Some("02"), root, Some("91cb7ff8000000000000"), None),
            E::EventName,
        ),
        (
            message(Some("02"), root, Some("91aa646973636f6e6e656374"), None),
            E::ReservedEvent("disconnect".to_owned()),
        ),
        (message(Some("02"), root, Some("91a161"), Some("ff")), E::Id),
        (message(Some("02"), root, Some("91a161"), Some("a130")), E::Id),
        (
            message(Some("02"), root, Some("91a161"), Some("cb3ff0000000000000")),
            E::Id,
        ),
        (
            message(Some("02"), root, Some("91a161"), Some("cf0020000000000000")),
            E::Id,
        ),
        (message(Some("03"), root, Some("90"), None), E::MissingId),
        (message(Some("03"), root, Some("90"), Some("c0")), E::MissingId),
        (message(Some("00"), root, None, Some("00")), E::Id),
        (message(Some("01"), root, None, Some("00")), E::Id),
        (hex(""), E::Malformed { offset: 0 }),
        (hex("90"), E::NotAPacket),
        (hex("c0"), E::NotAPacket),
        (hex("a16b"), E::NotAPacket),
        (hex("8101 01"), E::Key { offset: 1 }),
        (hex("82a47479706501a47479706501"), E::NotAPacket),
        (hex("82a47479706501a36e7370a12f00"), E::Trailing { offset: 13 }),
        (hex("82a47479706501a36e7370a1"), E::Malformed { offset: 12 }),
        (hex("82a47479706501a36e7370a1ff"), E::Utf8 { offset: 12 }),
        (hex("82a47479706501a36e7370c1"), E::Malformed { offset: 11 }),
        (
            hex("82a161d40700a47479706501"),
            E::Extension { offset: 3, kind: 7 },
        ),
        (
            hex("82a161d50000 00a47479706501"),
            E::Extension { offset: 3, kind: 0 },
        ),
        (
            hex("82a161d4ff00a47479706501"),
            E::Extension { offset: 3, kind: -1 },
        ),
        (hex("82a16181c001a47479706501"), E::Key { offset: 4 }),
        (hex("82a1618190 01a47479706501"), E::Key { offset: 4 }),
    ];
    for (bytes, error) in table {
        assert_eq!(decoded(&bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn accepted_packets() {
    let root = Some("a12f");
    let table = [
        (message(Some("00"), root, Some("80"), None), "0{}"),
        (message(Some("04"), root, Some("a165"), None), "4\"e\""),
        (message(Some("04"), root, None, None), "4"),
        (message(Some("02"), root, Some("9101"), None), "2[\"1\"]"),
        (message(Some("02"), root, Some("91fe"), None), "2[\"-2\"]"),
        (
            message(Some("02"), root, Some("91cb3ff8000000000000"), None),
            "2[\"1.5\"]",
        ),
        (
            message(Some("02"), root, Some("91cb3ff0000000000000"), None),
            "2[\"1\"]",
        ),
        (
            message(Some("02"), root, Some("91a161"), Some("cf001fffffffffffff")),
            "29007199254740991[\"a\"]",
        ),
        (
            message(Some("03"), Some("a22f78"), Some("90"), Some("07")),
            "3/x,7[]",
        ),
    ];
    for (bytes, text) in table {
        assert_eq!(as_text(&decoded(&bytes).unwrap()).unwrap().0, text);
    }
}

#[test]
fn announced_lengths_are_not_believed() {
    let table = [
        "dfffffffff",
        "de000181",
        "82a47479706502a464617461ddffffffff",
        "82a47479706502a464617461dfffffffff",
        "82a47479706502a464617461c6ffffffff",
        "82a47479706502a464617461dbffffffff",
        "82a47479706502a464617461c9ffffffff00",
        "82a47479706502a46461746191df7fffffff",
        "82a47479706502a464617461dc0003 01",
    ];
    for text in table {
        let error = decoded(&hex(text)).unwrap_err();
        assert!(
            matches!(error, DecodeError::Malformed { .. }),
            "{text}: {error:?}"
        );
        assert!(from_msgpack::<Value>(&hex(text)).is_err());
        assert!(from_msgpack::<Vec<u8>>(&hex(text)).is_err());
        assert!(to_json(&hex(text)).is_err());
    }
}

#[test]
fn depth_and_names_are_limited() {
    // The array of the event is the first.
    let nested = |depth: usize| {
        let mut bytes = hex("83a47479706502a36e7370a12fa46461746192a161");
        bytes.resize(bytes.len() + depth - 2, 0x91);
        bytes.push(0x90);
        bytes
    };
    assert!(decoded(&nested(100)).is_ok());
    assert_eq!(decoded(&nested(101)), Err(DecodeError::TooDeep));
    let deepest = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    assert!(decode(&nested(127), &deepest).is_ok());
    assert_eq!(decode(&nested(128), &deepest), Err(DecodeError::TooDeep));
    assert_eq!(decode(&nested(1_000_000), &deepest), Err(DecodeError::TooDeep));

    let deep = [vec![0x91; 200_000], vec![0]].concat();
    let too_deep = DecodeError::TooDeep;
    assert_eq!(from_msgpack::<Value>(&deep), Err(too_deep.clone().into()));
    assert_eq!(
        from_msgpack::<serde::de::IgnoredAny>(&deep).map(drop),
        Err(too_deep.clone().into())
    );
    assert_eq!(to_json(&deep), Err(too_deep.clone().into()));
    let json = "[".repeat(200_000);
    assert_eq!(from_json(&json), Err(too_deep.into()));

    let limits = Limits {
        max_namespace: 3,
        ..Limits::default()
    };
    assert!(decode(&message(Some("01"), Some("a32f6162"), None, None), &limits).is_ok());
    assert_eq!(
        decode(&message(Some("01"), Some("a42f616263"), None, None), &limits),
        Err(DecodeError::NamespaceTooLong { max: 3 })
    );
}
