//! The envelope in MessagePack: one binary message for each, with bytes in their places.

use std::borrow::Cow;

use super::{CodecError, Incoming, JsonCodec, MessageCodec, Outgoing, Subject, WireKind};
use crate::json::put_json_string;
use crate::pieces::Pieces;
use crate::socketio::{Limits, msgpack};

/// The map `{event, data, id, ack}` of the default form as MessagePack, in binary messages, as any library of it writes and
/// reads them. What its fields mean is said at [`JsonCodec`]. Bytes are bytes here, and need no base64.
#[derive(Clone, Copy, Debug, Default)]
pub struct MsgpackCodec;

impl MessageCodec for MsgpackCodec {
    fn decode_text<'a>(&self, _: &'a str, _: &Limits) -> Result<Incoming<'a>, CodecError> {
        Err(CodecError::UnexpectedText)
    }

    fn decode_binary<'a>(&self, message: &'a [u8], limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        msgpack::transcode_to_json(message, &mut json, &mut attachments, limits.max_attachments)
            .map_err(other)?;
        // What was written is text, so there is no other case.
        let json = String::from_utf8(json).unwrap_or_default();
        let incoming = JsonCodec.decode_text(&json, limits)?;
        Ok(Incoming {
            subject: match incoming.subject {
                Subject::Event(name) => Subject::Event(Cow::Owned(name.into_owned())),
                Subject::Answer(ack) => Subject::Answer(ack),
            },
            data: incoming.data.map(|data| Cow::Owned(data.into_owned())),
            id: incoming.id.map(|id| Cow::Owned(id.into_owned())),
            attachments,
        })
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        msgpack::transcode_from_json(&json(message)?, message.attachments, out).map_err(other)?;
        Ok(WireKind::Binary)
    }

    fn encode_in_pieces(&self, message: &Outgoing<'_>, out: &mut Pieces) -> Result<WireKind, CodecError> {
        msgpack::transcode_from_json_in_pieces(&json(message)?, message.attachments, out).map_err(other)?;
        Ok(WireKind::Binary)
    }
}

/// The default form of a message, with placeholders.
fn json(message: &Outgoing<'_>) -> Result<String, CodecError> {
    let mut json = b"{\"event\":".to_vec();
    put_json_string(&mut json, message.event);
    let ack = message.ack.map(|ack| ack.to_string());
    for (name, value) in [
        (",\"data\":", message.data),
        (",\"id\":", message.id),
        (",\"ack\":", ack.as_deref()),
    ] {
        if let Some(value) = value {
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(value.as_bytes());
        }
    }
    json.push(b'}');
    String::from_utf8(json).map_err(|error| CodecError::Other(error.to_string()))
}

