//! What comes by a socket: read, decoded and handed on, as far as the upper layer and this poll take it.

use std::task::{Context, Poll};

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{self, CloseCode, Decoder, Event, Opcode, Received};

use super::deliver::{on_binary, on_pong, on_text};
use crate::application::Session;
use crate::faults::Fault;
use crate::outbox::Outbox;
use crate::quota::Quota;
use crate::scratch;

/// Reads from the kernel in one poll; then other tasks get their turn.
pub(super) const READS_PER_POLL: usize = 8;

/// A WebSocket as its driver reads it.
pub(crate) struct SocketInput {
    pub(super) decoder: Decoder,
    /// Bytes that are read but not decoded, since the upper layer took no more, or the session ends.
    pub(super) unread: Vec<u8>,
    /// What the Close frame will say.
    pub(super) farewell: Option<CloseCode>,
    /// The client has closed, or is gone: its answer is not waited for.
    pub(super) ended: bool,
    /// The client broke the WebSocket protocol: the connection is failed (RFC 6455 §7.1.7), no Close frame is awaited.
    pub(super) failed: bool,
}

impl SocketInput {
    pub(crate) fn new(decoder: Decoder, unread: Vec<u8>) -> Self {
        Self {
            decoder,
            unread,
            farewell: None,
            ended: false,
            failed: false,
        }
    }
}

/// Reads and decodes one WebSocket for the upper layer.
pub(super) struct Reader<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) session: &'a mut dyn Session,
    pub(super) input: &'a mut SocketInput,
    /// Events that may still be worked off in this poll.
    pub(super) budget: usize,
    pub(super) quota: Quota<'a>,
}

impl Reader<'_> {
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.input.unread.is_empty() {
            let mut unread = std::mem::take(&mut self.input.unread);
            self.decode(&mut unread, cx);
        }
        let Some(stream) = self.outbox.stream() else {
            return false;
        };
        scratch::with(|buffer| {
            for _ in 0..READS_PER_POLL {
                if self.input.ended || self.outbox.is_closing() || !self.session.wants_input() {
                    return false;
                }
                if self.budget == 0 || self.quota.is_used_up() || !self.input.unread.is_empty() {
                    return true;
                }
                match stream.poll_read(cx, buffer) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(0)) => {
                        self.end(CloseReason::TransportClose);
                        return false;
                    }
                    Poll::Ready(Ok(read)) => self.decode(&mut buffer[..read], cx),
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(sid = %self.outbox.sid, %error, "reading from the client failed");
                        self.end(CloseReason::TransportError);
                        return false;
                    }
                }
            }
            true
        })
    }

    fn end(&mut self, reason: CloseReason) {
        self.input.ended = true;
        self.outbox.begin_close(reason);
    }

    /// Works off the frames in `input`; what the upper layer does not take for now, or this poll, is kept.
    fn decode(&mut self, input: &mut [u8], cx: &mut Context<'_>) {
        let mut at = 0;
        // The decoder gives a big message's buffer back when it is asked for the next one, so it is asked to the end.
        loop {
            if at < input.len()
                && (self.budget == 0 || self.quota.is_used_up() || !self.session.wants_input())
            {
                self.input.unread = input[at..].to_vec();
                return;
            }
            let Received { consumed, event } = match self.input.decoder.receive(&mut input[at..]) {
                Ok(received) => received,
                Err(violation) => {
                    tracing::debug!(sid = %self.outbox.sid, %violation, "the client broke the WebSocket protocol");
                    let code = violation.close_code();
                    self.outbox.fault(match code {
                        CloseCode::TOO_BIG => Fault::TooLarge,
                        _ => Fault::WebSocket,
                    });
                    self.input.farewell = Some(code);
                    self.input.failed = true;
                    self.outbox.begin_close(CloseReason::TransportError);
                    return;
                }
            };
            at += consumed;
            let Some(event) = event else { return };
            self.budget = self.budget.saturating_sub(1);
            let admitted = self.quota.admit(size(&event), self.outbox, self.session);
            let outcome = admitted.and_then(|refusal| match event {
                Event::Text(text) => on_text(self.outbox, self.session, text, refusal, cx),
                Event::Binary(data) => on_binary(self.outbox, self.session, data, refusal, cx),
                Event::Ping(_) if refusal.is_some() => Ok(()),
                Event::Ping(data) => {
                    let mut pong = Vec::with_capacity(data.len() + websocket::MAX_HEADER);
                    websocket::put_frame(&mut pong, Opcode::Pong, data);
                    self.outbox.send_control(&pong);
                    Ok(())
                }
                Event::Pong(_) => on_pong(self.outbox),
                Event::Close(frame) => {
                    self.session.receive_close(frame);
                    self.input.farewell = frame.map(|frame| frame.code);
                    self.input.ended = true;
                    Err(CloseReason::TransportClose)
                }
            });
            if let Err(reason) = outcome {
                if reason == CloseReason::ForcedClose && self.outbox.dialect.is_plain() {
                    self.input.farewell = Some(CloseCode::POLICY);
                }
                self.input.unread = input[at..].to_vec();
                self.outbox.begin_close(reason);
                return;
            }
        }
    }
}

/// Bytes that the client has sent for it.
fn size(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) => text.len(),
        Event::Binary(data) | Event::Ping(data) | Event::Pong(data) => data.len(),
        Event::Close(_) => 0,
    }
}

/// Hears of the end of a connection that only listens; whether there may be more to hear.
pub(super) fn listen(outbox: &Outbox, cx: &mut Context<'_>) -> bool {
    let Some(stream) = outbox.stream() else {
        return false;
    };
    scratch::with(|buffer| {
        for _ in 0..READS_PER_POLL {
            let reason = match stream.poll_read(cx, buffer) {
                Poll::Pending => return false,
                // Whatever it sends, a request behind the one that is being answered, is not looked at.
                Poll::Ready(Ok(read)) if read > 0 => continue,
                Poll::Ready(Ok(_)) => CloseReason::TransportClose,
                Poll::Ready(Err(_)) => CloseReason::TransportError,
            };
            outbox.begin_close(reason);
            return false;
        }
        true
    })
}
