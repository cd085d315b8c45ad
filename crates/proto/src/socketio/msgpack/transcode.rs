//! MessagePack to JSON with attachments, and back, value by value as they come. The depth of both is limited, so the
//! recursion here is.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::{Deserializer, Visitor};
use thiserror::Error;

use super::date::iso_string;
use super::read::{DecodeError, Reader, Token};
use super::write::{
    self, correct_head, put_array_head, put_bin, put_bin_head, put_bool, put_float, put_head, put_id,
    put_map_head, put_nil, put_signed, put_str, put_unsigned,
};
use super::{ArgSlice, Data, MAX_DEPTH};
use crate::json::put_json_string;
use crate::json::scanner::{Fault, Scanner};
use crate::large;
use crate::pieces::Pieces;
use crate::socketio::attachments::{NUM, PLACEHOLDER, put_placeholder};
use crate::socketio::{Limits, Packet};

/// Appends one MessagePack value as JSON. Bytes become placeholders and are copied to `attachments`, numbered on from what is
/// there already, and together `max_attachments` at most.
///
/// # Errors
/// If `value` is not exactly one value that [`decode`](super::decode) would accept, has too many pieces of bytes, or has
/// a map that looks like a placeholder and is none: at the other side it would stand for other bytes, or break the
/// packet. `out` and `attachments` are then as they were.
pub fn transcode_to_json(
    value: &[u8],
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    max_attachments: usize,
) -> Result<(), TranscodeError> {
    to_json(ArgSlice::from_parts(value, 1), out, attachments, max_attachments)
}

/// Appends the arguments of an event or acknowledgement as JSON, with commas between: what
/// [`socketio::ArgSlice::json`](crate::socketio::ArgSlice::json) is in the text form.
///
/// # Errors
/// As [`transcode_to_json`].
pub fn transcode_args_to_json(
    args: ArgSlice<'_>,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    max_attachments: usize,
) -> Result<(), TranscodeError> {
    to_json(args, out, attachments, max_attachments)
}

/// Appends one JSON value as MessagePack; placeholders become the bytes of their attachments. Without attachments an
/// object that looks like a placeholder stays an object. Half a surrogate pair, which UTF-8 cannot have, becomes U+FFFD.
///
/// # Errors
/// If `json` is not one JSON value, nests deeper than 127, or has a placeholder out of range. `out` is then as it was.
pub fn transcode_from_json(
    json: &str,
    attachments: &[Bytes],
    out: &mut Vec<u8>,
) -> Result<(), TranscodeError> {
    from_json(json, attachments, out, None)
}

/// As [`transcode_from_json`], but large attachments are shared rather than copied.
///
/// # Errors
/// As [`transcode_from_json`].
pub fn transcode_from_json_in_pieces(
    json: &str,
    attachments: &[Bytes],
    out: &mut Pieces,
) -> Result<(), TranscodeError> {
    let (own, shared) = out.parts();
    let count = shared.len();
    let result = from_json(json, attachments, own, Some(shared));
    if result.is_err() {
        shared.truncate(count);
    }
    result
}

/// Appends a packet of the text form, with its attachments, as one message of this form.
///
/// # Errors
/// As [`transcode_from_json`].
pub fn encode(packet: &Packet<'_>, attachments: &[Bytes], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let len = out.len();
    let has_data = !packet.data.is_empty();
    put_head(out, packet.kind, packet.namespace, has_data, packet.id);
    if has_data && let Err(error) = transcode_from_json(packet.data, attachments, out) {
        out.truncate(len);
        return Err(error);
    }
    put_id(out, packet.id);
    Ok(())
}

