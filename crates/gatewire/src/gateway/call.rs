//! A handler's future while it runs: what ends it before its time, and how it gets out of the way of the next event.
//! What is answered then is the reply's matter.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, CatchUnwind};
use pin_project_lite::pin_project;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::Handled;
use crate::Socket;

/// What becomes of a handler that runs when its client leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It runs to its end, and `handle_disconnect` waits for it.
    #[default]
    Wait,
    /// It is dropped where it stands, at its next `.await`.
    Cancel,
}

/// How long a call may go on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_disconnect: OnDisconnect,
}

/// What may end one call before its time.
pub(super) struct Limits {
    pub(super) patience: Patience,
    /// Runs from when the handler first had to wait.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Why a handler did not come to its end.
#[doc(hidden)]
pub enum Stopped {
    /// It panicked, with this.
    Panicked(Box<dyn Any + Send>),
    /// Its time was up.
    Late(Duration),
    /// Its client has left.
    Left,
}

impl Limits {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            deadline: None,
        }
    }

    /// Runs `future` within the limits.
    pub(super) fn run<'a, F: Future>(&'a mut self, socket: &'a Socket, future: F) -> Run<'a, F> {
        Run {
            future: AssertUnwindSafe(future).catch_unwind(),
            limits: self,
            socket,
        }
    }

    fn has_lost(&self, socket: &Socket) -> bool {
        self.patience.on_disconnect == OnDisconnect::Cancel && !socket.connected()
    }

    /// Ready when the time is up.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Stopped> {
        let Some(timeout) = self.patience.timeout else {
            return Poll::Pending;
        };
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Stopped::Late(timeout))
    }
}

pin_project! {
    /// A future within the limits of its call.
    pub struct Run<'a, F> {
        #[pin]
        future: CatchUnwind<AssertUnwindSafe<F>>,
        limits: &'a mut Limits,
        socket: &'a Socket,
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, Stopped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.limits.has_lost(this.socket) {
            return Poll::Ready(Err(Stopped::Left));
        }
        match this.future.poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(Stopped::Panicked)),
            Poll::Pending => this.limits.poll_late(cx).map(Err),
        }
    }
}

/// The bound of a concurrent handler, for each client by itself.
pub(super) struct Gate {
    id: usize,
    limit: usize,
}

impl Gate {
    pub(super) fn new(limit: usize) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            limit: limit.min(Semaphore::MAX_PERMITS),
        }
    }

    /// Runs a call beside the other events of its client. While as many run as may, the client's next event waits.
    pub(super) fn pass(&self, socket: &Socket, future: BoxFuture<'static, ()>) -> Handled {
        let permits = self.permits(socket);
        let permit = Arc::clone(&permits).try_acquire_owned().ok();
        let turn = permit
            .is_none()
            .then(|| -> Turn { Box::pin(permits.acquire_owned()) });
        Some(Box::pin(Beside {
            socket: socket.clone(),
            turn,
            permit,
            future: Some(future),
        }))
    }

    fn permits(&self, socket: &Socket) -> Arc<Semaphore> {
        let gates = socket.get::<Gates>().unwrap_or_else(|| {
            // Only the task of the connection comes here.
            socket.set(Gates::default());
            socket.get().unwrap_or_default()
        });
        let mut gates = gates.0.lock().unwrap_or_else(PoisonError::into_inner);
        match gates.iter().find(|(id, _)| *id == self.id) {
            Some((_, permits)) => Arc::clone(permits),
            None => {
                let permits = Arc::new(Semaphore::new(self.limit));
                gates.push((self.id, Arc::clone(&permits)));
                permits
            }
        }
    }
}

/// The permits of one client, by gate.
#[derive(Default)]
struct Gates(Mutex<Vec<(usize, Arc<Semaphore>)>>);

/// A call of a concurrent handler that has still to get out of the way: one that is ready at once need not.
struct Beside {
    socket: Socket,
    /// Awaited where no permit could be had at once.
    turn: Option<Turn>,
    permit: Option<OwnedSemaphorePermit>,
    future: Option<BoxFuture<'static, ()>>,
}

type Turn = BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>>;

impl Future for Beside {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(turn) = &mut this.turn {
            // No gate is ever closed.
            this.permit = ready!(turn.as_mut().poll(cx)).ok();
            this.turn = None;
        }
        let Some(mut future) = this.future.take() else {
            return Poll::Ready(());
        };
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !this.socket.connected() {
            // Nothing comes behind it any more.
            this.future = Some(future);
            return Poll::Pending;
        }
        let permit = this.permit.take();
        this.socket.spawn(async move {
            future.await;
            drop(permit);
        });
        Poll::Ready(())
    }
}
