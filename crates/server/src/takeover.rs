//! Connections that leave HTTP: the stream is taken out of hyper, and whoever has it writes the head of the last response by
//! itself, with what follows. It happens only where nothing else can be under way on the connection; everywhere else
//! (HTTP/2, a foreign server, a request with a body) a WebSocket waits for hyper's upgrade, and a stream of events goes out
//! by the response's body.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gatewire_hub::task;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{Extensions, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::outbox::Outbox;
use crate::stream::Stream;

/// Said by a response, in its extensions: the body may be written by this outbox instead.
#[derive(Clone)]
pub(crate) struct Offer(pub(crate) Arc<Outbox>);

/// A stream that has left HTTP.
pub(crate) struct Taken {
    pub(crate) stream: Stream,
    /// Bytes that the client sent behind its request.
    pub(crate) unread: Vec<u8>,
    /// The head of the response, which is to be written before all else; empty if the client has it.
    pub(crate) head: Vec<u8>,
}

/// A WebSocket that wants the stream of its request.
pub(crate) struct Claim {
    upgraded: OnUpgrade,
    then: Box<dyn FnOnce(Taken) + Send>,
}

impl Claim {
    /// `then` gets the stream.
    pub(crate) fn new(upgraded: OnUpgrade, then: impl FnOnce(Taken) + Send + 'static) -> Self {
        Self {
            upgraded,
            then: Box::new(then),
        }
    }

    /// Waits for the upgrade of the HTTP server, which writes the response.
    pub(crate) fn wait(self) {
        task::spawn("gatewire handshake", async move {
            match self.upgraded.await {
                Ok(upgraded) => {
                    let (stream, unread) = Stream::from_upgraded(upgraded);
                    (self.then)(Taken {
                        stream,
                        unread,
                        head: Vec::new(),
                    });
                }
                Err(error) => tracing::debug!(%error, "the connection ended before it became a WebSocket"),
            }
        });
    }
}

/// Said to who answers a request for an upgrade, in its extensions: a claim that is put here gets the stream sooner.
#[derive(Clone, Default)]
pub(crate) struct Handoff(Arc<Mutex<Option<Claim>>>);

impl Handoff {
    /// A new one, for the request with these extensions.
    pub(crate) fn put_into(extensions: &mut Extensions) -> Self {
        let handoff = Self::default();
        extensions.insert(handoff.clone());
        handoff
    }

    pub(crate) fn put(&self, claim: Claim) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
    }

    fn take(&self) -> Option<Claim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A response with which a connection leaves HTTP.
pub(crate) struct Departure {
    destination: Destination,
    head: Vec<u8>,
}

enum Destination {
    WebSocket(Claim),
    Events(Arc<Outbox>),
}

impl Departure {
    /// Whether the connection leaves HTTP with `response`. If it `may`, nobody but us has anything to write on it.
    pub(crate) fn of<B>(response: &mut Response<B>, handoff: Option<&Handoff>, may: bool) -> Option<Self> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let claim = handoff?.take()?;
            if !may {
                claim.wait();
                return None;
            }
            let mut head = status_and_fields(response);
            head.extend_from_slice(b"\r\n");
            return Some(Self {
                destination: Destination::WebSocket(claim),
                head,
            });
        }
        if !may || !is_plain(response) {
            return None;
        }
        let Offer(outbox) = response.extensions_mut().remove()?;
        Some(Self {
            destination: Destination::Events(outbox),
            head: head_of_events(response),
        })
    }

    /// Hands the stream on, with what was read of it.
    pub(crate) fn go(self, stream: Stream, unread: Vec<u8>) {
        let head = self.head;
        match self.destination {
            Destination::WebSocket(claim) => (claim.then)(Taken { stream, unread, head }),
            Destination::Events(outbox) => outbox.attach(stream, &head),
        }
    }
}

/// Whether nobody between has framed or coded the body.
fn is_plain<B>(response: &Response<B>) -> bool {
    [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .all(|name| !response.headers().contains_key(name))
}

/// The head of a response whose body is chunked, and ends with the connection.
fn head_of_events<B>(response: &mut Response<B>) -> Vec<u8> {
    response.headers_mut().remove(CONNECTION);
    let mut head = status_and_fields(response);
    if !response.headers().contains_key(DATE) {
        // Writing into a vector does not fail.
        let _ = write!(head, "date: {}\r\n", httpdate::HttpDate::from(SystemTime::now()));
    }
    head.extend_from_slice(b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    head
}

/// The head of a response but for its last, empty line.
fn status_and_fields<B>(response: &Response<B>) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let status = response.status();
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_ref());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head
}
