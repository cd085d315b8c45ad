//! What an HTTP request to an engine is for, or which rule of the protocol it breaks. The checks stand in the order of
//! the Node server, since which error a client sees depends on it.

use std::net::SocketAddr;
use std::sync::Arc;

use gatewire_hub::{Handshake, HandshakeParts, Id};
use gatewire_proto::engineio::{BadRequest, HandshakeError, Protocol, Query, TransportKind};
use http::header::UPGRADE;
use http::request::Parts;
use http::{Extensions, Method};
use hyper::ext::Protocol as ConnectProtocol;

use crate::config::EngineConfig;
use crate::dialect::Dialect;
use crate::outbox::Outbox;
use crate::sessions::Sessions;
use crate::tls::Secured;

/// What a well-formed request is for.
pub(crate) enum Target {
    /// A new session; without a dialect, of a version that is not served.
    Handshake(TransportKind, Option<Dialect>, Callback),
    /// A GET or a POST of a session on polling.
    Polling(Arc<Outbox>, Callback),
    /// A WebSocket that wants to take a session over.
    Upgrade(Arc<Outbox>),
}

impl Target {
    /// Whether it came by a script tag.
    pub(crate) fn is_script(&self) -> bool {
        matches!(self, Self::Handshake(_, _, Some(_)) | Self::Polling(_, Some(_)))
    }
}

/// The number of the function that a client which polls by script tags wants called.
pub(crate) type Callback = Option<Box<str>>;

/// Whether the request asks for a WebSocket: by an upgrade, or over HTTP/2.
pub(crate) fn is_upgrade(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        || is_websocket_connect(&parts.method, &parts.extensions)
}

/// Whether these, of a request that came by hyper, ask for a WebSocket over HTTP/2: an extended CONNECT (RFC 8441).
#[must_use]
pub fn is_websocket_connect(method: &Method, extensions: &Extensions) -> bool {
    method == Method::CONNECT
        && extensions
            .get::<ConnectProtocol>()
            .is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// The session that the request names.
pub(crate) fn sid(parts: &Parts) -> Option<Id> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    query.sid.and_then(|sid| Id::parse(&sid))
}

/// What the request is for.
pub(crate) fn classify(
    parts: &Parts,
    config: &EngineConfig,
    sessions: &Sessions,
) -> Result<Target, HandshakeError> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let transport = query
        .transport
        .as_deref()
        .and_then(TransportKind::from_name)
        .filter(|transport| config.allows(*transport))
        .ok_or(HandshakeError::UnknownTransport)?;
    let is_upgrade = is_upgrade(parts);
    let protocol = Protocol::from_query(query.eio.as_deref());
    let callback: Callback = query.jsonp.filter(|_| config.allow_jsonp).map(Box::from);
    if let Some(sid) = query.sid.as_deref() {
        let outbox = sessions.get(sid).ok_or(HandshakeError::UnknownSid)?;
        if is_upgrade && transport != TransportKind::WebSocket {
            return Err(BadRequest::NoHandshake.into());
        }
        if !is_upgrade && outbox.transport() != transport {
            return Err(BadRequest::OtherTransport.into());
        }
        if outbox.dialect.protocol() != protocol {
            return Err(BadRequest::OtherProtocol.into());
        }
        return Ok(if is_upgrade {
            Target::Upgrade(outbox)
        } else {
            Target::Polling(outbox, callback)
        });
    }
    if parts.method != Method::GET && !is_websocket_connect(&parts.method, &parts.extensions) {
        return Err(HandshakeError::BadMethod);
    }
    if is_upgrade != (transport == TransportKind::WebSocket) {
        return Err(BadRequest::NoHandshake.into());
    }
    let dialect = match protocol {
        Protocol::V4 => Some(Dialect::V4),
        Protocol::V3 => config.allow_eio3.then_some(Dialect::V3 {
            b64: query.b64 || callback.is_some(),
        }),
    };
    Ok(Target::Handshake(transport, dialect, callback))
}

/// What is kept of the request that opens a session.
pub(crate) fn handshake(parts: &Parts, peer: Option<SocketAddr>) -> Arc<Handshake> {
    Arc::new(Handshake::new(HandshakeParts {
        headers: &parts.headers,
        uri: &parts.uri,
        peer,
        secure: parts.extensions.get::<Secured>().is_some(),
    }))
}
