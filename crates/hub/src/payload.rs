//! The arguments of an event or answer, kept as they came.

use bytes::Bytes;
use gatewire_proto::socketio::{self, ArgSlice, DecodeError, EventBody, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::encode::{self, Arguments, One, Spread};
use crate::text::Text;
use crate::{EmitError, Event};

/// Owned arguments: checked JSON and the attachments that its placeholders stand for. It can be read into types, and
/// sent on untouched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// With commas between, without brackets.
    json: Text,
    count: usize,
    attachments: Box<[Bytes]>,
}

impl Payload {
    #[inline]
    pub(crate) fn new(args: ArgSlice<'_>, attachments: impl Into<Box<[Bytes]>>) -> Self {
        Self {
            json: args.json().into(),
            count: args.len(),
            attachments: attachments.into(),
        }
    }

    /// One argument; none for `()`.
    ///
    /// # Errors
    /// If `value` cannot be JSON.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, EmitError> {
        let mut payload = Self::encode(&One(value))?;
        payload.count = usize::from(!payload.json.is_empty());
        Ok(payload)
    }

    /// The elements of a tuple, array or list, each an argument.
    ///
    /// # Errors
    /// If `values` cannot be JSON, or is no sequence.
    pub fn from_args<T: Serialize + ?Sized>(values: &T) -> Result<Self, EmitError> {
        let mut payload = Self::encode(&Spread(values))?;
        payload.count = ArgSlice::from_parts(&payload.json, 0).iter().count();
        Ok(payload)
    }

    /// Arguments that are JSON already: values with commas between, as [`ArgSlice::json`] tells them, and what the
    /// placeholders among them stand for. Large attachments are not copied when they are sent: bytes that are part of something
    /// much larger keep that in memory.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn from_json(json: &str, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        let limits = Limits {
            max_depth: usize::MAX,
            ..Limits::default()
        };
        let args = format!("[{json}]");
        Ok(Self::new(socketio::scan_args(&args, &limits)?, attachments))
    }

    #[inline]
    fn encode(args: &dyn Arguments) -> Result<Self, EmitError> {
        let mut attachments = Vec::new();
        let json = encode::arguments("ack", args, &mut attachments)?;
        Ok(Self {
            json,
            count: 0,
            attachments: attachments.into(),
        })
    }

    /// How many arguments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The JSON of the arguments.
    #[must_use]
    pub fn args(&self) -> ArgSlice<'_> {
        ArgSlice::from_parts(&self.json, self.count)
    }

    /// What the placeholders in the JSON stand for.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// These arguments as the event `name`; `ack_id` as in [`Event::ack_id`](crate::Event::ack_id).
    #[must_use]
    pub fn as_event<'a>(&'a self, name: &'a str, ack_id: Option<u64>) -> Event<'a> {
        let body = EventBody {
            name: name.into(),
            args: self.args(),
        };
        Event::new(body, &self.attachments, ack_id)
    }

    /// The arguments as one value: no argument is `null`, one is itself, several are an array. [`Bytes`] that are all there
    /// is share the attachment; those deeper in are copied.
    ///
    /// # Errors
    /// If they are no `T`.
    pub fn body<T: DeserializeOwned + 'static>(&self) -> Result<T, serde_json::Error> {
        read_body(self.args(), &self.attachments)
    }

    /// These arguments, each changed as JSON. What stands for an attachment is the object that it is in the JSON: left alone,
    /// it stands for the same bytes.
    ///
    /// # Errors
    /// If an argument is more than a [`Value`] holds: a number that is too large, or lists that nest too deep.
    pub fn map_json(&self, mut change: impl FnMut(&mut Value)) -> Result<Self, serde_json::Error> {
        let mut json = String::with_capacity(self.json.len());
        for argument in self.args().iter() {
            let mut value: Value = serde_json::from_str(argument)?;
            change(&mut value);
            if !json.is_empty() {
                json.push(',');
            }
            json.push_str(&value.to_string());
        }
        Ok(Self {
            json: Text::from(&*json),
            count: self.count,
            attachments: self.attachments.clone(),
        })
    }

    /// The argument at `index`; one that is missing is `null`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn arg<T: DeserializeOwned + 'static>(&self, index: usize) -> Result<T, serde_json::Error> {
        read_arg(self.args(), index, &self.attachments)
    }
}

