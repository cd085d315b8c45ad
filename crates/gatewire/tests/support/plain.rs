//! A plain WebSocket client for the tests of the ws adapter: `tokio-tungstenite`, which is nobody's of this workspace.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Plain(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Plain {
    /// A client that is let in at `path`.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        match Self::ask(address, path, &[]).await {
            Ok(client) => client,
            Err((status, body)) => panic!("{path} is refused: {status} {body}"),
        }
    }

    /// A client, or status and body of the refusal.
    pub(crate) async fn ask(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Self, (u16, String)> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match timeout(PATIENCE, connect_async(request))
            .await
            .expect("an answer")
        {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err((
                    response.status().as_u16(),
                    String::from_utf8_lossy(body).into_owned(),
                ))
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn say(&mut self, message: &str) {
        self.0.send(Message::text(message)).await.unwrap();
    }

    /// The next message that is no control frame.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("a message");
            match message.expect("the stream goes on").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next message, which is JSON.
    pub(crate) async fn json(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// Asks, and returns the answer's data; it must be the next message.
    pub(crate) async fn call(&mut self, message: Value) -> Value {
        self.say(&message.to_string()).await;
        let mut answer = self.json().await;
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer["data"].take()
    }

    /// Code and reason of the server's Close frame.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("no close: {other:?}"),
        }
    }
}
