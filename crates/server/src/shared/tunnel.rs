//! One stream of a link, seen from both sides: to the programs that use it a byte stream as a TCP connection is, to the
//! link a place where data arrives. Neither side can make the other keep more than the window.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use gatewire_proto::relay::{Frame, WINDOW};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::link::LinkEnd;

/// Bytes of one message: a bus should not be held up by a big one.
const CHUNK: usize = 64 * 1024;

/// What a link knows of a stream.
pub(super) struct Pipe(Mutex<State>);

struct State {
    incoming: VecDeque<Bytes>,
    /// Bytes that the peer may still send.
    window: u32,
    /// Bytes that were taken out and that the peer was not told of yet.
    taken: u32,
    /// The peer will send no more.
    ended: bool,
    /// Nothing can be sent any more, and nothing comes; what came before the peer's end can still be read.
    broken: bool,
    reader: Option<Waker>,
    /// Bytes that may be sent.
    credit: u32,
    writer: Option<Waker>,
}

/// A peer that does not keep to the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Pipe {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            incoming: VecDeque::new(),
            window: WINDOW,
            taken: 0,
            ended: false,
            broken: false,
            reader: None,
            credit: WINDOW,
            writer: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn receive(&self, bytes: &[u8]) -> Result<(), Overrun> {
        let mut state = self.lock();
        let len = u32::try_from(bytes.len()).map_err(|_| Overrun)?;
        state.window = state.window.checked_sub(len).ok_or(Overrun)?;
        if !bytes.is_empty() {
            state.incoming.push_back(Bytes::copy_from_slice(bytes));
            wake(&mut state.reader);
        }
        Ok(())
    }

    pub(super) fn add_credit(&self, bytes: u32) {
        let mut state = self.lock();
        state.credit = state.credit.saturating_add(bytes);
        wake(&mut state.writer);
    }

    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        wake(&mut state.reader);
    }

    /// The peer has dropped its end: as where a TCP connection is closed, what it sent before can still be read.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.broken = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// The link is broken: what has not come whole is lost.
    pub(super) fn sever(&self) {
        let mut state = self.lock();
        state.broken = true;
        if !state.ended {
            state.incoming.clear();
        }
        wake(&mut state.reader);
        wake(&mut state.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// A stream between this node and another one. Dropped, it is over for the other one, too.
pub(crate) struct Tunnel {
    link: Arc<LinkEnd>,
    stream: u32,
    pipe: Arc<Pipe>,
    /// Nothing more will be sent.
    sealed: bool,
    _place: OwnedSemaphorePermit,
}

impl Tunnel {
    pub(super) fn new(link: Arc<LinkEnd>, stream: u32, pipe: Arc<Pipe>, place: OwnedSemaphorePermit) -> Self {
        Self {
            link,
            stream,
            pipe,
            sealed: false,
            _place: place,
        }
    }

    /// Waits until bytes may be sent; how many.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = self.pipe.lock();
        if state.broken || self.sealed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.credit == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(CHUNK.min(state.credit as usize)))
    }

    /// Sends bytes, not more than there is room for.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        {
            let mut state = self.pipe.lock();
            let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            state.credit = state.credit.checked_sub(len).ok_or(io::ErrorKind::InvalidInput)?;
        }
        self.tell(Frame::Data {
            stream: self.stream,
            bytes,
        })
    }

    /// Waits for the next bytes; `None` is the end of the stream.
    pub(crate) fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.pipe.lock();
        match state.incoming.pop_front() {
            Some(bytes) => Poll::Ready(Ok(Some(bytes))),
            None if state.ended => Poll::Ready(Ok(None)),
            None if state.broken => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Notes that bytes that came have gone on, so that the peer may send more.
    pub(crate) fn release(&self, bytes: usize) {
        let due = {
            let mut state = self.pipe.lock();
            state.taken += u32::try_from(bytes).unwrap_or(u32::MAX).min(WINDOW - state.taken);
            let is_due = state.taken >= WINDOW / 2 && !state.ended && !state.broken;
            is_due.then(|| {
                state.window += state.taken;
                std::mem::take(&mut state.taken)
            })
        };
        if let Some(bytes) = due {
            // A link that is broken has told the reader.
            let _ = self.tell(Frame::Credit {
                stream: self.stream,
                bytes,
            });
        }
    }

    /// Sends no more; what comes is still taken.
    pub(crate) fn seal(&mut self) {
        if !self.sealed {
            self.sealed = true;
            // A link that is broken needs no end.
            let _ = self.tell(Frame::End { stream: self.stream });
        }
    }

    fn tell(&self, frame: Frame<'_>) -> io::Result<()> {
        self.link
            .send(frame)
            .map_err(|_broken| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let is_over = {
            let state = self.pipe.lock();
            state.broken || self.sealed && state.ended
        };
        if !is_over {
            // As above.
            let _ = self.tell(Frame::Close { stream: self.stream });
        }
        self.link.forget(self.stream);
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(mut bytes) = std::task::ready!(self.poll_chunk(cx))? else {
            return Poll::Ready(Ok(()));
        };
        let taken = bytes.len().min(buf.remaining());
        buf.put_slice(&bytes[..taken]);
        bytes.advance(taken);
        if !bytes.is_empty() {
            self.pipe.lock().incoming.push_front(bytes);
        }
        self.release(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = std::task::ready!(self.poll_room(cx))?;
        let sent = room.min(bytes.len());
        Poll::Ready(self.send(&bytes[..sent]).map(|()| sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = std::task::ready!(self.poll_room(cx))?;
        let mut bytes = Vec::with_capacity(room.min(slices.iter().map(|slice| slice.len()).sum()));
        for slice in slices {
            let part = slice.len().min(room - bytes.len());
            bytes.extend_from_slice(&slice[..part]);
        }
        Poll::Ready(self.send(&bytes).map(|()| bytes.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seal();
        Poll::Ready(Ok(()))
    }
}
