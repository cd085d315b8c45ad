//! Taking a connection out of hyper to write the rest of a response to it directly: a stream of events, which goes on for
//! hours and is shared with others. It happens only where nothing else can be under way on the connection; everywhere
//! else (HTTP/2, a foreign server, a request with a body) hyper carries the same response by its body.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Method, Request, Response, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

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
}

/// Said by a response, in its extensions: the body may be written by this outbox instead.
#[derive(Clone)]
pub(crate) struct Offer(pub(crate) Arc<Outbox>);

/// A stream for hyper, and the means to take it back.
pub(crate) fn lend<S>(stream: S) -> (Lent<S>, Arc<Loan<S>>) {
    let loan = Arc::new(Loan {
        slot: Mutex::new(Slot {
            stream: Some(stream),
            is_clean: true,
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

impl<S: AsyncWrite + Unpin> Lent<S> {
    fn poll_with<T>(
        &self,
        poll: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>,
        is_clean: impl FnOnce(bool) -> bool,
    ) -> Poll<io::Result<T>> {
        let mut slot = self.0.lock();
        let slot = &mut *slot;
        let Some(stream) = &mut slot.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let polled = poll(Pin::new(stream));
        slot.is_clean = is_clean(matches!(polled, Poll::Ready(Ok(_))));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(|stream| stream.poll_write(cx, bytes), |_| false)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        chunks: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(|stream| stream.poll_write_vectored(cx, chunks), |_| false)
    }

    fn is_write_vectored(&self) -> bool {
        let slot = self.0.lock();
        slot.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_flush(cx), |is_done| is_done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_shutdown(cx), |_| false)
    }
}
