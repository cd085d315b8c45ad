//! The default form: one JSON object a message, as the ws adapter of NestJS has it, with two fields more. `id` asks for an
//! answer, which carries it back; `ack` is the same in the other direction. An object is gone over once, in any order of
//! its fields, and its data stays text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::{CodecError, Incoming, MessageCodec, Outgoing, Subject, TextBuffer, WireKind};
use crate::json::scanner::{Fault, Scanner};
use crate::socketio::{Limits, MAX_ID, is_reserved};

/// `{"event":"name","data":…}` both ways. A client that adds `"id"`, a string or a number, gets
/// `{"event":"name","data":…,"id":…}` as the answer. A message of the server that wants an answer has `"ack":n`, and the
/// client answers `{"ack":n,"data":…}`. Bytes are base64 (RFC 4648 §4). Other fields are left alone; of a field that comes
/// twice the last one counts, as in JavaScript.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonCodec;

impl MessageCodec for JsonCodec {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        match decode_usual(message, limits) {
            Some(incoming) => Ok(incoming),
            None => decode_any(message, limits),
        }
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        put_event(message.event, &mut TextBuffer::new(out));
        if let Some(data) = message.data {
            out.extend_from_slice(DATA.as_bytes());
            put_data(out, data, message.attachments)?;
        }
        self.put_tail(message.id, message.ack, &mut TextBuffer::new(out));
        Ok(WireKind::Text)
    }

    fn put_head(&self, event: &str, out: &mut TextBuffer<'_>) -> bool {
        put_event(event, out);
        out.push_str(DATA);
        true
    }

    fn put_tail(&self, id: Option<&str>, ack: Option<u64>, out: &mut TextBuffer<'_>) {
        if let Some(id) = id {
            out.push_str(",\"id\":");
            out.push_str(id);
        }
        if let Some(ack) = ack {
            out.push_str(",\"ack\":");
            out.push_str(itoa::Buffer::new().format(ack));
        }
        out.push_str("}");
    }
}

/// What stands between the event's name and the data.
const DATA: &str = ",\"data\":";

fn put_event(event: &str, out: &mut TextBuffer<'_>) {
    out.push_str("{\"event\":");
    out.push_json_string(event);
}

/// Takes a message as clients write it who make it of these fields in this order and nothing else, which nearly all are:
/// `{"event":"name","data":…}`, perhaps with `,"id":…` at its end, and no space between. `None` for every other, also for
/// those with a fault: [`decode_any`] tells about it.
fn decode_usual<'a>(message: &'a str, limits: &Limits) -> Option<Incoming<'a>> {
    let mut scanner = Scanner::new(message, limits.max_depth);
    scanner.enter().ok()?;
    scanner.literal(b"{\"event\":").ok()?;
    let event = scanner.plain_text()?;
    scanner.literal(DATA.as_bytes()).ok()?;
    let data = scanner.json().ok()?;
    let id = match scanner.literal(b",\"id\":") {
        Ok(()) => asked_id(scanner.json().ok()?).ok()?,
        Err(_) => None,
    };
    let is_whole = scanner.eat(b'}') && scanner.is_at_end() && !is_reserved(event);
    is_whole.then(|| Incoming {
        subject: Subject::Event(Cow::Borrowed(event)),
        data: Some(Cow::Borrowed(data)),
        id: id.map(Cow::Borrowed),
        attachments: Vec::new(),
    })
}

/// Takes a message in whatever order and with whatever else its fields come.
fn decode_any<'a>(message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
    let mut fields = Fields::default();
    let mut scanner = Scanner::new(message, limits.max_depth);
    scanner.skip_whitespace();
    if scanner.peek() != Some(b'{') {
        scanner.value()?;
        return Err(CodecError::NotAnObject);
    }
    scanner.enter()?;
    scanner.eat(b'{');
    scanner.skip_whitespace();
    while !scanner.eat(b'}') {
        fields.read(message, &mut scanner)?;
        scanner.skip_whitespace();
        if scanner.eat(b',') {
            scanner.skip_whitespace();
            if scanner.peek() != Some(b'"') {
                return Err(scanner.fault().into());
            }
        } else if scanner.peek() != Some(b'}') {
            return Err(scanner.fault().into());
        }
    }
    scanner.skip_whitespace();
    if !scanner.is_at_end() {
        return Err(scanner.fault().into());
    }
    fields.into_incoming()
}

