//! A client of the ws adapter: plain WebSocket messages in the form of the JSON envelope, `{"event":…,"data":…}`. Other
//! forms are for [`send_text`](TestWsClient::send_text) and [`next_message`](TestWsClient::next_message).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::client::{Received, read};
use super::error::TestError;
use super::inbox::{Closed, Heard, Inbox, Outgoing, RawMessage};
use super::wire::{Frame, Socket};

/// A connected client of plain WebSockets. Dropped, it cuts its connection without a word.
pub struct TestWsClient {
    inbox: Inbox,
    protocol: Option<String>,
    next_id: u64,
}

impl TestWsClient {
    /// Speaks on a WebSocket that is open.
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            protocol: socket.protocol().map(str::to_owned),
            inbox: Inbox::new(socket, |frame| match frame {
                Frame::Text(text) => Heard::Message((text, Vec::new())),
                Frame::Binary(data) => Heard::Message((String::new(), vec![data])),
                Frame::Ping(_) | Frame::Close(_) => Heard::Nothing,
            }),
            next_id: 1,
        }
    }

    /// Sets how long is waited for what is expected. Default 5 s, of tokio's clock.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.inbox.patience = patience;
        self
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends an event, with no data if `data` is `()`.
    ///
    /// # Errors
    /// If `data` is no JSON, or the connection has ended.
    pub async fn emit<T: Serialize + ?Sized>(&mut self, event: &str, data: &T) -> Result<(), TestError> {
        self.send_event(event, data, None).await
    }

    /// Sends an event with an `id` and waits for the answer that carries it back: its data, `null` if it has none.
    ///
    /// # Errors
    /// If none comes, or what comes is no `A`.
    pub async fn emit_with_ack<T: Serialize + ?Sized, A: DeserializeOwned>(
        &mut self,
        event: &str,
        data: &T,
    ) -> Result<A, TestError> {
        let id = self.next_id;
        self.next_id += 1;
        self.send_event(event, data, Some(id)).await?;
        let what = format!("the answer to {event:?}");
        let is_mine =
            |message: &RawMessage| parse(message).is_some_and(|fields| fields.get("id") == Some(&json!(id)));
        let message = self.inbox.next(&what, is_mine).await?;
        read(&what, data_of(&message))
    }

    /// The next event of that name that is no answer, as its data (`null` if it has none). Other messages are kept for
    /// whoever asks for them.
    ///
    /// # Errors
    /// If none comes, or its data is no `T`.
    pub async fn next_event<T: DeserializeOwned>(&mut self, event: &str) -> Result<T, TestError> {
        let mut received = self.next_event_of(event).await?;
        let value = received.args.pop().unwrap_or_default();
        read(&format!("the event {event:?}"), value)
    }

    /// The next event of that name, whole.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next_event_of(&mut self, event: &str) -> Result<Received, TestError> {
        let is_it = |message: &RawMessage| received(message).is_some_and(|received| received.event == event);
        let message = self.inbox.next(&format!("the event {event:?}"), is_it).await?;
        received(&message).ok_or_else(|| TestError::Failed(format!("{message:?} is no event")))
    }

    /// Answers an event that the server waits for.
    ///
    /// # Errors
    /// If the server does not wait for this one, `data` is no JSON, or the connection has ended.
    pub async fn answer<T: Serialize + ?Sized>(&mut self, to: &Received, data: &T) -> Result<(), TestError> {
        let Some(ack) = to.ack else {
            return Err(TestError::Failed(format!("{:?} asks for no answer", to.event)));
        };
        let data = value(data)?;
        self.send_text(&json!({ "ack": ack, "data": data }).to_string())
            .await
    }

    /// The events that have come and nobody has asked for.
    pub fn pending_events(&mut self) -> Vec<Received> {
        let events = self.inbox.pending(|message| received(message).is_some());
        events.iter().filter_map(received).collect()
    }

    /// Sends a text message as it is written.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send_text(&mut self, text: &str) -> Result<(), TestError> {
        self.inbox.send(Outgoing::Text(text.to_owned())).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send_binary(&mut self, data: impl Into<Vec<u8>>) -> Result<(), TestError> {
        self.inbox.send(Outgoing::Binary(data.into())).await
    }

    /// The next text message that nobody has asked for, as it is written.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next_message(&mut self) -> Result<String, TestError> {
        let (text, _) = self
            .inbox
            .next("a text message", |(_, binary)| binary.is_empty())
            .await?;
        Ok(text)
    }

    /// The next binary message.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next_binary(&mut self) -> Result<Vec<u8>, TestError> {
        let (_, mut binary) = self
            .inbox
            .next("a binary message", |(_, binary)| !binary.is_empty())
            .await?;
        Ok(binary.pop().unwrap_or_default())
    }

    /// Closes the connection with 1000, and waits for the server to do so.
    pub async fn close(self) {
        self.close_with(1000).await;
    }

    /// The same with another code.
    pub async fn close_with(mut self, code: u16) {
        // An error says that it has ended already.
        let _ = self.inbox.send(Outgoing::Close(code)).await;
        let _ = self.closed().await;
    }

    /// Waits until the server ends the connection.
    ///
    /// # Errors
    /// If it does not.
    pub async fn closed(&mut self) -> Result<Closed, TestError> {
        self.inbox.closed(|_| false).await
    }

    async fn send_event<T: Serialize + ?Sized>(
        &mut self,
        event: &str,
        data: &T,
        id: Option<u64>,
    ) -> Result<(), TestError> {
        let mut message = Map::new();
        message.insert("event".to_owned(), event.into());
        match value(data)? {
            // As with Socket.IO: `()` is no data.
            Value::Null if size_of_val(data) == 0 => {}
            data => drop(message.insert("data".to_owned(), data)),
        }
        if let Some(id) = id {
            message.insert("id".to_owned(), id.into());
        }
        self.send_text(&Value::Object(message).to_string()).await
    }
}

fn value<T: Serialize + ?Sized>(data: &T) -> Result<Value, TestError> {
    serde_json::to_value(data)
        .map_err(|error| TestError::Failed(format!("what is to be sent is no JSON: {error}")))
}

fn parse((text, _): &RawMessage) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

fn data_of(message: &RawMessage) -> Value {
    let data = parse(message).and_then(|mut fields| fields.remove("data"));
    data.unwrap_or_default()
}

/// A message that is an event of the server, and no answer.
fn received(message: &RawMessage) -> Option<Received> {
    let mut fields = parse(message)?;
    if fields.contains_key("id") {
        return None;
    }
    Some(Received {
        event: fields.get("event")?.as_str()?.to_owned(),
        args: fields.remove("data").into_iter().collect(),
        attachments: Vec::new(),
        ack: fields.get("ack").and_then(Value::as_u64),
    })
}
