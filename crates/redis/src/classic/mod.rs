//! One node of a cluster of the classic adapter, `@socket.io/redis-adapter`: what it tells the others. What they tell it
//! is in `receive`.
//!
//! One thing differs from the Node adapter: joins, leaves and disconnects have happened on this node when they are
//! published, and not when they come back; the node knows its own messages by its uid, and leaves them alone.

mod member;
mod receive;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use gatewire_hub::cluster::{
    BroadcastOptions, ClusterAdapter, ClusterStatus, FoundSockets, RemoteAcks, SilentNodes,
};
use gatewire_hub::{Namespace, Payload, Prepared, Room, Selection};
use tokio::time::Instant;

use crate::ClassicConfig;
use crate::adapter::{Role, Shared};
use crate::connection::Subscriber;
use crate::heard::Heard;
use crate::wire::classic::{Ask, Broadcast};
use crate::wire::cluster::EMITTER;
use crate::wire::{EventData, Target};

use member::Member;

/// One node.
pub(crate) struct Classic {
    shared: Arc<Shared>,
    config: ClassicConfig,
    uid: Arc<str>,
    subscriber: Subscriber,
    heard: Arc<Heard>,
    members: RwLock<HashMap<Box<str>, Arc<Member>>>,
}

impl Classic {
    pub(crate) fn new(shared: Arc<Shared>, config: ClassicConfig, role: Role) -> Self {
        let uid = match role {
            Role::Node => crate::uid::uid(),
            Role::Emitter => EMITTER.to_owned(),
        };
        Self {
            subscriber: shared.subscriber(role),
            shared,
            config,
            uid: uid.into(),
            heard: Arc::default(),
            members: RwLock::default(),
        }
    }

    fn member(&self, namespace: &str) -> Option<Arc<Member>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(namespace).cloned()
    }

    fn tell(&self, namespace: &str, ask: Ask<'_>) {
        if let Some(member) = self.member(namespace) {
            member.tell(ask);
        }
    }

    /// The longest that nodes are waited for, from now on.
    fn deadline(&self, timeout: Duration) -> Instant {
        Instant::now() + timeout.min(self.shared.config.requests_timeout)
    }
}

impl ClusterAdapter for Classic {
    fn open(&self, namespace: &Namespace) {
        let member = Member::new(
            self.shared.clone(),
            &self.config,
            self.uid.clone(),
            &self.subscriber,
            self.heard.clone(),
            namespace,
        );
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        member.subscribe();
        members.insert(namespace.name().into(), member);
    }

    fn broadcast(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
    ) {
        let Some(member) = self.member(namespace) else {
            return;
        };
        let target = Target::new(selection, options, None);
        let attachments = message.attachments();
        let event = EventData {
            data: message.data(),
            attachments: &attachments,
        };
        let mut bytes = Vec::with_capacity(event.data.len() + 128);
        match Broadcast::encode(&mut bytes, &self.uid, namespace, event, &target) {
            Ok(()) => member.publish_broadcast(&target, &bytes),
            Err(error) => tracing::error!(namespace, %error, "a message was not sent to the other nodes"),
        }
    }

    fn broadcast_with_ack(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let Some(member) = self.member(namespace) else {
            return ready(RemoteAcks::default()).boxed();
        };
        let attachments = message.attachments();
        let ask = Ask::Broadcast {
            namespace: namespace.into(),
            event: EventData {
                data: message.data(),
                attachments: &attachments,
            },
            target: Target::new(selection, options, Some(timeout)),
        };
        let answers = member.ask(ask, Instant::now() + timeout);
        async move {
            let (answers, silent) = answers.await;
            RemoteAcks {
                missing: answers.clients.saturating_sub(answers.responses.len()),
                responses: answers.responses,
                silent: Vec::new(),
                silent_nodes: silent_nodes(silent),
            }
        }
        .boxed()
    }

    fn sockets_join(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let (target, rooms) = (target(selection), rooms.to_vec());
        self.tell(
            namespace,
            Ask::Join {
                target,
                rooms,
                one: None,
            },
        );
    }

    fn sockets_leave(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let (target, rooms) = (target(selection), rooms.to_vec());
        self.tell(
            namespace,
            Ask::Leave {
                target,
                rooms,
                one: None,
            },
        );
    }

    fn disconnect_sockets(&self, namespace: &str, selection: &Selection, close: bool) {
        let target = target(selection);
        self.tell(
            namespace,
            Ask::Disconnect {
                target,
                close,
                one: None,
            },
        );
    }

    fn fetch_sockets(
        &self,
        namespace: &str,
        selection: &Selection,
        timeout: Duration,
    ) -> BoxFuture<'static, FoundSockets> {
        let Some(member) = self.member(namespace) else {
            return ready(FoundSockets::default()).boxed();
        };
        let ask = Ask::Fetch {
            target: target(selection),
        };
        let answers = member.ask(ask, self.deadline(timeout));
        async move {
            let (answers, silent) = answers.await;
            FoundSockets {
                sockets: answers.sockets,
                silent_nodes: silent_nodes(silent),
            }
        }
        .boxed()
    }

    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload) {
        self.tell(
            namespace,
            Ask::ServerSideEmit {
                name: event.into(),
                args: payload.clone(),
            },
        );
    }

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let Some(member) = self.member(namespace) else {
            return ready(RemoteAcks::default()).boxed();
        };
        let ask = Ask::ServerSideEmit {
            name: event.into(),
            args: payload.clone(),
        };
        let answers = member.ask(ask, self.deadline(timeout));
        async move {
            let (answers, silent) = answers.await;
            RemoteAcks {
                responses: answers.responses,
                missing: silent,
                silent: Vec::new(),
                silent_nodes: silent_nodes(silent),
            }
        }
        .boxed()
    }

    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize> {
        let Some(member) = self.member(namespace) else {
            return ready(1).boxed();
        };
        member
            .count(Instant::now() + self.shared.config.requests_timeout)
            .boxed()
    }

    fn status(&self) -> ClusterStatus {
        let mut status = self.shared.publisher.cluster_status();
        status.heard = self.heard.ages();
        status
    }

    fn close_namespace(&self, namespace: &str) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = members.remove(namespace) {
            member.unsubscribe();
        }
    }

    fn close(&self) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        for member in members.drain().map(|(_, member)| member) {
            member.unsubscribe();
        }
    }
}

/// What the subscriptions lead to holds them, too: without this, a node that is gone would still be there for the others.
impl Drop for Classic {
    fn drop(&mut self) {
        self.close();
    }
}

/// For a request without flags.
fn target(selection: &Selection) -> Target {
    let options = BroadcastOptions {
        volatile: false,
        compress: true,
    };
    Target::new(selection, options, None)
}

/// The answers of the classic adapter do not say whose they are.
fn silent_nodes(count: usize) -> SilentNodes {
    SilentNodes {
        count,
        names: Vec::new(),
    }
}
