//! Taking a connection out of hyper to write the rest of a response to it directly: a stream of events, which goes on for
//! hours and is shared with others. It happens only where nothing else can be under way on the connection; everywhere
//! else (HTTP/2, a foreign server, a request with a body) hyper carries the same response by its body.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Method, Request, Response, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use crate::outbox::Outbox;
use crate::stream::Stream;

/// A stream that hyper serves, and that may be taken from it.
pub(crate) struct Lent<S>(Arc<Loan<S>>);

/// The other end of a [`Lent`] stream.
pub(crate) struct Loan<S> {
    slot: Mutex<Slot<S>>,
    taken: Notify,
}

struct Slot<S> {
    /// None once it is taken.
    stream: Option<S>,
    /// Nothing was written since the last flush, which hyper asks for when it has nothing left to write.
    is_clean: bool,
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

/// Bytes that a client must take within the write timeout, if so many wait for it.
const PORTION: usize = 64 << 10;

/// Said by a response, in its extensions: the body may be written by this outbox instead.
#[derive(Clone)]
pub(crate) struct Offer(pub(crate) Arc<Outbox>);

/// A stream for hyper, and the means to take it back. As long as it is lent, a client that does not take what is written
/// within the timeout is an error.
pub(crate) fn lend<S>(stream: S, write_timeout: Duration) -> (Lent<S>, Arc<Loan<S>>) {
    let loan = Arc::new(Loan {
        slot: Mutex::new(Slot {
            stream: Some(stream),
            is_clean: true,
            write_timeout,
            slowness: None,
        }),
        taken: Notify::new(),
    });
    (Lent(loan.clone()), loan)
}

impl<S> Loan<S> {
    fn lock(&self) -> MutexGuard<'_, Slot<S>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the stream was taken: the connection is to be dropped then.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Answers one request of the connection. If the response offers it, the stream is taken, and this is never ready.
    pub(crate) async fn answer<B, F, R>(
        &self,
        request: Request<B>,
        respond: impl FnOnce(Request<B>) -> F,
        into_stream: impl FnOnce(S) -> Stream,
    ) -> Result<Response<R>, Infallible>
    where
        B: Body,
        F: Future<Output = Response<R>>,
    {
        let may_be_taken = request.version() == Version::HTTP_11
            && request.method() != Method::HEAD
            && request.body().is_end_stream();
        let response = respond(request).await;
        if !may_be_taken || !is_plain(&response) {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let Some(Offer(outbox)) = parts.extensions.remove() else {
            return Ok(Response::from_parts(parts, body));
        };
        let stream = {
            let mut slot = self.lock();
            if slot.is_clean { slot.stream.take() } else { None }
        };
        let Some(stream) = stream else {
            return Ok(Response::from_parts(parts, body));
        };
        outbox.attach(into_stream(stream), &head(&parts));
        drop(body);
        self.taken.notify_one();
        pending().await
    }
}

impl<S> Lent<S> {
    /// Ends the loan; `None` if the stream was taken.
    pub(crate) fn into_inner(self) -> Option<S> {
        self.0.lock().stream.take()
    }
}

/// Whether nobody between has framed or coded the body.
fn is_plain<B>(response: &Response<B>) -> bool {
    [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .all(|name| !response.headers().contains_key(name))
}

/// The head of a response whose body is chunked, and ends with the connection.
fn head(parts: &Parts) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    // Writing into a vector does not fail.
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let _ = write!(head, "HTTP/1.1 {} {reason}\r\n", parts.status.as_str());
    for (name, value) in &parts.headers {
        if name != CONNECTION {
            head.extend_from_slice(name.as_ref());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    if !parts.headers.contains_key(DATE) {
        let _ = write!(head, "date: {}\r\n", httpdate::HttpDate::from(SystemTime::now()));
    }
    head.extend_from_slice(b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    head
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0.lock().stream {
            Some(stream) => Pin::new(stream).poll_read(cx, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S> Slot<S> {
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
}

impl<S: AsyncWrite + Unpin> Lent<S> {
    fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
        done: impl FnOnce(&mut Slot<S>, &T),
    ) -> Poll<io::Result<T>> {
        let mut slot = self.0.lock();
        let slot = &mut *slot;
        let Some(stream) = &mut slot.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        slot.is_clean = false;
        match poll(Pin::new(stream), cx) {
            Poll::Ready(Ok(value)) => {
                done(slot, &value);
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => slot.poll_slow(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(
            cx,
            |stream, cx| stream.poll_write(cx, bytes),
            |slot, taken| slot.note_taken(*taken),
        )
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        chunks: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(
            cx,
            |stream, cx| stream.poll_write_vectored(cx, chunks),
            |slot, taken| slot.note_taken(*taken),
        )
    }

    fn is_write_vectored(&self) -> bool {
        let slot = self.0.lock();
        slot.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            |stream, cx| stream.poll_flush(cx),
            |slot, ()| {
                slot.is_clean = true;
                slot.slowness = None;
            },
        )
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, |stream, cx| stream.poll_shutdown(cx), |_, ()| ())
    }
}
