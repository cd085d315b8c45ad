//! How messages are written: as JSON, keys in the order of the Node adapters, and turned into MessagePack where that is
//! wanted, so that both forms say the same by construction.

use bytes::Bytes;
use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Payload, Room};
use gatewire_proto::socketio::msgpack::{TranscodeError, transcode_from_json};
use gatewire_proto::socketio::put_json_string;
use serde::Serialize;

use super::Target;

/// The values of an answer behind its first: a field of our own.
const MORE: &str = "more";

pub(super) fn to_msgpack(json: &[u8], attachments: &[Bytes]) -> Result<Vec<u8>, TranscodeError> {
    // What was written is text, so nothing is replaced here.
    let json = String::from_utf8_lossy(json);
    let mut bytes = Vec::with_capacity(json.len());
    transcode_from_json(&json, attachments, &mut bytes)?;
    Ok(bytes)
}

/// An object whose brace is open: [`end`](Self::end) closes it.
pub(super) struct Object<'a>(pub(super) &'a mut Vec<u8>);

impl<'a> Object<'a> {
    pub(super) fn begin(json: &'a mut Vec<u8>) -> Self {
        json.push(b'{');
        Self(json)
    }

    pub(super) fn key(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        put_json_string(self.0, name);
        self.0.push(b':');
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        put_json_string(self.0, text);
    }

    pub(super) fn flag(&mut self, name: &str, is_on: bool) {
        self.key(name);
        self.0.extend_from_slice(if is_on { b"true" } else { b"false" });
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.key(name);
        put_number(self.0, number);
    }

    pub(super) fn end(self) {
        self.0.push(b'}');
    }

    /// `opts`, as they are in the messages of most types.
    pub(super) fn target(&mut self, target: &Target) {
        self.opts(target, true);
    }

    /// `opts`, without how the receivers are to be served.
    pub(super) fn receivers(&mut self, target: &Target) {
        self.opts(target, false);
    }

    fn opts(&mut self, target: &Target, with_flags: bool) {
        self.key("opts");
        let mut opts = Object::begin(self.0);
        opts.key("rooms");
        put_rooms(opts.0, &target.rooms);
        opts.key("except");
        put_rooms(opts.0, &target.except);
        if with_flags {
            opts.key("flags");
            let mut flags = Object::begin(opts.0);
            if target.volatile {
                flags.flag("volatile", true);
            }
            if !target.compress {
                flags.flag("compress", false);
            }
            if let Some(timeout) = target.timeout {
                flags.number("timeout", u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
            }
            flags.end();
        }
        opts.end();
    }

    /// An answer is one value for the Node adapters; what it has more is in a field of our own, which they ignore.
    pub(super) fn answer(&mut self, name: &str, answer: &Payload) {
        let mut values = answer.args().iter();
        let Some(first) = values.next() else {
            return;
        };
        self.key(name);
        self.0.extend_from_slice(first.as_bytes());
        if answer.len() > 1 {
            self.key(MORE);
            put_list(self.0, values, |json, value| {
                json.extend_from_slice(value.as_bytes())
            });
        }
    }
}

/// The array of an event.
pub(super) fn put_event(json: &mut Vec<u8>, name: &str, args: &Payload) {
    json.push(b'[');
    put_json_string(json, name);
    if !args.is_empty() {
        json.push(b',');
        json.extend_from_slice(args.args().json().as_bytes());
    }
    json.push(b']');
}

pub(super) fn put_rooms(json: &mut Vec<u8>, rooms: &[Room]) {
    put_list(json, rooms, |json, room| put_json_string(json, room));
}

pub(super) fn put_socket(json: &mut Vec<u8>, socket: &FoundSocket) {
    let mut object = Object::begin(json);
    object.text("id", socket.id.as_str());
    object.key("handshake");
    put_value(object.0, &socket.handshake);
    object.key("rooms");
    put_rooms(object.0, &socket.rooms);
    object.key("data");
    put_value(object.0, &socket.data);
    json.push(b'}');
}

pub(super) fn put_list<T>(
    json: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    put: impl Fn(&mut Vec<u8>, T),
) {
    json.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        put(json, item);
    }
    json.push(b']');
}

pub(super) fn put_value(json: &mut Vec<u8>, value: &impl Serialize) {
    // A `Value` and a list of texts are always JSON.
    let _ = serde_json::to_writer(json, value);
}

pub(super) fn put_number(json: &mut Vec<u8>, number: u64) {
    json.extend_from_slice(number.to_string().as_bytes());
}
