//! WebSocket: the handshake, taking the stream out of the HTTP server after the 101, and the probe that moves a polling session to
//! it (Engine.IO 4, "upgrade"). After that the stream belongs to the driver.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use gatewire_proto::engineio::{Packet, Probe, UpgradeRefused};
use gatewire_proto::websocket::{
    self, Decoder, Deflate, DeflateOptions, Event, HandshakeError, Opcode, Received, Upgrade,
};
use http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::ext::Protocol as ConnectProtocol;
use hyper::upgrade::OnUpgrade;

use crate::clock;
use crate::faults::Fault;
use crate::http::{self as answer, Body};
use crate::outbox::{Lane, Outbox};
use crate::scratch;
use crate::stream::Stream;
use crate::takeover::{Claim, Handoff, Taken};
use crate::transport::polling::Inbox;

/// How often a poll that holds the upgrade up is released.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

/// What the driver needs to go on where the probe has stopped reading.
pub(crate) struct Handover {
    pub(crate) decoder: Decoder,
    /// Bytes that were read but not decoded.
    pub(crate) unread: Vec<u8>,
    /// The body of a last POST: it goes before.
    pub(crate) inbox: Option<Inbox>,
}

/// A WebSocket that has just been opened.
pub(crate) struct Opened {
    pub(crate) taken: Taken,
    /// What was agreed on about compression.
    pub(crate) deflate: Option<Deflate>,
}

/// A valid handshake that has not been answered.
pub(crate) struct Handshaking {
    upgrade: Upgrade,
    upgraded: OnUpgrade,
    /// Where the connection is one of ours.
    handoff: Option<Handoff>,
    deflate: Option<Deflate>,
}

impl Handshaking {
    /// Checks the handshake, of RFC 6455 or over HTTP/2 of RFC 8441, and negotiates compression if there are `options` for it; or the response that
    /// refuses it.
    pub(crate) fn check(
        parts: &Parts,
        options: Option<&DeflateOptions>,
    ) -> Result<Self, Box<Response<Body>>> {
        let upgrade = match parts.extensions.get::<ConnectProtocol>() {
            Some(protocol) => websocket::accept_connect(&parts.method, protocol.as_str(), &parts.headers),
            None => websocket::accept_upgrade(&parts.method, parts.version, &parts.headers),
        }
        .map_err(|error| refuse(&error, parts.version))?;
        let deflate = match options.map(|options| Deflate::negotiate(&parts.headers, options)) {
            Some(Ok(deflate)) => deflate,
            Some(Err(error)) => {
                let response = answer::websocket_refusal(StatusCode::BAD_REQUEST, &error.to_string());
                return Err(Box::new(response));
            }
            None => None,
        };
        let Some(upgraded) = parts.extensions.get::<OnUpgrade>().cloned() else {
            tracing::warn!("the HTTP server offers no upgrade of the connection: no WebSocket can be opened");
            return Err(Box::new(answer::empty(StatusCode::NOT_IMPLEMENTED)));
        };
        Ok(Self {
            upgrade,
            upgraded,
            handoff: parts.extensions.get().cloned(),
            deflate,
        })
    }

    /// What was agreed on about compression.
    pub(crate) fn deflate(&self) -> Option<Deflate> {
        self.deflate
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub(crate) fn protocols(&self) -> impl Iterator<Item = &str> {
        self.upgrade.protocols()
    }

    /// Answers with the 101, over HTTP/2 the 200, which names `protocol`, and runs `then` with the connection when it is to be
    /// written to it, or once it is out.
    pub(crate) fn accept(
        self,
        protocol: Option<&str>,
        then: impl FnOnce(Opened) + Send + 'static,
    ) -> Response<Body> {
        let deflate = self.deflate;
        let claim = Claim::new(self.upgraded, move |taken| then(Opened { taken, deflate }));
        match self.handoff {
            Some(handoff) => handoff.put(claim),
            None => claim.wait(),
        }
        accepted(&self.upgrade, protocol, deflate)
    }
}

/// What a request is told that is no handshake, with the header that its status wants (RFC 9110 §15.5.6 and §15.5.22).
fn refuse(error: &HandshakeError, version: Version) -> Box<Response<Body>> {
    let status = match error.status() {
        // HTTP/2 has no upgrades.
        StatusCode::UPGRADE_REQUIRED if version > Version::HTTP_11 => StatusCode::BAD_REQUEST,
        status => status,
    };
    let mut response = answer::websocket_refusal(status, &error.to_string());
    let headers = response.headers_mut();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        StatusCode::UPGRADE_REQUIRED => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        _ => {}
    }
    headers.insert(
        SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static(websocket::VERSION),
    );
    Box::new(response)
}

/// The answer that accepts `upgrade`.
fn accepted(upgrade: &Upgrade, protocol: Option<&str>, deflate: Option<Deflate>) -> Response<Body> {
    let mut response = Response::new(Body::default());
    if let Some(accept) = upgrade.accept() {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
    }
    let headers = response.headers_mut();
    if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    if let Some(Ok(deflate)) = deflate.map(|deflate| HeaderValue::try_from(deflate.to_string())) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate);
    }
    response
}

