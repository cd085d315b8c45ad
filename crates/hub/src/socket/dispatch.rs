//! The way of one event, and of the leaving, through a socket that has listeners: who is called when, and what runs
//! side by side.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;

use super::Socket;
use super::listen::{EventError, ListenerId, Listeners, OnLeave, Verdict};
use super::state::State;
use crate::guard::{All, guarded};
use crate::{DisconnectReason, Event, OwnedEvent};

/// An event of a socket that has listeners, for them and the namespace's handler.
pub(crate) fn dispatch(socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>> {
    let listeners = socket.listeners().unwrap_or_default();
    let mut running = Vec::new();
    for (_, call) in &listeners.any {
        running.extend(guarded(socket, || call(socket, &event)).flatten());
    }
    for (at, (_, filter)) in listeners.middleware.iter().enumerate() {
        let verdict = guarded(socket, || filter(socket, &event));
        match verdict.unwrap_or_else(|| Verdict::Now(Err(EventError::new("Internal server error")))) {
            Verdict::Now(Ok(())) => {}
            Verdict::Now(Err(error)) => {
                refuse(socket, &event, &error);
                return together(socket, running);
            }
            Verdict::Later(verdict) => {
                let rest = filter_rest(socket.clone(), listeners.clone(), at, event.to_owned(), verdict);
                running.push(rest.boxed());
                return together(socket, running);
            }
        }
    }
    hand_out(socket, &listeners, event, running)
}

/// The leaving of a socket that has listeners of it, for them and the namespace's handler.
pub(crate) fn leave(socket: &Socket, reason: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
    let listeners = socket.listeners().unwrap_or_default();
    let mut running = call_leaving(socket, reason, &listeners.disconnecting);
    running.extend(guarded(socket, || socket.handler().disconnect(socket, reason)).flatten());
    if running.is_empty() {
        return together(socket, left(socket, reason));
    }
    let socket = socket.clone();
    let future = async move {
        All {
            socket: socket.clone(),
            futures: running,
        }
        .await;
        let futures = left(&socket, reason);
        All { socket, futures }.await;
    };
    Some(future.boxed())
}

fn left(socket: &Socket, reason: DisconnectReason) -> Vec<BoxFuture<'static, ()>> {
    socket.clear_rooms();
    let listeners = socket.listeners().unwrap_or_default();
    call_leaving(socket, reason, &listeners.disconnect)
}

fn call_leaving(
    socket: &Socket,
    reason: DisconnectReason,
    calls: &[(ListenerId, OnLeave)],
) -> Vec<BoxFuture<'static, ()>> {
    calls
        .iter()
        .filter_map(|(_, call)| guarded(socket, || call(socket, reason)).flatten())
        .collect()
}

/// Asks the middleware from `at` on, whose verdict is awaited, and hands the event out.
async fn filter_rest(
    socket: Socket,
    listeners: Arc<Listeners>,
    at: usize,
    event: OwnedEvent,
    verdict: BoxFuture<'static, Result<(), EventError>>,
) {
    let mut verdict = Verdict::Later(verdict);
    let mut rest = listeners.middleware[at + 1..].iter();
    loop {
        let result = match verdict {
            Verdict::Now(result) => result,
            Verdict::Later(future) => future.await,
        };
        if let Err(error) = result {
            return refuse(&socket, &event.as_event(), &error);
        }
        match rest.next() {
            Some((_, filter)) => verdict = filter(&socket, &event.as_event()),
            None => break,
        }
    }
    if let Some(future) = hand_out(&socket, &listeners, event.as_event(), Vec::new()) {
        future.await;
    }
}

/// The event for the namespace's handler and the listeners of its name.
fn hand_out(
    socket: &Socket,
    listeners: &Listeners,
    event: Event<'_>,
    mut running: Vec<BoxFuture<'static, ()>>,
) -> Option<BoxFuture<'static, ()>> {
    // Who was asked before may have put the socket out.
    if socket.state() != State::Connected {
        return together(socket, running);
    }
    let handler = socket.handler();
    let named = listeners
        .named
        .iter()
        .filter(|named| *named.name == *event.name());
    let calls: Vec<_> = named.collect();
    if calls.is_empty() {
        running.extend(guarded(socket, || handler.event(socket, event)).flatten());
        return together(socket, running);
    }
    running.extend(guarded(socket, || handler.event(socket, event.clone())).flatten());
    for named in calls {
        if !named.is_once || socket.take_once(named.id) {
            running.extend(guarded(socket, || (named.call)(socket, &event)).flatten());
        }
    }
    together(socket, running)
}

fn together(socket: &Socket, mut futures: Vec<BoxFuture<'static, ()>>) -> Option<BoxFuture<'static, ()>> {
    match futures.len() {
        0 | 1 => futures.pop(),
        _ => Some(
            All {
                socket: socket.clone(),
                futures,
            }
            .boxed(),
        ),
    }
}

fn refuse(socket: &Socket, event: &Event<'_>, error: &EventError) {
    tracing::debug!(socket = %socket.id(), event = event.name(), %error, "a middleware dropped an event");
    #[derive(Serialize)]
    struct Answer<'a> {
        status: &'static str,
        #[serde(flatten)]
        error: &'a EventError,
    }
    if let Some(ack) = event.ack(socket) {
        ack.send(&Answer {
            status: "error",
            error,
        });
    }
}
