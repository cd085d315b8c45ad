//! Messages of plain clients against serde_json: what is taken is JSON with the same event and data, and what is sent is
//! read again; the short form and the one of bytes likewise.

use gatewire_proto::envelope::{
    ArrayCodec, CodecError, Incoming, JsonCodec, MessageCodec, MsgpackCodec, Outgoing, Subject, WireKind,
};
use gatewire_proto::socketio::Limits;
use serde_json::Value;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let data = crate::text(input);
    let limits = Limits {
        max_depth: 8,
        ..Limits::default()
    };
    if let Ok(incoming) = MsgpackCodec.decode_binary(data.as_bytes(), &limits) {
        comes_back(&MsgpackCodec, incoming);
    }
    let reference: Result<Value, _> = serde_json::from_str(data);
    match ArrayCodec.decode_text(data, &limits) {
        Ok(incoming) => comes_back(&ArrayCodec, incoming),
        Err(CodecError::Json { .. }) => assert!(reference.is_err()),
        Err(_) => {}
    }
    let incoming = match JsonCodec.decode_text(data, &limits) {
        Ok(incoming) => incoming,
        Err(CodecError::Json { .. }) => return assert!(reference.is_err()),
        Err(_) => return,
    };
    // Half a surrogate pair is JSON for the scanner, and the type's affair for serde.
    let Ok(reference) = reference else { return };
    if let Some(read) = &incoming.data {
        assert_eq!(
            serde_json::from_str::<Value>(read).ok().as_ref(),
            reference.get("data")
        );
    }
    let Subject::Event(event) = &incoming.subject else {
        return;
    };
    assert_eq!(Some(&**event), reference["event"].as_str());
    comes_back(&JsonCodec, incoming);
}

/// What was taken is taken again when it is sent.
fn comes_back(codec: &dyn MessageCodec, incoming: Incoming<'_>) {
    let Subject::Event(event) = &incoming.subject else {
        return;
    };
    let message = Outgoing {
        event,
        data: incoming.data.as_deref(),
        id: incoming.id.as_deref(),
        ack: None,
        attachments: &incoming.attachments,
    };
    let mut out = Vec::new();
    let limits = Limits::default();
    match codec.encode(&message, &mut out).expect("the form holds it") {
        WireKind::Binary => assert_eq!(codec.decode_binary(&out, &limits).map(of), Ok(of(incoming))),
        WireKind::Text => {
            let out = std::str::from_utf8(&out).expect("it is text");
            assert_eq!(codec.decode_text(out, &limits).map(of), Ok(of(incoming)));
        }
    }
}

/// The parts that come back byte for byte: a form without JSON writes numbers in its own way.
fn of(incoming: Incoming<'_>) -> (String, bool, bool, usize) {
    let Subject::Event(event) = incoming.subject else {
        unreachable!("it was an event")
    };
    (
        event.into_owned(),
        incoming.data.is_some(),
        incoming.id.is_some(),
        incoming.attachments.len(),
    )
}
