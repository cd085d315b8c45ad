//! From a message to its bytes. It is written as JSON, keys in the order of the Node adapters, and turned into MessagePack
//! where that is wanted: so both forms say the same by construction.

use bytes::Bytes;
use gatewire_proto::socketio::msgpack::TranscodeError;
use gatewire_proto::socketio::put_json_string;

use super::{Body, Message};
use crate::wire::json::{Object, put_event, put_list, put_number, put_rooms, put_socket, to_msgpack};

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
                data.flag("close", *close);
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
                put_event(data.0, name, args);
            }
            Self::ServerSideEmitResponse { request, answer } | Self::BroadcastAck { request, answer } => {
                data.text("requestId", request);
                data.answer("packet", answer);
            }
            Self::BroadcastClientCount { request, count } => {
                data.text("requestId", request);
                data.number("clientCount", *count as u64);
            }
        }
        data.end();
    }
}
