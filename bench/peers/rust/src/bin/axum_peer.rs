//! The hand-written axum peer: bare WebSocket with `{event, data}` envelopes, one task a connection, a broadcast
//! channel for the fan-out, a small read buffer, and replies that leave together when several requests came
//! together. A binary message comes back as it is. It is what a careful user writes without a framework; it has no rooms,
//! namespaces or heartbeats. `BINARY=1` gives it a buffer for large messages. `PLAIN=1` makes it what axum's documentation
//! shows: a read buffer of tungstenite's default size, and one `send` for each answer.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::{FutureExt, SinkExt, StreamExt};
use gatewire_bench_peers::serve;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// For small messages, and for large ones.
const READ_BUFFERS: [usize; 2] = [8 << 10, 128 << 10];

type Channel = broadcast::Sender<Utf8Bytes>;

#[derive(Deserialize, Serialize)]
struct Envelope<'a> {
    event: &'a str,
    data: String,
}

fn main() -> io::Result<()> {
    serve(|| {
        let (channel, _) = broadcast::channel::<Utf8Bytes>(256);
        Router::new().route("/", get(upgrade)).with_state(channel)
    })
}

async fn upgrade(upgrade: WebSocketUpgrade, State(channel): State<Channel>) -> Response {
    // tungstenite clears its whole read buffer whenever it looks for input. With its default of 128 KiB that would be
    // most of the CPU time of small messages, and nearly all of the memory.
    let is_on = |name| std::env::var(name).is_ok_and(|value| value == "1");
    if is_on("PLAIN") {
        return upgrade.on_upgrade(move |socket| plain_connection(socket, channel));
    }
    let is_binary = is_on("BINARY");
    upgrade
        .read_buffer_size(READ_BUFFERS[usize::from(is_binary)])
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

/// As most write it.
async fn plain_connection(mut socket: WebSocket, channel: Channel) {
    let mut messages = channel.subscribe();
    loop {
        let answer = tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => handle(&channel, &text),
                Some(Ok(Message::Binary(bytes))) => Some(Message::Binary(bytes)),
                Some(Ok(_)) => None,
                _ => return,
            },
            message = messages.recv() => match message {
                Ok(text) => Some(Message::Text(text)),
                Err(broadcast::error::RecvError::Lagged(_)) => None,
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if let Some(answer) = answer
            && socket.send(answer).await.is_err()
        {
            return;
        }
    }
}

/// Answers `message` and whatever else has already arrived, then flushes once.
async fn answer(socket: &mut WebSocket, channel: &Channel, message: Message) -> Result<(), axum::Error> {
    let mut next = Some(message);
    while let Some(message) = next {
        let reply = match message {
            Message::Text(text) => handle(channel, &text),
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

fn handle(channel: &Channel, text: &str) -> Option<Message> {
    let Envelope { event, data } = serde_json::from_str(text).ok()?;
    match event {
        "ping" => encode("ping", format!("pong: {data}")).map(Message::Text),
        "ping-emit" => encode("pong", format!("pong: {data}")).map(Message::Text),
        "broadcast" => {
            let _ = channel.send(encode("message", data)?);
            None
        }
        _ => None,
    }
}

fn encode(event: &str, data: String) -> Option<Utf8Bytes> {
    serde_json::to_string(&Envelope { event, data })
        .ok()
        .map(Into::into)
}
