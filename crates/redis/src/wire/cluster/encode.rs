//! From a message to its bytes. It is written as JSON, keys in the order of the Node adapters, and turned into MessagePack
//! where that is wanted: so both forms say the same by construction.

use bytes::Bytes;
use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Payload, Room};
use gatewire_proto::socketio::msgpack::{TranscodeError, transcode_from_json};
use gatewire_proto::socketio::put_json_string;
use serde::Serialize;

use super::{Body, Message, Target};

/// In which form a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON; MessagePack if there are bytes in it.
    Text,
    /// MessagePack.
    Msgpack,
}

impl Message<'_> {
    /// The bytes of the message.
    ///
    /// # Errors
    /// If the message is to be MessagePack and a text or an attachment in it is longer than that can say, 4 GiB, or it
    /// nests deeper than 127.
    pub fn encode(&self, form: Form) -> Result<Vec<u8>, TranscodeError> {
        let mut json = Vec::with_capacity(256);
        json.extend_from_slice(br#"{"type":"#);
        put_number(&mut json, self.body.kind().into());
        if self.body.has_data() {
            json.extend_from_slice(br#","data":"#);
            self.body.put_data(&mut json);
        }
        json.extend_from_slice(br#","uid":"#);
        put_json_string(&mut json, &self.uid);
        json.extend_from_slice(br#","nsp":"#);
        put_json_string(&mut json, &self.namespace);
        json.push(b'}');
        let attachments = self.body.attachments();
        if form == Form::Text && attachments.is_empty() {
            return Ok(json);
        }
        to_msgpack(&json, attachments)
    }
}

impl Body<'_> {
    /// The number of its type.
    pub fn kind(&self) -> u8 {
        match self {
            Self::InitialHeartbeat => 1,
            Self::Heartbeat => 2,
            Self::Broadcast { .. } => 3,
            Self::SocketsJoin { .. } => 4,
            Self::SocketsLeave { .. } => 5,
            Self::DisconnectSockets { .. } => 6,
            Self::FetchSockets { .. } => 7,
            Self::FetchSocketsResponse { .. } => 8,
            Self::ServerSideEmit { .. } => 9,
            Self::ServerSideEmitResponse { .. } => 10,
            Self::BroadcastClientCount { .. } => 11,
            Self::BroadcastAck { .. } => 12,
            Self::AdapterClose => 13,
        }
    }

    pub(super) fn has_data(&self) -> bool {
        !matches!(
            self,
            Self::InitialHeartbeat | Self::Heartbeat | Self::AdapterClose
        )
    }

    pub(super) fn attachments(&self) -> &[Bytes] {
        match self {
            Self::Broadcast { event, .. } => event.attachments,
            Self::ServerSideEmit { args, .. } => args.attachments(),
            Self::ServerSideEmitResponse { answer, .. } | Self::BroadcastAck { answer, .. } => {
                answer.attachments()
            }
            _ => &[],
        }
    }

    /// The object of the key `data`.
    pub(super) fn put_data(&self, json: &mut Vec<u8>) {
        let mut data = Object::begin(json);
        match self {
            Self::InitialHeartbeat | Self::Heartbeat | Self::AdapterClose => {}
            Self::Broadcast {
                event,
                target,
                request,
            } => {
                data.key("packet");
                data.0.extend_from_slice(br#"{"type":2,"data":"#);
                data.0.extend_from_slice(event.data.as_bytes());
                data.0.push(b'}');
                if let Some(request) = request {
                    data.text("requestId", request);
                }
                data.target(target);
            }
            Self::SocketsJoin { target, rooms } | Self::SocketsLeave { target, rooms } => {
                data.target(target);
                data.key("rooms");
                put_rooms(data.0, rooms);
            }
            Self::DisconnectSockets { target, close } => {
                data.target(target);
                data.key("close");
                data.0.extend_from_slice(close.to_string().as_bytes());
            }
            Self::FetchSockets { target, request } => {
                data.target(target);
                data.text("requestId", request);
            }
            Self::FetchSocketsResponse { request, sockets } => {
                data.text("requestId", request);
                data.key("sockets");
                put_list(data.0, sockets, put_socket);
            }
            Self::ServerSideEmit { name, args, request } => {
                if let Some(request) = request {
                    data.text("requestId", request);
                }
                data.key("packet");
                data.0.push(b'[');
                put_json_string(data.0, name);
                if !args.is_empty() {
                    data.0.push(b',');
                    data.0.extend_from_slice(args.args().json().as_bytes());
                }
                data.0.push(b']');
            }
            Self::ServerSideEmitResponse { request, answer } | Self::BroadcastAck { request, answer } => {
                data.text("requestId", request);
                data.answer(answer);
            }
            Self::BroadcastClientCount { request, count } => {
                data.text("requestId", request);
                data.key("clientCount");
                put_number(data.0, *count as u64);
            }
        }
        data.0.push(b'}');
    }
}

pub(super) fn to_msgpack(json: &[u8], attachments: &[Bytes]) -> Result<Vec<u8>, TranscodeError> {
    // What was written is text, so nothing is replaced here.
    let json = String::from_utf8_lossy(json);
    let mut bytes = Vec::with_capacity(json.len());
    transcode_from_json(&json, attachments, &mut bytes)?;
    Ok(bytes)
}

/// An object whose brace is open.
struct Object<'a>(&'a mut Vec<u8>);

impl<'a> Object<'a> {
    fn begin(json: &'a mut Vec<u8>) -> Self {
        json.push(b'{');
        Self(json)
    }

    fn key(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        put_json_string(self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        put_json_string(self.0, text);
    }

    fn target(&mut self, target: &Target) {
        self.key("opts");
        let mut opts = Object::begin(self.0);
        opts.key("rooms");
        put_rooms(opts.0, &target.rooms);
        opts.key("except");
        put_rooms(opts.0, &target.except);
        opts.key("flags");
        let mut flags = Object::begin(opts.0);
        if target.volatile {
            flags.key("volatile");
            flags.0.extend_from_slice(b"true");
        }
        if !target.compress {
            flags.key("compress");
            flags.0.extend_from_slice(b"false");
        }
        if let Some(timeout) = target.timeout {
            flags.key("timeout");
            put_number(flags.0, u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        self.0.extend_from_slice(b"}}");
    }

    /// An answer is one value for the Node adapters; what it has more is in a field of our own, which they ignore.
    fn answer(&mut self, answer: &Payload) {
        let mut values = answer.args().iter();
        let Some(first) = values.next() else {
            return;
        };
        self.key("packet");
        self.0.extend_from_slice(first.as_bytes());
        if answer.len() > 1 {
            self.key(super::decode::MORE);
            put_list(self.0, values, |json, value| {
                json.extend_from_slice(value.as_bytes())
            });
        }
    }
}

fn put_rooms(json: &mut Vec<u8>, rooms: &[Room]) {
    put_list(json, rooms, |json, room| put_json_string(json, room));
}

fn put_socket(json: &mut Vec<u8>, socket: &FoundSocket) {
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

fn put_list<T>(json: &mut Vec<u8>, items: impl IntoIterator<Item = T>, put: impl Fn(&mut Vec<u8>, T)) {
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

fn put_number(json: &mut Vec<u8>, number: u64) {
    json.extend_from_slice(number.to_string().as_bytes());
}
