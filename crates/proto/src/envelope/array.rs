//! The short form: one JSON array a message. It costs fewer bytes than the envelope and is written by hand as easily.

use super::json::{Fields, put_data};
use super::{CodecError, Incoming, MessageCodec, Outgoing, WireKind};
use crate::json::put_json_string;
use crate::json::scanner::Scanner;
use crate::socketio::Limits;

/// `["name", data]` both ways, and `["name"]` without data. A client that adds an id, a string or a number, as in
/// `["name", data, 7]`, gets `["name", data, 7]` as the answer. A message of the server that wants an answer has a fourth
/// part, `["name", data, null, n]`, and the client answers `[null, data, null, n]`. Bytes are base64 (RFC 4648 §4).
///
/// ```
/// use gatewire_proto::envelope::{ArrayCodec, MessageCodec, Subject};
/// use gatewire_proto::socketio::Limits;
///
/// let incoming = ArrayCodec.decode_text(r#"["chat",{"text":"hello"}]"#, &Limits::default()).unwrap();
/// assert_eq!(incoming.subject, Subject::Event("chat".into()));
/// assert_eq!(incoming.data.as_deref(), Some(r#"{"text":"hello"}"#));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrayCodec;

/// Event, data, id and ack.
const PARTS: usize = 4;

impl MessageCodec for ArrayCodec {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        let mut scanner = Scanner::new(message, limits.max_depth);
        scanner.skip_whitespace();
        if scanner.peek() != Some(b'[') {
            scanner.value()?;
            return Err(CodecError::NotAnArray);
        }
        scanner.enter()?;
        scanner.eat(b'[');
        let (mut parts, mut count) = ([None; PARTS], 0);
        scanner.skip_whitespace();
        while !scanner.eat(b']') {
            let start = scanner.position();
            scanner.value()?;
            let part = parts.get_mut(count).ok_or(CodecError::NotAnArray)?;
            *part = Some(&message[start..scanner.position()]);
            count += 1;
            scanner.skip_whitespace();
            if scanner.eat(b',') {
                scanner.skip_whitespace();
                if scanner.peek() == Some(b']') {
                    return Err(scanner.fault().into());
                }
            } else if scanner.peek() != Some(b']') {
                return Err(scanner.fault().into());
            }
        }
        scanner.skip_whitespace();
        if !scanner.is_at_end() {
            return Err(scanner.fault().into());
        }
        let [event, data, id, ack] = parts;
        let fields = Fields {
            event: event.filter(|event| *event != "null"),
            data,
            id,
            ack: ack.filter(|ack| *ack != "null"),
        };
        fields.into_incoming().map_err(|error| match error {
            CodecError::NoEvent | CodecError::EventName => CodecError::NotAnArray,
            error => error,
        })
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        out.push(b'[');
        put_json_string(out, message.event);
        let ack = message.ack.map(|ack| ack.to_string());
        let tail = [message.id, ack.as_deref()];
        let more = tail.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        if message.data.is_some() || more > 0 {
            out.push(b',');
            put_data(out, message.data.unwrap_or("null"), message.attachments)?;
        }
        for part in &tail[..more] {
            out.push(b',');
            out.extend_from_slice(part.unwrap_or("null").as_bytes());
        }
        out.push(b']');
        Ok(WireKind::Text)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::Subject;
    use super::*;

    fn decode(message: &str) -> Result<Incoming<'_>, CodecError> {
        ArrayCodec.decode_text(message, &Limits::default())
    }

    #[test]
    fn messages_of_clients() {
        let table = [
            (r#"["e"]"#, "e", None, None),
            (r#" [ "e" , {"a":[1]} ] "#, "e", Some(r#"{"a":[1]}"#), None),
            (r#"["\u0065\n",null]"#, "e\n", Some("null"), None),
            (r#"["e",1,"x"]"#, "e", Some("1"), Some("\"x\"")),
            (r#"["e",1,7,null]"#, "e", Some("1"), Some("7")),
            (r#"["e",1,null,null]"#, "e", Some("1"), None),
        ];
        for (message, name, data, id) in table {
            let expected = Incoming {
                subject: Subject::Event(name.into()),
                data: data.map(Cow::Borrowed),
                id: id.map(Cow::Borrowed),
                attachments: Vec::new(),
            };
            assert_eq!(decode(message), Ok(expected), "{message}");
        }
        let answer = decode("[null,true,null,12]").unwrap();
        assert_eq!(
            (answer.subject, answer.data.as_deref()),
            (Subject::Answer(12), Some("true"))
        );
    }

    #[test]
    fn what_is_no_message() {
        let deep = format!(r#"["e",{}{}]"#, "[".repeat(200), "]".repeat(200));
        let table: [(&str, CodecError); 16] = [
            ("", CodecError::Json { offset: 0 }),
            ("hello", CodecError::Json { offset: 0 }),
            ("{}", CodecError::NotAnArray),
            ("7", CodecError::NotAnArray),
            ("[]", CodecError::NotAnArray),
            ("[null]", CodecError::NotAnArray),
            ("[1]", CodecError::NotAnArray),
            (r#"["\ud800"]"#, CodecError::NotAnArray),
            (r#"["e",1,2,3,4]"#, CodecError::NotAnArray),
            (r#"["connect"]"#, CodecError::ReservedEvent("connect".to_owned())),
            (r#"["e",1,{}]"#, CodecError::Id),
            ("[null,1,null,-1]", CodecError::Ack),
            (r#"["e",]"#, CodecError::Json { offset: 5 }),
            (r#"["e"]]"#, CodecError::Json { offset: 5 }),
            (r#"["e""#, CodecError::Json { offset: 4 }),
            (&deep, CodecError::TooDeep),
        ];
        for (message, expected) in table {
            assert_eq!(decode(message), Err(expected), "{message}");
        }
        let binary = ArrayCodec.decode_binary(b"[]", &Limits::default());
        assert_eq!(binary, Err(CodecError::UnexpectedBinary));
    }

    #[test]
    fn messages_of_the_server() {
        let message = Outgoing {
            event: "a\"b",
            data: None,
            id: None,
            ack: None,
            attachments: &[],
        };
        let bytes = [Bytes::from_static(b"\xff\x00")];
        let table = [
            (message, r#"["a\"b"]"#),
            (
                Outgoing {
                    data: Some("[1]"),
                    id: Some("\"x\""),
                    ..message
                },
                r#"["a\"b",[1],"x"]"#,
            ),
            (
                Outgoing {
                    id: Some("7"),
                    ..message
                },
                r#"["a\"b",null,7]"#,
            ),
            (
                Outgoing {
                    data: Some("1"),
                    ack: Some(3),
                    ..message
                },
                r#"["a\"b",1,null,3]"#,
            ),
            (
                Outgoing {
                    data: Some(r#"[{"_placeholder":true,"num":0}]"#),
                    attachments: &bytes,
                    ..message
                },
                r#"["a\"b",["/wA="]]"#,
            ),
        ];
        for (message, expected) in table {
            let mut out = Vec::new();
            assert_eq!(ArrayCodec.encode(&message, &mut out), Ok(WireKind::Text));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_json(message in r#"[{}\[\]",:a0 ]{0,12}|\["[a-z]*"[,:"a{} \[\]0]{0,9}"#) {
            if decode(&message).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&message).is_ok(), "{}", message);
            }
        }
    }
}
