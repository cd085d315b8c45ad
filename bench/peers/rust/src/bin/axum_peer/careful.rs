//! By one who knows what axum's WebSocket does underneath: one task a connection, a broadcast channel for the fan-out, a small
//! read buffer, and one flush for all answers to requests that came together. It sends to all, or answers; it has no way to
//! send to one other connection, or to a room.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::broadcast;

use crate::{Outcome, handle};

type Channel = broadcast::Sender<Utf8Bytes>;

/// tungstenite clears its whole read buffer whenever it looks for input. With its default of 128 KiB that would be most of
/// the CPU time of small messages, and nearly all of the memory.
const SMALL_BUFFER: usize = 8 << 10;

/// tungstenite's default.
const LARGE_BUFFER: usize = 128 << 10;

/// All of it.
pub(crate) fn routes() -> Router {
    let (channel, _) = broadcast::channel::<Utf8Bytes>(256);
    Router::new().route("/", get(upgrade)).with_state(channel)
}

async fn upgrade(upgrade: WebSocketUpgrade, State(channel): State<Channel>) -> Response {
    let is_binary = std::env::var("BINARY").is_ok_and(|value| value == "1");
    upgrade
        .read_buffer_size(if is_binary { LARGE_BUFFER } else { SMALL_BUFFER })
        .on_upgrade(move |socket| connection(socket, channel))
}

async fn connection(mut socket: WebSocket, channel: Channel) {
    let mut messages = channel.subscribe();
    loop {
        let sent = tokio::select! {
            incoming = socket.next() => match incoming {
                Some(Ok(message)) => answer(&mut socket, &channel, message).await,
                _ => return,
            },
            message = messages.recv() => match message {
                Ok(text) => forward(&mut socket, &mut messages, text).await,
                Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Answers `message` and whatever else has already arrived, then flushes once.
async fn answer(socket: &mut WebSocket, channel: &Channel, message: Message) -> Result<(), axum::Error> {
    let mut next = Some(message);
    while let Some(message) = next {
        let reply = match message {
            Message::Text(text) => match handle(&text) {
                Some(Outcome::Answer(text)) => Some(Message::Text(text)),
                Some(Outcome::Broadcast(text)) => {
                    let _ = channel.send(text);
                    None
                }
                None => None,
            },
            Message::Binary(bytes) => Some(Message::Binary(bytes)),
            _ => None,
        };
        if let Some(reply) = reply {
            socket.feed(reply).await?;
        }
        next = match socket.next().now_or_never() {
            Some(Some(message)) => Some(message?),
            Some(None) | None => None,
        };
    }
    socket.flush().await
}

/// Sends a broadcast message and those that wait behind it, then flushes once.
async fn forward(
    socket: &mut WebSocket,
    messages: &mut broadcast::Receiver<Utf8Bytes>,
    text: Utf8Bytes,
) -> Result<(), axum::Error> {
    socket.feed(Message::Text(text)).await?;
    while let Ok(text) = messages.try_recv() {
        socket.feed(Message::Text(text)).await?;
    }
    socket.flush().await
}
