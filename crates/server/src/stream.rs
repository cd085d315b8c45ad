//! The byte stream below a WebSocket, shared by the driver that reads and by any thread that writes. A TCP stream is
//! used directly; anything else (TLS, or the stream of a foreign HTTP server) goes through a mutex.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::http1::Lent;
use crate::scratch;
use crate::tls::TlsStream;

/// Any stream that hyper can hand over.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// The stream of one upgraded connection.
pub(crate) enum Stream {
    /// A plain TCP connection, read and written without a lock.
    Tcp(TcpStream),
    /// TLS on a TCP connection. Boxed: a plain connection is not to pay for its size.
    Tls(Box<TlsStream>),
    /// Any other stream.
    Other(Other),
}

/// Bytes that a foreign stream is given at a time. One of HTTP/2 takes as much as it is given, and keeps it beyond the
/// bound of the outbox; it keeps a few of these.
const WRITE: usize = 16 << 10;

/// To `send`: more follows at once.
#[cfg(target_os = "linux")]
const MSG_MORE: i32 = 0x8000;

/// To `send`: an error is enough, there need be no signal.
#[cfg(target_os = "linux")]
const MSG_NOSIGNAL: i32 = 0x4000;

/// A stream behind a mutex, which may hold back what was written until it is flushed, as HTTP/2 does.
pub(crate) struct Other {
    stream: Mutex<Pin<Box<dyn Duplex>>>,
    /// The last flush was not finished. Changes only under the lock of `stream`.
    unflushed: AtomicBool,
}

