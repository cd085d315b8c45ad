//! Messages of plain WebSocket clients: an event, its data, and what an answer is to be recognised by. The default form is
//! the envelope of NestJS, `{"event":"chat","data":…}` ([`JsonCodec`]); there is a shorter one ([`ArrayCodec`]) and one of
//! bytes ([`MsgpackCodec`]), and any other is a [`MessageCodec`] of the user.
//! Rooms, namespaces and packets of other kinds are not of this protocol: the server has them, the wire does not.

mod array;
mod json;
mod msgpack;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::json::put_json_string;
use crate::pieces::Pieces;
pub use crate::socketio::Limits;
pub use array::ArrayCodec;
pub use json::JsonCodec;
pub(crate) use json::put_data;
pub use msgpack::MsgpackCodec;

/// How messages look on a plain WebSocket connection, both ways. One codec serves all connections of a path.
///
/// Data is JSON here, whatever the form on the wire; bytes are attachments, with `{"_placeholder":true,"num":n}` in their
/// places.
///
/// ```
/// use gatewire_proto::envelope::{CodecError, Incoming, Limits, MessageCodec, Outgoing, Subject, WireKind};
///
/// /// `name data`: a word, a space, and JSON.
/// #[derive(Debug)]
/// struct Words;
///
/// impl MessageCodec for Words {
///     fn decode_text<'a>(&self, message: &'a str, _: &Limits) -> Result<Incoming<'a>, CodecError> {
///         let (name, data) = message.split_once(' ').ok_or(CodecError::NoEvent)?;
///         Ok(Incoming {
///             subject: Subject::Event(name.into()),
///             data: Some(data.into()),
///             id: None,
///             attachments: Vec::new(),
///         })
///     }
///
///     fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
///         out.extend_from_slice(message.event.as_bytes());
///         out.push(b' ');
///         out.extend_from_slice(message.data.unwrap_or("null").as_bytes());
///         Ok(WireKind::Text)
///     }
/// }
/// ```
pub trait MessageCodec: fmt::Debug + Send + Sync + 'static {
    /// Takes a text message.
    ///
    /// # Errors
    /// If it is nothing that a client may send. The client is told.
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError>;

    /// Takes a binary message. Without more, there are none.
    ///
    /// # Errors
    /// As [`decode_text`](Self::decode_text).
    fn decode_binary<'a>(&self, message: &'a [u8], limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        let _ = (message, limits);
        Err(CodecError::UnexpectedBinary)
    }

    /// Appends the message to `out`, which may have something in it already, and tells which kind of message it is.
    ///
    /// # Errors
    /// If the form cannot hold it: it is then not sent.
    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError>;

    /// As [`encode`](Self::encode), for a message with large attachments: those that are in it as they are may be
    /// [pushed](Pieces::push), and are then sent without a copy. Without more it is what `encode` makes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_in_pieces(&self, message: &Outgoing<'_>, out: &mut Pieces) -> Result<WireKind, CodecError> {
        self.encode(message, out.own())
    }

    /// Appends what stands before the data of a text message, for a form that has the data in it as it is. The data of an
    /// event for one client is then written behind that with no copy between, and [`put_tail`](Self::put_tail) ends the
    /// message; it must be the same as that of [`encode`](Self::encode), which is asked where there is no data, or bytes.
    /// Without more it is `false`, nothing is appended, and `encode` is always asked.
    fn put_head(&self, event: &str, out: &mut TextBuffer<'_>) -> bool {
        let _ = (event, out);
        false
    }

    /// Appends what stands behind the data, after a [`put_head`](Self::put_head) that was `true`; `id` and `ack` as in
    /// [`Outgoing`].
    fn put_tail(&self, id: Option<&str>, ack: Option<u64>, out: &mut TextBuffer<'_>) {
        let _ = (id, ack, out);
    }
}

impl<C: MessageCodec + ?Sized> MessageCodec for Arc<C> {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        (**self).decode_text(message, limits)
    }

    fn decode_binary<'a>(&self, message: &'a [u8], limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        (**self).decode_binary(message, limits)
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        (**self).encode(message, out)
    }

    fn encode_in_pieces(&self, message: &Outgoing<'_>, out: &mut Pieces) -> Result<WireKind, CodecError> {
        (**self).encode_in_pieces(message, out)
    }

    fn put_head(&self, event: &str, out: &mut TextBuffer<'_>) -> bool {
        (**self).put_head(event, out)
    }

    fn put_tail(&self, id: Option<&str>, ack: Option<u64>, out: &mut TextBuffer<'_>) {
        (**self).put_tail(id, ack, out);
    }
}

/// The end of a message that is being written: what is appended is text, and so is not looked at again.
#[derive(Debug)]
pub struct TextBuffer<'a>(&'a mut Vec<u8>);

impl<'a> TextBuffer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }

    /// Appends a text as it is.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Appends a text as a JSON string, with its quotes.
    #[inline]
    pub fn push_json_string(&mut self, text: &str) {
        put_json_string(self.0, text);
    }
}

/// The kind of a WebSocket message (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// What it is about.
    pub subject: Subject<'a>,
    /// One JSON value, which is trusted to be JSON; `None` if there is none.
    pub data: Option<Cow<'a, str>>,
    /// What the client will recognise the answer by, as JSON. Without it, it wants none.
    pub id: Option<Cow<'a, str>>,
    /// What the placeholders in the data stand for.
    pub attachments: Vec<Bytes>,
}

/// What a message of a client is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An event of that name.
    Event(Cow<'a, str>),
    /// The answer to the message of the server with that [`Outgoing::ack`].
    Answer(u64),
}

/// What the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The event; of an answer, that which is answered.
    pub event: &'a str,
    /// One JSON value; `None` if there is none.
    pub data: Option<&'a str>,
    /// Of an answer: the id of what is answered, as JSON.
    pub id: Option<&'a str>,
    /// The server wants an answer, with this number.
    pub ack: Option<u64>,
    /// What the placeholders in the data stand for.
    pub attachments: &'a [Bytes],
}

/// Why a message is none, or cannot be sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The text is not JSON.
    #[error("the message is not JSON from byte {offset} on")]
    Json {
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// It nests deeper than [`Limits::max_depth`].
    #[error("the message nests too deep")]
    TooDeep,
    /// It is JSON, but no object.
    #[error("the message must be an object with a field `event`")]
    NotAnObject,
    /// It is JSON, but no array of an event and what belongs to it.
    #[error("the message must be an array that begins with the name of an event")]
    NotAnArray,
    /// There is no event in it.
    #[error("the message has no field `event`")]
    NoEvent,
    /// The event is no text.
    #[error("the field `event` must be a string")]
    EventName,
    /// The event has a name that is kept for something else.
    #[error("the event name {0:?} is reserved")]
    ReservedEvent(String),
    /// The id is neither text nor number.
    #[error("the field `id` must be a string or a number")]
    Id,
    /// The number of what is answered is none.
    #[error("the field `ack` must be the number that the server's message had")]
    Ack,
    /// A binary message, where the form has text ones only.
    #[error("a binary message came, but every message is text")]
    UnexpectedBinary,
    /// A text message, where the form has binary ones only.
    #[error("a text message came, but every message is binary")]
    UnexpectedText,
    /// What a user's codec says.
    #[error("{0}")]
    Other(String),
}
