//! What other nodes tell this one: it is done to the sockets of this process. What this node has sent itself comes back,
//! and was done before.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gatewire_hub::cluster::FoundSocket;
use gatewire_hub::{Namespace, Payload, Prepared, Room};

use super::member::Member;
use crate::connection::Receiver;
use crate::requests::Answers;
use crate::wire::classic::{Answer, Ask, Broadcast, Request, Response};
use crate::wire::{DecodeError, Frame, Target};

/// Events for clients.
pub(super) struct Broadcasts(pub(super) Arc<Member>);

impl Receiver for Broadcasts {
    fn receive(&self, channel: &str, message: Bytes) {
        let member = &self.0;
        let (Some(room), Some(namespace)) = (member.room(channel), member.namespace()) else {
            return;
        };
        if !room.is_empty() && !namespace.has_room(room) {
            return;
        }
        if let Err(error) = deliver(member, &namespace, &message) {
            member.malformed(channel, error);
        }
    }
}

fn deliver(member: &Member, namespace: &Namespace, message: &[u8]) -> Result<(), DecodeError> {
    let sender = Broadcast::sender(message)?;
    if sender == *member.uid {
        return Ok(());
    }
    member.heard.said(&sender);
    let broadcast = Broadcast::decode(message)?;
    // A channel may be that of a room here, and of another namespace there.
    if broadcast.namespace != member.name() {
        return Ok(());
    }
    let (json, attachments) = broadcast.event(&member.limits())?;
    let prepared = Prepared::from_data(member.name(), &json, &attachments, None);
    select(namespace, &broadcast.target).emit_prepared(prepared);
    Ok(())
}

/// Those of this process who are meant.
fn select(namespace: &Namespace, target: &Target) -> gatewire_hub::Broadcast {
    let mut broadcast = namespace.local().compress(target.compress);
    if !target.rooms.is_empty() {
        broadcast = broadcast.to(&target.rooms);
    }
    if !target.except.is_empty() {
        broadcast = broadcast.except(&target.except);
    }
    if target.volatile {
        broadcast = broadcast.volatile();
    }
    match target.timeout {
        Some(timeout) => broadcast.timeout(timeout),
        None => broadcast,
    }
}

/// Requests.
pub(super) struct Requested(pub(super) Arc<Member>);

impl Receiver for Requested {
    fn receive(&self, channel: &str, message: Bytes) {
        let member = &self.0;
        let Some(namespace) = member.namespace() else {
            return;
        };
        let frame = Frame::read(&message, &member.limits());
        let done = frame.and_then(|frame| {
            let request = Request::decode(&frame)?;
            if request.uid.as_deref() != Some(&*member.uid) {
                if let Some(uid) = &request.uid {
                    member.heard.said(uid);
                }
                serve(member, &namespace, request);
            }
            Ok(())
        });
        if let Err(error) = done {
            member.malformed(channel, error);
        }
    }
}

fn serve(member: &Arc<Member>, namespace: &Namespace, Request { uid, id, ask }: Request<'_>) {
    let answer = |answer: Answer| {
        if let Some(id) = &id {
            member.answer(uid.as_deref(), id, &answer);
        }
    };
    match ask {
        Ask::Sockets { rooms } => {
            let target = Target {
                rooms,
                ..Target::default()
            };
            let sockets = select(namespace, &target).sockets();
            answer(Answer::Ids(
                sockets
                    .iter()
                    .map(|socket| Room::from(socket.id().as_str()))
                    .collect(),
            ));
        }
        Ask::AllRooms => {
            let own = namespace
                .sockets()
                .into_iter()
                .map(|socket| Room::from(socket.id().as_str()));
            answer(Answer::Rooms(own.chain(namespace.rooms()).collect()));
        }
        Ask::Join { target, rooms, one } => {
            select(namespace, &target).sockets_join(rooms);
            if is_here(namespace, one) {
                answer(Answer::Done);
            }
        }
        Ask::Leave { target, rooms, one } => {
            select(namespace, &target).sockets_leave(rooms);
            if is_here(namespace, one) {
                answer(Answer::Done);
            }
        }
        Ask::Disconnect { target, close, one } => {
            let is_here = is_here(namespace, one);
            select(namespace, &target).disconnect_sockets(close);
            if is_here {
                answer(Answer::Done);
            }
        }
        Ask::Fetch { target } => {
            let sockets = select(namespace, &target).sockets();
            answer(Answer::Sockets(sockets.iter().map(FoundSocket::from).collect()));
        }
        Ask::ServerSideEmit { name, args } => {
            let answer = id.as_deref().map(|id| {
                let (member, uid, id) = (member.clone(), uid.map(Cow::into_owned), id.to_owned());
                Box::new(move |payload: Payload| {
                    member.answer(uid.as_deref(), &id, &Answer::ServerSide(payload));
                }) as Box<dyn FnOnce(Payload) + Send>
            });
            namespace.receive_server_side(&name, args, answer);
        }
        Ask::Broadcast {
            namespace: name,
            event,
            target,
        } => {
            let Some(id) = id.filter(|_| name == member.name()) else {
                return;
            };
            let (to, asker, request) = (
                member.clone(),
                uid.clone().map(Cow::into_owned),
                id.clone().into_owned(),
            );
            let asked =
                select(namespace, &target).relay_with_ack(event.data, event.attachments, move |payload| {
                    to.answer(asker.as_deref(), &request, &Answer::Ack(payload));
                });
            member.answer(uid.as_deref(), &id, &Answer::ClientCount(asked));
        }
    }
}

/// For the old forms, which are answered by the node of their socket.
fn is_here(namespace: &Namespace, one: Option<Cow<'_, str>>) -> bool {
    one.is_some_and(|id| namespace.socket(&id).is_some())
}

/// Answers to requests, of this node or another.
pub(super) struct Responded(pub(super) Arc<Member>);

impl Receiver for Responded {
    fn receive(&self, channel: &str, message: Bytes) {
        let member = &self.0;
        let done = Frame::read(&message, &member.limits()).and_then(|frame| {
            let response = Response::decode(&frame)?;
            let id = response.id().to_owned();
            if member.requests.has(&id) {
                let answer = response.answer()?;
                member.requests.answer(&id, |answers| add(answers, answer));
            }
            Ok(())
        });
        if let Err(error) = done {
            member.malformed(channel, error);
        }
    }
}

fn add(answers: &mut Answers, answer: Answer) {
    match answer {
        Answer::Sockets(sockets) => {
            answers.nodes += 1;
            answers.sockets.extend(sockets);
        }
        Answer::ServerSide(payload) => {
            answers.nodes += 1;
            answers.responses.push(payload);
        }
        Answer::ClientCount(count) => {
            answers.nodes += 1;
            answers.clients += count;
        }
        Answer::Ack(payload) => answers.responses.push(payload),
        // These are not asked for.
        Answer::Ids(_) | Answer::Rooms(_) | Answer::Done => {}
    }
}
