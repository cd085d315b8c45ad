//! A client of an application under test: speaks Socket.IO 5 over a WebSocket, and answers pings by itself. It reconnects
//! never and knows one namespace; the official clients are what decides about the protocol.

use std::time::Duration;

use gatewire_hub::{Message, Prepared};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::TestError;
use super::inbox::{Closed, Heard, Inbox, Outgoing, RawMessage};
use super::wire::{Frame, Socket};

/// A connected client. Dropped, it cuts its connection without a word.
pub struct TestClient {
    namespace: String,
    sid: String,
    inbox: Inbox,
    next_ack: u64,
}

/// An event as the client got it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// Its name.
    pub event: String,
    /// Its arguments; an attachment is the object with `_placeholder` and `num`.
    pub args: Vec<Value>,
    /// The attachments, in their order.
    pub attachments: Vec<Vec<u8>>,
    /// By which it can be [answered](TestClient::answer), if the server waits for that.
    pub ack: Option<u64>,
}

impl TestClient {
    /// Joins `namespace` on a WebSocket that is open.
    pub(super) async fn join(
        mut socket: Socket,
        namespace: &str,
        auth: Option<&Value>,
    ) -> Result<Self, TestError> {
        let namespace = format!("/{}", namespace.trim_start_matches('/'));
        let prefix = match &*namespace {
            "/" => String::new(),
            name => format!("{name},"),
        };
        let auth = auth.map(Value::to_string).unwrap_or_default();
        let failed = |error: std::io::Error| TestError::Failed(format!("CONNECT could not be sent: {error}"));
        socket
            .send_text(&format!("40{prefix}{auth}"))
            .await
            .map_err(failed)?;
        let mut packets = Packets::default();
        let mut client = Self {
            namespace,
            sid: String::new(),
            inbox: Inbox::new(socket, move |frame| packets.hear(frame)),
            next_ack: 0,
        };
        let connect = client.packet("the answer to CONNECT", |kind, _| matches!(kind, b'0' | b'4'));
        let (packet, _) = connect.await?;
        let (_, data) = client.split(&packet[1..]);
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        if packet.starts_with('4') {
            return Err(TestError::ConnectError {
                namespace: client.namespace,
                error: data,
            });
        }
        client.sid = data["sid"].as_str().unwrap_or_default().to_owned();
        Ok(client)
    }

