//! As axum's documentation shows it: the defaults, and one `send` for each answer.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::broadcast;

use crate::{Outcome, handle};

type Channel = broadcast::Sender<Utf8Bytes>;

/// All of it.
pub(crate) fn routes() -> Router {
    let (channel, _) = broadcast::channel::<Utf8Bytes>(256);
    Router::new().route("/", get(upgrade)).with_state(channel)
}

async fn upgrade(upgrade: WebSocketUpgrade, State(channel): State<Channel>) -> Response {
    upgrade.on_upgrade(move |socket| connection(socket, channel))
}

async fn connection(mut socket: WebSocket, channel: Channel) {
    let mut messages = channel.subscribe();
    loop {
        let answer = tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => match handle(&text) {
                    Some(Outcome::Answer(text)) => Some(Message::Text(text)),
                    Some(Outcome::Broadcast(text)) => {
                        let _ = channel.send(text);
                        None
                    }
                    None => None,
                },
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
