//! What a node does about the messages of the others.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Broadcast, Namespace, Payload, Prepared};

use super::Member;
use crate::requests::Answers;
use crate::wire::cluster::Body;
use crate::wire::{EventData, Target};

impl Member {
    /// Does what a message asks for. `offset` is where it is in the log, if it is there.
    pub(super) fn receive(
        self: &Arc<Self>,
        uid: &str,
        namespace: &str,
        body: Body<'_>,
        offset: Option<&str>,
    ) {
        if *uid == *self.uid {
            return;
        }
        self.heard.said(uid);
        let Some(namespace) = self.namespace(namespace) else {
            return;
        };
        match body {
            Body::Broadcast {
                event,
                target,
                request: None,
            } => self.deliver(&namespace, event, &target, offset),
            Body::Broadcast {
                event,
                target,
                request: Some(request),
            } => self.relay(&namespace, uid, event, &target, &request),
            Body::SocketsJoin { target, rooms } => chosen(&namespace, &target).sockets_join(rooms),
            Body::SocketsLeave { target, rooms } => chosen(&namespace, &target).sockets_leave(rooms),
            Body::DisconnectSockets { target, close } => {
                chosen(&namespace, &target).disconnect_sockets(close);
            }
            Body::FetchSockets { target, request } => self.tell_sockets(&namespace, uid, &target, request),
            Body::ServerSideEmit { name, args, request } => {
                self.hear(&namespace, uid, &name, args, request.as_deref());
            }
            Body::FetchSocketsResponse { request, sockets } => {
                self.answered(uid, &request, |answers| answers.sockets.extend(sockets));
            }
            Body::ServerSideEmitResponse { request, answer } => {
                self.answered(uid, &request, |answers| answers.responses.push(answer));
            }
            Body::BroadcastClientCount { request, count } => {
                self.answered(uid, &request, |answers| answers.add_clients(uid, count));
            }
            Body::BroadcastAck { request, answer } => {
                self.requests
                    .answer(&request, |answers| answers.add_response(uid, answer));
            }
            Body::AdapterClose => self.heard.forget(uid),
            Body::InitialHeartbeat | Body::Heartbeat => {}
        }
    }

    fn deliver(&self, namespace: &Namespace, event: EventData<'_>, target: &Target, offset: Option<&str>) {
        let mut message = Prepared::from_data(namespace.name(), event.data, event.attachments, None);
        let is_recoverable = namespace.io().config().connection_state_recovery.is_some();
        if let Some(offset) = offset
            && is_recoverable
            && !target.volatile
        {
            message = message.with_offset(offset);
        }
        chosen(namespace, target).emit_prepared(message);
    }

    /// Asks the sockets here, and hands each answer on.
    fn relay(
        self: &Arc<Self>,
        namespace: &Namespace,
        uid: &str,
        event: EventData<'_>,
        target: &Target,
        request: &str,
    ) {
        let answer = {
            let (member, name) = (self.clone(), namespace.name().to_owned());
            let (uid, request) = (uid.to_owned(), request.to_owned());
            move |answer: Payload| {
                let request = Cow::Borrowed(&*request);
                member.respond(&uid, &name, Body::BroadcastAck { request, answer });
            }
        };
        let count = chosen(namespace, target).relay_with_ack(event.data, event.attachments, answer);
        let request = Cow::Borrowed(request);
        self.respond(
            uid,
            namespace.name(),
            Body::BroadcastClientCount { request, count },
        );
    }

    fn tell_sockets(&self, namespace: &Namespace, uid: &str, target: &Target, request: Cow<'_, str>) {
        let sockets = chosen(namespace, target).sockets();
        let sockets = sockets.iter().map(FoundSocket::from).collect();
        self.respond(
            uid,
            namespace.name(),
            Body::FetchSocketsResponse { request, sockets },
        );
    }

    /// An event for the servers. As in the Node server, one that nobody listens to is not answered.
    fn hear(
        self: &Arc<Self>,
        namespace: &Namespace,
        uid: &str,
        event: &str,
        args: Payload,
        request: Option<&str>,
    ) {
        let answer = request.map(|request| {
            let (member, name) = (self.clone(), namespace.name().to_owned());
            let (uid, request) = (uid.to_owned(), request.to_owned());
            Box::new(move |answer: Payload| {
                let request = Cow::Borrowed(&*request);
                member.respond(&uid, &name, Body::ServerSideEmitResponse { request, answer });
            }) as Box<dyn FnOnce(Payload) + Send>
        });
        namespace.receive_server_side(event, args, answer);
    }

    fn respond(&self, requester: &str, namespace: &str, body: Body<'_>) {
        self.carrier.respond(requester, &self.message(namespace, body));
    }

    /// A node has answered a request.
    fn answered(&self, uid: &str, request: &str, add: impl FnOnce(&mut Answers)) {
        self.heard.answered(uid);
        self.requests.answer(request, |answers| {
            answers.nodes += 1;
            answers.names.push(uid.into());
            add(answers);
        });
    }
}

/// The sockets here that a message means.
fn chosen(namespace: &Namespace, target: &Target) -> Broadcast {
    let mut broadcast = match &*target.rooms {
        [] => namespace.local(),
        rooms => namespace.local().to(rooms),
    };
    if !target.except.is_empty() {
        broadcast = broadcast.except(&target.except);
    }
    if target.volatile {
        broadcast = broadcast.volatile();
    }
    if let Some(timeout) = target.timeout {
        broadcast = broadcast.timeout(timeout.min(MAX_TIMEOUT));
    }
    broadcast.compress(target.compress)
}

/// The longest time that answers of clients here are waited for, whatever another node asks.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);