impl Other {
    pub(crate) fn new(stream: impl Duplex + 'static) -> Self {
        Self {
            stream: Mutex::new(Box::pin(stream)),
            unflushed: AtomicBool::new(false),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, chunks: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut stream = lock(&self.stream);
        let written =
            scratch::with(|gathered| write_all(stream.as_mut(), cx, chunks, &mut gathered[..WRITE]));
        let written = ready!(written)?;
        match self.poll_flush_locked(stream.as_mut(), cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush_locked(&self, stream: Pin<&mut dyn Duplex>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = stream.poll_flush(cx);
        self.unflushed.store(flushed.is_pending(), Ordering::Release);
        flushed
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<Box<TlsStream>> for Stream {
    fn from(stream: Box<TlsStream>) -> Self {
        Self::Tls(stream)
    }
}

impl Stream {
    /// Takes the stream back out of hyper, with the bytes that hyper had read too far.
    pub(crate) fn from_upgraded(upgraded: Upgraded) -> (Self, Vec<u8>) {
        let upgraded = match upgraded.downcast::<TokioIo<Lent>>() {
            Ok(parts) => {
                let mut lent = parts.io.into_inner();
                lent.put_ahead(&parts.read_buf);
                return lent.into_parts();
            }
            Err(upgraded) => upgraded,
        };
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Self::Tcp(parts.io.into_inner()), parts.read_buf.to_vec()),
            Err(upgraded) => (Self::Other(Other::new(TokioIo::new(upgraded))), Vec::new()),
        }
    }

    /// Reads once; 0 is the end of the stream. `Pending` has registered the task of `cx`.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => loop {
                ready!(stream.poll_read_ready(cx))?;
                match read_ready(stream, buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            },
            Self::Tls(stream) => stream.poll_read(cx, buffer),
            Self::Other(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                ready!(lock(&stream.stream).as_mut().poll_read(cx, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// Writes what is taken at once, from any thread.
    ///
    /// # Errors
    /// `WouldBlock` when nothing was taken: the driver must then be woken to [`poll_write`](Self::poll_write). It must
    /// be woken to [`poll_flush`](Self::poll_flush) if the stream then [is unflushed](Self::is_unflushed); until it has
    /// done so nobody else may write, or its task would not be known to the stream any more.
    pub(crate) fn try_write(&self, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => match chunks {
                [chunk] => stream.try_write(chunk),
                chunks => stream.try_write_vectored(chunks),
            },
            Self::Tls(stream) => stream.try_write(chunks),
            Self::Other(stream) => match stream.poll_write(&mut Context::from_waker(Waker::noop()), chunks) {
                Poll::Ready(done) => done,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// As [`try_write`](Self::try_write), but `Pending` has registered the task of `cx`: for the driver alone.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, chunks: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => return stream.poll_write(cx, chunks),
            Self::Other(stream) => return stream.poll_write(cx, chunks),
        };
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match self.try_write(chunks) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Whether what was written is held back until [`poll_flush`](Self::poll_flush) is ready.
    pub(crate) fn is_unflushed(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(stream) => stream.is_unflushed(),
            Self::Other(stream) => stream.unflushed.load(Ordering::Acquire),
        }
    }

    /// Has everything that was written leave. `Pending` has registered the task of `cx`: for the driver alone.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
            Self::Other(stream) => stream.poll_flush_locked(lock(&stream.stream).as_mut(), cx),
        }
    }

    /// Closes the stream for writing when everything has left. `Pending` has registered the task of `cx`: for the driver
    /// alone.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        match self {
            Self::Tcp(_) | Self::Tls(_) => {
                self.shutdown(Shutdown::Write);
                Poll::Ready(Ok(()))
            }
            Self::Other(stream) => lock(&stream.stream).as_mut().poll_shutdown(cx),
        }
    }

    /// Writes `last`, if it is taken at once, before the stream is closed at once. Where the system can, both leave in one
    /// segment.
    pub(crate) fn write_last(&self, last: &[u8]) {
        if last.is_empty() {
            return;
        }
        // An error says that the connection is gone.
        let _ = match self {
            #[cfg(target_os = "linux")]
            Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, || {
                SockRef::from(stream).send_with_flags(last, MSG_MORE | MSG_NOSIGNAL)
            }),
            stream => stream.try_write(&[IoSlice::new(last)]),
        };
    }

    /// Whether it says by being dropped all that it would by being [shut down](Self::shutdown).
    pub(crate) fn is_closed_by_drop(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Closes the stream for writing or for both directions, without waiting.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        match self {
            // An error says that the connection is gone, which is what is wanted.
            Self::Tcp(stream) => {
                let _ = SockRef::from(stream).shutdown(how);
            }
            Self::Tls(stream) => stream.shutdown(how),
            Self::Other(stream) => {
                let _ = lock(&stream.stream)
                    .as_mut()
                    .poll_shutdown(&mut Context::from_waker(Waker::noop()));
            }
        }
    }
}

/// Writes `chunks` as far as `stream` takes them, `gathered.len()` bytes at a time.
fn write_all(
    mut stream: Pin<&mut dyn Duplex>,
    cx: &mut Context<'_>,
    chunks: &[IoSlice<'_>],
    gathered: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut rest = Rest::of(chunks);
    let mut written = 0;
    loop {
        let filled = rest.fill(gathered);
        if filled == 0 {
            return Poll::Ready(Ok(written));
        }
        let mut left = &gathered[..filled];
        while !left.is_empty() {
            match stream.as_mut().poll_write(cx, left) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => {
                    written += taken;
                    left = &left[taken..];
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(written)),
            }
        }
    }
}

/// What is left of a vectored write.
pub(crate) struct Rest<'a, 'b> {
    chunks: &'a [IoSlice<'b>],
    /// Bytes of the first chunk that are done.
    skipped: usize,
}

impl<'a, 'b> Rest<'a, 'b> {
    pub(crate) fn of(chunks: &'a [IoSlice<'b>]) -> Self {
        Self { chunks, skipped: 0 }
    }

    /// Copies as much as there is, or as fits; how much it was.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some((chunk, rest)) = self.chunks.split_first() {
            let chunk = &chunk[self.skipped..];
            let taken = chunk.len().min(buffer.len() - filled);
            buffer[filled..filled + taken].copy_from_slice(&chunk[..taken]);
            filled += taken;
            if taken < chunk.len() {
                self.skipped += taken;
                break;
            }
            self.chunks = rest;
            self.skipped = 0;
        }
        filled
    }
}

fn lock<'a>(stream: &'a Mutex<Pin<Box<dyn Duplex>>>) -> MutexGuard<'a, Pin<Box<dyn Duplex>>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One `recv` of a stream that is said to be readable. A read that leaves room in the buffer has emptied the
/// kernel's queue, so readiness is cleared at once and the extra call that would only return `WouldBlock` is saved.
pub(crate) fn read_ready(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let room = buffer.len();
    let mut short = None;
    let done = stream.try_io(Interest::READABLE, || {
        let read = (&*SockRef::from(stream)).read(buffer)?;
        if read > 0 && read < room {
            short = Some(read);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(read)
    });
    short.map_or(done, Ok)
}
