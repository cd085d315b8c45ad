//! The figures of a server: who is where, what was dropped, which answers are awaited, and how long events wait.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use gatewire_hub::{AckError, HubConfig, Io, NamespaceStats};
use support::{Gate, Peer, Script, serve, serve_with};

fn named(name: &str, namespaces: usize, sockets: usize, rooms: usize) -> NamespaceStats {
    NamespaceStats {
        name: name.into(),
        namespaces,
        sockets,
        rooms,
    }
}

#[test]
fn who_is_where() {
    let io = Io::default();
    let _ = io.of("/");
    io.of_pattern("/room-:id");
    let first = Peer::joined(&io, "/");
    let mut second = Peer::joined(&io, "/");
    io.sockets().sockets()[0].join(["a", "b"]);
    second.join("/room-1");
    second.join("/room-2");
    assert_eq!(
        io.stats().namespaces,
        [named("/", 1, 2, 2), named("/room-:id", 2, 2, 0)]
    );
    drop(first);
}

#[test]
fn what_is_dropped() {
    let (io, namespace) = serve_with(
        HubConfig {
            max_held: 1,
            ..HubConfig::default()
        },
        Script::default().connect(|_| Box::pin(std::future::pending())),
    );
    io.meter();
    let mut waiting = Peer::new(&io);
    waiting.recv("0").unwrap();
    namespace.emit("a", &1);
    namespace.emit("a", &2);
    namespace.volatile().emit("a", &3);
    let stats = io.stats();
    assert_eq!((stats.dropped_held, stats.dropped_volatile), (1, 1));

    let (io, namespace) = serve(Script::default());
    io.meter();
    let peer = Peer::joined(&io, "/");
    namespace.volatile().emit("a", &1);
    peer.outbox.writable.store(false, Ordering::Relaxed);
    namespace.volatile().emit("a", &2);
    namespace.emit("a", &3);
    assert_eq!(io.stats().dropped_volatile, 1);
}

#[tokio::test(start_paused = true)]
async fn which_answers_are_awaited() {
    let (io, namespace) = serve(Script::default());
    io.meter();
    let mut peers = [Peer::joined(&io, "/"), Peer::joined(&io, "/")];
    let socket = namespace.sockets()[0].clone();
    let late = socket.emit_with_ack("q", &1).timeout(Duration::from_millis(5));
    let stats = io.stats();
    assert_eq!(
        (stats.acks_asked, stats.acks_pending, stats.acks_timed_out),
        (1, 1, 0)
    );
    assert_eq!(late.await, Err(AckError::Timeout));
    let stats = io.stats();
    assert_eq!(
        (stats.acks_asked, stats.acks_pending, stats.acks_timed_out),
        (1, 0, 1)
    );

    let all = namespace.timeout(Duration::from_millis(5)).emit_with_ack("q", &1);
    assert_eq!(io.stats().acks_pending, 2);
    peers[0].recv("31[1]").unwrap();
    assert_eq!(io.stats().acks_pending, 1);
    assert!(all.await.is_err());
    let stats = io.stats();
    assert_eq!(
        (stats.acks_asked, stats.acks_pending, stats.acks_timed_out),
        (3, 0, 2)
    );

    let left = socket.emit_with_ack("q", &1);
    drop(peers);
    assert_eq!(io.stats().acks_pending, 0);
    assert_eq!(left.await, Err(AckError::Disconnected));
}

#[test]
fn how_long_events_wait() {
    let gate = Gate::default();
    let opened = gate.clone();
    let (io, _) =
        serve(Script::default().event(move |_, event| (event.name() == "slow").then(|| opened.future())));
    io.meter();
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["quick"]"#).unwrap();
    assert_eq!(io.stats().mailbox_wait.count(), 0);
    peer.recv(r#"2["slow"]"#).unwrap();
    peer.recv(r#"2["quick"]"#).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    gate.open();
    peer.run();
    let wait = io.stats().mailbox_wait;
    assert_eq!(wait.count(), 1);
    assert!(wait.nanos >= 2_000_000, "{wait:?}");
}
