//! The error a handler or hook gives its client, and its form on the wire, which is NestJS's byte for byte. What a
//! client may not see (the text of an unexpected error) is kept for the log.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use gatewire_hub::ConnectError;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The message a client gets for an error that is none of its business.
pub(crate) const INTERNAL: &str = "Internal server error";

/// An error for the client.
///
/// - [`WsException::new`] with a message is sent as `{"status":"error","message":…,"cause":{"pattern":…,"data":…}}`;
/// - [`WsException::object`] is sent as it is;
/// - [`WsException::internal`] is logged, and sent as the message `Internal server error`.
///
/// It goes out as the event `exception`, and as the acknowledgement if the client asked for one. From
/// `handle_connection` it refuses the client: CONNECT_ERROR with the message, and the object as its data.
///
/// `&str` and `String` convert into a message, so that `?` and `.into()` work; for an error type of yours implement
/// `From<YourError> for WsException` and choose what the client may read.
#[derive(Debug)]
pub struct WsException(Box<Kind>);

#[derive(Debug)]
pub(crate) enum Kind {
    /// The text, and what else is told beside it.
    Message(Cow<'static, str>, Map<String, Value>),
    Object(Value),
    Internal(Box<dyn StdError + Send + Sync>),
}

impl WsException {
    /// An error whose message the client reads.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Kind::Message(message.into(), Map::new())))
    }

    /// Adds a field to what the client gets, beside `status`, `message` and `cause`, as in
    /// `WsException::new("The room is full").with("code", 17)`. An exception that is an object gets one field more; one that
    /// is internal tells nothing.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Serialize) -> Self {
        match (&mut *self.0, serde_json::to_value(value)) {
            (_, Err(error)) => return Self::internal(error),
            (Kind::Message(_, fields) | Kind::Object(Value::Object(fields)), Ok(value)) => {
                fields.insert(field.to_owned(), value);
            }
            (Kind::Object(_) | Kind::Internal(_), Ok(_)) => {}
        }
        self
    }

    /// An error that the client gets exactly as `value` serialises; if that fails it becomes an internal one.
    pub fn object(value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => Self(Box::new(Kind::Object(value))),
            Err(error) => Self::internal(error),
        }
    }

    /// An error that is logged but not shown: `.map_err(WsException::internal)?`.
    pub fn internal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Kind::Internal(error.into())))
    }

    /// NestJS's `getError()`: the message as a JSON string, or the object. Fields that were added are not in it.
    pub fn error(&self) -> Value {
        match &*self.0 {
            Kind::Message(message, _) => Value::String(message.clone().into_owned()),
            Kind::Object(value) => value.clone(),
            Kind::Internal(_) => Value::String(INTERNAL.to_owned()),
        }
    }

    /// A message, with fields beside it.
    pub(crate) fn with_fields(message: impl Into<Cow<'static, str>>, fields: Map<String, Value>) -> Self {
        Self(Box::new(Kind::Message(message.into(), fields)))
    }

    /// What it is made of, for those who tell it in another form.
    pub(crate) fn into_kind(self) -> Kind {
        *self.0
    }

    /// What is for the log alone.
    pub(crate) fn hidden(&self) -> Option<&(dyn StdError + Send + Sync)> {
        match &*self.0 {
            Kind::Internal(error) => Some(&**error),
            Kind::Message(..) | Kind::Object(_) => None,
        }
    }

    /// Whether its reason was logged when it came up: of a panic, or of what cannot be encoded.
    pub(crate) fn is_logged(&self) -> bool {
        matches!(&*self.0, Kind::Message(message, _) if message == INTERNAL)
    }

    /// The error object as JSON. Only a value that was serialised before goes in, so this cannot fail; were it to,
    /// the object without its cause is still true.
    pub(crate) fn to_json(&self, cause: Option<&Cause<'_>>) -> Box<RawValue> {
        let json = match &*self.0 {
            Kind::Object(value) => serde_json::value::to_raw_value(value),
            Kind::Message(message, fields) => {
                serde_json::value::to_raw_value(&Wire::new(message, fields, cause))
            }
            Kind::Internal(_) => serde_json::value::to_raw_value(&Wire::new(INTERNAL, &Map::new(), cause)),
        };
        json.unwrap_or_else(|_| internal_json())
    }

    /// The refusal of a connection for which a filter has answered.
    pub(crate) fn refusal(answer: &super::Answer) -> Self {
        match answer.read::<Value>() {
            Ok(Value::String(message)) => Self::new(message),
            Ok(value) => Self(Box::new(Kind::Object(value))),
            Err(error) => error,
        }
    }

    /// The refusal of a connection.
    pub(crate) fn into_connect_error(self) -> ConnectError {
        let (message, data) = match *self.0 {
            Kind::Message(message, fields) => {
                let data = (!fields.is_empty()).then_some(Value::Object(fields));
                (message.into_owned(), data)
            }
            Kind::Internal(_) => (INTERNAL.to_owned(), None),
            Kind::Object(value) => {
                let message = value
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or("Connection refused");
                (message.to_owned(), Some(value))
            }
        };
        ConnectError { message, data }
    }
}

