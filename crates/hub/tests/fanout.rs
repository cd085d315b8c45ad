//! Large broadcasts: sliced, in order, and never in the way of answers.

mod support;

use gatewire_hub::{DisconnectReason, HubConfig, Io, Namespace, Prepared};
use support::{Log, Peer, Script, serve_with};

fn crowd(config: HubConfig, count: usize) -> (Io, Namespace, Vec<Peer>) {
    let (io, namespace) = serve_with(
        config,
        Script::default().event(|socket, event| {
            if let Some(ack) = event.ack(socket) {
                ack.send(&());
            }
            None
        }),
    );
    let peers = (0..count).map(|_| Peer::joined(&io, "/")).collect();
    (io, namespace, peers)
}

fn small_slices() -> HubConfig {
    HubConfig {
        fanout_slice: 2,
        ..HubConfig::default()
    }
}

async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_large_broadcast_yields_between_its_slices() {
    let (_io, namespace, peers) = crowd(small_slices(), 6);
    namespace.emit("e", &1);
    let reached = |peers: &[Peer]| peers.iter().filter(|peer| !peer.sent().is_empty()).count();
    assert_eq!(reached(&peers), 0);
    let mut steps = Vec::new();
    for _ in 0..4 {
        tokio::task::yield_now().await;
        steps.push(reached(&peers));
    }
    assert_eq!(steps, [2, 2, 2, 0]);
    // A small one goes at once again.
    let id = namespace.sockets()[0].id();
    namespace.to(id).emit("e", &2);
    assert_eq!(reached(&peers), 1);
}

