//! What a message says that was made readable.

use std::borrow::Cow;

use gatewire_hub::Payload;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Body, DecodeError, EventData, Frame, Message};
use crate::wire::frame::parse;
use crate::wire::shapes::{Found, Opts, RoomName, event, names, some};

impl Frame<'_> {
    /// The message.
    ///
    /// # Errors
    /// If it is not JSON, or has not what its type must have.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        let envelope: Envelope<'_> = parse(self.json(), "message")?;
        Ok(Message {
            uid: envelope.uid,
            namespace: envelope.nsp,
            body: self.read_body(envelope.kind, envelope.data.map_or("{}", RawValue::get))?,
        })
    }

    /// The body of a message of that type, of which this is the data alone.
    pub(super) fn body(&self, kind: u64) -> Result<Body<'_>, DecodeError> {
        self.read_body(kind, self.json())
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
                let sockets = sockets.into_iter().filter_map(|socket| socket.read(self));
                Body::FetchSocketsResponse {
                    request,
                    sockets: sockets.collect(),
                }
            }
            9 => self.server_side_emit(data)?,
            10 => {
                let (request, answer) = self.answer_to(data)?;
                Body::ServerSideEmitResponse { request, answer }
            }
            11 => {
                let Count { request, count } = parse(data, "count of clients")?;
                Body::BroadcastClientCount { request, count }
            }
            12 => {
                let (request, answer) = self.answer_to(data)?;
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
        event(data, "event of a broadcast")?;
        Ok(Body::Broadcast {
            event: EventData {
                data,
                attachments: self.attachments(),
            },
            target: opts.into(),
            request,
        })
    }

    fn server_side_emit<'b>(&'b self, data: &'b str) -> Result<Body<'b>, DecodeError> {
        const PART: &str = "event for servers";
        let Emit { packet, request } = parse(data, PART)?;
        let event = event(packet.get(), PART)?;
        Ok(Body::ServerSideEmit {
            args: self.payload(event.args.json(), PART)?,
            name: event.name,
            request,
        })
    }

    fn answer_to<'b>(&'b self, data: &'b str) -> Result<(Cow<'b, str>, Payload), DecodeError> {
        const PART: &str = "answer";
        let Answer {
            request,
            packet,
            more,
        } = parse(data, PART)?;
        Ok((request, self.answer(packet, more, PART)?))
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