impl Data<'_> {
    /// The data as it is in the text form: JSON (`""` for none; the whole array of an event or acknowledgement), and the
    /// attachments that its placeholders stand for, `limits.max_attachments` at most.
    ///
    /// # Errors
    /// As [`transcode_to_json`]. The value of a connect or connect error has no place for bytes.
    pub fn to_json(&self, limits: &Limits) -> Result<(String, Vec<Bytes>), TranscodeError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        let max = limits.max_attachments;
        match self {
            Self::None => {}
            Self::Value(value) => transcode_to_json(value, &mut json, &mut attachments, 0)?,
            Self::Event(event) => {
                json.push(b'[');
                put_json_string(&mut json, &event.name);
                if !event.args.is_empty() {
                    json.push(b',');
                }
                transcode_args_to_json(event.args, &mut json, &mut attachments, max)?;
                json.push(b']');
            }
            Self::Ack(args) => {
                json.push(b'[');
                transcode_args_to_json(*args, &mut json, &mut attachments, max)?;
                json.push(b']');
            }
        }
        // What was written is text, so there is no other case.
        Ok((String::from_utf8(json).unwrap_or_default(), attachments))
    }
}

/// Why a value cannot be written in the other form.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranscodeError {
    /// It is not MessagePack as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More pieces of bytes than allowed.
    #[error("the value has more than {max} pieces of bytes")]
    TooManyAttachments {
        /// The limit.
        max: usize,
    },
    /// From MessagePack: a map that says of itself that it is a placeholder. From JSON: one without the number of an
    /// attachment.
    #[error("a placeholder does not stand for an attachment")]
    Placeholder,
    /// It is not JSON.
    #[error("the value is not JSON from byte {offset} on")]
    Json {
        /// Where, in bytes from its start.
        offset: usize,
    },
    /// A string or an attachment has 2^32 bytes or more.
    #[error("a string or an attachment is longer than 2^32 - 1 bytes")]
    TooLong,
}

impl From<Fault> for TranscodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(offset) => Self::Json { offset },
            Fault::TooDeep => DecodeError::TooDeep.into(),
        }
    }
}

fn to_json(
    values: ArgSlice<'_>,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    max_attachments: usize,
) -> Result<(), TranscodeError> {
    let (len, count) = (out.len(), attachments.len());
    let mut source = MessagePack {
        reader: Reader::new(values.bytes()),
        max_attachments,
        attachments: &mut *attachments,
        out: &mut *out,
    };
    let result = source.values(values.len());
    if result.is_err() {
        out.truncate(len);
        attachments.truncate(count);
    }
    result
}

fn from_json(
    json: &str,
    attachments: &[Bytes],
    out: &mut Vec<u8>,
    shared: Option<&mut Vec<(usize, Bytes)>>,
) -> Result<(), TranscodeError> {
    let len = out.len();
    let mut source = Json {
        json,
        scanner: Scanner::new(json, MAX_DEPTH),
        attachments,
        out: &mut *out,
        shared,
    };
    let result = source.whole();
    if result.is_err() {
        out.truncate(len);
    }
    result
}

struct MessagePack<'a, 'o> {
    reader: Reader<'a>,
    attachments: &'o mut Vec<Bytes>,
    max_attachments: usize,
    out: &'o mut Vec<u8>,
}

impl MessagePack<'_, '_> {
    /// All there is, which must be `count` values.
    fn values(&mut self, count: usize) -> Result<(), TranscodeError> {
        for index in 0..count {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(MAX_DEPTH)?;
        }
        if self.reader.is_at_end() {
            Ok(())
        } else {
            let offset = self.reader.position();
            Err(DecodeError::Trailing { offset }.into())
        }
    }