pub(crate) fn read_body<T: DeserializeOwned + 'static>(
    args: ArgSlice<'_>,
    attachments: &[Bytes],
) -> Result<T, serde_json::Error> {
    match args.len() {
        0 => socketio::from_json_owned("null", attachments),
        1 => socketio::from_json_owned(args.json(), attachments),
        _ => socketio::from_json_owned(&format!("[{}]", args.json()), attachments),
    }
}

pub(crate) fn read_arg<T: DeserializeOwned + 'static>(
    args: ArgSlice<'_>,
    index: usize,
    attachments: &[Bytes],
) -> Result<T, serde_json::Error> {
    socketio::from_json_owned(args.get(index).unwrap_or("null"), attachments)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_null_the_value_or_an_array() {
        let cases = [
            (Payload::from_args(&()), 0, json!(null)),
            (Payload::from_value(&()), 0, json!(null)),
            (Payload::from_value(&[1, 2]), 1, json!([1, 2])),
            (Payload::from_args(&[1, 2]), 2, json!([1, 2])),
            (
                Payload::from_args(&("a,]", json!({"b": [","]}))),
                2,
                json!(["a,]", {"b": [","]}]),
            ),
            (Payload::from_args(&[[1, 2]]), 1, json!([1, 2])),
        ];
        for (payload, count, body) in cases {
            let payload = payload.unwrap();
            assert_eq!(payload.len(), count, "{payload:?}");
            assert_eq!(payload.body::<Value>().unwrap(), body);
        }
    }

    #[test]
    fn arguments_are_taken_as_json() {
        let payload = Payload::from_args(&(1, "],", Bytes::from_static(b"c"))).unwrap();
        let again = Payload::from_json(payload.args().json(), payload.attachments().to_vec()).unwrap();
        assert_eq!(again, payload);
        assert!(Payload::from_json("", Vec::new()).unwrap().is_empty());
        for wrong in ["1,", "]", "1],[2", "{"] {
            assert!(Payload::from_json(wrong, Vec::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_are_changed_as_json() {
        let payload = Payload::from_args(&(1, "b", Bytes::from_static(b"c"))).unwrap();
        let changed = payload.map_json(|value| {
            if value.is_u64() {
                *value = json!([2, ","]);
            }
        });
        let changed = changed.unwrap();
        assert_eq!(
            (changed.len(), changed.arg::<Value>(0).unwrap()),
            (3, json!([2, ","]))
        );
        assert_eq!(changed.arg::<Bytes>(2).unwrap(), "c");
        assert!(
            Payload::default()
                .map_json(|_| unreachable!())
                .unwrap()
                .is_empty()
        );
        let huge = Payload::from_json("1e999", Vec::new()).unwrap();
        assert!(huge.map_json(|_| ()).is_err());
    }

    #[test]
    fn arguments_are_read_by_number() {
        let payload = Payload::from_args(&(1, "b", Bytes::from_static(b"c"))).unwrap();
        assert_eq!(payload.arg::<u8>(0).unwrap(), 1);
        assert_eq!(payload.arg::<String>(1).unwrap(), "b");
        assert_eq!(payload.arg::<Bytes>(2).unwrap(), "c");
        assert_eq!(payload.arg::<Option<u8>>(3).unwrap(), None);
        assert!(payload.arg::<u8>(1).is_err());
        assert_eq!(payload.body::<(u8, String, Bytes)>().unwrap().2, "c");
    }
}