/// The JSON of the fields that matter.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) event: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) ack: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Takes one field, the scanner standing on its name.
    fn read(&mut self, message: &'a str, scanner: &mut Scanner<'a>) -> Result<(), CodecError> {
        if scanner.peek() != Some(b'"') {
            return Err(scanner.fault().into());
        }
        let start = scanner.position();
        let escapes = scanner.string()?;
        let name = &message[start..scanner.position()];
        scanner.skip_whitespace();
        if !scanner.eat(b':') {
            return Err(scanner.fault().into());
        }
        scanner.skip_whitespace();
        let start = scanner.position();
        scanner.value()?;
        let value = &message[start..scanner.position()];
        let field = if escapes {
            unescape(name).and_then(|name| self.field(&name))
        } else {
            self.field(&name[1..name.len() - 1])
        };
        if let Some(field) = field {
            *field = Some(value);
        }
        Ok(())
    }

    /// The field of that name.
    fn field(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        match name {
            "event" => Some(&mut self.event),
            "data" => Some(&mut self.data),
            "id" => Some(&mut self.id),
            "ack" => Some(&mut self.ack),
            _ => None,
        }
    }

    pub(super) fn into_incoming(self) -> Result<Incoming<'a>, CodecError> {
        let subject = match (self.event, self.ack) {
            (Some(event), _) => Subject::Event(event_name(event)?),
            (None, Some(ack)) => Subject::Answer(ack.parse().map_err(|_| CodecError::Ack)?),
            (None, None) => return Err(CodecError::NoEvent),
        };
        let id = match self.id {
            Some(id) => asked_id(id)?,
            None => None,
        };
        if matches!(subject, Subject::Answer(ack) if ack > MAX_ID) {
            return Err(CodecError::Ack);
        }
        Ok(Incoming {
            subject,
            data: self.data.map(Cow::Borrowed),
            id: id.map(Cow::Borrowed),
            attachments: Vec::new(),
        })
    }
}

/// The JSON that an answer carries back; `None` if none is asked for.
fn asked_id(json: &str) -> Result<Option<&str>, CodecError> {
    match json.as_bytes() {
        [b'"' | b'-' | b'0'..=b'9', ..] => Ok(Some(json)),
        b"null" => Ok(None),
        _ => Err(CodecError::Id),
    }
}

fn event_name(json: &str) -> Result<Cow<'_, str>, CodecError> {
    let text = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    let text = text.ok_or(CodecError::EventName)?;
    let name = if text.as_bytes().contains(&b'\\') {
        Cow::Owned(unescape(json).ok_or(CodecError::EventName)?)
    } else {
        Cow::Borrowed(text)
    };
    if is_reserved(&name) {
        return Err(CodecError::ReservedEvent(name.into_owned()));
    }
    Ok(name)
}

/// The text of a checked JSON string with escapes. `None` for half a surrogate pair, which is JSON, but no text.
fn unescape(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

/// Appends the data with its bytes as base64 in their places.
pub(crate) fn put_data(out: &mut Vec<u8>, data: &str, attachments: &[Bytes]) -> Result<(), CodecError> {
    if attachments.is_empty() {
        out.extend_from_slice(data.as_bytes());
        return Ok(());
    }
    let other = |error: serde_json::Error| CodecError::Other(error.to_string());
    let mut value: Value = serde_json::from_str(data).map_err(other)?;
    put_in_place(&mut value, attachments);
    serde_json::to_writer(out, &value).map_err(other)
}

/// No deeper than `serde_json` reads.
fn put_in_place(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| put_in_place(value, attachments)),
        Value::Object(fields) => {
            let is_placeholder = fields.get("_placeholder") == Some(&Value::Bool(true));
            let num = fields
                .get("num")
                .and_then(Value::as_u64)
                .filter(|_| is_placeholder);
            let bytes = num
                .and_then(|num| usize::try_from(num).ok())
                .and_then(|num| attachments.get(num));
            match bytes {
                Some(bytes) => *value = Value::String(STANDARD.encode(bytes)),
                None => fields
                    .values_mut()
                    .for_each(|value| put_in_place(value, attachments)),
            }
        }
        _ => {}
    }
}

