//! What a handler has answered, while it is not sent yet: what interceptors and filters see and change.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::WsException;
use crate::Payload;

/// The answer to a message, encoded but not sent yet. What a controller's handler answers in a form of its own (a response
/// of axum's, or a stream of events) is one without a value that can be read.
///
/// ```
/// use gatewire::pipeline::Answer;
///
/// # fn main() -> Result<(), gatewire::pipeline::WsException> {
/// let answer = Answer::value(&41)?;
/// let answer = answer.map(|number: u32| number + 1)?;
/// assert_eq!(answer.read::<u32>()?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer(pub(crate) Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Nothing,
    /// In a box: an answer is moved through every stage around its handler.
    Value(Box<Payload>),
    /// What a controller's handler has answered, kept where its request is.
    Kept,
    Event(Box<(Cow<'static, str>, Payload)>),
}

impl Answer {
    /// No value: an acknowledgement that was asked for is empty, and nothing is emitted.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A value: the acknowledgement, or an event of the message's name if none was asked for.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn value<T: Serialize + ?Sized>(value: &T) -> Result<Self, WsException> {
        encode(value).map(Self::payload)
    }

    /// The same with arguments that are encoded already.
    pub fn payload(payload: Payload) -> Self {
        Self(Kind::Value(Box::new(payload)))
    }

    /// An event of its own, as [`WsResponse`](crate::gateway::WsResponse).
    ///
    /// # Errors
    /// If `data` cannot be encoded.
    pub fn event<T: Serialize + ?Sized>(
        event: impl Into<Cow<'static, str>>,
        data: &T,
    ) -> Result<Self, WsException> {
        Ok(Self(Kind::Event(Box::new((event.into(), encode(data)?)))))
    }

    /// The value, or the event's data; `None` if there is no value.
    pub fn data(&self) -> Option<&Payload> {
        match &self.0 {
            Kind::Nothing | Kind::Kept => None,
            Kind::Value(data) => Some(data),
            Kind::Event(event) => Some(&event.1),
        }
    }

    /// The event's name, if it is an event of its own.
    pub fn event_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Event(event) => Some(&event.0),
            Kind::Nothing | Kind::Kept | Kind::Value(_) => None,
        }
    }

    /// Reads the value, or the event's data; no value reads as `null`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn read<T: DeserializeOwned + 'static>(&self) -> Result<T, WsException> {
        let read = match self.data() {
            Some(data) => data.body(),
            None => Payload::default().body(),
        };
        read.map_err(WsException::internal)
    }

    /// The answer with its value (or the event's data) replaced by what `change` makes of it. `serde_json::Value` as `T`
    /// fits everything but binary data.
    ///
    /// # Errors
    /// If the value is no `T`, or the new one cannot be encoded.
    pub fn map<T: DeserializeOwned + 'static, U: Serialize>(
        self,
        change: impl FnOnce(T) -> U,
    ) -> Result<Self, WsException> {
        let data = encode(&change(self.read()?))?;
        Ok(match self.0 {
            Kind::Nothing | Kind::Kept | Kind::Value(_) => Self::payload(data),
            Kind::Event(event) => Self(Kind::Event(Box::new((event.0, data)))),
        })
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Payload, WsException> {
    Payload::from_value(value).map_err(WsException::internal)
}