/// An internal error whose cause is not known any more.
pub(crate) fn internal_json() -> Box<RawValue> {
    // It is JSON, so there is no error.
    RawValue::from_string(r#"{"status":"error","message":"Internal server error"}"#.to_owned())
        .unwrap_or_default()
}

/// Which message an error comes from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cause<'a> {
    pub(crate) pattern: &'a str,
    /// Left out if the message had no argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Wire<'a> {
    status: &'static str,
    message: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    /// Left out if the application does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Cause<'a>>,
}

impl<'a> Wire<'a> {
    fn new(message: &'a str, fields: &'a Map<String, Value>, cause: Option<&'a Cause<'a>>) -> Self {
        Self {
            status: "error",
            message,
            fields,
            cause,
        }
    }
}

impl PartialEq for WsException {
    fn eq(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Kind::Message(a, more), Kind::Message(b, others)) => a == b && more == others,
            (Kind::Object(a), Kind::Object(b)) => a == b,
            (Kind::Internal(a), Kind::Internal(b)) => a.to_string() == b.to_string(),
            _ => false,
        }
    }
}

impl fmt::Display for WsException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Message(message, _) => f.write_str(message),
            Kind::Object(value) => value.fmt(f),
            Kind::Internal(error) => error.fmt(f),
        }
    }
}

impl StdError for WsException {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Kind::Internal(error) => Some(&**error),
            Kind::Message(..) | Kind::Object(_) => None,
        }
    }
}

impl From<&'static str> for WsException {
    fn from(message: &'static str) -> Self {
        Self::new(message)
    }
}

impl From<String> for WsException {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<Value> for WsException {
    fn from(value: Value) -> Self {
        Self(Box::new(Kind::Object(value)))
    }
}

impl From<std::convert::Infallible> for WsException {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wire_form_is_nests() {
        let data = RawValue::from_string(r#"{"k":1}"#.to_owned()).unwrap();
        let with = Some(Cause {
            pattern: "e",
            data: Some(&data),
        });
        let without = Some(Cause {
            pattern: "e",
            data: None,
        });
        let secret = || WsException::internal(std::io::Error::other("password is hunter2"));
        for (exception, cause, wire) in [
            (
                WsException::new("bad creds"),
                with,
                r#"{"status":"error","message":"bad creds","cause":{"pattern":"e","data":{"k":1}}}"#,
            ),
            (
                WsException::new("bad creds"),
                without,
                r#"{"status":"error","message":"bad creds","cause":{"pattern":"e"}}"#,
            ),
            (
                WsException::new("bad creds"),
                None,
                r#"{"status":"error","message":"bad creds"}"#,
            ),
            (
                WsException::new("full").with("code", 17).with("room", "a"),
                with,
                r#"{"status":"error","message":"full","code":17,"room":"a","cause":{"pattern":"e","data":{"k":1}}}"#,
            ),
            (
                WsException::object(json!({"a": 1})).with("b", 2),
                with,
                r#"{"a":1,"b":2}"#,
            ),
            (
                WsException::object(json!([{"property": "name"}])),
                with,
                r#"[{"property":"name"}]"#,
            ),
            (WsException::object(7), with, "7"),
            (
                secret(),
                with,
                r#"{"status":"error","message":"Internal server error","cause":{"pattern":"e","data":{"k":1}}}"#,
            ),
        ] {
            assert_eq!(exception.to_json(cause.as_ref()).get(), wire);
        }
        assert!(secret().hidden().is_some());
    }

    #[test]
    fn refusals() {
        for (exception, message, data) in [
            (WsException::new("no"), "no", None),
            (
                WsException::object(json!({"message": "no", "code": 7})),
                "no",
                Some(json!({"message": "no", "code": 7})),
            ),
            (
                WsException::new("no").with("code", 7),
                "no",
                Some(json!({"code": 7})),
            ),
            (
                WsException::object(json!({"code": 7})),
                "Connection refused",
                Some(json!({"code": 7})),
            ),
            (WsException::internal("secret"), INTERNAL, None),
        ] {
            let error = exception.into_connect_error();
            assert_eq!((error.message.as_str(), &error.data), (message, &data));
        }
    }
}
