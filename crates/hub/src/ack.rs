//! Acknowledgements in both directions: the answer that a client wants of an event, and the answers that the server
//! wants of one client or of all receivers of a broadcast.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::cluster::SilentNodes;
use crate::encode::{One, Spread};
use crate::room::Receivers;
use crate::socket::log;
use crate::{EmitError, Id, Payload, Socket, cluster, lock};

/// The right to answer one event of a client. Dropped unused, it leaves the client waiting.
#[derive(Debug)]
pub struct AckSender {
    socket: Socket,
    id: u64,
}

impl AckSender {
    pub(crate) fn new(socket: Socket, id: u64) -> Self {
        Self { socket, id }
    }

    /// The socket that waits for the answer.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Answers with one value (no value if it is `()`). What cannot be encoded is logged.
    pub fn send<T: Serialize + ?Sized>(self, value: &T) {
        log(self.socket.send_ack(self.id, &One(value)));
    }

    /// As [`send`](Self::send). The sender stays with the caller, for another answer if this one could not be sent; a
    /// client ignores a second one.
    ///
    /// # Errors
    /// If the value cannot be JSON.
    pub fn try_send<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), EmitError> {
        self.socket.send_ack(self.id, &One(value))
    }

    /// Answers with the elements of a tuple, array or list. What cannot be encoded is logged.
    pub fn send_args<T: Serialize + ?Sized>(self, values: &T) {
        log(self.socket.send_ack(self.id, &Spread(values)));
    }

    /// Answers with arguments that came in elsewhere.
    pub fn send_payload(self, payload: &Payload) {
        log(self.socket.send_ack(self.id, payload));
    }
}

/// Why a client's answer did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// It did not come in time.
    #[error("the client did not answer in time")]
    Timeout,
    /// The socket left before.
    #[error("the client disconnected before it answered")]
    Disconnected,
    /// The event was not sent: the socket owes too many answers.
    #[error("the event was not sent: the client owes {limit} answers already")]
    TooMany {
        /// `max_pending_acks`.
        limit: usize,
    },
    /// The event was not sent: it could not be encoded.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// An event was sent and its answer is awaited: `.await` gives it. Dropped, it does not wait any more.
#[must_use = "await it for the client's answer"]
#[derive(Debug)]
pub struct AckRequest {
    waiting: Result<Waiting, AckError>,
    sent: Instant,
    timeout: Duration,
}

impl AckRequest {
    /// Notes that an answer is awaited, then sends.
    pub(crate) fn new(socket: &Socket, send: impl FnOnce(u64) -> Result<(), EmitError>) -> Self {
        let id = socket.namespace().next_ack_id();
        let (sender, receiver) = oneshot::channel();
        let waiting = socket.add_ack(id, PendingAck::One(sender)).and_then(|()| {
            let waiting = Waiting {
                socket: socket.clone(),
                id,
                receiver,
            };
            send(id)?;
            Ok(waiting)
        });
        Self {
            waiting,
            sent: Instant::now(),
            timeout: socket.namespace().io().config().ack_timeout,
        }
    }

    /// How long the answer is waited for, counted from when the event was sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl IntoFuture for AckRequest {
    type Output = Result<Payload, AckError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut waiting = self.waiting?;
            match timeout_at(self.sent + self.timeout, &mut waiting.receiver).await {
                Ok(answer) => answer.unwrap_or(Err(AckError::Disconnected)),
                Err(_) => {
                    waiting.socket.count(|counts| &counts.acks_timed_out, 1);
                    Err(AckError::Timeout)
                }
            }
        })
    }
}

#[derive(Debug)]
struct Waiting {
    socket: Socket,
    id: u64,
    receiver: oneshot::Receiver<Result<Payload, AckError>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.socket.remove_ack(self.id);
    }
}

/// Who waits for an answer of one socket.
pub(crate) enum PendingAck {
    One(oneshot::Sender<Result<Payload, AckError>>),
    Broadcast(Arc<Collector>),
    Relay(Relay),
}

/// Takes the answers that another node wants, as they come.
pub(crate) type Relay = Arc<dyn Fn(Payload) + Send + Sync>;

impl PendingAck {
    pub(crate) fn resolve(self, payload: Payload) {
        match self {
            // Nobody may wait any more.
            Self::One(sender) => drop(sender.send(Ok(payload))),
            Self::Broadcast(collector) => collector.settle(Ok(payload)),
            Self::Relay(relay) => relay(payload),
        }
    }

    /// The socket has left.
    pub(crate) fn fail(self, id: Id) {
        match self {
            Self::One(sender) => drop(sender.send(Err(AckError::Disconnected))),
            Self::Broadcast(collector) => collector.settle(Err(id)),
            Self::Relay(_) => {}
        }
    }
}

