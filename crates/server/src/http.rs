//! The HTTP face of an engine: bodies and the responses that the protocol fixes. Which response is due is decided in
//! `engine` and in the transports.

use bytes::Bytes;
use gatewire_proto::engineio::HandshakeError;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::compression::Encoding;
use crate::dialect::Payload;
use crate::limiter::TooMany;

/// The body of every response of an engine: whole, in memory.
pub type Body = http_body_util::Full<Bytes>;

/// A response with no body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    respond(status, None, Bytes::new())
}

/// The answer to a handshake when no session is opened: the server is full, or ends. Official clients try again by their own
/// clock; others, and balancers, are told when.
pub(crate) fn unavailable() -> Response<Body> {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The answer to a poll, compressed if `encoding` is given and makes it smaller.
pub(crate) fn poll(payload: Payload, encoding: Option<Encoding>) -> Response<Body> {
    let Payload { body, form, .. } = payload;
    let compressed = encoding.and_then(|encoding| Some((encoding, encoding.compress(&body)?)));
    let (encoding, body) = compressed.map_or((None, body), |(encoding, body)| (Some(encoding), body));
    let mut response = respond(StatusCode::OK, Some(form.content_type()), body.into());
    if let Some(encoding) = encoding {
        encoding.declare(response.headers_mut());
    }
    no_store(response)
}

/// The answer to an accepted POST.
pub(crate) fn post() -> Response<Body> {
    no_store(respond(
        StatusCode::OK,
        Some("text/html"),
        Bytes::from_static(b"ok"),
    ))
}

/// A refusal on polling: the status, and code and message as JSON.
pub(crate) fn refusal(error: &HandshakeError) -> Response<Body> {
    respond(error.status(), Some("application/json"), error.body().into())
}

/// A refusal of a WebSocket handshake: the bare message, and the connection is closed.
pub(crate) fn websocket_refusal(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = respond(status, Some("text/html"), message.to_owned().into());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a request or a handshake that is one too many for its client's address (RFC 6585 §4).
pub(crate) fn too_many(too_many: TooMany) -> Response<Body> {
    let mut response = websocket_refusal(StatusCode::TOO_MANY_REQUESTS, &too_many.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(RETRY_AFTER, too_many.retry_after_secs().into());
    response
}

/// Tells old Internet Explorers, as the Node server does, not to look for attacks in what they poll: they would change it.
pub(crate) fn calm_old_browsers(headers: &mut HeaderMap, request: &HeaderMap) {
    if is_old_browser(request) {
        calm(headers);
    }
}

/// Whether a request is one of a browser that [`calm`] is for.
pub(crate) fn is_old_browser(request: &HeaderMap) -> bool {
    request.get(USER_AGENT).is_some_and(|agent| {
        let agent = agent.as_bytes();
        contains(agent, b";MSIE") || contains(agent, b"Trident/")
    })
}

/// Has an old browser show the answer as it is.
pub(crate) fn calm(headers: &mut HeaderMap) {
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("0"));
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

/// Adds the headers of `more`, beside those that are there.
pub(crate) fn extend(headers: &mut HeaderMap, more: HeaderMap) {
    let mut name = None;
    for (next, value) in more {
        name = next.or(name);
        if let Some(name) = &name {
            headers.append(name, value);
        }
    }
}

fn no_store(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn respond(status: StatusCode, kind: Option<&'static str>, body: Bytes) -> Response<Body> {
    let length = body.len();
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}
