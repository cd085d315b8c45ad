//! The stream of a connection as hyper is lent it: what was read before goes ahead, a client that does not take an answer
//! is an error after a time, and others see whether everything written has left.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::scratch;
use crate::stream::Stream;

/// Bytes that a client must take within the write timeout, if so many wait for it.
const PORTION: usize = 64 << 10;

/// Bytes that are read at a time while hyper is not there: as many as it reads first.
const READ: usize = 8 << 10;

/// What hyper has under way on a connection, for those who would take the stream from it. Used by one task at a time.
#[derive(Default)]
pub(super) struct Traffic {
    /// Something was written since the last flush, which hyper asks for when it has nothing left to write.
    unflushed: AtomicBool,
    /// Bodies of answers that have not come to their end.
    bodies: AtomicUsize,
    /// hyper is to end, and the stream is not.
    recalled: AtomicBool,
}

impl Traffic {
    /// Sets whether hyper is to end without closing the stream.
    pub(super) fn set_recalled(&self, recalled: bool) {
        self.recalled.store(recalled, Ordering::Relaxed);
    }

    /// Whether hyper has nothing to write.
    pub(super) fn is_none(&self) -> bool {
        !self.unflushed.load(Ordering::Relaxed) && self.bodies.load(Ordering::Relaxed) == 0
    }

    /// A body begins; it has ended when what comes back is dropped.
    pub(super) fn body(self: &Arc<Self>) -> BodyUnderWay {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        BodyUnderWay(self.clone())
    }

    fn note_unflushed(&self, unflushed: bool) {
        self.unflushed.store(unflushed, Ordering::Relaxed);
    }
}

/// See [`Traffic::body`].
pub(super) struct BodyUnderWay(Arc<Traffic>);

impl Drop for BodyUnderWay {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stream of one connection.
pub(crate) struct Lent {
    stream: Stream,
    /// Read, but not by hyper: it goes before what the stream has.
    ahead: Vec<u8>,
    traffic: Arc<Traffic>,
    /// How long a client may take for [`PORTION`] bytes.
    write_timeout: Duration,
    /// What a client has that takes its time.
    slowness: Option<Slowness>,
}

/// A client that does not take an answer as fast as it is written.
struct Slowness {
    deadline: Pin<Box<Sleep>>,
    /// Bytes that it has taken since the deadline was set.
    taken: usize,
}

impl Lent {
    pub(super) fn new(stream: Stream, traffic: Arc<Traffic>, write_timeout: Duration) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            traffic,
            write_timeout,
            slowness: None,
        }
    }

    /// The stream, and what was read of it that nobody has made use of.
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.ahead)
    }

    /// Puts bytes before all that is still to be read.
    pub(crate) fn put_ahead(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.ahead.splice(..0, bytes.iter().copied());
        }
    }

    /// Whether there is something to be read before the stream.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Reads once, for whoever is lent the stream next; 0 is the end. `Pending` has registered the task of `cx`.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        scratch::with(|buffer| {
            let read = ready!(self.stream.poll_read(cx, &mut buffer[..READ]))?;
            self.ahead.extend_from_slice(&buffer[..read]);
            Poll::Ready(Ok(read))
        })
    }

    /// Tells the client that nothing more comes.
    pub(super) fn close(&self) {
        self.stream.shutdown(Shutdown::Write);
    }

    /// Ready when the client has had its time.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let slowness = self.slowness.get_or_insert_with(|| Slowness {
            deadline: Box::pin(sleep(self.write_timeout)),
            taken: 0,
        });
        ready!(slowness.deadline.as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client did not take the answer within the write timeout",
        ))
    }

    /// The client has taken so many bytes.
    fn note_taken(&mut self, bytes: usize) {
        let Some(slowness) = &mut self.slowness else {
            return;
        };
        slowness.taken += bytes;
        if slowness.taken >= PORTION {
            self.slowness = None;
        }
    }

    fn poll_write_chunks(&mut self, cx: &mut Context<'_>, chunks: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.traffic.note_unflushed(true);
        match self.stream.poll_write(cx, chunks) {
            Poll::Ready(Ok(taken)) => {
                self.note_taken(taken);
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_slow(cx).map(Err),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let taken = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..taken]);
            if taken < self.ahead.len() {
                self.ahead.drain(..taken);
            } else {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            // It wants no cleared buffer.
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            stream => {
                let read = ready!(stream.poll_read(cx, buffer.initialize_unfilled()))?;
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_chunks(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        chunks: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_chunks(cx, chunks)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.traffic.note_unflushed(false);
                self.slowness = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_slow(cx).map(Err),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.traffic.recalled.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        match self.stream.poll_shutdown(cx) {
            Poll::Pending => self.poll_slow(cx).map(Err),
            done => done,
        }
    }
}