/// Why a broadcast was not answered by all its receivers, with the answers that came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastAckError {
    /// Some did not answer in time.
    #[error("{missing} receivers did not answer in time{}", and_nodes(.silent_nodes))]
    Timeout {
        /// The answers that came, in their order.
        responses: Vec<Payload>,
        /// How many receivers did not answer.
        missing: usize,
        /// Which of them, as far as it is known: all of this process, and those of other nodes that their nodes name. Whoever
        /// left before is among them.
        silent: Vec<Id>,
        /// The nodes of the cluster that said nothing at all: how many receivers they have is not known.
        silent_nodes: SilentNodes,
    },
    /// All that are still there have answered, others have left.
    #[error("{missing} receivers disconnected before they answered")]
    Disconnected {
        /// The answers that came, in their order.
        responses: Vec<Payload>,
        /// How many receivers left.
        missing: usize,
        /// Which.
        silent: Vec<Id>,
    },
    /// The event was not sent: it could not be encoded.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// A broadcast was sent and the answers of its receivers are awaited: `.await` gives all of them.
#[must_use = "await it for the answers"]
pub struct BroadcastAckRequest {
    collecting: Result<Collecting, EmitError>,
    remote: Option<BoxFuture<'static, cluster::RemoteAcks>>,
    deadline: Instant,
}

impl BroadcastAckRequest {
    /// Notes that each receiver's answer is awaited; `send` then sends.
    pub(crate) fn new(
        id: u64,
        receivers: Receivers,
        timeout: Duration,
        remote: Option<BoxFuture<'static, cluster::RemoteAcks>>,
        send: impl FnOnce(Receivers),
    ) -> Self {
        let (done, receiver) = oneshot::channel();
        // One more than the receivers, until all of them are known.
        let collection = Collection {
            waiting: 1,
            done: Some(done),
            ..Collection::default()
        };
        let collector = Arc::new(Collector(Mutex::new(collection)));
        for socket in receivers.iter() {
            lock(&collector.0).waiting += 1;
            if socket
                .add_ack(id, PendingAck::Broadcast(collector.clone()))
                .is_err()
            {
                collector.settle(Err(socket.id()));
            }
        }
        send(receivers.clone());
        collector.finish();
        let collecting = Ok(Collecting {
            id,
            receivers,
            collector,
            done: receiver,
        });
        Self {
            collecting,
            remote,
            deadline: Instant::now() + timeout,
        }
    }

    pub(crate) fn failed(error: EmitError) -> Self {
        Self {
            collecting: Err(error),
            remote: None,
            deadline: Instant::now(),
        }
    }
}

impl IntoFuture for BroadcastAckRequest {
    type Output = Result<Vec<Payload>, BroadcastAckError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut collecting = self.collecting?;
            let remote = async {
                match self.remote {
                    Some(remote) => remote.await,
                    None => cluster::RemoteAcks::default(),
                }
            };
            let local = timeout_at(self.deadline, &mut collecting.done);
            let (local, remote) = futures_util::future::join(local, remote).await;
            let (mut responses, waiting, mut silent) = collecting.collector.take();
            responses.extend(remote.responses);
            let missing = waiting + silent.len() + remote.missing;
            let silent_nodes = remote.silent_nodes;
            if missing == 0 && silent_nodes.count == 0 {
                return Ok(responses);
            }
            if waiting > 0 {
                silent.extend(collecting.still_asked());
            }
            silent.extend(remote.silent);
            if local.is_ok() && remote.missing == 0 && silent_nodes.count == 0 {
                return Err(BroadcastAckError::Disconnected {
                    responses,
                    missing,
                    silent,
                });
            }
            Err(BroadcastAckError::Timeout {
                responses,
                missing,
                silent,
                silent_nodes,
            })
        })
    }
}

/// What an error adds of nodes that said nothing.
fn and_nodes(silent: &SilentNodes) -> String {
    match silent.count {
        0 => String::new(),
        _ => format!(", and {silent}"),
    }
}

struct Collecting {
    id: u64,
    receivers: Receivers,
    collector: Arc<Collector>,
    done: oneshot::Receiver<()>,
}

impl Collecting {
    /// Asks them no longer, and tells who they are.
    fn still_asked(&self) -> impl Iterator<Item = Id> {
        let sockets = self.receivers.iter();
        sockets
            .filter(|socket| socket.remove_ack(self.id).is_some())
            .inspect(|socket| socket.count(|counts| &counts.acks_timed_out, 1))
            .map(Socket::id)
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        for socket in self.receivers.iter() {
            socket.remove_ack(self.id);
        }
    }
}

/// The answers to one broadcast.
pub(crate) struct Collector(Mutex<Collection>);

#[derive(Default)]
struct Collection {
    responses: Vec<Payload>,
    waiting: usize,
    /// Receivers that left.
    lost: Vec<Id>,
    done: Option<oneshot::Sender<()>>,
}

impl Collector {
    /// A receiver has answered, or has left.
    fn settle(&self, response: Result<Payload, Id>) {
        let mut collection = lock(&self.0);
        match response {
            Ok(response) => collection.responses.push(response),
            Err(id) => collection.lost.push(id),
        }
        collection.count_down();
    }

    fn finish(&self) {
        lock(&self.0).count_down();
    }

    /// The answers, how many receivers still owe one, and who have left.
    fn take(&self) -> (Vec<Payload>, usize, Vec<Id>) {
        let mut collection = lock(&self.0);
        (
            std::mem::take(&mut collection.responses),
            collection.waiting,
            std::mem::take(&mut collection.lost),
        )
    }
}

impl Collection {
    fn count_down(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0
            && let Some(done) = self.done.take()
        {
            // Nobody may wait any more.
            let _ = done.send(());
        }
    }
}