    fn value(&mut self, depth_left: usize) -> Result<(), TranscodeError> {
        let mut number = itoa::Buffer::new();
        match self.reader.token()? {
            Token::Nil => self.out.extend_from_slice(b"null"),
            Token::Bool(true) => self.out.extend_from_slice(b"true"),
            Token::Bool(false) => self.out.extend_from_slice(b"false"),
            Token::Unsigned(value) => self.out.extend_from_slice(number.format(value).as_bytes()),
            Token::Signed(value) => self.out.extend_from_slice(number.format(value).as_bytes()),
            Token::Float(value) => self.out.extend_from_slice(write::json_number(value).as_bytes()),
            Token::Str(text) => put_json_string(self.out, text),
            Token::Bin(bytes) => {
                if self.attachments.len() >= self.max_attachments {
                    let max = self.max_attachments;
                    return Err(TranscodeError::TooManyAttachments { max });
                }
                put_placeholder(self.out, self.attachments.len());
                self.attachments.push(large::own(bytes));
            }
            Token::Date(ms) => match iso_string(ms) {
                Some(text) => put_json_string(self.out, &text),
                None => self.out.extend_from_slice(b"null"),
            },
            Token::Array(len) => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                self.out.push(b'[');
                for index in 0..len {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.value(depth_left)?;
                }
                self.out.push(b']');
            }
            Token::Map(len) => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                self.out.push(b'{');
                for index in 0..len {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.entry(depth_left)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    fn entry(&mut self, depth_left: usize) -> Result<(), TranscodeError> {
        let offset = self.reader.position();
        let key: Cow<'_, str> = match self.reader.token()? {
            Token::Str(text) => text.into(),
            Token::Unsigned(number) => number.to_string().into(),
            Token::Signed(number) => number.to_string().into(),
            _ => return Err(DecodeError::Key { offset }.into()),
        };
        put_json_string(self.out, &key);
        self.out.push(b':');
        let at = self.out.len();
        self.value(depth_left)?;
        if key == PLACEHOLDER && self.out[at..] == *b"true" {
            return Err(TranscodeError::Placeholder);
        }
        Ok(())
    }
}

struct Json<'a, 'o> {
    json: &'a str,
    scanner: Scanner<'a>,
    attachments: &'a [Bytes],
    out: &'o mut Vec<u8>,
    /// Attachments that are not in `out`, with their places there; `None` if all are to be.
    shared: Option<&'o mut Vec<(usize, Bytes)>>,
}

/// What a value may be to the object around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    True,
    Number(u64),
    Other,
}

