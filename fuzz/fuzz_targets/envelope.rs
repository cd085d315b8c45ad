//! Messages of plain clients against serde_json: what is taken is JSON with the same event and data, and what is sent is
//! read again.
#![no_main]

use gatewire_proto::envelope::{CodecError, JsonCodec, MessageCodec, Outgoing, Subject};
use gatewire_proto::socketio::Limits;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &str| {
    let limits = Limits {
        max_depth: 8,
        ..Limits::default()
    };
    let reference: Result<Value, _> = serde_json::from_str(data);
    let incoming = match JsonCodec.decode_text(data, &limits) {
        Ok(incoming) => incoming,
        Err(CodecError::Json { .. }) => return assert!(reference.is_err()),
        Err(_) => return,
    };
    // Half a surrogate pair is JSON for the scanner, and the type's affair for serde.
    let Ok(reference) = reference else { return };
    if let Some(read) = &incoming.data {
        assert_eq!(serde_json::from_str::<Value>(read).ok().as_ref(), reference.get("data"));
    }
    let Subject::Event(event) = &incoming.subject else { return };
    assert_eq!(Some(&**event), reference["event"].as_str());
    let mut out = Vec::new();
    let message = Outgoing {
        event,
        data: incoming.data.as_deref(),
        id: incoming.id.as_deref(),
        ack: None,
        attachments: &[],
    };
    JsonCodec.encode(&message, &mut out).expect("JSON holds it");
    let out = std::str::from_utf8(&out).expect("it is text");
    assert_eq!(JsonCodec.decode_text(out, &Limits::default()), Ok(incoming));
});
