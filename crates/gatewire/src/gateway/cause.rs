//! Where an error's `cause.data` comes from: the message while it is there, or a copy of its arguments.

use gatewire_hub::{Event, Payload};
use serde_json::value::RawValue;

/// Where an error's `cause.data` is taken from.
pub(crate) enum CauseSource<'a> {
    Event(&'a Event<'a>),
    Payload(&'a Payload),
    Kept(&'a Kept),
    Unknown,
}

impl CauseSource<'_> {
    /// The message's argument, or the list of them if there are several.
    pub(super) fn data(&self) -> Option<Box<RawValue>> {
        let (count, json) = match self {
            Self::Event(event) => (event.args().len(), event.args().json()),
            Self::Payload(payload) => (payload.len(), payload.args().json()),
            Self::Kept(kept) => (kept.count, kept.json()),
            Self::Unknown => return None,
        };
        let json = match count {
            0 => return None,
            1 => json.to_owned(),
            _ => format!("[{json}]"),
        };
        RawValue::from_string(json).ok()
    }
}

/// A copy of a message's arguments for an async handler, which may fail or panic when the message is gone. Most are
/// short, and then cost no allocation.
pub(super) struct Kept {
    count: usize,
    json: Json,
}

enum Json {
    /// The length, and the text with zeros behind it.
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

const SHORT: usize = 63;

impl Kept {
    pub(super) fn new(event: &Event<'_>) -> Self {
        let (count, json) = (event.args().len(), event.args().json());
        let short = u8::try_from(json.len()).ok().filter(|_| json.len() <= SHORT);
        let json = match short {
            Some(length) => {
                let mut bytes = [0; SHORT];
                bytes[..json.len()].copy_from_slice(json.as_bytes());
                Json::Short(length, bytes)
            }
            None => Json::Long(json.into()),
        };
        Self { count, json }
    }

    fn json(&self) -> &str {
        match &self.json {
            // It was text when it was copied.
            Json::Short(length, bytes) => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or_default()
            }
            Json::Long(json) => json,
        }
    }
}
