//! What the listeners of a namespace's rooms are told, in which order, and that it fits what is.

mod support;

use std::collections::BTreeSet;

use gatewire_hub::{ConnectError, DisconnectReason, Io, Namespace, RoomEvent, Socket};
use proptest::prelude::*;
use support::{Log, Peer};

fn listen(namespace: &Namespace, log: &Log) {
    let log = log.clone();
    namespace.on_room_event(move |namespace, event| {
        assert_eq!(namespace.name(), "/");
        log.note(match event {
            RoomEvent::Created { room } => format!("create {room}"),
            RoomEvent::Deleted { room } => format!("delete {room}"),
            RoomEvent::Joined { room, id } => format!("{id} join {room}"),
            RoomEvent::Left { room, id } => format!("{id} leave {room}"),
            _ => unreachable!(),
        });
    });
}

fn connected(io: &Io) -> (Peer, Socket) {
    let mut peer = Peer::new(io);
    let id = peer.join("/");
    let socket = io.of("/").socket(&id).unwrap();
    (peer, socket)
}

#[test]
fn rooms_are_told_of() {
    let io = Io::default();
    let log = Log::default();
    let namespace = io.of("/");
    let (mut early, early_socket) = connected(&io);
    listen(&namespace, &log);
    let (mut peer, socket) = connected(&io);
    let (a, b) = (early_socket.id(), socket.id());
    assert_eq!(log.take(), [format!("create {b}"), format!("{b} join {b}")]);
    socket.join(["x", "x", "y"]);
    assert_eq!(
        log.take(),
        [
            "create x".to_owned(),
            format!("{b} join x"),
            "create y".to_owned(),
            format!("{b} join y")
        ]
    );
    early_socket.join("x");
    socket.join("x");
    assert_eq!(log.take(), [format!("{a} join x")]);
    socket.leave(["x", "z"]);
    assert_eq!(log.take(), [format!("{b} leave x")]);
    early_socket.leave("x");
    assert_eq!(log.take(), [format!("{a} leave x"), "delete x".to_owned()]);
    socket.leave(b);
    socket.leave(b);
    assert_eq!(log.take(), [format!("{b} leave {b}"), format!("delete {b}")]);
    socket.join(b);
    socket.join(b);
    assert_eq!(log.take(), [format!("create {b}"), format!("{b} join {b}")]);
    peer.recv("1").unwrap();
    assert_eq!(
        log.take(),
        [
            format!("{b} leave y"),
            "delete y".to_owned(),
            format!("{b} leave {b}"),
            format!("delete {b}")
        ]
    );
    // Its own room was never told of.
    early.close(DisconnectReason::TransportClose);
    assert!(log.take().is_empty());
}

#[test]
fn who_is_refused_never_had_a_room_of_its_own() {
    let io = Io::default();
    let log = Log::default();
    let namespace = io.of("/");
    listen(&namespace, &log);
    namespace.on_room_event(|_, _| panic!("as told"));
    namespace.use_middleware(async |socket| {
        socket.join("waiting");
        Err(ConnectError::new("no"))
    });
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    let told = log.take();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0] == "create waiting" && told[1].ends_with(" join waiting"));
    assert!(told[2].ends_with(" leave waiting") && told[3] == "delete waiting");
}

proptest! {
    /// Whoever only listens knows the rooms.
    #[test]
    fn what_is_told_fits_what_is(steps in prop::collection::vec((0usize..3, 0usize..4, any::<bool>()), 0..40)) {
        let io = Io::default();
        let log = Log::default();
        let namespace = io.of("/");
        listen(&namespace, &log);
        let peers: Vec<_> = (0..3).map(|_| connected(&io)).collect();
        for (who, room, join) in steps {
            let socket = &peers[who].1;
            let room = ["a", "b", "c", peers[who].1.id().as_str()][room].to_owned();
            if join { socket.join(room) } else { socket.leave(room) }
        }
        let (mut rooms, mut members) = (BTreeSet::new(), BTreeSet::new());
        for line in log.take() {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let is_new = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["create", room] => rooms.insert(room.to_owned()),
                ["delete", room] => rooms.remove(room),
                [id, "join", room] => {
                    prop_assert!(rooms.contains(room));
                    members.insert((id.to_owned(), room.to_owned()))
                }
                [id, "leave", room] => members.remove(&(id.to_owned(), room.to_owned())),
                _ => unreachable!(),
            };
            prop_assert!(is_new, "{}", line);
        }
        let expected: BTreeSet<_> = peers
            .iter()
            .flat_map(|(_, socket)| socket.rooms().into_iter().map(|room| (socket.id().to_string(), room.to_string())))
            .collect();
        prop_assert_eq!(&members, &expected);
        prop_assert_eq!(rooms, expected.into_iter().map(|(_, room)| room).collect());
    }
}
