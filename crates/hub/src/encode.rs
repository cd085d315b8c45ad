//! From an event or answer to its packet. The packet is written into a buffer of the thread, behind room for a WebSocket
//! header, so that one for a single connection leaves without an allocation.

use std::cell::Cell;

use bytes::Bytes;
use gatewire_proto::large;
use gatewire_proto::socketio::{self, PacketKind};
use gatewire_proto::websocket::MAX_HEADER;
use serde::Serialize;

use crate::text::Text;
use crate::{FramedText, Outbox, Payload, Prepared};

/// A larger buffer is kept among those of large messages, in bytes.
const MAX_KEPT: usize = 64 * 1024;

thread_local! {
    // Taken out while in use: a `Serialize` of the user may emit, too, and then finds an empty one.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why an event was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The data refused to be serialised, or is nothing that JSON can hold.
    #[error("the data of `{event}` cannot be written as JSON: {reason}")]
    Json {
        /// The event; `ack` for an answer.
        event: String,
        /// What the serialiser said.
        reason: String,
    },
    /// The name is one that Socket.IO keeps for itself.
    #[error("the event name `{event}` is reserved by Socket.IO: choose another one")]
    ReservedName {
        /// The name.
        event: String,
    },
    /// `emit_args` was given something that is no tuple, array or list.
    #[error("the arguments of `{event}` must be a tuple, an array or a list: use `emit` for one value")]
    NoSequence {
        /// The event; `ack` for an answer.
        event: String,
    },
}

/// What stands behind an event's name, or in an answer. Used as `dyn`: what is compiled for each type that an application
/// emits is its serialisation alone, not the whole way of an event.
pub(crate) trait Arguments {
    /// Appends them, with commas between.
    fn put(&self, event: &str, json: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EmitError>;

    /// Whether it is at most one.
    fn is_single(&self) -> bool {
        false
    }
}

/// One argument; none if it is `()`.
pub(crate) struct One<'a, T: ?Sized>(pub(crate) &'a T);

/// Each element of a sequence is an argument.
pub(crate) struct Spread<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: Serialize + ?Sized> Arguments for One<'_, T> {
    fn put(&self, event: &str, json: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EmitError> {
        if socketio::is_unit(self.0) {
            return Ok(());
        }
        socketio::to_json(json, self.0, attachments).map_err(|error| EmitError::Json {
            event: event.to_owned(),
            reason: error.to_string(),
        })
    }

    fn is_single(&self) -> bool {
        true
    }
}

impl<T: Serialize + ?Sized> Arguments for Spread<'_, T> {
    fn put(&self, event: &str, json: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EmitError> {
        let start = json.len();
        One(self.0).put(event, json, attachments)?;
        match json.get(start) {
            None => Ok(()),
            Some(b'[') => {
                json.remove(start);
                json.pop();
                Ok(())
            }
            Some(_) => Err(EmitError::NoSequence {
                event: event.to_owned(),
            }),
        }
    }
}

impl Arguments for Payload {
    fn put(&self, _: &str, json: &mut Vec<u8>, attachments: &mut Vec<Bytes>) -> Result<(), EmitError> {
        json.extend_from_slice(self.args().json().as_bytes());
        attachments.extend_from_slice(self.attachments());
        Ok(())
    }

    fn is_single(&self) -> bool {
        self.len() <= 1
    }
}

/// A packet in the thread's buffer, or one with attachments.
pub(crate) enum Encoded<'a> {
    Text(&'a mut Vec<u8>),
    Binary(Prepared),
}

impl Encoded<'_> {
    pub(crate) fn send_to(self, outbox: &dyn Outbox) {
        match self {
            Self::Text(buffer) => send_text(outbox, buffer),
            Self::Binary(prepared) => outbox.send(&prepared),
        }
    }

    pub(crate) fn into_prepared(self) -> Prepared {
        match self {
            Self::Text(buffer) if buffer.len() >= large::LEAST => Prepared::new(std::mem::take(buffer), &[]),
            Self::Text(buffer) => Prepared::from(&FramedText::seal(buffer)),
            Self::Binary(prepared) => prepared,
        }
    }
}

