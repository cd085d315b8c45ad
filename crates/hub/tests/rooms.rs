//! Rooms and who a broadcast reaches: examples, and a comparison with a model that is too simple to be wrong.

mod support;

use std::collections::BTreeSet;

use gatewire_hub::{Broadcast, DisconnectReason, Io, Namespace, Socket};
use proptest::prelude::*;
use support::{Peer, Script, serve};

fn peers(io: &Io, count: usize) -> Vec<(Peer, Socket)> {
    let namespace = io.of("/");
    (0..count)
        .map(|_| {
            let mut peer = Peer::new(io);
            let id = peer.join("/");
            (peer, namespace.socket(&id).unwrap())
        })
        .collect()
}

/// Which of the peers got something; each exactly once.
fn reached(peers: &[(Peer, Socket)]) -> Vec<usize> {
    let mut reached = Vec::new();
    for (n, (peer, _)) in peers.iter().enumerate() {
        match peer.sent().as_slice() {
            [] => {}
            [packet] if packet == r#"2["e"]"# => reached.push(n),
            other => panic!("peer {n} got {other:?}"),
        }
    }
    reached
}

#[test]
fn operators_choose_who_is_reached() {
    let (io, namespace) = serve(Script::default());
    let peers = peers(&io, 4);
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| &peers[n].1);
    a.join(["red", "blue"]);
    b.join("red");
    c.join(vec!["blue".to_owned(), "green".to_owned()]);
    let cases: [(&str, Broadcast, &[usize]); 18] = [
        ("everyone", namespace.everyone(), &[0, 1, 2, 3]),
        ("room", namespace.to("red"), &[0, 1]),
        ("unknown room", namespace.to("none"), &[]),
        ("no rooms", namespace.to(Vec::<String>::new()), &[]),
        ("union", namespace.to("red").in_room("blue"), &[0, 1, 2]),
        (
            "union of a list",
            namespace.to(["red", "blue", "red"]),
            &[0, 1, 2],
        ),
        ("except", namespace.except("red"), &[2, 3]),
        ("room except room", namespace.to("red").except("blue"), &[1]),
        ("id", namespace.to(d.id()), &[3]),
        (
            "ids and rooms",
            namespace.to([d.id(), b.id()]).to("red"),
            &[0, 1, 3],
        ),
        ("except id", namespace.except(d.id()), &[0, 1, 2]),
        ("room except id", namespace.to("red").except(a.id()), &[1]),
        ("socket to", a.to("red"), &[1]),
        ("socket to others", d.to("red"), &[0, 1]),
        ("socket to itself", a.to(a.id()), &[]),
        ("socket broadcast", a.broadcast(), &[1, 2, 3]),
        ("socket except", a.except("green"), &[1, 3]),
        ("socket volatile", a.volatile(), &[0]),
    ];
    for (name, broadcast, expected) in cases {
        broadcast.emit("e", &());
        assert_eq!(reached(&peers), expected, "{name}");
        let chosen: BTreeSet<_> = broadcast.sockets().iter().map(|socket| socket.id()).collect();
        let expected: BTreeSet<_> = expected.iter().map(|&n| peers[n].1.id()).collect();
        assert_eq!(chosen, expected, "{name}");
    }
    a.volatile().to("blue").emit("e", &());
    assert_eq!(reached(&peers), [2]);
}

#[test]
fn the_own_room_behaves_as_any_other() {
    let (io, namespace) = serve(Script::default());
    let peers = peers(&io, 2);
    let [a, b] = [0, 1].map(|n| &peers[n].1);
    assert_eq!(a.rooms(), [a.id().as_str().into()]);
    assert!(a.is_in(a.id().as_str()) && !a.is_in(b.id().as_str()));
    a.leave(a.id());
    assert!(a.rooms().is_empty() && !a.is_in(a.id().as_str()));
    namespace.to(a.id()).emit("e", &());
    assert_eq!(reached(&peers), [0; 0]);
    namespace.everyone().emit("e", &());
    assert_eq!(reached(&peers), [0, 1]);
    a.join(a.id());
    // Another socket may enter it.
    b.join(a.id());
    namespace.to(a.id()).emit("e", &());
    assert_eq!(reached(&peers), [0, 1]);
    a.leave(a.id());
    namespace.to(a.id()).emit("e", &());
    assert_eq!(reached(&peers), [1]);
    assert_eq!(namespace.rooms(), [a.id().as_str().into()]);
}

#[test]
fn rooms_come_and_go_with_their_sockets() {
    let (io, namespace) = serve(Script::default());
    let mut peers = peers(&io, 2);
    peers[0].1.join("room");
    peers[0].1.join("room");
    peers[1].1.join("room");
    assert_eq!(peers[0].1.rooms().len(), 2);
    assert!(peers[0].1.is_in("room") && !peers[0].1.is_in("another"));
    assert_eq!(namespace.rooms(), ["room".into()]);
    peers[0].1.leave(["room", "another"]);
    assert!(!peers[0].1.is_in("room"));
    peers[1].0.close(DisconnectReason::TransportClose);
    assert!(namespace.rooms().is_empty());
    assert_eq!(namespace.len(), 1);
    // A socket that has left enters nothing.
    peers[1].1.join("room");
    assert!(namespace.rooms().is_empty());
    assert!(peers[1].1.rooms().is_empty());
}

