//! How sockets leave: for which reason, what their handlers are told and when, and what the client is told.

mod support;

use std::sync::Arc;

use gatewire_hub::{CloseReason, DisconnectReason, Io};
use support::{Gate, Log, Peer, Script, serve};

fn logging(log: &Log) -> Script {
    let log = log.clone();
    Script::default().disconnect(move |socket, reason| {
        log.note(format!("{} {}", reason, socket.rooms().len()));
        None
    })
}

#[test]
fn each_way_to_leave_has_its_reason() {
    type Way = fn(&mut Peer, &Io);
    let cases: [(Way, &str, &[&str]); 9] = [
        (
            |peer, _| peer.recv("1").unwrap(),
            "client namespace disconnect",
            &[],
        ),
        (
            |_, io| io.of("/").disconnect_sockets(false),
            "server namespace disconnect",
            &["1"],
        ),
        (
            |_, io| io.of("/").disconnect_sockets(true),
            "server namespace disconnect",
            &["1", "close: forced close"],
        ),
        (
            |peer, _| peer.close(CloseReason::TransportClose.into()),
            "transport close",
            &[],
        ),
        (
            |peer, _| peer.close(CloseReason::TransportError.into()),
            "transport error",
            &[],
        ),
        (
            |peer, _| peer.close(CloseReason::PingTimeout.into()),
            "ping timeout",
            &[],
        ),
        (
            |peer, _| peer.close(CloseReason::ParseError.into()),
            "parse error",
            &[],
        ),
        (
            |peer, _| peer.close(CloseReason::ForcedClose.into()),
            "forced close",
            &[],
        ),
        (
            |peer, _| peer.close(CloseReason::ServerShuttingDown.into()),
            "server shutting down",
            &[],
        ),
    ];
    for (way, reason, sent) in cases {
        let log = Log::default();
        let (io, namespace) = serve(logging(&log));
        let mut peer = Peer::joined(&io, "/");
        let socket = namespace.sockets()[0].clone();
        socket.join("room");
        way(&mut peer, &io);
        peer.run();
        assert_eq!(log.take(), [format!("{reason} 2")], "rooms are still known");
        assert!(socket.rooms().is_empty());
        assert!(!socket.connected());
        assert!(namespace.is_empty() && namespace.rooms().is_empty());
        assert_eq!(peer.sent(), sent);
        // Once and for all.
        socket.disconnect(false);
        socket.emit("e", &());
        peer.close(DisconnectReason::TransportClose);
        assert!(peer.poll_closed().is_ready());
        assert!(log.take().is_empty());
        assert!(peer.sent().is_empty());
    }
}

#[test]
fn a_shutdown_closes_each_connection() {
    let (io, _namespace) = serve(Script::default());
    let peers: Vec<Peer> = (0..2).map(|_| Peer::joined(&io, "/")).collect();
    io.close();
    for peer in peers {
        assert_eq!(peer.sent(), ["close: server shutting down"]);
    }
}

#[test]
fn a_disconnect_with_close_takes_all_namespaces_along() {
    let log = Log::default();
    let (io, namespace) = serve(logging(&log));
    let chat = io.of("/chat");
    assert!(chat.set_handler(Arc::new(logging(&log))));
    let mut peer = Peer::joined(&io, "/");
    peer.join("/chat");
    let before = peer.outbox.wakes.load(std::sync::atomic::Ordering::SeqCst);
    let socket = namespace.sockets()[0].clone();
    std::thread::spawn(move || socket.disconnect(true))
        .join()
        .unwrap();
    assert!(peer.outbox.wakes.load(std::sync::atomic::Ordering::SeqCst) > before);
    peer.run();
    assert_eq!(peer.sent(), ["1", "1/chat,", "close: forced close"]);
    assert_eq!(log.take(), ["server namespace disconnect 1"; 2]);
    peer.close(CloseReason::ForcedClose.into());
    assert!(peer.poll_closed().is_ready());
    assert!(log.take().is_empty());
}

