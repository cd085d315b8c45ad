//! HTTP long-polling: packets wait in a lane until a GET takes them, and POST bodies wait until the driver has worked
//! them off. One GET and one POST may be in flight; an overlap ends the session (Engine.IO 4, transport "polling").

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::Message;
use gatewire_proto::engineio::v3::Form;
use gatewire_proto::engineio::{BadRequest, CloseReason, HandshakeError, jsonp};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::oneshot;

use crate::compression::Encoding;
use crate::dialect::{Dialect, Payload};
use crate::faults::Fault;
use crate::http::{self as answer, Body};
use crate::outbox::{Lane, Outbox};
use gatewire_hub::task;

/// The head start that the answer to a POST has before the answer to the GET that is open: a client that is told of the
/// end first does not see what it has done wrong.
const FORSAKEN: Duration = Duration::from_secs(1);

/// The polling side of a session.
#[derive(Default)]
pub(crate) struct PollLane {
    dialect: Dialect,
    packets: VecDeque<Message>,
    /// Whether the answer that takes them may be compressed.
    pub(crate) is_compressible: bool,
    bytes: usize,
    /// The close packet follows what waits.
    is_leaving: bool,
    /// The GET that waits.
    poll: Option<oneshot::Sender<Payload>>,
    /// The headers of the POST that is in flight.
    post: Option<HeaderMap>,
    /// The body of that POST, until the driver begins with it.
    inbox: Option<Inbox>,
    /// Noted in some thread's cork, which will flush it.
    pub(crate) corked: bool,
}

/// A POST body and how far the driver is.
pub(crate) struct Inbox {
    pub(crate) body: Bytes,
    pub(crate) offset: usize,
    /// Packets before the offset.
    pub(crate) packets: usize,
    /// How the body is written; protocol 4 knows text only.
    pub(crate) form: Form,
    /// Dropped when the body is worked off: the POST is answered then.
    _done: oneshot::Sender<()>,
}

impl PollLane {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, packets: impl IntoIterator<Item = Message>) {
        for packet in packets {
            let (Message::Text(bytes) | Message::Binary(bytes)) = &packet;
            self.bytes += bytes.len() + size_of::<Message>();
            self.packets.push_back(packet);
        }
    }

    /// Bytes that wait, with those that keeping each packet takes: small ones cost more than they hold.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Whether a GET waits.
    pub(crate) fn is_polled(&self) -> bool {
        self.poll.as_ref().is_some_and(|poll| !poll.is_closed())
    }

    /// Answers the GET that waits, if there is anything to say.
    pub(crate) fn flush(&mut self) {
        if !self.packets.is_empty()
            && let Some(poll) = self.poll.take()
            && let Err(_gone) = poll.send(self.encode())
        {
            // The request was dropped in this very moment; its guard ends the session.
        }
        if self.is_leaving && self.packets.is_empty() {
            self.push_goodbye();
        }
    }

    /// Answers the GET that waits with a NOOP, for an upgrade; what waits goes first if there is something.
    pub(crate) fn release(&mut self) {
        if self.poll.is_some() && self.packets.is_empty() {
            self.push([Message::Text(Bytes::from_static(b"6"))]);
        }
        self.flush();
    }

    /// Queues the close packet, which goes out by itself, behind what waits, as the Node server sends it: the official client
    /// closes at once, and would take messages of the same payload for some that came after the end.
    pub(crate) fn say_goodbye(&mut self) {
        self.is_leaving = true;
        if self.packets.is_empty() {
            self.push_goodbye();
        }
        self.flush();
    }

    fn push_goodbye(&mut self) {
        self.is_leaving = false;
        self.push([Message::Text(Bytes::from_static(b"1"))]);
    }

    /// Leaves the GET that waits without its answer until the client has given it up, or for [`FORSAKEN`]; it then hears
    /// that the session is over.
    fn forsake_poll(&mut self) {
        if let Some(mut poll) = self.poll.take() {
            task::spawn("gatewire post", async move {
                // Either way it is dropped, which is the answer.
                let _ = tokio::time::timeout(FORSAKEN, poll.closed()).await;
            });
        }
    }

    /// Takes what waits.
    pub(crate) fn drain(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }

    /// The headers of the POST whose packets are being worked off.
    pub(crate) fn post_headers(&self) -> Option<&HeaderMap> {
        self.post.as_ref()
    }

    /// The body that the driver is to work on.
    pub(crate) fn take_inbox(&mut self) -> Option<Inbox> {
        self.inbox.take()
    }

    fn encode(&mut self) -> Payload {
        let packets = self.drain();
        Payload {
            is_compressible: std::mem::take(&mut self.is_compressible),
            ..self.dialect.encode(packets.iter())
        }
    }
}