#[tokio::test]
async fn nothing_overtakes_a_large_broadcast_but_answers() {
    let (_io, namespace, mut peers) = crowd(small_slices(), 5);
    let socket = namespace.sockets()[0].clone();
    let at = peers.iter().position(|peer| {
        socket.emit("mark", &());
        !peer.sent().is_empty()
    });
    let at = at.unwrap();
    for peer in &peers {
        peer.sent();
    }
    namespace.emit("n", &1);
    socket.emit("n", &2);
    namespace.to(socket.id()).emit("n", &3);
    namespace.emit("n", &4);
    socket.emit("n", &5);
    peers[at].recv(r#"27["ask"]"#).unwrap();
    settle().await;
    socket.emit("n", &6);
    let expected = [
        "37[]",
        r#"2["n",1]"#,
        r#"2["n",2]"#,
        r#"2["n",3]"#,
        r#"2["n",4]"#,
        r#"2["n",5]"#,
        r#"2["n",6]"#,
    ];
    assert_eq!(peers[at].sent(), expected);
    let other = (at + 1) % peers.len();
    assert_eq!(peers[other].sent(), [r#"2["n",1]"#, r#"2["n",4]"#]);
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let config = HubConfig {
        max_fanout_queue: 3,
        ..small_slices()
    };
    let (_io, namespace, peers) = crowd(config, 3);
    for n in 0..9 {
        namespace.emit("n", &n);
    }
    settle().await;
    assert_eq!(peers[0].sent(), [r#"2["n",0]"#, r#"2["n",1]"#, r#"2["n",2]"#]);
}

#[tokio::test]
async fn one_that_leaves_meanwhile_gets_nothing_more() {
    let (_io, namespace, mut peers) = crowd(small_slices(), 5);
    namespace.emit("n", &1);
    peers[4].close(DisconnectReason::TransportClose);
    settle().await;
    assert!(peers[4].sent().is_empty());
    assert!(peers[..4].iter().all(|peer| peer.sent() == [r#"2["n",1]"#]));
}

#[test]
fn without_a_runtime_all_is_sent_at_once() {
    let (_io, namespace, peers) = crowd(small_slices(), 5);
    namespace.emit("n", &1);
    assert!(peers.iter().all(|peer| peer.sent() == [r#"2["n",1]"#]));
}

#[test]
fn a_runtime_that_ends_leaves_nothing_waiting() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_io, namespace, peers) = runtime.block_on(async { crowd(small_slices(), 5) });
    namespace.emit("n", &1);
    drop(runtime);
    let socket = namespace.sockets()[0].clone();
    socket.emit("n", &2);
    assert_eq!(peers.iter().map(|peer| peer.sent().len()).sum::<usize>(), 1);
}

#[test]
fn volatile_messages_are_dropped_where_they_would_wait() {
    let (_io, namespace, peers) = crowd(HubConfig::default(), 2);
    peers[0]
        .outbox
        .writable
        .store(false, std::sync::atomic::Ordering::SeqCst);
    namespace.volatile().emit("v", &1);
    for socket in namespace.sockets() {
        socket.volatile().emit("v", &2);
    }
    assert!(peers[0].sent().is_empty());
    assert_eq!(peers[1].sent(), [r#"2["v",1]"#, r#"2["v",2]"#]);
    namespace.emit("n", &3);
    assert_eq!(peers[0].sent(), [r#"2["n",3]"#]);
}

#[test]
fn a_prepared_packet_is_sent_as_it_is() {
    let (_io, namespace, peers) = crowd(HubConfig::default(), 1);
    let message = Prepared::from_data("/", r#"["e",1.0]"#, &[], None);
    namespace.local().emit_prepared(message);
    assert_eq!(peers[0].sent(), [r#"2["e",1.0]"#]);
}

#[tokio::test]
async fn a_disconnect_does_not_overtake_what_was_sent_before() {
    let (_io, namespace, mut peers) = crowd(small_slices(), 5);
    let sockets = namespace.sockets();
    namespace.emit("bye", &1);
    sockets[0].emit("bye", &2);
    namespace.disconnect_sockets(true);
    // From here on they are as good as gone: none is listened to, and none is told anything more.
    assert!(sockets.iter().all(|socket| !socket.connected()));
    sockets[0].emit("late", &());
    namespace.emit("late", &());
    settle().await;
    let mut twice = 0;
    for peer in &mut peers {
        peer.run();
        let mut sent = peer.sent();
        if sent.get(1).is_some_and(|line| line == r#"2["bye",2]"#) {
            twice += sent.drain(1..2).count();
        }
        assert_eq!(sent, [r#"2["bye",1]"#, "1", "close: forced close"]);
    }
    assert_eq!((twice, namespace.len()), (1, 0));
}

#[tokio::test]
async fn one_that_is_being_disconnected_is_not_listened_to() {
    let (_io, namespace, mut peers) = crowd(small_slices(), 3);
    namespace.emit("n", &1);
    namespace.disconnect_sockets(false);
    peers[0].recv(r#"21["ask"]"#).unwrap();
    settle().await;
    peers[0].run();
    assert_eq!(peers[0].sent(), [r#"2["n",1]"#, "1"]);
}

#[test]
fn a_runtime_that_ends_keeps_nobody_from_being_disconnected() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_io, namespace, mut peers) = runtime.block_on(async { crowd(small_slices(), 5) });
    namespace.emit("n", &1);
    namespace.disconnect_sockets(false);
    drop(runtime);
    for peer in &mut peers {
        peer.run();
    }
    assert_eq!(namespace.len(), 0);
}

#[tokio::test]
async fn what_queues_is_heard_once_when_it_leaves() {
    let (_io, namespace, _peers) = crowd(small_slices(), 5);
    let log = Log::default();
    let socket = namespace.sockets().remove(0);
    let noted = log.clone();
    socket.on_any_outgoing(move |_, event| noted.note(event.name()));
    namespace.emit("large", &());
    socket.emit("direct", &());
    socket.disconnect(false);
    socket.emit("late", &());
    assert!(log.take().is_empty());
    settle().await;
    assert_eq!(log.take(), ["large", "direct"]);
}
