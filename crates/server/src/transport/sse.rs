//! The body of a stream of events as long as an HTTP server carries it: what is sent waits here until the body is asked
//! for it. A connection that is taken from the server has a socket's queue instead.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::sse;
use http_body::Frame;

use crate::outbox::{Lane, Outbox};

/// What waits for the body.
#[derive(Default)]
pub(crate) struct BodyLane {
    /// Each a whole chunk.
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing follows.
    ended: bool,
    /// The server's task, which waits for more.
    waiting: Option<Waker>,
}

impl BodyLane {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.ended || chunk.is_empty() {
            return;
        }
        self.bytes += chunk.len();
        self.queue.push_back(chunk);
        self.wake();
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.bytes = 0;
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.wake();
    }

    /// Whether the body waits for more.
    pub(crate) fn is_writable(&self) -> bool {
        self.queue.is_empty()
    }

    /// What waits, for a socket, and whether nothing follows.
    pub(crate) fn into_parts(mut self) -> (VecDeque<Bytes>, bool) {
        (std::mem::take(&mut self.queue), self.ended)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.queue.pop_front() {
            Some(chunk) => {
                self.bytes -= chunk.len();
                if self.queue.is_empty() {
                    self.queue = VecDeque::new();
                }
                Poll::Ready(Some(chunk))
            }
            None if self.ended => Poll::Ready(None),
            None => {
                self.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for BodyLane {
    fn drop(&mut self) {
        self.wake();
    }
}

/// The body of the response to who asked for a stream of events. Dropped before its end, it ends the session.
pub struct SseBody(Arc<Outbox>);

impl SseBody {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self(outbox)
    }
}

impl http_body::Body for SseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.0.lock();
        let Lane::Body(lane) = &mut state.lane else {
            return Poll::Ready(None);
        };
        let polled = lane.poll(cx);
        self.0.note_taken(&mut state);
        drop(state);
        if matches!(polled, Poll::Ready(None)) {
            // Who says goodbye waits for it.
            self.0.driver.wake();
        }
        polled.map(|chunk| chunk.map(|chunk| Ok(Frame::data(sse::unchunk(&chunk)))))
    }
}

impl Drop for SseBody {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Lane::Body(lane) = &mut state.lane {
            lane.clear();
            lane.end();
            self.0.begin_close_locked(&mut state, CloseReason::TransportClose);
            drop(state);
            self.0.driver.wake();
        }
    }
}
