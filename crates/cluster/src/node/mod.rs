//! One node of a cluster that speaks the messages of [`wire::cluster`](crate::wire::cluster): what it asks of the others,
//! and what it does about what they ask. How the messages travel is for a [`Carrier`] to know.

mod inbox;
mod serve;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gatewire_hub::cluster::{
    BroadcastOptions, ClusterAdapter, ClusterStatus, FoundSockets, RecoveryLog, RemoteAcks, SilentNodes,
};
use gatewire_hub::{BoxFuture, Namespace, Payload, Prepared, Room, Selection, WeakIo};
use tokio::time::Instant;

use crate::heard::Heard;
use crate::requests::{Answers, Requests};
use crate::wire::cluster::{Body, Message};
use crate::wire::{DecodeError, EventData, Limits, Target};

pub use inbox::Inbox;

/// How messages travel between the nodes. No call may block.
pub trait Carrier: Send + Sync + 'static {
    /// From now on, what is sent in the namespace comes to the inbox.
    fn open(&self, namespace: &Namespace, inbox: &Inbox);

    /// No more of that.
    fn close_namespace(&self, namespace: &str);

    /// To all other nodes.
    fn publish(&self, message: &Message<'_>);

    /// To the node that asked.
    fn respond(&self, requester: &str, message: &Message<'_>);

    /// How many nodes there are, this one included; `None` if that is not known now.
    fn count(&self, namespace: &str) -> BoxFuture<'static, Option<usize>>;

    /// A room got its first socket here.
    fn room_created(&self, namespace: &str, room: &Room, inbox: &Inbox) {
        let _ = (namespace, room, inbox);
    }

    /// A room lost its last socket here, and may have got another one since.
    fn room_deleted(&self, namespace: &Namespace, room: &Room) {
        let _ = (namespace, room);
    }

    /// The other nodes by their names, if they are known at any time. Then they need not be counted for a question, and the
    /// carrier tells by [`Inbox::gone`] when one goes that was among them: after this gives it no longer.
    fn others(&self, namespace: &str) -> Option<Vec<Box<str>>> {
        let _ = namespace;
        None
    }

    /// A message has come that cannot be read.
    fn malformed(&self, channel: &str, reason: &DecodeError);

    /// See [`ClusterAdapter::status`]; when the others were heard, the node knows itself.
    fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    /// See [`ClusterAdapter::recovery_log`].
    fn recovery_log(&self) -> Option<Arc<dyn RecoveryLog>> {
        None
    }

    /// The node leaves; what was given before is still sent.
    fn close(&self);
}

/// A node, as its server sees it. A clone is the same one.
pub struct Node(Arc<Member>);

/// The node itself.
struct Member {
    uid: Box<str>,
    carrier: Box<dyn Carrier>,
    requests: Arc<Requests>,
    /// Whose namespaces are opened.
    io: OnceLock<WeakIo>,
    limits: Limits,
    requests_timeout: Duration,
    /// How many other nodes there were when it was asked last.
    others: AtomicUsize,
    heard: Heard,
}

/// What a node is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, which no other node has.
    pub uid: Box<str>,
    /// Bounds of what others may send.
    pub limits: Limits,
    /// How long answers of other servers are waited for at most.
    pub requests_timeout: Duration,
}

/// A new name for a node or a request: 16 hexadecimal digits, as in the Node server.
#[must_use]
pub fn random_name() -> Box<str> {
    format!("{:016x}", rand::random::<u64>()).into()
}

impl Node {
    /// A node whose messages travel by the carrier.
    pub fn new(settings: Settings, carrier: impl Carrier) -> Self {
        let Settings {
            uid,
            limits,
            requests_timeout,
        } = settings;
        Self(Arc::new(Member {
            uid,
            carrier: Box::new(carrier),
            requests: Arc::default(),
            io: OnceLock::new(),
            limits,
            requests_timeout,
            others: AtomicUsize::new(0),
            heard: Heard::default(),
        }))
    }

    /// Where messages for this node are to be put.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::new(&self.0)
    }

    fn publish(&self, namespace: &str, body: Body<'_>) {
        self.0.carrier.publish(&self.0.message(namespace, body));
    }

    /// Asks the other nodes by a message with the id of the request.
    fn ask<'a>(
        &self,
        namespace: &str,
        timeout: Duration,
        body: impl FnOnce(String) -> Body<'a>,
    ) -> BoxFuture<'static, (Answers, SilentNodes)> {
        let deadline = Instant::now() + timeout;
        let id = random_name();
        let pending = self.0.requests.begin(&id);
        let others = self.0.carrier.others(namespace);
        self.publish(namespace, body(id.into()));
        if let Some(others) = others {
            return Box::pin(async move {
                let (answers, names) = pending.gather_named(deadline, others).await;
                let count = names.len();
                (answers, SilentNodes { count, names })
            });
        }
        let (member, count) = (self.0.clone(), self.0.carrier.count(namespace));
        Box::pin(async move {
            let others = member.others_counted(count);
            let guess = || member.others.load(Ordering::Relaxed);
            let (answers, silent) = pending.gather(deadline, others, guess).await;
            let silent = member.silent_nodes(&answers, silent);
            (answers, silent)
        })
    }
}

