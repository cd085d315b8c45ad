//! What a node says to a request. The answers to most types do not say of which type they are: who asked knows.

use std::borrow::Cow;

use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Payload, Room};
use gatewire_proto::socketio::msgpack::TranscodeError;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::frame::parse;
use crate::wire::json::{Object, put_list, put_rooms, put_socket, to_msgpack};
use crate::wire::shapes::{Found, RoomName, names, some};
use crate::wire::{DecodeError, Frame};

const PART: &str = "response";

/// What a response says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To 0: the ids of sockets.
    Ids(Vec<Room>),
    /// To 1: the names of rooms.
    Rooms(Vec<Room>),
    /// To the old forms of 2, 3 and 4.
    Done,
    /// To 5: who is there.
    Sockets(Vec<FoundSocket>),
    /// To 6: the answer of a server.
    ServerSide(Payload),
    /// 8, to 7: how many clients have been asked.
    ClientCount(usize),
    /// 9, to 7: the answer of a client.
    Ack(Payload),
}

/// A response that has come: of which request, before the rest of it is looked at. All nodes get it, and one has asked.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    frame: &'a Frame<'a>,
    fields: Fields<'a>,
}

impl<'a> Response<'a> {
    /// What a message says that was made readable.
    ///
    /// # Errors
    /// If it is no response.
    pub fn decode(frame: &'a Frame<'a>) -> Result<Self, DecodeError> {
        let fields = parse(frame.json(), PART)?;
        Ok(Self { frame, fields })
    }

    /// Of which request; `""` if it does not say.
    pub fn id(&self) -> &str {
        &self.fields.request_id
    }

    /// What it says.
    ///
    /// # Errors
    /// If it has not what its type must have.
    pub fn answer(self) -> Result<Answer, DecodeError> {
        let fields = self.fields;
        Ok(match (fields.kind, fields.sockets, fields.rooms) {
            (Some(6), ..) => Answer::ServerSide(self.frame.answer(fields.data, fields.more, PART)?),
            (Some(8), ..) => Answer::ClientCount(fields.client_count.unwrap_or(0)),
            (Some(9), ..) => Answer::Ack(self.frame.answer(fields.packet, fields.more, PART)?),
            (_, Some(sockets), _) if is_list_of_ids(sockets) => Answer::Ids(room_names(sockets)?),
            (_, Some(sockets), _) => {
                let sockets: Vec<Found> = parse(sockets.get(), PART)?;
                let sockets = sockets.into_iter();
                Answer::Sockets(sockets.filter_map(|found| found.read(self.frame)).collect())
            }
            (_, None, Some(rooms)) => Answer::Rooms(room_names(rooms)?),
            (_, None, None) => Answer::Done,
        })
    }
}

impl Answer {
    /// The bytes of the response to the request `id`: JSON, and MessagePack where there are bytes, or an answer of a client.
    ///
    /// # Errors
    /// If it is to be MessagePack and a text or an attachment in it is longer than that can say, 4 GiB, or it nests deeper
    /// than 127.
    pub fn encode(&self, id: &str) -> Result<Vec<u8>, TranscodeError> {
        let mut json = Vec::with_capacity(64);
        let mut object = Object::begin(&mut json);
        let kind = match self {
            Self::ServerSide(_) => Some(6),
            Self::ClientCount(_) => Some(8),
            Self::Ack(_) => Some(9),
            _ => None,
        };
        if let Some(kind) = kind {
            object.number("type", kind);
        }
        object.text("requestId", id);
        match self {
            Self::Done => {}
            Self::Ids(ids) => {
                object.key("sockets");
                put_rooms(object.0, ids);
            }
            Self::Rooms(rooms) => {
                object.key("rooms");
                put_rooms(object.0, rooms);
            }
            Self::Sockets(sockets) => {
                object.key("sockets");
                put_list(object.0, sockets, put_socket);
            }
            Self::ClientCount(count) => object.number("clientCount", *count as u64),
            Self::ServerSide(answer) => object.answer("data", answer),
            Self::Ack(answer) => object.answer("packet", answer),
        }
        object.end();
        match self {
            Self::Ack(answer) => to_msgpack(&json, answer.attachments()),
            Self::ServerSide(answer) if !answer.attachments().is_empty() => {
                to_msgpack(&json, answer.attachments())
            }
            _ => Ok(json),
        }
    }
}

/// Whether it is the answer to 0: a list of texts. An empty one is an answer to 5 as well.
fn is_list_of_ids(sockets: &RawValue) -> bool {
    let inner = sockets.get().trim_start().strip_prefix('[').unwrap_or_default();
    inner.trim_start().starts_with('"')
}

fn room_names(list: &RawValue) -> Result<Vec<Room>, DecodeError> {
    Ok(names(parse::<Vec<RoomName>>(list.get(), PART)?))
}

#[derive(Clone, Debug, Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: Option<u64>,
    #[serde(borrow, default, rename = "requestId")]
    request_id: Cow<'a, str>,
    #[serde(rename = "clientCount")]
    client_count: Option<usize>,
    #[serde(borrow)]
    sockets: Option<&'a RawValue>,
    #[serde(borrow)]
    rooms: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    packet: Option<&'a RawValue>,
    #[serde(borrow)]
    more: Option<Vec<&'a RawValue>>,
}
