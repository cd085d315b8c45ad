//! A message as an entry of a Redis stream: its parts are the fields of the entry, the data JSON or, where it has bytes,
//! MessagePack in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewire_proto::socketio::msgpack::TranscodeError;

use super::{Body, DecodeError, Frame, Limits, Message};
use crate::wire::json::to_msgpack;

/// The fields of an entry, in the order of the Node adapter.
pub type EntryFields = Vec<(&'static str, String)>;

impl Message<'_> {
    /// The fields of the entry that is this message.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), if the message has bytes.
    pub fn to_entry(&self) -> Result<EntryFields, TranscodeError> {
        let mut fields = vec![
            ("uid", self.uid.clone().into_owned()),
            ("nsp", self.namespace.clone().into_owned()),
            ("type", self.body.kind().to_string()),
        ];
        if self.body.has_data() {
            let mut json = Vec::with_capacity(256);
            self.body.put_data(&mut json);
            let attachments = self.body.attachments();
            let data = if attachments.is_empty() {
                // What was written is text, so nothing is replaced here.
                String::from_utf8_lossy(&json).into_owned()
            } else {
                STANDARD.encode(to_msgpack(&json, attachments)?)
            };
            fields.push(("data", data));
        }
        Ok(fields)
    }
}

/// An entry of a stream that has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Who sent it.
    pub uid: &'a str,
    /// The namespace's name.
    pub namespace: &'a str,
    /// The type of the message.
    pub kind: u64,
    frame: Frame<'a>,
}

impl<'a> Entry<'a> {
    /// Reads the fields of an entry, whatever their order.
    ///
    /// # Errors
    /// If a field is missing, or the data is neither JSON nor MessagePack. JSON is looked at later.
    pub fn read(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        let (mut uid, mut namespace, mut kind, mut data) = (None, None, None, "{}");
        for (field, value) in fields {
            match field {
                "uid" => uid = Some(value),
                "nsp" => namespace = Some(value),
                "type" => kind = value.parse().ok(),
                "data" => data = value,
                _ => {}
            }
        }
        Ok(Self {
            uid: uid.unwrap_or_default(),
            namespace: namespace.ok_or(DecodeError::Field { field: "nsp" })?,
            kind: kind.ok_or(DecodeError::Field { field: "type" })?,
            frame: Frame::read_data(data, limits)?,
        })
    }

    /// What the message says.
    ///
    /// # Errors
    /// If the data is not JSON, or has not what the type must have.
    pub fn body(&self) -> Result<Body<'_>, DecodeError> {
        self.frame.body(self.kind)
    }
}