/// Plays the server's part of the probe on a new WebSocket of a polling session, and hands the stream over to the
/// session's driver. Gives up, closing this stream alone, when the client does or after the upgrade timeout.
pub(crate) async fn probe(outbox: Arc<Outbox>, opened: Opened) {
    let Opened { taken, deflate } = opened;
    let Taken { stream, unread, head } = taken;
    if write_all(&stream, &head).await.is_err() {
        return tracing::debug!(sid = %outbox.sid, "the connection ended before it became a WebSocket");
    }
    if let Err(refused) = outbox.lock().session.start_upgrade(clock::now()) {
        tracing::debug!(sid = %outbox.sid, %refused, "an upgrade is refused");
        outbox.fault(Fault::Upgrade);
        return close(&stream);
    }
    let upgrade = Probing {
        decoder: outbox.rules.decoder(deflate),
        deflate,
        outbox: &outbox,
        stream,
        probed: false,
    };
    let timeout = outbox.rules.timing.upgrade_timeout;
    match tokio::time::timeout(timeout, upgrade.run(unread)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            tracing::debug!(sid = %outbox.sid, ?failure, "an upgrade failed, the session stays on polling");
            if matches!(failure, Failure::Broken | Failure::Refused(_)) {
                outbox.fault(Fault::Upgrade);
            }
            outbox.lock().session.upgrade_failed();
        }
        Err(_elapsed) => {
            tracing::debug!(sid = %outbox.sid, "an upgrade was not finished within the upgrade timeout");
            outbox.fault(Fault::Upgrade);
            outbox.lock().session.upgrade_failed();
        }
    }
}

struct Probing<'a> {
    outbox: &'a Arc<Outbox>,
    deflate: Option<Deflate>,
    stream: Stream,
    decoder: Decoder,
    /// The probe is answered: polls are released until the client sends its upgrade packet.
    probed: bool,
}

#[derive(Debug)]
enum Failure {
    /// The client closed the new stream.
    Gone,
    /// What came is no frame, or no packet.
    Broken,
    Refused(#[expect(dead_code, reason = "read by the log through Debug")] UpgradeRefused),
    /// The session ended meanwhile.
    Ended,
}

/// What the client's next frames have led to.
enum Step {
    Wait,
    Probed,
    /// The upgrade packet came; this many bytes of the buffer are decoded.
    Done(usize),
}

impl Probing<'_> {
    async fn run(mut self, mut unread: Vec<u8>) -> Result<(), Failure> {
        loop {
            match self.decode(&mut unread)? {
                Step::Done(consumed) => return self.finish(unread.split_off(consumed)),
                Step::Probed => {
                    self.probed = true;
                    self.send(Opcode::Text, b"3probe").await?;
                }
                Step::Wait => {}
            }
            unread = self.read_releasing_polls().await?;
        }
    }

    fn decode(&mut self, input: &mut [u8]) -> Result<Step, Failure> {
        let (mut at, mut probed) = (0, false);
        while at < input.len() {
            let Received { consumed, event } = self
                .decoder
                .receive(&mut input[at..])
                .map_err(|_| Failure::Broken)?;
            let Some(event) = event else { break };
            let packet = match event {
                Event::Text(text) => Packet::decode(text).map_err(|_| Failure::Broken)?,
                Event::Close(_) => return Err(Failure::Gone),
                // An upgrade is two text packets; anything else says nothing here.
                Event::Binary(_) | Event::Ping(_) | Event::Pong(_) => {
                    at += consumed;
                    continue;
                }
            };
            let step = self.outbox.lock().session.receive_probe(&packet, clock::now());
            at += consumed;
            match step.map_err(Failure::Refused)? {
                Probe::Pong => probed = true,
                Probe::Done => return Ok(Step::Done(at)),
            }
        }
        Ok(if probed { Step::Probed } else { Step::Wait })
    }

    /// Waits for bytes. Meanwhile a GET that is open would keep the client from finishing: it is answered with a
    /// NOOP, and again, since the client may open another.
    async fn read_releasing_polls(&self) -> Result<Vec<u8>, Failure> {
        loop {
            if self.outbox.is_closing() {
                return Err(Failure::Ended);
            }
            if self.probed
                && let Lane::Polling(lane) = &mut self.outbox.lock().lane
            {
                lane.release();
            }
            let read = poll_fn(|cx| {
                scratch::with(|buffer| {
                    self.stream
                        .poll_read(cx, buffer)
                        .map_ok(|read| buffer[..read].to_vec())
                })
            });
            match tokio::time::timeout(NOOP_INTERVAL, read).await {
                Ok(Ok(bytes)) if !bytes.is_empty() => return Ok(bytes),
                Ok(_end_or_error) => return Err(Failure::Gone),
                Err(_elapsed) => {}
            }
        }
    }

    async fn send(&self, opcode: Opcode, payload: &[u8]) -> Result<(), Failure> {
        let mut frame = Vec::with_capacity(payload.len() + websocket::MAX_HEADER);
        websocket::put_frame(&mut frame, opcode, payload);
        write_all(&self.stream, &frame).await.map_err(|_| Failure::Gone)
    }

    fn finish(self, unread: Vec<u8>) -> Result<(), Failure> {
        let mut state = self.outbox.lock();
        if state.closing.is_some() {
            return Err(Failure::Ended);
        }
        self.outbox.switch_to_websocket(
            &mut state,
            self.stream,
            self.deflate,
            Handover {
                decoder: self.decoder,
                unread,
                inbox: None,
            },
        );
        Ok(())
    }
}

async fn write_all(stream: &Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, &[IoSlice::new(bytes)])).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Says goodbye on a stream that is of no use, without waiting for anything.
fn close(stream: &Stream) {
    // The stream is dropped next: what cannot be written now is not written.
    let _ = stream.try_write(&[IoSlice::new(&websocket::close_frame(None, ""))]);
}
