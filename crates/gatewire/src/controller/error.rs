//! The error that a controller's client gets, in the JSON of NestJS. What a client may not see is kept for the log.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::pipeline::{Exception, ExceptionKind, INTERNAL, Panicked, Throttled, TimedOut, WsException};

/// An error for an HTTP client.
///
/// ```
/// use gatewire::controller::HttpError;
///
/// let error = HttpError::not_found("no such price").with("symbol", "XYZ");
/// assert_eq!(
///     error.to_json(),
///     r#"{"message":"no such price","error":"Not Found","statusCode":404,"symbol":"XYZ"}"#
/// );
/// ```
///
/// `&str` and `String` convert into a 400 with that message, and a [`WsException`] into a 400 with its message and fields
/// (one that is internal into a 500), so that guards and services that gateways use work for controllers, too. For an error
/// type of yours implement `From<YourError> for HttpError` and choose what the client may read.
#[derive(Debug)]
pub struct HttpError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    kind: Kind,
    headers: HeaderMap,
}

#[derive(Debug)]
enum Kind {
    /// The text, if it says more than the status, and what else is told beside it.
    Message(Option<Cow<'static, str>>, Map<String, Value>),
    Object(Value),
    Internal(Box<dyn StdError + Send + Sync>),
}

impl HttpError {
    /// An error whose message the client reads.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(status, Kind::Message(Some(message.into()), Map::new()))
    }

    /// An error that says nothing but its status.
    pub fn status(status: StatusCode) -> Self {
        Self::of(status, Kind::Message(None, Map::new()))
    }

    /// An error whose body is exactly this value; if it cannot be JSON it becomes an internal one.
    pub fn object(status: StatusCode, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => Self::of(status, Kind::Object(value)),
            Err(error) => Self::internal(error),
        }
    }

    /// An error that is logged but not shown: the client gets a 500 with `Internal server error`.
    pub fn internal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, Kind::Internal(error.into()))
    }

    /// 400.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Adds a field to the body, beside `message`, `error` and `statusCode`; an internal error tells nothing.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Serialize) -> Self {
        match (&mut self.0.kind, serde_json::to_value(value)) {
            (_, Err(error)) => return Self::internal(error),
            (Kind::Message(_, fields) | Kind::Object(Value::Object(fields)), Ok(value)) => {
                fields.insert(field.to_owned(), value);
            }
            (Kind::Object(_) | Kind::Internal(_), Ok(_)) => {}
        }
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The status.
    pub fn status_code(&self) -> StatusCode {
        self.0.status
    }

    /// The body of the response.
    pub fn to_json(&self) -> String {
        // It holds strings and JSON values: it cannot fail.
        match &self.0.kind {
            Kind::Object(value) => value.to_string(),
            Kind::Message(message, fields) => {
                serde_json::to_string(&Wire::new(self.0.status, message.as_deref(), fields))
                    .unwrap_or_default()
            }
            Kind::Internal(_) => {
                let fields = Map::new();
                let wire = Wire {
                    error: None,
                    ..Wire::new(self.0.status, Some(INTERNAL), &fields)
                };
                serde_json::to_string(&wire).unwrap_or_default()
            }
        }
    }

    /// What is for the log alone.
    pub(crate) fn hidden(&self) -> Option<&(dyn StdError + Send + Sync)> {
        match &self.0.kind {
            Kind::Internal(error) => Some(&**error),
            Kind::Message(..) | Kind::Object(_) => None,
        }
    }

    /// What an exception is for an HTTP client; `status` is that of one that does not say itself.
    pub(crate) fn of_exception(exception: Exception, status: StatusCode) -> Self {
        if let Some(throttled) = exception.downcast_ref::<Throttled>() {
            let seconds = throttled.retry_after.as_nanos().div_ceil(1_000_000_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            return Self::new(StatusCode::TOO_MANY_REQUESTS, throttled.to_string())
                .header(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(late) = exception.downcast_ref::<TimedOut>() {
            return Self::new(StatusCode::REQUEST_TIMEOUT, late.to_string());
        }
        if exception.is::<Panicked>() {
            return Self::internal("a panic, which is logged");
        }
        exception
            .into_http()
            .unwrap_or_else(|exception| Self::of_ws(exception, status))
    }

    /// The status of an exception that a filter may make another one of, without one of its own.
    pub(crate) fn status_of(exception: &Exception, status: StatusCode) -> StatusCode {
        if exception.is::<Throttled>() {
            StatusCode::TOO_MANY_REQUESTS
        } else if exception.is::<TimedOut>() {
            StatusCode::REQUEST_TIMEOUT
        } else if exception.is::<Panicked>() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            exception.downcast_ref::<Self>().map_or(status, Self::status_code)
        }
    }

    fn of_ws(exception: WsException, status: StatusCode) -> Self {
        match exception.into_kind() {
            ExceptionKind::Message(message, mut fields) => {
                // What an HTTP error has told by way of an exception.
                let own = fields.remove("statusCode").as_ref().and_then(status_of);
                Self::of(own.unwrap_or(status), Kind::Message(Some(message), fields))
            }
            ExceptionKind::Object(value) => {
                let own = value.get("statusCode").and_then(status_of);
                let retry_after = value.get("retryAfter").and_then(Value::as_u64);
                let error = Self::of(own.unwrap_or(status), Kind::Object(value));
                match retry_after {
                    Some(millis) if error.0.status == StatusCode::TOO_MANY_REQUESTS => {
                        error.header(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)))
                    }
                    _ => error,
                }
            }
            ExceptionKind::Internal(error) => Self::internal(error),
        }
    }

    /// What an extractor of axum refuses with, in our form.
    pub(crate) async fn of_rejection(rejection: Response) -> Self {
        let (parts, body) = rejection.into_parts();
        let is_text = parts
            .headers
            .get(CONTENT_TYPE)
            .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let text = match to_bytes(body, MAX_REJECTION).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        };
        if parts.status.is_server_error() {
            return Self::of(parts.status, Kind::Internal(text.into()));
        }
        if is_text && !text.is_empty() {
            return Self::new(parts.status, text);
        }
        match serde_json::from_str(&text) {
            Ok(value) => Self::of(parts.status, Kind::Object(value)),
            Err(_) => Self::status(parts.status),
        }
    }

    fn of(status: StatusCode, kind: Kind) -> Self {
        Self(Box::new(Inner {
            status,
            kind,
            headers: HeaderMap::new(),
        }))
    }
}