/// Sends a text that stands behind room for its header. A large one is not copied, but goes with its buffer.
pub(crate) fn send_text(outbox: &dyn Outbox, buffer: &mut Vec<u8>) {
    if buffer.len() < large::LEAST {
        outbox.send_text(&FramedText::seal(buffer));
    } else {
        outbox.send(&Prepared::new(std::mem::take(buffer), &[]));
    }
}

/// Writes an event and hands it to `then`.
pub(crate) fn event<R>(
    namespace: &str,
    name: &str,
    args: &dyn Arguments,
    id: Option<u64>,
    then: impl FnOnce(Encoded<'_>) -> R,
) -> Result<R, EmitError> {
    check_name(name)?;
    let kinds = [PacketKind::Event, PacketKind::BinaryEvent];
    packet(namespace, kinds, id, then, |json, attachments| {
        socketio::put_json_string(json, name);
        json.push(b',');
        let start = json.len();
        args.put(name, json, attachments)?;
        if json.len() == start {
            json.pop();
        }
        Ok(())
    })
}

/// Whether an event may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), EmitError> {
    if socketio::is_reserved(name) {
        return Err(EmitError::ReservedName {
            event: name.to_owned(),
        });
    }
    Ok(())
}

/// Stands for the event's name in the errors of an answer.
pub(crate) const ANSWER: &str = "ack";

