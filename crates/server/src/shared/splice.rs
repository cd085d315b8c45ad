//! Joins a client's stream with the tunnel to the node that has its session. Both directions are copied until both have
//! ended, or one is broken. Nothing is held while nothing is to be copied.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::Tunnel;
use crate::scratch;
use crate::stream::Stream;

/// Copies in one poll; then other tasks get their turn.
const COPIES_PER_POLL: usize = 8;

/// How long a client may go on after the session's node has ended the stream.
const LINGER: Duration = Duration::from_secs(5);

/// Copies between `client` and `tunnel`, beginning with what was read of either already.
pub(super) async fn join(client: Stream, unread: &[u8], tunnel: Tunnel, early: Bytes) {
    let mut splice = Splice {
        client,
        tunnel,
        up: Bytes::copy_from_slice(unread),
        down: early,
        up_ended: false,
        down_ended: false,
    };
    if let Err(error) = poll_fn(|cx| splice.poll_until_ended(cx)).await {
        return tracing::debug!(%error, "a relayed WebSocket broke");
    }
    let rest = pin!(poll_fn(|cx| splice.poll_up(cx)));
    // Either way both streams are dropped.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

struct Splice {
    client: Stream,
    tunnel: Tunnel,
    /// Bytes of the client that are still to go into the tunnel.
    up: Bytes,
    /// Bytes out of the tunnel that the client has not taken yet.
    down: Bytes,
    up_ended: bool,
    down_ended: bool,
}

impl Splice {
    /// Copies in both directions until the session's node has ended and the client has got everything.
    fn poll_until_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_up(cx) {
            return Poll::Ready(Err(error));
        }
        self.poll_down(cx)
    }

    /// Ready when the client has ended, or nothing more can be sent to the session's node.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..COPIES_PER_POLL {
            if self.up_ended {
                return Poll::Ready(Ok(()));
            }
            // The other direction says whether the node is gone, for it may have ended well before.
            let Ok(room) = ready!(self.tunnel.poll_room(cx)) else {
                return Poll::Ready(Ok(()));
            };
            if !self.up.is_empty() {
                let bytes = self.up.split_to(room.min(self.up.len()));
                // An error is one of the other direction, too.
                let _ = self.tunnel.send(&bytes);
                continue;
            }
            let (client, tunnel) = (&self.client, &self.tunnel);
            let read = scratch::with(|buffer| {
                let room = room.min(buffer.len());
                let read = ready!(client.poll_read(cx, &mut buffer[..room]))?;
                if read > 0 {
                    // As above.
                    let _ = tunnel.send(&buffer[..read]);
                }
                Poll::Ready(Ok::<_, io::Error>(read))
            });
            if ready!(read)? == 0 {
                self.up_ended = true;
                self.tunnel.seal();
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when the session's node has ended and the client has got everything.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..COPIES_PER_POLL {
            if !self.down.is_empty() {
                let written = ready!(self.client.poll_write(cx, &[IoSlice::new(&self.down)]))?;
                self.down.advance(written);
                self.tunnel.release(written);
                continue;
            }
            if self.client.is_unflushed() {
                ready!(self.client.poll_flush(cx))?;
            }
            if self.down_ended {
                self.client.shutdown(Shutdown::Write);
                return Poll::Ready(Ok(()));
            }
            match ready!(self.tunnel.poll_chunk(cx))? {
                Some(bytes) => self.down = bytes,
                None => self.down_ended = true,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