#[test]
fn rooms_of_two_namespaces_are_apart() {
    let io = Io::default();
    let (first, second) = (io.of("/a"), io.of("/b"));
    let mut peer = Peer::new(&io);
    let (a, b) = (peer.join("/a"), peer.join("/b"));
    first.socket(&a).unwrap().join("room");
    second.to("room").emit("e", &());
    second.emit("e", &());
    assert_eq!(peer.sent(), [r#"2/b,["e"]"#]);
    first.to("room").emit("e", &());
    assert_eq!(peer.sent(), [r#"2/a,["e"]"#]);
    assert!(
        second
            .socket(&b)
            .unwrap()
            .rooms()
            .iter()
            .all(|room| **room != *"room")
    );
    assert_eq!(first.of("/b").unwrap().name(), "/b");
    assert!(first.of("/c").is_none());
}

#[tokio::test]
async fn chosen_sockets_join_leave_and_are_fetched() {
    let (io, namespace) = serve(Script::default());
    let peers = peers(&io, 3);
    peers[0].1.join("red");
    namespace.to("red").sockets_join(["blue", "green"]);
    namespace.except("red").sockets_join("grey");
    namespace.sockets_leave("green");
    let blue = namespace.to("blue").fetch_sockets().await;
    assert_eq!(blue.len(), 1);
    assert_eq!(blue[0].id(), peers[0].1.id());
    assert_eq!(blue[0].rooms().len(), 3);
    assert_eq!(blue[0].handshake()["query"]["EIO"], "4");
    assert_eq!(namespace.to("grey").sockets().len(), 2);
    blue[0].leave("blue");
    blue[0].emit("e", &());
    assert_eq!(reached(&peers), [0]);
    assert!(namespace.to("blue").sockets().is_empty());
}

const SOCKETS: usize = 5;
const ROOMS: usize = 4;

/// A room: one of the named ones, or that of a socket.
fn room() -> impl Strategy<Value = usize> {
    0..ROOMS + SOCKETS
}

#[derive(Debug, Clone)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Disconnect(usize),
    /// Sender, rooms, exceptions.
    Emit(Option<usize>, Option<Vec<usize>>, Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let rooms = || prop::collection::vec(room(), 0..4);
    prop_oneof![
        6 => (0..SOCKETS, room()).prop_map(|(socket, room)| Step::Join(socket, room)),
        3 => (0..SOCKETS, room()).prop_map(|(socket, room)| Step::Leave(socket, room)),
        1 => (0..SOCKETS).prop_map(Step::Disconnect),
        8 => (prop::option::of(0..SOCKETS), prop::option::of(rooms()), rooms())
            .prop_map(|(sender, rooms, except)| Step::Emit(sender, rooms, except)),
    ]
}

fn operator(namespace: &Namespace, sender: Option<&Socket>) -> Broadcast {
    sender.map_or_else(|| namespace.everyone(), Socket::broadcast)
}

proptest! {
    #[test]
    fn whom_a_broadcast_reaches_is_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let (io, namespace) = serve(Script::default());
        let mut peers = peers(&io, SOCKETS);
        let ids: Vec<_> = peers.iter().map(|(_, socket)| socket.id()).collect();
        let name = |room: usize| match room.checked_sub(ROOMS) {
            None => format!("room {room}"),
            Some(socket) => ids[socket].to_string(),
        };
        // The rooms of each socket; `None` when it has left.
        let mut model: Vec<Option<BTreeSet<usize>>> = (0..SOCKETS).map(|n| Some([ROOMS + n].into())).collect();
        for step in steps {
            match step {
                Step::Join(n, room) => {
                    peers[n].1.join(name(room));
                    if let Some(rooms) = &mut model[n] {
                        rooms.insert(room);
                    }
                }
                Step::Leave(n, room) => {
                    peers[n].1.leave(name(room));
                    if let Some(rooms) = &mut model[n] {
                        rooms.remove(&room);
                    }
                }
                Step::Disconnect(n) => {
                    peers[n].0.close(DisconnectReason::TransportClose);
                    model[n] = None;
                }
                Step::Emit(sender, rooms, except) => {
                    let mut broadcast = operator(&namespace, sender.map(|n| &peers[n].1));
                    if let Some(rooms) = &rooms {
                        broadcast = broadcast.to(rooms.iter().map(|&room| name(room)).collect::<Vec<_>>());
                    }
                    broadcast = broadcast.except(except.iter().map(|&room| name(room)).collect::<Vec<_>>());
                    broadcast.emit("e", &());
                    let expected: Vec<usize> = (0..SOCKETS)
                        .filter(|&n| {
                            let Some(own) = &model[n] else { return false };
                            Some(n) != sender
                                && rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|room| own.contains(room)))
                                && !except.iter().any(|room| own.contains(room))
                        })
                        .collect();
                    prop_assert_eq!(reached(&peers), expected);
                }
            }
            for (n, rooms) in model.iter().enumerate() {
                let actual: BTreeSet<String> = peers[n].1.rooms().iter().map(ToString::to_string).collect();
                let expected: BTreeSet<String> = rooms.iter().flatten().map(|&room| name(room)).collect();
                prop_assert_eq!(actual, expected);
            }
            prop_assert_eq!(namespace.len(), model.iter().flatten().count());
        }
    }
}
