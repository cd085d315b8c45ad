//! What a test client has heard and not looked at yet, and the task that hears it. What the messages mean is the clients'
//! affair.

use std::collections::VecDeque;
use std::time::Duration;

use gatewire_proto::websocket::Opcode;
use tokio::sync::mpsc;

use super::error::TestError;
use super::wire::{Frame, Socket};

/// How long a client waits for what a test expects.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What may wait to be looked at by the test; a client that is sent more is closed.
const MAX_WAITING: usize = 65_536;

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The server put the client out of the namespace (`io server disconnect`).
    Namespace,
    /// A Close frame came, with its code if it had one.
    Frame(Option<u16>),
    /// The stream ended without a Close frame.
    Cut,
}

/// What the client wants to be sent.
pub(super) enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

/// A message with its attachments.
pub(super) type RawMessage = (String, Vec<Vec<u8>>);

enum Incoming {
    Message(RawMessage),
    Closed(Closed),
}

/// What becomes of a frame of the server that is no matter of WebSocket itself.
pub(super) enum Heard {
    Message(RawMessage),
    /// To be sent back.
    Answer(String),
    Nothing,
}

/// A connection, and what came over it.
pub(super) struct Inbox {
    outgoing: mpsc::Sender<Outgoing>,
    incoming: mpsc::Receiver<Incoming>,
    /// What came while something else was waited for.
    waiting: VecDeque<RawMessage>,
    closed: Option<Closed>,
    pub(super) patience: Duration,
}

impl Inbox {
    /// Takes the socket over; `hear` makes messages of its frames.
    pub(super) fn new(socket: Socket, hear: impl FnMut(Frame) -> Heard + Send + 'static) -> Self {
        let (outgoing, orders) = mpsc::channel(64);
        let (reports, incoming) = mpsc::channel(MAX_WAITING);
        tokio::spawn(drive(socket, orders, reports, hear));
        Self {
            outgoing,
            incoming,
            waiting: VecDeque::new(),
            closed: None,
            patience: PATIENCE,
        }
    }

    pub(super) async fn send(&self, order: Outgoing) -> Result<(), TestError> {
        self.outgoing.send(order).await.map_err(|_| TestError::Closed {
            closed: self.closed.clone().unwrap_or(Closed::Cut),
            waiting_for: "sending".to_owned(),
        })
    }

    /// The first message that is wanted.
    pub(super) async fn next(
        &mut self,
        what: &str,
        is_wanted: impl Fn(&RawMessage) -> bool,
    ) -> Result<RawMessage, TestError> {
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            if let Some(at) = self.waiting.iter().position(&is_wanted)
                && let Some(message) = self.waiting.remove(at)
            {
                return Ok(message);
            }
            if let Some(closed) = &self.closed {
                return Err(TestError::Closed {
                    closed: closed.clone(),
                    waiting_for: what.to_owned(),
                });
            }
            match tokio::time::timeout_at(deadline, self.incoming.recv()).await {
                Ok(incoming) => self.note(incoming.unwrap_or(Incoming::Closed(Closed::Cut))),
                Err(_elapsed) => {
                    return Err(TestError::Timeout {
                        waiting_for: what.to_owned(),
                        patience: self.patience,
                        instead: self
                            .waiting
                            .iter()
                            .map(|message| format!("{message:?}"))
                            .collect(),
                    });
                }
            }
        }
    }

    /// The messages of that kind that have come and nobody has asked for.
    pub(super) fn pending(&mut self, is_wanted: impl Fn(&RawMessage) -> bool) -> Vec<RawMessage> {
        while let Ok(incoming) = self.incoming.try_recv() {
            self.note(incoming);
        }
        let (wanted, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(is_wanted);
        self.waiting = others;
        wanted.into()
    }

    /// The end of the connection, or of what `is_end` says is one.
    pub(super) async fn closed(&mut self, is_end: impl Fn(&RawMessage) -> bool) -> Result<Closed, TestError> {
        match self.next("the end of the connection", is_end).await {
            Ok(_) => Ok(Closed::Namespace),
            Err(TestError::Closed { closed, .. }) => Ok(closed),
            Err(error) => Err(error),
        }
    }

    fn note(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Closed(closed) => self.closed = Some(closed),
            Incoming::Message(message) => self.waiting.push_back(message),
        }
    }
}

/// Owns the socket: answers pings, hands over what comes, and reports the end.
async fn drive(
    mut socket: Socket,
    mut orders: mpsc::Receiver<Outgoing>,
    reports: mpsc::Sender<Incoming>,
    mut hear: impl FnMut(Frame) -> Heard,
) {
    let closed = loop {
        let frame = tokio::select! {
            order = orders.recv() => {
                let sent = match order {
                    Some(Outgoing::Text(text)) => socket.send_text(&text).await,
                    Some(Outgoing::Binary(data)) => socket.send(Opcode::Binary, &data).await,
                    Some(Outgoing::Close(code)) => socket.send(Opcode::Close, &code.to_be_bytes()).await,
                    None => break Closed::Cut,
                };
                if sent.is_err() {
                    break Closed::Cut;
                }
                continue;
            }
            frame = socket.next() => frame,
        };
        let message = match frame {
            None => break Closed::Cut,
            Some(Frame::Close(code)) => {
                // The stream may be gone: the Close frame was heard all the same.
                let _ = socket
                    .send(Opcode::Close, &code.unwrap_or(1000).to_be_bytes())
                    .await;
                break Closed::Frame(code);
            }
            Some(Frame::Ping(data)) => {
                if socket.send(Opcode::Pong, &data).await.is_err() {
                    break Closed::Cut;
                }
                continue;
            }
            Some(frame) => match hear(frame) {
                Heard::Message(message) => message,
                Heard::Answer(text) => {
                    if socket.send_text(&text).await.is_err() {
                        break Closed::Cut;
                    }
                    continue;
                }
                Heard::Nothing => continue,
            },
        };
        if reports.try_send(Incoming::Message(message)).is_err() {
            break Closed::Cut;
        }
    };
    // Nobody listens any more if this fails.
    let _ = reports.send(Incoming::Closed(closed)).await;
}
