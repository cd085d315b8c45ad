//! The body of a message, straight into the handler's own type; a part of it; and the raw arguments.

use std::convert::Infallible;
use std::fmt;

use gatewire_hub::Event;
use gatewire_proto::socketio;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{BodyRejection, FromMessage};
use crate::Payload;
use crate::gateway::MessageContext;

/// The message's argument as a `T`: `null` if there is none, a list (or tuple) if there are several. A body that does not
/// fit is answered with an exception that says what was expected.
///
/// Binary data comes as `bytes::Bytes` (or any type that deserialises from bytes). A body that is nothing but
/// `bytes::Bytes` is not copied; sent on or returned as it came, neither is it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageBody<T>(pub T);

// Spelt out, because serde explains a missing `Deserialize` better than a missing `DeserializeOwned`.
impl<T: for<'de> Deserialize<'de> + 'static> FromMessage for MessageBody<T> {
    type Rejection = BodyRejection;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, BodyRejection> {
        let body = message.event().body();
        body.map(Self).map_err(|error| BodyRejection::misfit(&error))
    }
}

/// Every argument as it came, text and binary; can be emitted or returned untouched.
impl FromMessage for Payload {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.event().to_payload())
    }
}

/// The body, or the field `key` of it; one that is missing is `null`, if the type takes that.
pub(crate) fn read_part<T: for<'de> Deserialize<'de> + 'static>(
    event: &Event<'_>,
    key: Option<&'static str>,
) -> Result<T, BodyRejection> {
    let misfit = |error| BodyRejection::misfit(&error);
    let Some(key) = key else {
        return event.body().map_err(misfit);
    };
    let args = event.args();
    let body = match args.len() {
        0 => "null",
        1 => args.json(),
        _ => return Err(BodyRejection::NoObject { key }),
    };
    // Its JSON was checked when it came in: what cannot be read is no object.
    let Ok(part) = serde_json::Deserializer::from_str(body).deserialize_option(Part(key)) else {
        return Err(BodyRejection::NoObject { key });
    };
    match part {
        Some(part) => socketio::from_json_owned(part.get(), event.attachments()).map_err(misfit),
        None => socketio::from_json_owned("null", &[]).map_err(|_| BodyRejection::Missing { key }),
    }
}

/// Finds a field of an object; of several with one name the last counts, as in JavaScript.
struct Part<'k>(&'k str);

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the field `{}`", self.0)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut part = None;
        while let Some(is_it) = map.next_key_seed(KeyIs(self.0))? {
            if is_it {
                part = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(part)
    }
}

struct KeyIs<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}