impl<'a> Json<'a, '_> {
    fn whole(&mut self) -> Result<(), TranscodeError> {
        self.scanner.skip_whitespace();
        self.value(MAX_DEPTH)?;
        self.scanner.skip_whitespace();
        if self.scanner.is_at_end() {
            Ok(())
        } else {
            Err(self.scanner.fault().into())
        }
    }

    fn value(&mut self, depth_left: usize) -> Result<Seen, TranscodeError> {
        match self.scanner.peek() {
            Some(b'[') => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                self.array(depth_left)?;
            }
            Some(b'{') => {
                let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
                self.object(depth_left)?;
            }
            Some(b'"') => {
                let text = self.string()?;
                self.put_text(&text)?;
            }
            _ => return self.scalar(),
        }
        Ok(Seen::Other)
    }

    fn scalar(&mut self) -> Result<Seen, TranscodeError> {
        let start = self.scanner.position();
        self.scanner.value()?;
        let text = &self.json[start..self.scanner.position()];
        match text {
            "null" => put_nil(self.out),
            "false" => put_bool(self.out, false),
            "true" => {
                put_bool(self.out, true);
                return Ok(Seen::True);
            }
            _ => {
                if let Ok(number) = text.parse() {
                    put_unsigned(self.out, number);
                    return Ok(Seen::Number(number));
                }
                if let Ok(number) = text.parse() {
                    put_signed(self.out, number);
                } else {
                    // Too large a number is infinite, as in JavaScript.
                    put_float(self.out, text.parse().unwrap_or(f64::INFINITY));
                }
            }
        }
        Ok(Seen::Other)
    }

    fn array(&mut self, depth_left: usize) -> Result<(), TranscodeError> {
        let at = self.out.len();
        put_array_head(self.out, 0);
        self.scanner.eat(b'[');
        self.scanner.skip_whitespace();
        let mut count = 0;
        if !self.scanner.eat(b']') {
            loop {
                self.value(depth_left)?;
                count += 1;
                if self.is_last(b']')? {
                    break;
                }
            }
        }
        self.correct_head(at, false, count);
        Ok(())
    }

    fn object(&mut self, depth_left: usize) -> Result<(), TranscodeError> {
        let at = self.out.len();
        put_map_head(self.out, 0);
        self.scanner.eat(b'{');
        self.scanner.skip_whitespace();
        let (mut placeholder, mut num) = (false, None);
        let mut count = 0;
        if !self.scanner.eat(b'}') {
            loop {
                if self.scanner.peek() != Some(b'"') {
                    return Err(self.scanner.fault().into());
                }
                let key = self.string()?;
                self.put_text(&key)?;
                self.scanner.skip_whitespace();
                if !self.scanner.eat(b':') {
                    return Err(self.scanner.fault().into());
                }
                self.scanner.skip_whitespace();
                let seen = self.value(depth_left)?;
                match &*key {
                    PLACEHOLDER => placeholder = seen == Seen::True,
                    NUM => num = Some(seen),
                    _ => {}
                }
                count += 1;
                if self.is_last(b'}')? {
                    break;
                }
            }
        }
        if placeholder && !self.attachments.is_empty() {
            return self.attachment(at, num);
        }
        self.correct_head(at, true, count);
        Ok(())
    }

    /// Puts the number of elements into the head at `at`, which may take more bytes then.
    fn correct_head(&mut self, at: usize, is_map: bool, count: usize) {
        let before = self.out.len();
        correct_head(self.out, at, is_map, 0, count);
        let longer = self.out.len() - before;
        let shared = self.shared.iter_mut().flat_map(|shared| shared.iter_mut());
        shared
            .filter(|(place, _)| *place > at)
            .for_each(|(place, _)| *place += longer);
    }

    /// In place of the object that was begun at `at`.
    fn attachment(&mut self, at: usize, num: Option<Seen>) -> Result<(), TranscodeError> {
        let Some(Seen::Number(num)) = num else {
            return Err(TranscodeError::Placeholder);
        };
        let bytes = usize::try_from(num)
            .ok()
            .and_then(|num| self.attachments.get(num));
        let bytes = bytes.ok_or(TranscodeError::Placeholder)?;
        check_len(bytes.len())?;
        self.out.truncate(at);
        match &mut self.shared {
            Some(shared) => {
                // Those within the object are not sent.
                shared.retain(|(place, _)| *place <= at);
                if bytes.len() < large::LEAST {
                    put_bin(self.out, bytes);
                    return Ok(());
                }
                put_bin_head(self.out, bytes.len());
                shared.push((self.out.len(), bytes.clone()));
            }
            None => put_bin(self.out, bytes),
        }
        Ok(())
    }

    /// Moves over what stands behind an element, and says whether it was the last.
    fn is_last(&mut self, end: u8) -> Result<bool, TranscodeError> {
        self.scanner.skip_whitespace();
        if self.scanner.eat(end) {
            return Ok(true);
        }
        if !self.scanner.eat(b',') {
            return Err(self.scanner.fault().into());
        }
        self.scanner.skip_whitespace();
        Ok(false)
    }

    /// Moves over a string, its quote being next.
    fn string(&mut self) -> Result<Cow<'a, str>, TranscodeError> {
        let start = self.scanner.position();
        let escapes = self.scanner.string()?;
        let quoted = &self.json[start..self.scanner.position()];
        if !escapes {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        // As bytes, serde_json lets half surrogate pairs through, encoded like other characters.
        let bytes = serde_json::Deserializer::from_str(quoted)
            .deserialize_bytes(Unescaped)
            .map_err(|_| TranscodeError::Json { offset: start })?;
        Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn put_text(&mut self, text: &str) -> Result<(), TranscodeError> {
        check_len(text.len())?;
        put_str(self.out, text);
        Ok(())
    }
}

struct Unescaped;

impl Visitor<'_> for Unescaped {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

fn check_len(len: usize) -> Result<(), TranscodeError> {
    match u32::try_from(len) {
        Ok(_) => Ok(()),
        Err(_) => Err(TranscodeError::TooLong),
    }
}
