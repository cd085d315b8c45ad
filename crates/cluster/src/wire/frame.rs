//! A message that has come, made readable. Whatever form it came in, it is read as JSON beside which the bytes lie: that is
//! the form in which clients get it, too, so that the data of an event is neither parsed nor written again.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewire_hub::Payload;
use gatewire_proto::socketio::msgpack::transcode_to_json;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{DecodeError, Limits};

/// A message that has come, made readable.
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

    /// All of it.
    pub(super) fn json(&self) -> &str {
        &self.json
    }

    /// What its placeholders stand for.
    pub(super) fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Values of it, with commas between.
    pub(super) fn payload(&self, args: &str, part: &'static str) -> Result<Payload, DecodeError> {
        let payload = Payload::from_json(args, self.attachments.clone());
        payload.map_err(|error| malformed(part, &error))
    }

    /// The values of an answer: the first, which is all that Node servers send, and what is behind it.
    pub(super) fn answer(
        &self,
        first: Option<&RawValue>,
        more: Option<Vec<&RawValue>>,
        part: &'static str,
    ) -> Result<Payload, DecodeError> {
        let mut args = String::from(first.map_or("", RawValue::get));
        for value in more.unwrap_or_default() {
            args.push(',');
            args.push_str(value.get());
        }
        self.payload(&args, part)
    }

    /// A JSON value has no place for bytes: they become what `JSON.stringify` makes of a Buffer.
    pub(super) fn spell_bytes(&self, value: &mut Value) {
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

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a str, part: &'static str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|error| malformed(part, &error))
}

pub(super) fn malformed(part: &'static str, reason: &dyn fmt::Display) -> DecodeError {
    DecodeError::Json {
        part,
        reason: reason.to_string(),
    }
}
