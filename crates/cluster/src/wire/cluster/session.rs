//! The session of a socket that lost its connection, as the streams adapter keeps it: MessagePack in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewire_hub::Id;
use gatewire_hub::cluster::SavedSession;
use gatewire_proto::socketio::msgpack::TranscodeError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Frame, Limits};
use crate::wire::json::{put_value, to_msgpack};
use crate::wire::shapes::{RoomName, names};

/// The text that is kept for a session of the namespace.
///
/// # Errors
/// If its data nests deeper than 127, or has a text of 4 GiB.
pub fn encode_session(session: &SavedSession, namespace: &str) -> Result<String, TranscodeError> {
    let mut json = Vec::with_capacity(256);
    let kept = Kept {
        sid: session.id.as_str(),
        pid: &session.private_id,
        rooms: session.rooms.iter().map(AsRef::as_ref).collect(),
        data: &session.data,
        nsp: namespace,
    };
    put_value(&mut json, &kept);
    Ok(STANDARD.encode(to_msgpack(&json, &[])?))
}

/// The session that was kept as this text; `None` if its id is none of Socket.IO's.
///
/// # Errors
/// If it is something else, or beyond the limits.
pub fn decode_session(text: &str, limits: &Limits) -> Result<Option<KeptSession>, DecodeError> {
    let frame = Frame::read_data(text, limits)?;
    let found: Found = frame.value("session")?;
    let kept = Id::parse(&found.sid).map(|id| KeptSession {
        session: SavedSession {
            id,
            private_id: found.pid,
            rooms: names(found.rooms),
            data: found.data,
        },
        namespace: found.nsp,
    });
    Ok(kept)
}

/// A session that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSession {
    /// The session.
    pub session: SavedSession,
    /// Its namespace: a field of our own, so that nobody takes a session of one namespace into another. Node servers do
    /// not tell it.
    pub namespace: Option<String>,
}

impl KeptSession {
    /// Whether it may be one of the namespace.
    pub fn is_of(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

#[derive(Serialize)]
struct Kept<'a> {
    sid: &'a str,
    pid: &'a str,
    rooms: Vec<&'a str>,
    data: &'a Value,
    nsp: &'a str,
}

#[derive(Deserialize)]
struct Found {
    sid: String,
    pid: String,
    rooms: Vec<RoomName>,
    #[serde(default)]
    data: Value,
    nsp: Option<String>,
}