impl Member {
    fn message<'a>(&'a self, namespace: &'a str, body: Body<'a>) -> Message<'a> {
        Message {
            uid: (&*self.uid).into(),
            namespace: namespace.into(),
            body,
        }
    }

    async fn others_counted(&self, count: BoxFuture<'static, Option<usize>>) -> usize {
        match count.await {
            Some(nodes) => {
                let others = nodes.saturating_sub(1);
                self.others.store(others, Ordering::Relaxed);
                others
            }
            None => self.others.load(Ordering::Relaxed),
        }
    }

    /// Nodes do not tell that they are there, so of those that are silent only such are known that have answered lately.
    fn silent_nodes(&self, answers: &Answers, count: usize) -> SilentNodes {
        if count == 0 {
            return SilentNodes::default();
        }
        let mut names = self.heard.known_without(&answers.names);
        names.truncate(count);
        SilentNodes { count, names }
    }

    fn namespace(&self, name: &str) -> Option<Namespace> {
        self.io.get()?.upgrade()?.get(name)
    }
}

impl ClusterAdapter for Node {
    fn open(&self, namespace: &Namespace) {
        let _ = self.0.io.set(namespace.io().downgrade());
        self.0.carrier.open(namespace, &self.inbox());
    }

    fn broadcast(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
    ) {
        let attachments = message.attachments();
        let event = EventData {
            data: message.data(),
            attachments: &attachments,
        };
        let body = Body::Broadcast {
            event,
            target: Target::new(selection, options, None),
            request: None,
        };
        self.publish(namespace, body);
    }

    fn broadcast_with_ack(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let attachments = message.attachments();
        let asking = self.ask(namespace, timeout, |request| Body::Broadcast {
            event: EventData {
                data: message.data(),
                attachments: &attachments,
            },
            target: Target::new(selection, options, Some(timeout)),
            request: Some(request.into()),
        });
        Box::pin(async move {
            let (answers, silent_nodes) = asking.await;
            RemoteAcks {
                missing: answers.clients.saturating_sub(answers.responses.len()),
                responses: answers.responses,
                // Who has not answered, the messages do not tell.
                silent: Vec::new(),
                silent_nodes,
            }
        })
    }

    fn sockets_join(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let body = Body::SocketsJoin {
            target: Target::of(selection),
            rooms: rooms.to_vec(),
        };
        self.publish(namespace, body);
    }

    fn sockets_leave(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let body = Body::SocketsLeave {
            target: Target::of(selection),
            rooms: rooms.to_vec(),
        };
        self.publish(namespace, body);
    }

    fn disconnect_sockets(&self, namespace: &str, selection: &Selection, close: bool) {
        let body = Body::DisconnectSockets {
            target: Target::of(selection),
            close,
        };
        self.publish(namespace, body);
    }

    fn fetch_sockets(
        &self,
        namespace: &str,
        selection: &Selection,
        timeout: Duration,
    ) -> BoxFuture<'static, FoundSockets> {
        let timeout = timeout.min(self.0.requests_timeout);
        let asking = self.ask(namespace, timeout, |request| Body::FetchSockets {
            target: Target::of(selection),
            request: request.into(),
        });
        Box::pin(async move {
            let (answers, silent_nodes) = asking.await;
            FoundSockets {
                sockets: answers.sockets,
                silent_nodes,
            }
        })
    }

    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload) {
        let body = Body::ServerSideEmit {
            name: event.into(),
            args: payload.clone(),
            request: None,
        };
        self.publish(namespace, body);
    }

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let timeout = timeout.min(self.0.requests_timeout);
        let asking = self.ask(namespace, timeout, |request| Body::ServerSideEmit {
            name: event.into(),
            args: payload.clone(),
            request: Some(request.into()),
        });
        Box::pin(async move {
            let (answers, silent_nodes) = asking.await;
            RemoteAcks {
                responses: answers.responses,
                missing: silent_nodes.count,
                silent: Vec::new(),
                silent_nodes,
            }
        })
    }

    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize> {
        let (member, count) = (self.0.clone(), self.0.carrier.count(namespace));
        Box::pin(async move { member.others_counted(count).await + 1 })
    }

    fn status(&self) -> ClusterStatus {
        let mut status = self.0.carrier.status();
        status.heard = self.0.heard.ages();
        status
    }

    fn recovery_log(&self) -> Option<Arc<dyn RecoveryLog>> {
        self.0.carrier.recovery_log()
    }

    fn room_created(&self, namespace: &str, room: &Room) {
        self.0.carrier.room_created(namespace, room, &self.inbox());
    }

    fn room_deleted(&self, namespace: &str, room: &Room) {
        if let Some(namespace) = self.0.namespace(namespace) {
            self.0.carrier.room_deleted(&namespace, room);
        }
    }

    fn close_namespace(&self, namespace: &str) {
        self.0.carrier.close_namespace(namespace);
    }

    fn close(&self) {
        let io = self.0.io.get().and_then(WeakIo::upgrade);
        for namespace in io.iter().flat_map(gatewire_hub::Io::namespaces) {
            self.publish(namespace.name(), Body::AdapterClose);
        }
        self.0.carrier.close();
    }
}
