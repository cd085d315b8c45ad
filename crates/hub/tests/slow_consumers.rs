//! Clients that do not take what they are sent: who waits for them, what is dropped, and that nobody else notices.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use gatewire_hub::{HubConfig, Io, Namespace};
use support::{Peer, Script, serve_with};

fn crowd(config: HubConfig, count: usize) -> (Io, Namespace, Vec<Peer>) {
    let (io, namespace) = serve_with(config, Script::default());
    let peers = (0..count).map(|_| Peer::joined(&io, "/")).collect();
    (io, namespace, peers)
}

fn is_slow(peer: &Peer, is_slow: bool) {
    peer.outbox.full.store(is_slow, Ordering::SeqCst);
    peer.outbox.writable.store(!is_slow, Ordering::SeqCst);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_many_goes_on_when_all_have_room() {
    let (_io, namespace, mut peers) = crowd(HubConfig::default(), 3);
    assert_eq!(namespace.writable().await, []);
    is_slow(&peers[1], true);
    let waiting = tokio::spawn({
        let namespace = namespace.clone();
        async move { namespace.writable().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    is_slow(&peers[1], false);
    peers[1].run();
    assert_eq!(waiting.await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn those_who_have_no_room_in_time_are_named() {
    let (_io, namespace, mut peers) = crowd(HubConfig::default(), 3);
    is_slow(&peers[0], true);
    let start = tokio::time::Instant::now();
    let slow = namespace.timeout(Duration::from_secs(3)).writable().await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(slow.len(), 1);
    slow[0].disconnect(true);
    peers[0].run();
    assert_eq!(peers[0].sent(), ["1", "close: forced close"]);
    assert_eq!(namespace.writable().await, [], "who has left is not waited for");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_lets_large_broadcasts_go_out_first() {
    let config = HubConfig {
        fanout_slice: 2,
        max_fanout_queue: 1,
        ..HubConfig::default()
    };
    let (_io, namespace, peers) = crowd(config, 5);
    for number in 0..20 {
        namespace.emit("e", &number);
        assert_eq!(namespace.writable().await, []);
    }
    for peer in &peers {
        let wanted: Vec<_> = (0..20).map(|number| format!(r#"2["e",{number}]"#)).collect();
        assert_eq!(peer.sent(), wanted, "none is dropped for the queue's bound");
    }
}

#[tokio::test]
async fn events_are_dropped_for_a_lossy_connection_alone() {
    let (io, namespace, peers) = crowd(HubConfig::default(), 1);
    let mut slow = Peer::lossy(&io);
    slow.join("/");
    namespace.emit("e", &1);
    is_slow(&slow, true);
    namespace.emit("e", &2);
    let socket = namespace.sockets().into_iter().find(|socket| {
        socket.emit("own", &());
        peers[0].sent().iter().all(|line| !line.contains("own"))
    });
    socket.unwrap().disconnect(false);
    assert_eq!(slow.outbox.dropped.load(Ordering::SeqCst), 2);
    assert_eq!(
        slow.sent(),
        [r#"2["e",1]"#, "1"],
        "what is no event is not dropped"
    );
}

#[tokio::test]
async fn answers_are_not_dropped() {
    let (io, _namespace) = serve_with(
        HubConfig::default(),
        Script::default().event(|socket, event| {
            if let Some(ack) = event.ack(socket) {
                ack.send(&"done");
            }
            socket.emit("also", &());
            None
        }),
    );
    let mut slow = Peer::lossy(&io);
    slow.join("/");
    is_slow(&slow, true);
    slow.recv(r#"27["e"]"#).unwrap();
    assert_eq!(slow.sent(), [r#"37["done"]"#]);
    is_slow(&slow, false);
    slow.recv(r#"28["e"]"#).unwrap();
    assert_eq!(slow.sent(), [r#"38["done"]"#, r#"2["also"]"#]);
}
