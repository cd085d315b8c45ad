//! From bytes to a message. Whatever form it came in, it is read as JSON beside which the bytes lie: that is the form in
//! which clients get it, too, so that the data of an event is neither parsed nor written again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Id, Payload, Room};
use gatewire_proto::socketio::msgpack::transcode_to_json;
use gatewire_proto::socketio::{self, scan_event};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Body, DecodeError, EventData, Limits, Message, Target};

/// The values of an answer behind its first: a field of our own.
pub(super) const MORE: &str = "more";

/// A message that has come, made readable. [`message`](Self::message) splits it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame<'a> {
    json: Cow<'a, str>,
    attachments: Vec<Bytes>,
}

impl<'a> Frame<'a> {
    /// Reads what came over a channel: JSON if it begins with a brace, else MessagePack.
    ///
    /// # Errors
    /// If it is neither, or beyond the limits. JSON is looked at later.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        check_len(bytes.len(), limits)?;
        if bytes.first() == Some(&b'{') {
            let json = std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8)?;
            return Ok(Self::text(json));
        }
        Self::msgpack(bytes, limits)
    }

    /// Reads the data of an entry of a stream: JSON, or MessagePack in base64.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn read_data(data: &'a str, limits: &Limits) -> Result<Self, DecodeError> {
        check_len(data.len(), limits)?;
        if data.starts_with('{') {
            return Ok(Self::text(data));
        }
        let bytes = STANDARD.decode(data).map_err(|_| DecodeError::Base64)?;
        Self::msgpack(&bytes, limits)
    }

    fn text(json: &'a str) -> Self {
        Self {
            json: Cow::Borrowed(json),
            attachments: Vec::new(),
        }
    }

    fn msgpack(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let (mut json, mut attachments) = (Vec::with_capacity(bytes.len() * 2), Vec::new());
        transcode_to_json(bytes, &mut json, &mut attachments, limits.max_attachments)?;
        let json = String::from_utf8(json).map_err(|_| DecodeError::Utf8)?;
        Ok(Self {
            json: Cow::Owned(json),
            attachments,
        })
    }

    /// The message.
    ///
    /// # Errors
    /// If it is not JSON, or has not what its type must have.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        let envelope: Envelope<'_> = parse(&self.json, "message")?;
        Ok(Message {
            uid: envelope.uid,
            namespace: envelope.nsp,
            body: self.read_body(envelope.kind, envelope.data.map_or("{}", RawValue::get))?,
        })
    }

    /// The body of a message of that type, of which this is the data alone.
    pub(super) fn body(&self, kind: u64) -> Result<Body<'_>, DecodeError> {
        self.read_body(kind, &self.json)
    }

    fn read_body<'b>(&'b self, kind: u64, data: &'b str) -> Result<Body<'b>, DecodeError> {
        Ok(match kind {
            1 => Body::InitialHeartbeat,
            2 => Body::Heartbeat,
            3 => self.broadcast(data)?,
            4 => {
                let Rooms { opts, rooms } = parse(data, "data of a join")?;
                Body::SocketsJoin {
                    target: opts.into(),
                    rooms: names(rooms),
                }
            }
            5 => {
                let Rooms { opts, rooms } = parse(data, "data of a leave")?;
                Body::SocketsLeave {
                    target: opts.into(),
                    rooms: names(rooms),
                }
            }
            6 => {
                let Disconnect { opts, close } = parse(data, "data of a disconnect")?;
                Body::DisconnectSockets {
                    target: opts.into(),
                    close: close.unwrap_or(false),
                }
            }
            7 => {
                let Fetch { opts, request } = parse(data, "data of a fetch")?;
                Body::FetchSockets {
                    target: opts.into(),
                    request,
                }
            }
            8 => {
                let Fetched { request, sockets } = parse(data, "sockets of a node")?;
                let sockets = sockets.into_iter().filter_map(|socket| self.found(socket));
                Body::FetchSocketsResponse {
                    request,
                    sockets: sockets.collect(),
                }
            }
            9 => self.server_side_emit(data)?,
            10 => {
                let (request, answer) = self.answer(data)?;
                Body::ServerSideEmitResponse { request, answer }
            }
            11 => {
                let Count { request, count } = parse(data, "count of clients")?;
                Body::BroadcastClientCount { request, count }
            }
            12 => {
                let (request, answer) = self.answer(data)?;
                Body::BroadcastAck { request, answer }
            }
            13 => Body::AdapterClose,
            kind => return Err(DecodeError::UnknownType { kind }),
        })
    }

    fn broadcast<'b>(&'b self, data: &'b str) -> Result<Body<'b>, DecodeError> {
        let Broadcast {
            packet,
            opts,
            request,
        } = parse(data, "data of a broadcast")?;
        let data = packet.data.get();
        scan_event(data, &EVENT).map_err(|error| malformed("event of a broadcast", &error))?;
        Ok(Body::Broadcast {
            event: EventData {
                data,
                attachments: &self.attachments,
            },
            target: opts.into(),
            request,
        })
    }

    fn server_side_emit<'b>(&'b self, data: &'b str) -> Result<Body<'b>, DecodeError> {
        const PART: &str = "event for servers";
        let Emit { packet, request } = parse(data, PART)?;
        let event = scan_event(packet.get(), &EVENT).map_err(|error| malformed(PART, &error))?;
        Ok(Body::ServerSideEmit {
            args: self.payload(event.args.json(), PART)?,
            name: event.name,
            request,
        })
    }

    fn answer<'b>(&'b self, data: &'b str) -> Result<(Cow<'b, str>, Payload), DecodeError> {
        const PART: &str = "answer";
        let Answer {
            request,
            packet,
            more,
        } = parse(data, PART)?;
        let mut args = String::from(packet.map_or("", RawValue::get));
        for value in more.unwrap_or_default() {
            args.push(',');
            args.push_str(value.get());
        }
        Ok((request, self.payload(&args, PART)?))
    }

    fn payload(&self, args: &str, part: &'static str) -> Result<Payload, DecodeError> {
        let payload = Payload::from_json(args, self.attachments.clone());
        payload.map_err(|error| malformed(part, &error))
    }

    /// A socket whose id is none of Socket.IO's is left out: nothing could be sent to it.
    fn found(&self, socket: Found) -> Option<FoundSocket> {
        let Found {
            id,
            rooms,
            mut handshake,
            mut data,
        } = socket;
        for value in [&mut handshake, &mut data] {
            self.spell_bytes(value);
        }
        Some(FoundSocket {
            id: Id::parse(&id)?,
            rooms: names(rooms),
            handshake,
            data,
        })
    }

    /// A JSON value has no place for bytes: they become what `JSON.stringify` makes of a Buffer.
    fn spell_bytes(&self, value: &mut Value) {
        if self.attachments.is_empty() {
            return;
        }
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.spell_bytes(value)),
            Value::Object(fields) => {
                let num = fields.get("num").and_then(Value::as_u64);
                let bytes = num.and_then(|num| self.attachments.get(usize::try_from(num).ok()?));
                match bytes {
                    Some(bytes) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
                        *value = json!({ "type": "Buffer", "data": bytes.as_ref() });
                    }
                    _ => fields.values_mut().for_each(|value| self.spell_bytes(value)),
                }
            }
            _ => {}
        }
    }

    /// The value that all of this is.
    pub(super) fn value<T: for<'b> Deserialize<'b>>(&self, part: &'static str) -> Result<T, DecodeError> {
        let mut value: Value = parse(&self.json, part)?;
        self.spell_bytes(&mut value);
        T::deserialize(value).map_err(|error| malformed(part, &error))
    }
}