/// Bytes of a rejection's body that are looked at.
const MAX_REJECTION: usize = 64 * 1024;

fn status_of(value: &Value) -> Option<StatusCode> {
    let code = u16::try_from(value.as_u64()?).ok()?;
    StatusCode::from_u16(code)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
}

#[derive(Serialize)]
struct Wire<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "statusCode")]
    status: u16,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

impl<'a> Wire<'a> {
    fn new(status: StatusCode, message: Option<&'a str>, fields: &'a Map<String, Value>) -> Self {
        let reason = status.canonical_reason();
        Self {
            message: message.or(reason).unwrap_or_default(),
            error: reason.filter(|_| message.is_some()),
            status: status.as_u16(),
            fields,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let json = self.to_json();
        let Inner {
            status, mut headers, ..
        } = *self.0;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (status, headers, json).into_response()
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Message(Some(message), _) => write!(f, "{}: {message}", self.0.status),
            Kind::Message(None, _) => self.0.status.fmt(f),
            Kind::Object(value) => write!(f, "{}: {value}", self.0.status),
            Kind::Internal(error) => error.fmt(f),
        }
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            Kind::Internal(error) => Some(&**error),
            Kind::Message(..) | Kind::Object(_) => None,
        }
    }
}

impl From<StatusCode> for HttpError {
    fn from(status: StatusCode) -> Self {
        Self::status(status)
    }
}

impl From<&'static str> for HttpError {
    fn from(message: &'static str) -> Self {
        Self::bad_request(message)
    }
}

impl From<String> for HttpError {
    fn from(message: String) -> Self {
        Self::bad_request(message)
    }
}

impl From<WsException> for HttpError {
    fn from(exception: WsException) -> Self {
        Self::of_ws(exception, StatusCode::BAD_REQUEST)
    }
}

impl From<std::convert::Infallible> for HttpError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// For filters, and for those who tell errors by events.
impl From<HttpError> for WsException {
    fn from(error: HttpError) -> Self {
        let Inner { status, kind, .. } = *error.0;
        match kind {
            Kind::Message(message, fields) => {
                let message = message.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().into());
                let mut fields = fields;
                fields.insert("statusCode".to_owned(), status.as_u16().into());
                Self::with_fields(message, fields)
            }
            Kind::Object(value) => Self::from(value),
            Kind::Internal(error) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_are_those_of_nestjs() {
        for (error, body) in [
            (
                HttpError::forbidden("Forbidden resource"),
                r#"{"message":"Forbidden resource","error":"Forbidden","statusCode":403}"#,
            ),
            (
                HttpError::status(StatusCode::NOT_FOUND),
                r#"{"message":"Not Found","statusCode":404}"#,
            ),
            (
                HttpError::internal("the password is wrong"),
                r#"{"message":"Internal server error","statusCode":500}"#,
            ),
            (HttpError::object(StatusCode::CONFLICT, json!([1])), "[1]"),
        ] {
            assert_eq!(error.to_json(), body);
        }
    }

    #[test]
    fn exceptions_go_both_ways() {
        let error = HttpError::not_found("no such room").with("room", 7);
        let json = error.to_json();
        let exception = WsException::from(error);
        assert_eq!(HttpError::from(exception).to_json(), json);
        let plain = HttpError::from(WsException::new("no"));
        assert_eq!(plain.status_code(), StatusCode::BAD_REQUEST);
        assert_eq!(
            HttpError::from(WsException::internal("secret")).to_json(),
            HttpError::internal("secret").to_json()
        );
    }
}