    /// Sets how long is waited for what is expected. Default 5 s, of tokio's clock.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.inbox.patience = patience;
        self
    }

    /// The id of the client's socket in the server.
    pub fn id(&self) -> &str {
        &self.sid
    }

    /// Sends an event with one argument (none if `data` is `()`); bytes in it go as attachments.
    ///
    /// # Errors
    /// If `data` is no JSON, or the connection has ended.
    pub async fn emit<T: Serialize + ?Sized>(&mut self, event: &str, data: &T) -> Result<(), TestError> {
        self.send_event(None, event, data).await
    }

    /// Sends an event and waits for its acknowledgement: the first value of it, `null` if it has none.
    ///
    /// # Errors
    /// If none comes, or what comes is no `A`.
    pub async fn emit_with_ack<T: Serialize + ?Sized, A: DeserializeOwned>(
        &mut self,
        event: &str,
        data: &T,
    ) -> Result<A, TestError> {
        let id = self.next_ack;
        self.next_ack += 1;
        self.send_event(Some(id), event, data).await?;
        let id = id.to_string();
        let what = format!("the acknowledgement of {event:?}");
        let is_mine = |kind: u8, rest: &str| {
            kind == b'3' && rest.strip_prefix(&*id).is_some_and(|rest| rest.starts_with('['))
        };
        let (packet, _) = self.packet(&what, is_mine).await?;
        let (_, data) = self.split(&packet[1..]);
        let mut args: Vec<Value> = serde_json::from_str(data).unwrap_or_default();
        let value = if args.is_empty() {
            Value::Null
        } else {
            args.swap_remove(0)
        };
        read(&what, value)
    }

    /// The next event of that name, as its first argument (`null` if it has none). Events of other names are kept for
    /// whoever asks for them.
    ///
    /// # Errors
    /// If none comes, or its argument is no `T`.
    pub async fn next_event<T: DeserializeOwned>(&mut self, event: &str) -> Result<T, TestError> {
        let mut received = self.next_event_of(event).await?;
        let value = if received.args.is_empty() {
            Value::Null
        } else {
            received.args.swap_remove(0)
        };
        read(&format!("the event {event:?}"), value)
    }

    /// The next event of that name, whole.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next_event_of(&mut self, event: &str) -> Result<Received, TestError> {
        let start = format!("[{}", Value::from(event));
        let is_it = |kind: u8, rest: &str| {
            let array = rest.find('[').map_or("", |at| &rest[at..]);
            matches!(kind, b'2' | b'5')
                && array
                    .strip_prefix(&*start)
                    .is_some_and(|rest| rest.starts_with([',', ']']))
        };
        let (packet, attachments) = self.packet(&format!("the event {event:?}"), is_it).await?;
        Ok(self.received(&packet, attachments))
    }

    /// Answers an event that the server waits for.
    ///
    /// # Errors
    /// If the server does not wait for this one, `data` is no JSON, or the connection has ended.
    pub async fn answer<T: Serialize + ?Sized>(&mut self, to: &Received, data: &T) -> Result<(), TestError> {
        let Some(id) = to.ack else {
            return Err(TestError::Failed(format!("{:?} asks for no answer", to.event)));
        };
        let data = serde_json::to_string(data)
            .map_err(|error| TestError::Failed(format!("the answer is no JSON: {error}")))?;
        self.send_packet(&format!("3{}{id}[{data}]", self.prefix())).await
    }

    /// The events that have come and nobody has asked for: every handler that ran before an acknowledgement that has come
    /// is among them.
    pub fn pending_events(&mut self) -> Vec<Received> {
        let events = self.inbox.pending(|(packet, _)| packet.starts_with(['2', '5']));
        let received = events
            .into_iter()
            .map(|(packet, attachments)| self.received(&packet, attachments));
        received.collect()
    }

    /// Sends a Socket.IO packet as it is written: `2["event",1]`.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send_packet(&mut self, packet: &str) -> Result<(), TestError> {
        self.inbox.send(Outgoing::Text(format!("4{packet}"))).await
    }

    /// Sends an attachment of the packet before.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send_binary(&mut self, data: impl Into<Vec<u8>>) -> Result<(), TestError> {
        self.inbox.send(Outgoing::Binary(data.into())).await
    }

    /// The next Socket.IO packet that nobody has asked for, as it is written; its attachments are left out.
    ///
    /// # Errors
    /// If none comes.
    pub async fn next_packet(&mut self) -> Result<String, TestError> {
        Ok(self.packet("a packet", |_, _| true).await?.0)
    }

    /// Leaves the namespace.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn disconnect(&mut self) -> Result<(), TestError> {
        let prefix = self.prefix();
        self.send_packet(&format!("1{prefix}")).await
    }

    /// Closes the connection, and waits for the server to do so.
    pub async fn close(mut self) {
        // An error says that it has ended already.
        let _ = self.inbox.send(Outgoing::Close(1000)).await;
        let _ = self.closed().await;
    }

    /// Waits until the server ends the connection, or puts the client out of the namespace.
    ///
    /// # Errors
    /// If it does neither.
    pub async fn closed(&mut self) -> Result<Closed, TestError> {
        let is_mine = self.wanted(|kind, _| kind == b'1');
        self.inbox.closed(is_mine).await
    }

    async fn send_event<T: Serialize + ?Sized>(
        &mut self,
        id: Option<u64>,
        event: &str,
        data: &T,
    ) -> Result<(), TestError> {
        // Both sides write events in the same way.
        let packet = Prepared::event(&self.namespace, event, data, id)
            .map_err(|error| TestError::Failed(format!("the event cannot be sent: {error}")))?;
        for message in packet.messages() {
            let sent = self.inbox.send(match message {
                Message::Text(text) => Outgoing::Text(String::from_utf8_lossy(&text).into_owned()),
                Message::Binary(data) => Outgoing::Binary(data.to_vec()),
            });
            sent.await?;
        }
        Ok(())
    }

    fn prefix(&self) -> String {
        match &*self.namespace {
            "/" => String::new(),
            name => format!("{name},"),
        }
    }

    /// Takes the namespace off what follows a packet's type: id, and data.
    fn split<'a>(&self, rest: &'a str) -> (Option<u64>, &'a str) {
        let rest = rest.strip_prefix(&*self.prefix()).unwrap_or(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (rest[..digits].parse().ok(), &rest[digits..])
    }

    fn received(&self, packet: &str, attachments: Vec<Vec<u8>>) -> Received {
        let rest = match packet.strip_prefix('5') {
            Some(rest) => rest.split_once('-').map_or(rest, |(_, rest)| rest),
            None => &packet[1..],
        };
        let (ack, data) = self.split(rest);
        let mut args: Vec<Value> = serde_json::from_str(data).unwrap_or_default();
        let event = if args.is_empty() {
            Value::Null
        } else {
            args.remove(0)
        };
        Received {
            event: event.as_str().unwrap_or_default().to_owned(),
            args,
            attachments,
            ack,
        }
    }

    /// Whether a packet is one of this namespace that is wanted, by its type and what follows type and namespace.
    fn wanted<F: Fn(u8, &str) -> bool>(&self, is_wanted: F) -> impl Fn(&RawMessage) -> bool + use<F> {
        let prefix = self.prefix();
        move |(packet, _)| {
            let rest = packet.get(1..).unwrap_or_default();
            let rest = rest.strip_prefix(&*prefix).unwrap_or(rest);
            packet.bytes().next().is_some_and(|kind| is_wanted(kind, rest))
        }
    }

    async fn packet(
        &mut self,
        what: &str,
        is_wanted: impl Fn(u8, &str) -> bool,
    ) -> Result<RawMessage, TestError> {
        let is_mine = self.wanted(is_wanted);
        self.inbox.next(what, is_mine).await
    }
}

