//! Calls into what users wrote: a panic there ends nothing but itself, it is logged and the connection lives on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::Socket;

/// Calls into a handler; `None` if it panicked.
pub(crate) fn guarded<T>(socket: &Socket, call: impl FnOnce() -> T) -> Option<T> {
    caught(call)
        .map_err(|panic| {
            tracing::error!(
                socket = %socket.id(),
                namespace = socket.namespace().name(),
                panic,
                "a handler panicked"
            );
        })
        .ok()
}

/// Calls what a namespace's name is decided by, or a listener of the namespace; `None` if it panicked.
pub(crate) fn guarded_in<T>(namespace: &str, call: impl FnOnce() -> T) -> Option<T> {
    caught(call)
        .map_err(|panic| tracing::error!(namespace, panic, "a listener panicked"))
        .ok()
}

/// Polls such a future; ready with `None` if it panicked.
pub(crate) fn poll_guarded_in<T>(
    namespace: &str,
    future: &mut BoxFuture<'static, T>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    match guarded_in(namespace, || future.as_mut().poll(cx)) {
        Some(poll) => poll.map(Some),
        None => Poll::Ready(None),
    }
}

/// Polls a handler's future; ready with `None` if it panicked.
pub(crate) fn poll_guarded<T>(
    socket: &Socket,
    future: &mut BoxFuture<'static, T>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    match guarded(socket, || future.as_mut().poll(cx)) {
        Some(poll) => poll.map(Some),
        None => Poll::Ready(None),
    }
}

/// Futures of one socket that run side by side; ready when all are, whichever of them panic.
pub(crate) struct All {
    pub(crate) socket: Socket,
    pub(crate) futures: Vec<BoxFuture<'static, ()>>,
}

impl Future for All {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { socket, futures } = self.get_mut();
        futures.retain_mut(|future| poll_guarded(socket, future, cx).is_pending());
        if futures.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// The value, or what the panic said.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic leaves half done is the handler's own.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        message.unwrap_or("no message").to_owned()
    })
}
