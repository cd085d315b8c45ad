//! One event of a client: borrowed from the packet it came in, or owned while it waits for its turn.

use std::borrow::Cow;

use bytes::Bytes;
use gatewire_proto::socketio::{ArgSlice, EventBody};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encode::One;
use crate::payload::{read_arg, read_body};
use crate::socket::log;
use crate::{AckSender, EmitError, Payload, Socket};

/// An event as it came in: name, arguments, attachments, and the id of the acknowledgement that the client wants.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    name: Cow<'a, str>,
    args: ArgSlice<'a>,
    attachments: &'a [Bytes],
    ack_id: Option<u64>,
}

impl<'a> Event<'a> {
    pub(crate) fn new(body: EventBody<'a>, attachments: &'a [Bytes], ack_id: Option<u64>) -> Self {
        Self {
            name: body.name,
            args: body.args,
            attachments,
            ack_id,
        }
    }

    /// The name; a number keeps its text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON of the arguments.
    #[must_use]
    pub fn args(&self) -> ArgSlice<'a> {
        self.args
    }

    /// What the placeholders in the JSON stand for.
    #[must_use]
    pub fn attachments(&self) -> &'a [Bytes] {
        self.attachments
    }

    /// The id of the acknowledgement, if the client wants one.
    #[must_use]
    pub fn ack_id(&self) -> Option<u64> {
        self.ack_id
    }

    /// What answers the event, if the client wants an answer. Whoever calls it twice answers twice, and the client
    /// ignores the second.
    #[must_use]
    pub fn ack(&self, socket: &Socket) -> Option<AckSender> {
        self.ack_id.map(|id| AckSender::new(socket.clone(), id))
    }

    /// Answers with one value (no value if it is `()`), if the client asks for an answer; as [`ack`](Self::ack) and
    /// [`AckSender::try_send`], for who need not keep the right to it.
    ///
    /// # Errors
    /// If the value cannot be JSON.
    pub fn try_answer<T: Serialize + ?Sized>(&self, socket: &Socket, value: &T) -> Result<(), EmitError> {
        match self.ack_id {
            Some(id) => socket.send_ack(id, &One(value)),
            None => Ok(()),
        }
    }

    /// Answers with these arguments, if the client asks for an answer; as [`ack`](Self::ack) and
    /// [`AckSender::send_payload`], for who need not keep the right to it.
    pub fn answer(&self, socket: &Socket, answer: &Payload) {
        if let Some(id) = self.ack_id {
            log(socket.send_ack(id, answer));
        }
    }

    /// The arguments as one value: no argument is `null`, one is itself, several are an array. [`Bytes`] that are all there
    /// is share the attachment; those deeper in are copied.
    ///
    /// # Errors
    /// If they are no `T`.
    pub fn body<T: DeserializeOwned + 'static>(&self) -> Result<T, serde_json::Error> {
        read_body(self.args, self.attachments)
    }

    /// The argument at `index`; one that is missing is `null`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn arg<T: DeserializeOwned + 'static>(&self, index: usize) -> Result<T, serde_json::Error> {
        read_arg(self.args, index, self.attachments)
    }

    /// A copy of the arguments.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        Payload::new(self.args, self.attachments)
    }

    /// A copy of the event.
    #[must_use]
    pub fn to_owned(&self) -> OwnedEvent {
        OwnedEvent {
            name: self.name.as_ref().into(),
            payload: self.to_payload(),
            ack_id: self.ack_id,
        }
    }
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedEvent {
    name: Box<str>,
    payload: Payload,
    ack_id: Option<u64>,
}

impl OwnedEvent {
    /// The name; a number keeps its text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as they came.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What answers the event, if the client wants an answer.
    #[must_use]
    pub fn ack(&self, socket: &Socket) -> Option<AckSender> {
        self.as_event().ack(socket)
    }

    /// The arguments as one value: no argument is `null`, one is itself, several are an array. [`Bytes`] that are all there
    /// is share the attachment; those deeper in are copied.
    ///
    /// # Errors
    /// If they are no `T`.
    pub fn body<T: DeserializeOwned + 'static>(&self) -> Result<T, serde_json::Error> {
        self.payload.body()
    }

    /// The argument at `index`; one that is missing is `null`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn arg<T: DeserializeOwned + 'static>(&self, index: usize) -> Result<T, serde_json::Error> {
        self.payload.arg(index)
    }

    /// Bytes that it keeps, about.
    pub(crate) fn size(&self) -> usize {
        let attachments: usize = self.payload.attachments().iter().map(Bytes::len).sum();
        size_of::<Self>() + self.name.len() + self.payload.args().json().len() + attachments
    }

    /// The event as it came in.
    #[must_use]
    pub fn as_event(&self) -> Event<'_> {
        Event {
            name: Cow::Borrowed(&self.name),
            args: self.payload.args(),
            attachments: self.payload.attachments(),
            ack_id: self.ack_id,
        }
    }
}
