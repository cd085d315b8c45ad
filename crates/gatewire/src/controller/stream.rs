//! The streams that handlers return: an item an event, no faster than the client takes them. The handler's future goes on
//! to drive its stream, in the task of the connection, and is dropped with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::poll_fn;
use futures_util::{Stream, StreamExt};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::sse::SseEvent;
use gatewire_server::{Connection, Session};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::call::{Called, Outcome};
use crate::Socket;
use crate::gateway::panic_text;
use crate::pipeline::{Exception, INTERNAL, WsException, stream_end};

/// Items that are sent in a row before the other work of the connection gets its turn.
const BURST: usize = 32;

/// The event by which a client hears that its stream has failed. `error` is an `EventSource`'s own.
const EXCEPTION: &str = "exception";

/// Where a handler's stream goes. It is open from the first look at the stream on, and has a connection once the request
/// is answered.
#[derive(Clone, Default)]
pub struct Emitter(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// With the first event, if it was there at once.
    Open(Option<SseEvent>),
    Attached(Connection),
}

impl Emitter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Idle)
    }

    /// Opens the stream; ready when there is a connection.
    async fn open(&self, first: Option<SseEvent>) {
        *self.lock() = State::Open(first);
        // Whoever attaches it polls it afterwards.
        poll_fn(|_| match *self.lock() {
            State::Attached(_) => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    pub(super) fn attach(&self, connection: &Connection) {
        let mut state = self.lock();
        if let State::Open(Some(first)) = &*state {
            connection.send_event(first);
        }
        *state = State::Attached(connection.clone());
    }

    /// Ready when more may be sent. The connection polls its session when that changes.
    async fn room(&self) {
        poll_fn(|_| match &*self.lock() {
            State::Attached(connection) if !connection.has_room() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    fn send(&self, event: &SseEvent) {
        if let State::Attached(connection) = &*self.lock() {
            connection.send_event(event);
        }
    }
}

/// Sends the items, as they come. An error that is there at the first look, before anything was sent, is the request's.
pub(super) async fn drive<S: Stream>(
    stream: S,
    emitter: &Emitter,
    each: impl Fn(S::Item) -> Result<SseEvent, Exception>,
) -> Result<Outcome, Exception> {
    let mut stream = pin!(stream);
    let first = match poll_fn(|cx| Poll::Ready(stream.as_mut().poll_next(cx))).await {
        Poll::Pending => None,
        Poll::Ready(Some(item)) => Some(each(item)?),
        Poll::Ready(None) => {
            emitter.open(None).await;
            return Ok(Outcome::Ended);
        }
    };
    emitter.open(first).await;
    let mut burst = 0;
    loop {
        emitter.room().await;
        match stream.next().await {
            Some(item) => emitter.send(&each(item)?),
            None => return Ok(Outcome::Ended),
        }
        burst += 1;
        if burst == BURST {
            burst = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// A stream that is open.
pub(super) struct StreamSession {
    /// None once it has ended.
    called: Option<Called>,
    connection: Connection,
    /// `Controller` and handler, for the log.
    name: (&'static str, &'static str),
    /// Whose identity may end, kept for the timer that is kept with it.
    identity: Option<(Socket, oneshot::Receiver<Box<RawValue>>)>,
}

impl StreamSession {
    pub(super) fn new(
        called: Called,
        connection: Connection,
        name: (&'static str, &'static str),
        client: Option<Socket>,
    ) -> Self {
        let identity = client.and_then(|client| stream_end(&client).map(|end| (client, end)));
        Self {
            called: Some(called),
            connection,
            name,
            identity,
        }
    }

    fn fail(&self, exception: Exception) {
        let (controller, handler) = self.name;
        let exception = exception.into_ws();
        if let Some(hidden) = exception.hidden() {
            tracing::error!(target: "gatewire", context = controller, "the stream of {handler} failed: {hidden}");
        }
        self.except(&exception.to_json(None));
    }

    fn except(&self, exception: &RawValue) {
        let event = SseEvent::data(exception.get()).event(EXCEPTION);
        self.connection.send_event(&event);
    }
}

impl Session for StreamSession {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some((_, end)) = &mut self.identity
            && let Poll::Ready(reason) = Pin::new(end).poll(cx)
        {
            self.identity = None;
            // An error is an identity that does not end after all.
            if let (Ok(reason), Some(_)) = (reason, self.called.take()) {
                self.except(&reason);
                return self.connection.close();
            }
        }
        let Some(called) = &mut self.called else {
            return;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| called.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(Ok(_))) => {}
            Ok(Poll::Ready(Err(exception))) => self.fail(exception),
            Err(panic) => {
                let (controller, handler) = self.name;
                let text = panic_text(&*panic);
                tracing::error!(target: "gatewire", context = controller, "the stream of {handler} panicked: {text}");
                self.fail(WsException::new(INTERNAL).into());
            }
        }
        self.called = None;
        self.connection.close();
    }

    fn close(&mut self, _: CloseReason) {
        self.called = None;
        self.identity = None;
    }
}