/// Puts attachments to their packets, and answers the pings of Engine.IO.
#[derive(Default)]
struct Packets {
    /// A packet, and how many attachments it has; those that came.
    unfinished: Option<(String, usize, Vec<Vec<u8>>)>,
}

impl Packets {
    fn hear(&mut self, frame: Frame) -> Heard {
        match frame {
            Frame::Text(text) if text == "2" => Heard::Answer("3".to_owned()),
            Frame::Text(text) => {
                let Some(packet) = text.strip_prefix('4') else {
                    return Heard::Nothing;
                };
                let announced = packet.strip_prefix(['5', '6']);
                let count = announced
                    .and_then(|rest| rest.split_once('-'))
                    .map_or(0, |(count, _)| count.parse().unwrap_or(0));
                if count > 0 {
                    self.unfinished = Some((packet.to_owned(), count, Vec::new()));
                    return Heard::Nothing;
                }
                Heard::Message((packet.to_owned(), Vec::new()))
            }
            Frame::Binary(data) => {
                let Some((packet, count, mut attachments)) = self.unfinished.take() else {
                    return Heard::Nothing;
                };
                attachments.push(data);
                if attachments.len() < count {
                    self.unfinished = Some((packet, count, attachments));
                    return Heard::Nothing;
                }
                Heard::Message((packet, attachments))
            }
            Frame::Ping(_) | Frame::Close(_) => Heard::Nothing,
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, TestError> {
    T::deserialize(&value).map_err(|error| TestError::Unexpected {
        what: what.to_owned(),
        message: error.to_string(),
        value,
    })
}