impl From<Fault> for CodecError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(offset) => Self::Json { offset },
            Fault::TooDeep => Self::TooDeep,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decode(message: &str) -> Result<Incoming<'_>, CodecError> {
        JsonCodec.decode_text(message, &Limits::default())
    }

    fn event<'a>(name: &'a str, data: Option<&'a str>, id: Option<&'a str>) -> Incoming<'a> {
        Incoming {
            subject: Subject::Event(name.into()),
            data: data.map(Cow::Borrowed),
            id: id.map(Cow::Borrowed),
            attachments: Vec::new(),
        }
    }

    #[test]
    fn messages_of_clients() {
        let table = [
            (r#"{"event":"e"}"#, event("e", None, None)),
            (
                r#"{"event":"e","data":[1,{"event":2}]}"#,
                event("e", Some(r#"[1,{"event":2}]"#), None),
            ),
            (
                r#" { "data" : "x" , "event" : "\u0065\n" } "#,
                event("e\n", Some("\"x\""), None),
            ),
            (r#"{"event":"e","id":7}"#, event("e", None, Some("7"))),
            (
                r#"{"id":"a","event":"e","data":null}"#,
                event("e", Some("null"), Some("\"a\"")),
            ),
            (
                r#"{"event":"e","id":null,"more":{"event":[]}}"#,
                event("e", None, None),
            ),
            (r#"{"event":"a","event":"b"}"#, event("b", None, None)),
            (r#"{"\u0065vent":"e"}"#, event("e", None, None)),
        ];
        for (message, expected) in table {
            assert_eq!(decode(message), Ok(expected), "{message}");
        }
        let answer = decode(r#"{"ack":12,"data":true}"#).unwrap();
        assert_eq!(
            (answer.subject, answer.data.as_deref()),
            (Subject::Answer(12), Some("true"))
        );
    }

    #[test]
    fn what_is_no_message() {
        let deep = format!(r#"{{"event":"e","data":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let table: [(&str, CodecError); 19] = [
            ("", CodecError::Json { offset: 0 }),
            ("hello", CodecError::Json { offset: 0 }),
            ("[]", CodecError::NotAnObject),
            ("7", CodecError::NotAnObject),
            ("{}", CodecError::NoEvent),
            (r#"{"data":1}"#, CodecError::NoEvent),
            (r#"{"event":1}"#, CodecError::EventName),
            (r#"{"event":null}"#, CodecError::EventName),
            (r#"{"event":"\ud800"}"#, CodecError::EventName),
            (
                r#"{"event":"connect"}"#,
                CodecError::ReservedEvent("connect".to_owned()),
            ),
            (r#"{"event":"e","id":{}}"#, CodecError::Id),
            (r#"{"event":"e","id":true}"#, CodecError::Id),
            (r#"{"ack":-1}"#, CodecError::Ack),
            (r#"{"ack":"1"}"#, CodecError::Ack),
            (r#"{"ack":9007199254740993}"#, CodecError::Ack),
            (r#"{"event":"e",}"#, CodecError::Json { offset: 13 }),
            (r#"{"event":"e"}}"#, CodecError::Json { offset: 13 }),
            (r#"{"event":"e""#, CodecError::Json { offset: 12 }),
            (&deep, CodecError::TooDeep),
        ];
        for (message, expected) in table {
            assert_eq!(decode(message), Err(expected), "{message}");
        }
        let binary = JsonCodec.decode_binary(b"{}", &Limits::default());
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
            (message, r#"{"event":"a\"b"}"#),
            (
                Outgoing {
                    data: Some("[1]"),
                    id: Some("\"x\""),
                    ack: Some(3),
                    ..message
                },
                r#"{"event":"a\"b","data":[1],"id":"x","ack":3}"#,
            ),
            (
                Outgoing {
                    data: Some(r#"{"b":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}"#),
                    attachments: &bytes,
                    ..message
                },
                r#"{"event":"a\"b","data":{"b":["/wA=",{"_placeholder":true,"num":1}]}}"#,
            ),
        ];
        for (message, expected) in table {
            let mut out = Vec::new();
            assert_eq!(JsonCodec.encode(&message, &mut out), Ok(WireKind::Text));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        assert!(JsonCodec.put_head("a\"b", &mut TextBuffer::new(&mut out)));
        out.extend_from_slice(b"[1]");
        JsonCodec.put_tail(Some("\"x\""), Some(3), &mut TextBuffer::new(&mut out));
        assert_eq!(String::from_utf8(out).unwrap(), table[1].1);
    }

    #[test]
    fn the_usual_form_is_known() {
        for message in [
            r#"{"event":"e","data":"x"}"#,
            r#"{"event":"","data":{"a":[1]}}"#,
            r#"{"event":"e","data":null,"id":7}"#,
            r#"{"event":"e","data":1,"id":"a"}"#,
        ] {
            let usual = decode_usual(message, &Limits::default());
            assert_eq!(usual, decode_any(message, &Limits::default()).ok(), "{message}");
            assert!(usual.is_some(), "{message}");
        }
    }

    proptest! {
        #[test]
        fn the_usual_form_reads_as_any_other(
            message in r#"\{"event":"([a-z\\]{0,3}|connect)","data":[\[\]{}",:a0 ]{0,5}(,"id":("a"|[0-9]|null|true|\[\]))?\} ?"#,
            max_depth in 0..4usize,
        ) {
            let limits = Limits { max_depth, ..Limits::default() };
            if let Some(usual) = decode_usual(&message, &limits) {
                prop_assert_eq!(Ok(usual), decode_any(&message, &limits), "{}", message);
            }
        }

        #[test]
        fn no_text_is_a_panic(message: String) {
            let _ = decode(&message);
        }

        #[test]
        fn what_serde_json_reads_is_read(event: String, data: String, id: u32) {
            prop_assume!(!is_reserved(&event));
            let message = json!({"data": {"x": data}, "id": id, "event": event}).to_string();
            let incoming = decode(&message).unwrap();
            prop_assert_eq!(incoming.subject, Subject::Event(event.into()));
            let read: Value = serde_json::from_str(&incoming.data.unwrap()).unwrap();
            prop_assert_eq!(read, json!({"x": data}));
            prop_assert_eq!(incoming.id.unwrap(), id.to_string());
        }

        #[test]
        fn what_is_taken_is_json(message in r#"[{}\[\]",:a0 ]{0,12}|\{"event":"[a-z]*"[,:"a{} ]{0,9}"#) {
            if decode(&message).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&message).is_ok(), "{}", message);
            }
        }
    }
}
