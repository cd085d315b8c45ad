//! What one node asks the others for, or tells them to do: types 0 to 7.

use std::borrow::Cow;

use bytes::Bytes;
use gatewire_hub::{Payload, Room};
use gatewire_proto::socketio::msgpack::TranscodeError;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::frame::{malformed, parse};
use crate::wire::json::{Object, put_event, put_rooms, to_msgpack};
use crate::wire::shapes::{Opts, RoomName, event, names};
use crate::wire::{DecodeError, EventData, Frame, Target};

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// Who sends it; emitters do not say so in all of them.
    pub uid: Option<Cow<'a, str>>,
    /// What answers are to name, if any is wanted.
    pub id: Option<Cow<'a, str>>,
    /// What it says.
    pub ask: Ask<'a>,
}

/// What a request says.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask<'a> {
    /// 0: the ids of the sockets in rooms; an old form of 5.
    Sockets {
        /// The rooms; with none, all sockets are meant.
        rooms: Vec<Room>,
    },
    /// 1: the names of all rooms.
    AllRooms,
    /// 2: sockets enter rooms.
    Join {
        /// Which.
        target: Target,
        /// What they enter.
        rooms: Vec<Room>,
        /// The one socket that is meant, in an old form: its node answers.
        one: Option<Cow<'a, str>>,
    },
    /// 3: sockets leave rooms.
    Leave {
        /// Which.
        target: Target,
        /// What they leave.
        rooms: Vec<Room>,
        /// As in a join.
        one: Option<Cow<'a, str>>,
    },
    /// 4: sockets are put out.
    Disconnect {
        /// Which.
        target: Target,
        /// Whether their connections end.
        close: bool,
        /// As in a join.
        one: Option<Cow<'a, str>>,
    },
    /// 5: who is there?
    Fetch {
        /// Who is meant.
        target: Target,
    },
    /// 6: an event for the servers themselves.
    ServerSideEmit {
        /// Its name.
        name: Cow<'a, str>,
        /// Its arguments.
        args: Payload,
    },
    /// 7: an event that clients are to answer.
    Broadcast {
        /// The namespace's name.
        namespace: Cow<'a, str>,
        /// The event.
        event: EventData<'a>,
        /// Its receivers.
        target: Target,
    },
}

impl<'a> Request<'a> {
    /// What a message says that was made readable.
    ///
    /// # Errors
    /// If it is no request.
    pub fn decode(frame: &'a Frame<'_>) -> Result<Self, DecodeError> {
        const PART: &str = "request";
        let fields: Fields<'a> = parse(frame.json(), PART)?;
        let one = fields.sid;
        let target = match (&one, fields.opts) {
            (_, Some(opts)) => opts.into(),
            (Some(id), None) => Target {
                rooms: vec![Room::from(&**id)],
                ..Target::default()
            },
            (None, None) => Target::default(),
        };
        let rooms = names(fields.rooms.unwrap_or_default().into_iter().chain(fields.room));
        let missing = |what: &str| malformed(PART, &format!("{what} is missing"));
        let ask = match fields.kind {
            0 => Ask::Sockets { rooms },
            1 => Ask::AllRooms,
            2 => Ask::Join { target, rooms, one },
            3 => Ask::Leave { target, rooms, one },
            4 => Ask::Disconnect {
                target,
                close: fields.close.unwrap_or(false),
                one,
            },
            5 => Ask::Fetch { target },
            6 => {
                let data = fields.data.ok_or_else(|| missing("data"))?;
                let event = event(data.get(), PART)?;
                Ask::ServerSideEmit {
                    args: frame.payload(event.args.json(), PART)?,
                    name: event.name,
                }
            }
            7 => {
                let packet = fields.packet.ok_or_else(|| missing("packet"))?;
                let data = packet.data.get();
                event(data, PART)?;
                Ask::Broadcast {
                    namespace: packet.nsp.unwrap_or(Cow::Borrowed("/")),
                    event: EventData {
                        data,
                        attachments: frame.attachments(),
                    },
                    target,
                }
            }
            kind => return Err(DecodeError::UnknownType { kind }),
        };
        Ok(Self {
            uid: fields.uid,
            id: fields.request_id,
            ask,
        })
    }

    /// The bytes of the request: JSON, and MessagePack where there are bytes, or a packet.
    ///
    /// # Errors
    /// If it is to be MessagePack and a text or an attachment in it is longer than that can say, 4 GiB, or it nests deeper
    /// than 127.
    pub fn encode(&self) -> Result<Vec<u8>, TranscodeError> {
        let mut json = Vec::with_capacity(128);
        let mut object = Object::begin(&mut json);
        if let Some(uid) = &self.uid {
            object.text("uid", uid);
        }
        if let Some(id) = &self.id {
            object.text("requestId", id);
        }
        object.number("type", self.ask.kind().into());
        self.ask.put(&mut object);
        object.end();
        match (&self.ask, self.ask.attachments()) {
            (Ask::Broadcast { .. }, attachments) => to_msgpack(&json, attachments),
            (_, []) => Ok(json),
            (_, attachments) => to_msgpack(&json, attachments),
        }
    }
}

impl Ask<'_> {
    /// The number of its type.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Sockets { .. } => 0,
            Self::AllRooms => 1,
            Self::Join { .. } => 2,
            Self::Leave { .. } => 3,
            Self::Disconnect { .. } => 4,
            Self::Fetch { .. } => 5,
            Self::ServerSideEmit { .. } => 6,
            Self::Broadcast { .. } => 7,
        }
    }

    fn attachments(&self) -> &[Bytes] {
        match self {
            Self::ServerSideEmit { args, .. } => args.attachments(),
            Self::Broadcast { event, .. } => event.attachments,
            _ => &[],
        }
    }

    fn put(&self, object: &mut Object<'_>) {
        match self {
            Self::AllRooms => {}
            Self::Sockets { rooms } => {
                object.key("rooms");
                put_rooms(object.0, rooms);
            }
            Self::Join { target, rooms, .. } | Self::Leave { target, rooms, .. } => {
                object.receivers(target);
                object.key("rooms");
                put_rooms(object.0, rooms);
            }
            Self::Disconnect { target, close, .. } => {
                object.receivers(target);
                object.flag("close", *close);
            }
            Self::Fetch { target } => object.receivers(target),
            Self::ServerSideEmit { name, args } => {
                object.key("data");
                put_event(object.0, name, args);
            }
            Self::Broadcast {
                namespace,
                event,
                target,
            } => {
                object.key("packet");
                let mut packet = Object::begin(object.0);
                packet.number("type", 2);
                packet.key("data");
                packet.0.extend_from_slice(event.data.as_bytes());
                packet.text("nsp", namespace);
                packet.end();
                object.target(target);
            }
        }
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    uid: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<Cow<'a, str>>,
    #[serde(rename = "type")]
    kind: u64,
    opts: Option<Opts>,
    rooms: Option<Vec<RoomName>>,
    room: Option<RoomName>,
    #[serde(borrow)]
    sid: Option<Cow<'a, str>>,
    close: Option<bool>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    packet: Option<Packet<'a>>,
}

#[derive(Deserialize)]
struct Packet<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    nsp: Option<Cow<'a, str>>,
}