/// Answers a request of a session that is on polling.
pub(crate) async fn handle<B>(
    outbox: Arc<Outbox>,
    callback: Option<&str>,
    parts: &mut Parts,
    body: B,
) -> Response<Body>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match parts.method {
        Method::GET => poll(&outbox, callback, Encoding::accepted(&parts.headers)).await,
        Method::POST => post(&outbox, callback, &mut parts.headers, body).await,
        _ => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Waits until there is something to say, and says it, compressed as is `accepted` if it is worth it.
pub(crate) async fn poll(
    outbox: &Outbox,
    callback: Option<&str>,
    accepted: Option<Encoding>,
) -> Response<Body> {
    let waiting = {
        let mut state = outbox.lock();
        let Lane::Polling(lane) = &mut state.lane else {
            return not_polling(&state.lane);
        };
        if lane.is_polled() {
            tracing::debug!(sid = %outbox.sid, "a second poll while one is open: the session is closed");
            outbox.fault(Fault::Overlap);
            outbox.begin_close_locked(&mut state, CloseReason::TransportError);
            return answer::empty(StatusCode::BAD_REQUEST);
        }
        let (sender, receiver) = oneshot::channel();
        lane.poll = Some(sender);
        lane.flush();
        outbox.note_taken(&mut state);
        if state.closing.is_some() {
            // The last packets of a session that the server has closed are taken now.
            outbox.driver.wake();
        }
        receiver
    };
    let mut guard = PollGuard {
        outbox,
        answered: false,
    };
    let payload = waiting.await;
    guard.answered = true;
    match payload {
        Ok(payload) => {
            let payload = payload.for_callback(callback);
            let threshold = outbox.rules.http_compression;
            let is_worth_it =
                payload.is_compressible && threshold.is_some_and(|threshold| payload.body.len() >= threshold);
            answer::poll(payload, accepted.filter(|_| is_worth_it))
        }
        Err(_closed) => answer::refusal(&HandshakeError::UnknownSid),
    }
}

/// Ends the session when a GET is given up by the client before it was answered.
struct PollGuard<'a> {
    outbox: &'a Outbox,
    answered: bool,
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        if !self.answered {
            tracing::debug!(sid = %self.outbox.sid, "the client gave up a poll: the session is closed");
            self.outbox.begin_close(CloseReason::TransportError);
        }
    }
}

