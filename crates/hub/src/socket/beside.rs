//! What runs for a socket beside its handlers, in the task of its connection, and what waits there for room to write.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Socket, State};
use crate::guard::poll_guarded;

/// The futures beside a socket's handlers; without memory while there is none.
#[derive(Default)]
pub(crate) struct Beside(Option<Box<FuturesUnordered<BoxFuture<'static, ()>>>>);

impl Beside {
    /// Takes what was spawned since the last call.
    pub(crate) fn collect(&mut self, socket: &Socket) {
        let spawned = socket.take_spawned();
        if !spawned.is_empty() {
            let running = self.0.get_or_insert_default();
            for future in spawned {
                running.push(guard(socket, future));
            }
        }
    }

    /// Has each future polled once more, also those that nothing has woken: the socket has left.
    pub(crate) fn stir(&mut self) {
        if let Some(running) = &mut self.0 {
            **running = std::mem::take(&mut **running).into_iter().collect();
        }
    }

    /// Ready when nothing runs.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(running) = &mut self.0 {
            while let Some(()) = std::task::ready!(running.poll_next_unpin(cx)) {}
            self.0 = None;
        }
        Poll::Ready(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// A panic is logged, and ends nothing but the future.
fn guard(socket: &Socket, mut future: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    let socket = socket.clone();
    std::future::poll_fn(move |cx| poll_guarded(&socket, &mut future, cx).map(|_| ())).boxed()
}

impl Socket {
    /// Runs a future beside the handlers of this socket, in the task of its connection: the next event does not wait for
    /// it, and it is no task of its own. It goes on when the socket leaves, and whoever closes the server waits for it;
    /// [`connected`](Self::connected) tells it that its client has gone, and it is polled once when that happens. That of a
    /// socket that has left already is dropped.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let future = future.boxed();
        {
            let mut local = self.locked();
            if self.state() == State::Gone {
                // Dropped behind the lock.
                drop(local);
                return drop(future);
            }
            local.rare().spawned.push(future);
        }
        self.0.connection.attention.store(true, Ordering::Release);
        self.0.outbox.wake();
    }

    /// Waits until the client has taken so much of what it was sent that there is room for more, or until the socket has
    /// left. Whoever sends much, and could send it later, waits here between two messages; `emit` itself never waits, and
    /// a client that takes too little is disconnected.
    pub fn writable(&self) -> impl Future<Output = ()> + Send + 'static {
        let socket = self.clone();
        std::future::poll_fn(move |cx| socket.poll_writable(cx))
    }

    fn poll_writable(&self, cx: &Context<'_>) -> Poll<()> {
        if self.state() == State::Gone || self.0.outbox.has_room() {
            return Poll::Ready(());
        }
        {
            let mut local = self.locked();
            if self.state() == State::Gone {
                return Poll::Ready(());
            }
            let writers = &mut local.rare().writers;
            if !writers.iter().any(|waker| waker.will_wake(cx.waker())) {
                writers.push(cx.waker().clone());
            }
        }
        let connection = &self.0.connection;
        connection.writers.store(true, Ordering::Release);
        // The room may have come between the look and the note.
        if self.0.outbox.has_room() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    pub(crate) fn take_writers(&self) -> Vec<Waker> {
        let mut local = self.locked();
        let writers = local.rare.as_mut().map(|rare| std::mem::take(&mut rare.writers));
        local.trim();
        writers.unwrap_or_default()
    }

    pub(crate) fn take_spawned(&self) -> Vec<BoxFuture<'static, ()>> {
        let mut local = self.locked();
        let spawned = local.rare.as_mut().map(|rare| std::mem::take(&mut rare.spawned));
        local.trim();
        spawned.unwrap_or_default()
    }
}