/// Writes the answer to an event and hands it to `then`.
pub(crate) fn ack<R>(
    namespace: &str,
    args: &dyn Arguments,
    id: u64,
    then: impl FnOnce(Encoded<'_>) -> R,
) -> Result<R, EmitError> {
    let kinds = [PacketKind::Ack, PacketKind::BinaryAck];
    packet(namespace, kinds, Some(id), then, |json, attachments| {
        args.put(ANSWER, json, attachments)
    })
}

/// Writes arguments alone, with commas between.
pub(crate) fn arguments(
    event: &str,
    args: &dyn Arguments,
    attachments: &mut Vec<Bytes>,
) -> Result<Text, EmitError> {
    with_scratch(|buffer| {
        buffer.clear();
        args.put(event, buffer, attachments)?;
        // The serialiser writes UTF-8 alone.
        Ok(std::str::from_utf8(buffer).unwrap_or_default().into())
    })
}

/// Writes a packet whose data, if any, is ready-made JSON.
pub(crate) fn plain<R>(
    namespace: &str,
    kind: PacketKind,
    data: &[u8],
    then: impl FnOnce(FramedText<'_>) -> R,
) -> R {
    with_scratch(|buffer| {
        begin(buffer);
        socketio::put_head(buffer, kind, namespace, None, 0);
        buffer.extend_from_slice(data);
        then(FramedText::seal(buffer))
    })
}

fn packet<R>(
    namespace: &str,
    [plain, binary]: [PacketKind; 2],
    id: Option<u64>,
    then: impl FnOnce(Encoded<'_>) -> R,
    put: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), EmitError>,
) -> Result<R, EmitError> {
    with_scratch(|buffer| {
        begin(buffer);
        socketio::put_head(buffer, plain, namespace, id, 0);
        let data = buffer.len();
        let mut attachments = Vec::new();
        buffer.push(b'[');
        put(buffer, &mut attachments)?;
        buffer.push(b']');
        Ok(if attachments.is_empty() {
            then(Encoded::Text(buffer))
        } else {
            then(Encoded::Binary(with_attachments(
                namespace,
                binary,
                id,
                &buffer[data..],
                &attachments,
            )))
        })
    })
}

/// The head tells the number of attachments, which is known only when the data is written.
pub(crate) fn with_attachments(
    namespace: &str,
    kind: PacketKind,
    id: Option<u64>,
    data: &[u8],
    attachments: &[Bytes],
) -> Prepared {
    let copied = attachments.iter().filter(|data| data.len() < large::LEAST);
    let copied: usize = copied.map(Bytes::len).sum();
    let heads = (attachments.len() + 1) * MAX_HEADER + 32 + namespace.len();
    let mut text = large::buffer(heads + data.len() + copied);
    begin(&mut text);
    socketio::put_head(&mut text, kind, namespace, id, attachments.len());
    text.extend_from_slice(data);
    Prepared::new(text, attachments)
}

/// Room for the WebSocket header, then the Engine.IO type of a message.
fn begin(buffer: &mut Vec<u8>) {
    const BEGINNING: [u8; MAX_HEADER + 1] = {
        let mut bytes = [0; MAX_HEADER + 1];
        bytes[MAX_HEADER] = b'4';
        bytes
    };
    buffer.clear();
    buffer.extend_from_slice(&BEGINNING);
}

/// Lends the buffer of the thread, with whatever is in it.
pub(crate) fn with_scratch<R>(write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = SCRATCH.take();
    let result = write(&mut buffer);
    if buffer.capacity() <= MAX_KEPT {
        SCRATCH.set(buffer);
    } else {
        large::keep(buffer);
    }
    result
}

#[cfg(test)]
mod tests {
    use serde::ser::Error;
    use serde_json::json;

    use super::*;
    use crate::Message;

    fn text(encoded: Encoded<'_>) -> String {
        match encoded.into_prepared().messages().next() {
            Some(Message::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }

    #[test]
    fn events_are_written_as_the_node_server_does() {
        let cases: [(&str, &str, serde_json::Value, Option<u64>, &str); 5] = [
            ("/", "hello", json!(1), None, r#"42["hello",1]"#),
            (
                "/adm",
                "a\"b",
                json!({"x": [1]}),
                None,
                r#"42/adm,["a\"b",{"x":[1]}]"#,
            ),
            ("/", "q", json!("é"), Some(12), r#"4212["q","é"]"#),
            ("/a", "q", json!([1, 2]), Some(0), r#"42/a,0["q",[1,2]]"#),
            ("/", "nothing", json!(null), None, r#"42["nothing",null]"#),
        ];
        for (namespace, name, value, id, expected) in cases {
            assert_eq!(event(namespace, name, &One(&value), id, text).unwrap(), expected);
        }
    }

    #[test]
    fn sequences_are_spread() {
        assert_eq!(
            event("/", "e", &Spread(&(1, "a", [2])), None, text).unwrap(),
            r#"42["e",1,"a",[2]]"#
        );
        assert_eq!(
            event("/", "e", &Spread(&[0; 0]), None, text).unwrap(),
            r#"42["e"]"#
        );
        assert_eq!(event("/", "e", &Spread(&()), None, text).unwrap(), r#"42["e"]"#);
        assert_eq!(
            event("/", "e", &Spread("[]"), None, text),
            Err(EmitError::NoSequence {
                event: "e".to_owned()
            })
        );
        assert_eq!(ack("/", &Spread(&(1, 2)), 7, text).unwrap(), "437[1,2]");
        assert_eq!(ack("/n", &One(&()), 7, text).unwrap(), "43/n,7[]");
    }

    #[test]
    fn bytes_travel_beside_the_packet() {
        let data = (Bytes::from_static(b"\x01\x02"), "x");
        event("/n", "b", &Spread(&data), Some(3), |encoded| {
            let prepared = encoded.into_prepared();
            let text = r#"451-/n,3["b",{"_placeholder":true,"num":0},"x"]"#;
            let messages = [
                Message::Text(text.into()),
                Message::Binary(Bytes::from_static(b"\x01\x02")),
            ];
            assert!(prepared.messages().eq(messages));
            assert!(prepared.websocket().concat().ends_with(b"\x82\x02\x01\x02"));
        })
        .unwrap();
    }

    #[test]
    fn errors_are_values() {
        struct Sour;
        impl Serialize for Sour {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("sour"))
            }
        }
        let expected = EmitError::Json {
            event: "e".to_owned(),
            reason: "sour".to_owned(),
        };
        assert_eq!(event("/", "e", &One(&Sour), None, text), Err(expected));
        let expected = EmitError::ReservedName {
            event: "connect".to_owned(),
        };
        assert_eq!(event("/", "connect", &One(&1), None, text), Err(expected));
        // The buffer is in order afterwards.
        assert_eq!(event("/", "e", &One(&1), None, text).unwrap(), r#"42["e",1]"#);
    }
}