fn check_len(len: usize, limits: &Limits) -> Result<(), DecodeError> {
    let max = limits.max_bytes;
    if len > max {
        return Err(DecodeError::TooLong { len, max });
    }
    Ok(())
}

/// Of servers that are trusted: their events may be as deep as any.
const EVENT: socketio::Limits = socketio::Limits {
    max_attachments: usize::MAX,
    max_attachment_bytes: usize::MAX,
    max_depth: usize::MAX,
    max_namespace: usize::MAX,
};

fn parse<'a, T: Deserialize<'a>>(json: &'a str, part: &'static str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|error| malformed(part, &error))
}

fn malformed(part: &'static str, reason: &dyn fmt::Display) -> DecodeError {
    DecodeError::Json {
        part,
        reason: reason.to_string(),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    nsp: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Broadcast<'a> {
    #[serde(borrow)]
    packet: Packet<'a>,
    #[serde(default)]
    opts: Opts,
    #[serde(borrow, rename = "requestId")]
    request: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Packet<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Rooms {
    #[serde(default)]
    opts: Opts,
    rooms: Vec<RoomName>,
}

#[derive(Deserialize)]
struct Disconnect {
    #[serde(default)]
    opts: Opts,
    close: Option<bool>,
}

#[derive(Deserialize)]
struct Fetch<'a> {
    #[serde(default)]
    opts: Opts,
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Fetched<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    sockets: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    id: String,
    #[serde(default)]
    rooms: Vec<RoomName>,
    #[serde(default)]
    handshake: Value,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Emit<'a> {
    #[serde(borrow)]
    packet: &'a RawValue,
    #[serde(borrow, rename = "requestId")]
    request: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "some")]
    packet: Option<&'a RawValue>,
    #[serde(borrow)]
    more: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Count<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(rename = "clientCount")]
    count: usize,
}

/// A null is a value, too.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Opts {
    rooms: Option<Vec<RoomName>>,
    except: Option<Vec<RoomName>>,
    flags: Option<Flags>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Flags {
    volatile: Option<bool>,
    compress: Option<bool>,
    timeout: Option<f64>,
}

impl From<Opts> for Target {
    fn from(opts: Opts) -> Self {
        let flags = opts.flags.unwrap_or_default();
        Self {
            rooms: names(opts.rooms.unwrap_or_default()),
            except: names(opts.except.unwrap_or_default()),
            volatile: flags.volatile.unwrap_or(false),
            compress: flags.compress.unwrap_or(true),
            timeout: flags
                .timeout
                .and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok()),
        }
    }
}

/// The name of a room, which may be a number in JavaScript.
pub(super) struct RoomName(Room);

pub(super) fn names(rooms: Vec<RoomName>) -> Vec<Room> {
    rooms.into_iter().map(|RoomName(room)| room).collect()
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoomVisitor)
    }
}

struct RoomVisitor;

impl Visitor<'_> for RoomVisitor {
    type Value = RoomName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a room, a string or a number")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<RoomName, E> {
        Ok(RoomName(name.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<RoomName, E> {
        Ok(RoomName(number.to_string().into()))
    }
}
