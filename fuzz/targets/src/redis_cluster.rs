//! A message between nodes from any bytes: as one that came over a channel, as the data of an entry of a stream, and as a
//! session. What is understood says the same when it is written again, in each form.

use gatewire_cluster::wire::cluster::{Entry, Form, Frame, Limits, Message, decode_session, encode_session};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let limits = Limits {
        max_bytes: 1 << 16,
        max_attachments: 16,
    };
    if let Ok(frame) = Frame::read(bytes, &limits)
        && let Ok(message) = frame.message()
    {
        is_read_again(&message);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for kind in 0..15 {
        let kind = kind.to_string();
        let fields = [("nsp", "/"), ("type", kind.as_str()), ("data", text)];
        let Ok(entry) = Entry::read(fields, &limits) else {
            continue;
        };
        if let Ok(body) = entry.body() {
            is_read_again(&Message {
                uid: entry.uid.into(),
                namespace: entry.namespace.into(),
                body,
            });
        }
    }
    if let Ok(Some(kept)) = decode_session(text, &limits)
        && let Ok(again) = encode_session(&kept.session, "/")
    {
        let again = decode_session(&again, &Limits::default()).expect("it was read before");
        assert_eq!(again.expect("it has an id").session, kept.session);
    }
}

fn is_read_again(message: &Message<'_>) {
    let limits = Limits::default();
    for form in [Form::Text, Form::Msgpack] {
        // MessagePack has no place for what JSON nests too deep, or for a placeholder of nothing.
        let Ok(bytes) = message.encode(form) else {
            continue;
        };
        let Ok(frame) = Frame::read(&bytes, &limits) else {
            continue;
        };
        let again = frame.message().expect("it was understood before");
        assert_eq!((&again.uid, &again.namespace), (&message.uid, &message.namespace));
        assert_eq!(again.body.kind(), message.body.kind());
        if form == Form::Text {
            assert_eq!(again.encode(form).expect("it is text"), bytes);
        }
    }
}