fn other(error: msgpack::TranscodeError) -> CodecError {
    match error {
        msgpack::TranscodeError::Decode(msgpack::DecodeError::TooDeep) => CodecError::TooDeep,
        error => CodecError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Envelope<'a, T> {
        event: &'a str,
        data: T,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ack: Option<u64>,
    }

    fn decode(message: &[u8]) -> Result<Incoming<'_>, CodecError> {
        MsgpackCodec.decode_binary(message, &Limits::default())
    }

    #[test]
    fn messages_of_any_library_are_read() {
        let message = rmp_serde::to_vec_named(&Envelope {
            event: "e",
            data: (1, serde_bytes(b"\xff\x00"), "x"),
            id: Some(7),
            ack: None,
        })
        .unwrap();
        let expected = Incoming {
            subject: Subject::Event("e".into()),
            data: Some(r#"[1,{"_placeholder":true,"num":0},"x"]"#.into()),
            id: Some("7".into()),
            attachments: vec![Bytes::from_static(b"\xff\x00")],
        };
        assert_eq!(decode(&message), Ok(expected));
    }

    /// Bytes that `rmp-serde` writes as bytes.
    fn serde_bytes(bytes: &'static [u8]) -> Bytes {
        Bytes::from_static(bytes)
    }

    #[test]
    fn what_is_no_message() {
        let pack = |json: &str| {
            let mut out = Vec::new();
            msgpack::transcode_from_json(json, &[], &mut out).unwrap();
            out
        };
        let deep = pack(&format!(
            r#"{{"event":"e","data":{}{}}}"#,
            "[".repeat(110),
            "]".repeat(110)
        ));
        let table = [
            (pack("[]"), CodecError::NotAnObject),
            (pack("{}"), CodecError::NoEvent),
            (pack(r#"{"event":1}"#), CodecError::EventName),
            (pack(r#"{"event":"e","id":[]}"#), CodecError::Id),
            (deep, CodecError::TooDeep),
        ];
        for (message, expected) in table {
            assert_eq!(decode(&message), Err(expected), "{message:x?}");
        }
        for message in [&b""[..], b"\x81", b"\xc1", b"\x80\x80"] {
            assert!(
                matches!(decode(message), Err(CodecError::Other(_))),
                "{message:x?}"
            );
        }
        let text = MsgpackCodec.decode_text("{}", &Limits::default());
        assert_eq!(text, Err(CodecError::UnexpectedText));
    }

    #[test]
    fn messages_of_the_server() {
        let attachments = [Bytes::from_static(b"\xff\x00")];
        let message = Outgoing {
            event: "e",
            data: Some(r#"[1,{"_placeholder":true,"num":0}]"#),
            id: Some("7"),
            ack: None,
            attachments: &attachments,
        };
        let mut out = b"before".to_vec();
        assert_eq!(MsgpackCodec.encode(&message, &mut out), Ok(WireKind::Binary));
        let expected = rmp_serde::to_vec_named(&Envelope {
            event: "e",
            data: (1, serde_bytes(b"\xff\x00")),
            id: Some(7),
            ack: None,
        })
        .unwrap();
        assert_eq!(out.strip_prefix(b"before"), Some(&*expected));
        let mut pieces = Pieces::from(b"before".to_vec());
        assert_eq!(
            MsgpackCodec.encode_in_pieces(&message, &mut pieces),
            Ok(WireKind::Binary)
        );
        assert_eq!(pieces.into_own(), out);
        let refused = Outgoing {
            data: Some("{"),
            ..message
        };
        assert!(MsgpackCodec.encode(&refused, &mut out).is_err());
    }

    #[test]
    fn large_attachments_are_shared() {
        let large = Bytes::from(vec![7; crate::large::LEAST]);
        let attachments = [large.clone(), Bytes::from_static(b"small")];
        let placeholder = |num| format!(r#"{{"_placeholder":true,"num":{num}}}"#);
        let (zero, one) = (placeholder(0), placeholder(1));
        // So many that the head of the array grows when they are counted, and one within another one's place.
        let data = format!(
            r#"[{},{{"_placeholder":true,"num":1,"in":{zero}}},{zero}]"#,
            [&*zero, &one].repeat(20).join(",")
        );
        let message = Outgoing {
            event: "e",
            data: Some(&data),
            id: Some("7"),
            ack: None,
            attachments: &attachments,
        };
        let mut out = Vec::new();
        MsgpackCodec.encode(&message, &mut out).unwrap();
        let mut pieces = Pieces::default();
        MsgpackCodec.encode_in_pieces(&message, &mut pieces).unwrap();
        assert_eq!(pieces.len(), out.len());
        let bytes = pieces.into_bytes(0);
        let shared = bytes.iter().filter(|piece| piece.as_ptr() == large.as_ptr());
        assert_eq!(shared.count(), 21);
        assert_eq!(bytes.concat(), out);

        let refused = Outgoing {
            data: Some(&data[..data.len() - 1]),
            ..message
        };
        let mut pieces = Pieces::from(b"before".to_vec());
        assert!(MsgpackCodec.encode_in_pieces(&refused, &mut pieces).is_err());
        assert_eq!(pieces.into_bytes(0), [&b"before"[..]]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(message: Vec<u8>) {
            let _ = decode(&message);
        }

        #[test]
        fn what_goes_out_comes_in(event: String, text: String, id: u32) {
            prop_assume!(!crate::socketio::is_reserved(&event));
            let data = serde_json::to_string(&text).unwrap();
            let id = id.to_string();
            let message = Outgoing { event: &event, data: Some(&data), id: Some(&id), ack: None, attachments: &[] };
            let mut out = Vec::new();
            MsgpackCodec.encode(&message, &mut out).unwrap();
            let incoming = decode(&out).unwrap();
            let read: String = serde_json::from_str(&incoming.data.unwrap()).unwrap();
            prop_assert_eq!((incoming.subject, read, incoming.id.as_deref()), (Subject::Event(event.into()), text, Some(&*id)));
        }
    }
}
