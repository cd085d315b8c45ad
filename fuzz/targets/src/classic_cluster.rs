//! A message between nodes of the classic adapter from any bytes: an event for clients, a request, and an answer. What is
//! understood says the same when it is written again.

use std::mem::discriminant;

use gatewire_cluster::wire::classic::{Broadcast, Request, Response};
use gatewire_cluster::wire::{EventData, Frame, Limits};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let limits = Limits {
        max_bytes: 1 << 16,
        max_attachments: 16,
    };
    broadcast(bytes, &limits);
    let Ok(frame) = Frame::read(bytes, &limits) else {
        return;
    };
    if let Ok(request) = Request::decode(&frame) {
        // MessagePack has no place for what JSON nests too deep, or for a placeholder of nothing.
        let Ok(written) = request.encode() else { return };
        let Ok(frame) = Frame::read(&written, &Limits::default()) else {
            return;
        };
        let again = Request::decode(&frame).expect("it was understood before");
        assert_eq!(
            (&again.uid, &again.id, again.ask.kind()),
            (&request.uid, &request.id, request.ask.kind())
        );
    }
    if let Ok(response) = Response::decode(&frame) {
        let id = response.id().to_owned();
        let Ok(answer) = response.answer() else { return };
        let Ok(written) = answer.encode(&id) else { return };
        let Ok(frame) = Frame::read(&written, &Limits::default()) else {
            return;
        };
        let again = Response::decode(&frame).expect("it was understood before");
        assert_eq!(again.id(), id);
        let again = again.answer().expect("it was understood before");
        assert_eq!(discriminant(&again), discriminant(&answer));
    }
}

fn broadcast(bytes: &[u8], limits: &Limits) {
    let sender = Broadcast::sender(bytes);
    let Ok(broadcast) = Broadcast::decode(bytes) else {
        return;
    };
    assert_eq!(sender.as_ref(), Ok(&broadcast.uid));
    let Ok((data, attachments)) = broadcast.event(limits) else {
        return;
    };
    let event = EventData {
        data: &data,
        attachments: &attachments,
    };
    let mut written = Vec::new();
    let encoded = Broadcast::encode(
        &mut written,
        &broadcast.uid,
        broadcast.namespace,
        event,
        &broadcast.target,
    );
    if encoded.is_err() {
        return;
    }
    let again = Broadcast::decode(&written).expect("it was written here");
    assert_eq!(
        (&again.uid, again.namespace),
        (&broadcast.uid, broadcast.namespace)
    );
    assert_eq!(again.target, broadcast.target);
    assert_eq!(again.event(limits), Ok((data, attachments)));
}
