//! A MessagePack packet from any bytes: what is accepted splits into arguments without a rest, reads the same directly
//! and by way of JSON, and survives the text form and back.

use bytes::Bytes;
use gatewire_proto::socketio::msgpack::{
    ArgSlice, Data, TranscodeError, decode, encode, from_msgpack, transcode_args_to_json,
    transcode_from_json, transcode_to_json,
};
use gatewire_proto::socketio::{self, Limits, PacketKind, put_json_string};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Runs the target on one input.
pub fn run(message: &[u8]) {
    value(message);
    let limits = Limits {
        max_depth: 8,
        ..Limits::default()
    };
    let Ok(packet) = decode(message, &limits) else {
        return;
    };
    let (name, args) = match &packet.data {
        Data::Event(event) => (Some(&*event.name), event.args),
        Data::Ack(args) => (None, *args),
        Data::Value(value) => (None, ArgSlice::from_parts(value, 1)),
        Data::None => (None, ArgSlice::default()),
    };
    assert_eq!(args.iter().count(), args.len());
    assert_eq!(args.iter().map(<[u8]>::len).sum::<usize>(), args.bytes().len());
    for arg in args {
        from_msgpack::<IgnoredAny>(arg).expect("checked");
        value(arg);
    }

    let is_array = matches!(packet.data, Data::Event(_) | Data::Ack(_));
    let (mut json, mut attachments) = (Vec::new(), Vec::new());
    if is_array {
        json.push(b'[');
    }
    if let Some(name) = name {
        put_json_string(&mut json, name);
        if !args.is_empty() {
            json.push(b',');
        }
    }
    if transcode_args_to_json(args, &mut json, &mut attachments, limits.max_attachments).is_err() {
        return;
    }
    if is_array {
        json.push(b']');
    }
    if !is_array && !attachments.is_empty() {
        return; // `auth` with bytes has no text form.
    }
    let kind = match packet.kind {
        PacketKind::Event if !attachments.is_empty() => PacketKind::BinaryEvent,
        PacketKind::Ack if !attachments.is_empty() => PacketKind::BinaryAck,
        kind => kind,
    };
    let text = socketio::Packet {
        kind,
        namespace: packet.namespace,
        id: packet.id,
        attachments: attachments.len(),
        data: std::str::from_utf8(&json).expect("JSON is text"),
    };
    if is_array {
        let data = socketio::scan_args(text.data, &limits).expect("what was decoded is within the limits");
        assert_eq!(data.len(), args.len() + usize::from(name.is_some()));
    }
    let mut again = Vec::new();
    encode(&text, &attachments, &mut again).expect("it came from there");
    let again = decode(&again, &limits).expect("it came from there");
    assert_eq!(
        (again.kind, again.namespace, again.id),
        (packet.kind, packet.namespace, packet.id)
    );
    if let (Data::Event(one), Data::Event(other)) = (&packet.data, &again.data) {
        assert_eq!((&one.name, one.args.len()), (&other.name, other.args.len()));
    }
}

/// One value: the three readers agree whether it is one, and what it says.
fn value(bytes: &[u8]) {
    let is_value = from_msgpack::<IgnoredAny>(bytes).is_ok();
    let direct = from_msgpack::<Value>(bytes);
    let (mut json, mut attachments) = (Vec::new(), Vec::<Bytes>::new());
    match transcode_to_json(bytes, &mut json, &mut attachments, usize::MAX) {
        Ok(()) => {
            assert!(is_value);
            let json = String::from_utf8(json).expect("JSON is text");
            let value: Value = serde_json::from_str(&json).expect("JSON");
            if attachments.is_empty() {
                assert!(is_same(&direct.expect("no bytes in it"), &value));
            }
            let mut packed = Vec::new();
            transcode_from_json(&json, &attachments, &mut packed).expect("JSON");
            let (mut json_again, mut attachments_again) = (Vec::new(), Vec::new());
            transcode_to_json(&packed, &mut json_again, &mut attachments_again, usize::MAX).expect("checked");
            assert_eq!(json_again, json.as_bytes());
            assert_eq!(attachments_again, attachments);
        }
        Err(TranscodeError::Placeholder) => {}
        Err(_) => assert!(!is_value),
    }
}

/// Equal, but that serde_json reads some floats one unit in the last place off.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let both = (one.as_f64(), other.as_f64());
            let (Some(a), Some(b)) = both else {
                return false;
            };
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