/// Reads the packets of a POST and waits until the driver has worked them off, so that a client cannot send faster
/// than its messages are handled.
async fn post<B>(outbox: &Outbox, callback: Option<&str>, headers: &mut HeaderMap, body: B) -> Response<Body>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let form = Form::of_content_type(headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()));
    let posting = match Posting::begin(outbox, headers) {
        Ok(posting) => posting,
        Err(refusal) => return *refusal,
    };
    if form == Form::Binary && outbox.dialect == Dialect::V4 {
        tracing::debug!(sid = %outbox.sid, "a POST of application/octet-stream: protocol 4 knows text only");
        outbox.fault(Fault::Body);
        outbox.begin_close(CloseReason::TransportError);
        return answer::empty(StatusCode::BAD_REQUEST);
    }
    // A client that cannot send one body in the time in which it must answer a ping is as good as gone.
    let patience = outbox.rules.timing.ping_interval + outbox.rules.timing.ping_timeout;
    let body = Limited::new(body, outbox.rules.max_payload).collect();
    let body = match tokio::time::timeout(patience, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Err(_elapsed) => {
            tracing::debug!(sid = %outbox.sid, ?patience, "the body of a POST took too long");
            outbox.fault(Fault::Body);
            outbox.begin_close(CloseReason::TransportError);
            return answer::empty(StatusCode::REQUEST_TIMEOUT);
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            tracing::debug!(sid = %outbox.sid, limit = outbox.rules.max_payload, "a POST above max_payload bytes");
            outbox.fault(Fault::TooLarge);
            if let Lane::Polling(lane) = &mut outbox.lock().lane {
                lane.forsake_poll();
            }
            outbox.begin_close(CloseReason::TransportError);
            return answer::empty(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(Err(error)) => {
            tracing::debug!(sid = %outbox.sid, %error, "the body of a POST did not come whole");
            outbox.fault(Fault::Body);
            outbox.begin_close(CloseReason::TransportError);
            return answer::empty(StatusCode::BAD_REQUEST);
        }
    };
    let (body, form) = match callback {
        None => (body, form),
        Some(_) => (jsonp::unwrap(&body).into(), Form::Text),
    };
    let worked_off = {
        let mut state = outbox.lock();
        let Lane::Polling(lane) = &mut state.lane else {
            return not_polling(&state.lane);
        };
        let (done, worked_off) = oneshot::channel();
        lane.inbox = Some(Inbox {
            body,
            offset: 0,
            packets: 0,
            form,
            _done: done,
        });
        worked_off
    };
    outbox.driver.wake();
    // An error is the sender being dropped, which is the sign that is waited for.
    let _ = worked_off.await;
    drop(posting);
    answer::post()
}

/// The answer to a request that found its session when it was about to end, or to move to the WebSocket.
fn not_polling(lane: &Lane) -> Response<Body> {
    answer::refusal(&match lane {
        Lane::WebSocket(_) => BadRequest::OtherTransport.into(),
        Lane::Polling(_) | Lane::Body(_) | Lane::Closed => HandshakeError::UnknownSid,
    })
}

/// The right to post: one request of a session at a time has it. The session holds the request's headers meanwhile.
struct Posting<'a> {
    outbox: &'a Outbox,
    headers: &'a mut HeaderMap,
}

impl<'a> Posting<'a> {
    fn begin(outbox: &'a Outbox, headers: &'a mut HeaderMap) -> Result<Self, Box<Response<Body>>> {
        let mut state = outbox.lock();
        let Lane::Polling(lane) = &mut state.lane else {
            return Err(Box::new(not_polling(&state.lane)));
        };
        if lane.post.is_some() || lane.inbox.is_some() {
            tracing::debug!(sid = %outbox.sid, "a second POST while one is open: the session is closed");
            outbox.fault(Fault::Overlap);
            outbox.begin_close_locked(&mut state, CloseReason::TransportError);
            return Err(Box::new(answer::empty(StatusCode::BAD_REQUEST)));
        }
        lane.post = Some(std::mem::take(headers));
        drop(state);
        Ok(Self { outbox, headers })
    }
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        if let Lane::Polling(lane) = &mut self.outbox.lock().lane {
            *self.headers = lane.post.take().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(packet: &'static str) -> Message {
        Message::Text(Bytes::from_static(packet.as_bytes()))
    }

    #[test]
    fn a_poll_takes_everything_that_waits() {
        let mut lane = PollLane::default();
        lane.push([
            text("4a"),
            Message::Binary(Bytes::from_static(&[1, 2, 3])),
            text("2"),
        ]);
        let (sender, mut receiver) = oneshot::channel();
        lane.poll = Some(sender);
        lane.flush();
        assert_eq!(receiver.try_recv().unwrap().body, b"4a\x1ebAQID\x1e2");
        assert_eq!(lane.len(), 0);
        assert!(!lane.is_polled());
    }

    #[test]
    fn packets_without_content_count() {
        let mut lane = PollLane::default();
        lane.push([Message::Binary(Bytes::new())]);
        let one = lane.len();
        assert!(one > 0);
        lane.push([Message::Binary(Bytes::new())]);
        assert_eq!(lane.len(), 2 * one);
    }

    #[test]
    fn nothing_to_say_leaves_the_poll_open() {
        let mut lane = PollLane::default();
        let (sender, mut receiver) = oneshot::channel();
        lane.poll = Some(sender);
        lane.flush();
        assert!(lane.is_polled());
        lane.release();
        assert_eq!(receiver.try_recv().unwrap().body, b"6");
    }
}