#[test]
fn one_namespace_is_left_and_joined_again() {
    let (io, namespace) = serve(Script::default());
    let _ = io.of("/chat");
    let mut peer = Peer::joined(&io, "/chat");
    let first = peer.join("/");
    peer.recv("1").unwrap();
    assert!(peer.client.is_joined());
    assert!(peer.recv(r#"2["e"]"#).is_err());
    let second = peer.join("/");
    assert_ne!(first, second);
    assert!(namespace.socket(&first).is_none());
    assert_eq!(namespace.len(), 1);
}

#[test]
fn what_crosses_a_disconnect_of_the_server_is_no_fault() {
    let log = Log::default();
    let (io, namespace) = serve(logging(&log).event(|_, event| panic!("{} came too late", event.name())));
    let mut peer = Peer::joined(&io, "/");
    namespace.disconnect_sockets(false);
    for packet in [r#"2["e"]"#, "30[]", r#"51-["e",{"_placeholder":true,"num":0}]"#] {
        peer.recv(packet).unwrap();
    }
    peer.recv_binary(b"x").unwrap();
    peer.recv("1").unwrap();
    assert_eq!(log.take(), ["server namespace disconnect 1"]);
    assert_eq!(peer.sent(), ["1"]);
    // The client may come back before the driver has noticed.
    peer.join("/");
    namespace.disconnect_sockets(false);
    peer.sent();
    peer.join("/");
    assert_eq!(namespace.len(), 1);
}

#[test]
fn a_disconnect_does_not_wait_for_a_handler() {
    let (gate, hook, log) = (Gate::default(), Gate::default(), Log::default());
    let (io, namespace) = serve(
        Script::default()
            .event({
                let (gate, log) = (gate.clone(), log.clone());
                move |_, event| {
                    let (gate, log, name) = (gate.clone(), log.clone(), event.name().to_owned());
                    Some(Box::pin(async move {
                        log.note(format!("begin {name}"));
                        gate.wait().await;
                        log.note(format!("end {name}"));
                    }))
                }
            })
            .disconnect({
                let (hook, log) = (hook.clone(), log.clone());
                move |socket, _| {
                    let (hook, log, socket) = (hook.clone(), log.clone(), socket.clone());
                    Some(Box::pin(async move {
                        log.note("hook begins");
                        hook.wait().await;
                        log.note(format!("hook ends, {} rooms", socket.rooms().len()));
                    }))
                }
            }),
    );
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["one"]"#).unwrap();
    peer.recv(r#"2["two"]"#).unwrap();
    peer.recv("1").unwrap();
    peer.run();
    assert_eq!(log.take(), ["begin one", "hook begins"]);
    assert!(namespace.is_empty());
    // The namespace may be joined again meanwhile.
    peer.join("/");
    peer.close(DisconnectReason::TransportClose);
    assert!(peer.poll_closed().is_pending());
    assert_eq!(log.take(), ["hook begins"]);
    gate.open();
    hook.open();
    assert!(peer.poll_closed().is_pending());
    let mut ended = log.take();
    ended.sort();
    assert_eq!(ended, ["end one", "hook ends, 1 rooms"]);
    hook.open();
    assert!(peer.poll_closed().is_ready());
    assert_eq!(log.take(), ["hook ends, 1 rooms"]);
}

#[test]
fn a_handler_may_put_out_its_own_socket() {
    let log = Log::default();
    let (io, namespace) = serve(logging(&log).event(|socket, event| {
        socket.emit("bye", &event.name());
        socket.disconnect(event.name() == "close");
        None
    }));
    for (name, sent) in [
        ("leave", &[r#"2["bye","leave"]"#, "1"][..]),
        ("close", &[r#"2["bye","close"]"#, "1", "close: forced close"][..]),
    ] {
        let mut peer = Peer::joined(&io, "/");
        peer.recv(&format!(r#"2["{name}"]"#)).unwrap();
        assert_eq!(peer.sent(), sent);
        assert_eq!(log.take(), ["server namespace disconnect 1"]);
        assert!(namespace.is_empty());
    }
}

#[test]
fn a_client_that_is_dropped_leaves_nothing_behind() {
    let (io, namespace) = serve(Script::default());
    let peer = Peer::joined(&io, "/");
    let socket = namespace.sockets()[0].clone();
    socket.join("room");
    drop(peer);
    assert!(namespace.is_empty() && namespace.rooms().is_empty());
    assert!(!socket.connected());
}

#[test]
fn nothing_is_received_after_the_end() {
    let (io, namespace) = serve(Script::default());
    let mut peer = Peer::joined(&io, "/");
    peer.close(DisconnectReason::TransportClose);
    for packet in ["0", "nonsense", r#"2["e"]"#] {
        peer.recv(packet).unwrap();
    }
    peer.recv_binary(b"x").unwrap();
    assert!(namespace.is_empty() && peer.sent().is_empty());
}

#[test]
fn a_server_is_not_kept_alive_by_its_handlers() {
    let io = Io::default();
    let namespace = io.of("/");
    let log = Log::default();
    let (alive, held, handled) = (Arc::new(()), namespace.clone(), log.clone());
    let is_alive = Arc::downgrade(&alive);
    namespace.set_handler(Arc::new(Script::default().event(move |_, event| {
        let _held = (&alive, &held);
        handled.note(event.name());
        None
    })));
    let mut peer = Peer::joined(&io, "/");
    io.release_handlers();
    peer.recv(r#"2["e"]"#).unwrap();
    assert_eq!(log.take(), ["e"], "a socket keeps its handler to its end");
    peer.close(DisconnectReason::TransportClose);
    drop((peer, namespace, io));
    assert!(is_alive.upgrade().is_none());
}
