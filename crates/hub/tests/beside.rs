//! What runs beside the handlers of a socket, who waits for room to write, and a disconnect that waits for handlers.

mod support;

use std::sync::atomic::Ordering;

use gatewire_hub::{DisconnectReason, Socket};
use support::{Gate, Log, Peer, Script, serve};

/// Each event runs beside the others; it begins, waits for the gate, and ends.
fn beside(gate: &Gate, log: &Log) -> Script {
    let (gate, log) = (gate.clone(), log.clone());
    Script::default().event(move |socket, event| {
        let (gate, log, name) = (gate.clone(), log.clone(), event.name().to_owned());
        let at_once = socket.clone();
        socket.spawn(async move {
            log.note(format!("begin {name}"));
            match &*name {
                "panic" => panic!("as the test asked"),
                "until-gone" => until_gone(&at_once).await,
                _ => gate.wait().await,
            }
            log.note(format!("end {name}"));
        });
        None
    })
}

async fn until_gone(socket: &Socket) {
    std::future::poll_fn(|_| match socket.connected() {
        true => std::task::Poll::Pending,
        false => std::task::Poll::Ready(()),
    })
    .await;
}

fn noting_disconnect(script: Script, log: &Log) -> Script {
    let log = log.clone();
    script.disconnect(move |socket, _| {
        log.note(format!("hook, {} rooms", socket.rooms().len()));
        None
    })
}

#[test]
fn spawned_futures_run_side_by_side() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, _) = serve(beside(&gate, &log));
    let mut peer = Peer::joined(&io, "/");
    for event in ["one", "panic", "two"] {
        peer.recv(&format!(r#"2["{event}"]"#)).unwrap();
    }
    assert_eq!(log.take(), ["begin one", "begin panic", "begin two"]);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["end one"]);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["end two"]);
}

#[test]
fn spawned_futures_of_one_that_leaves_are_waited_for() {
    for waits in [false, true] {
        let (gate, log) = (Gate::default(), Log::default());
        let mut script = noting_disconnect(beside(&gate, &log), &log);
        if waits {
            script = script.waiting();
        }
        let (io, namespace) = serve(script);
        let mut peer = Peer::joined(&io, "/");
        let socket = namespace.sockets().remove(0);
        peer.recv(r#"2["one"]"#).unwrap();
        peer.recv(r#"2["until-gone"]"#).unwrap();
        peer.close(DisconnectReason::TransportClose);
        let first = if waits { vec![] } else { vec!["hook, 1 rooms"] };
        assert_eq!(
            log.take(),
            [&["begin one", "begin until-gone"], &first[..]].concat()
        );
        assert!(peer.poll_closed().is_pending());
        assert_eq!(
            log.take(),
            ["end until-gone"],
            "it was told that its client has gone"
        );
        socket.spawn(async { panic!("it has left already") });
        gate.open();
        assert!(peer.poll_closed().is_ready());
        let last = if waits { vec!["hook, 1 rooms"] } else { vec![] };
        assert_eq!(log.take(), [&["end one"], &last[..]].concat());
        assert!(socket.rooms().is_empty());
    }
}

#[test]
fn what_was_sent_before_the_end_is_handled_before_a_hook_that_waits() {
    for (reason, handled) in [
        (DisconnectReason::TransportClose, &["two", "three"][..]),
        (DisconnectReason::ClientNamespaceDisconnect, &["two", "three"]),
        (DisconnectReason::PingTimeout, &["two", "three"]),
        (DisconnectReason::ServerNamespaceDisconnect, &[]),
    ] {
        let (gate, log) = (Gate::default(), Log::default());
        let script = Script::default().waiting().event({
            let (gate, log) = (gate.clone(), log.clone());
            move |_, event| {
                log.note(event.name());
                let gate = gate.clone();
                let waits = event.name() != "two";
                waits.then(|| -> gatewire_hub::BoxFuture<'static, ()> {
                    Box::pin(async move { gate.wait().await })
                })
            }
        });
        let (io, namespace) = serve(noting_disconnect(script, &log));
        let mut peer = Peer::joined(&io, "/");
        for event in ["one", "two", "three"] {
            peer.recv(&format!(r#"2["{event}"]"#)).unwrap();
        }
        match reason {
            DisconnectReason::ServerNamespaceDisconnect => {
                namespace.disconnect_sockets(false);
                peer.run();
            }
            DisconnectReason::ClientNamespaceDisconnect => peer.recv("1").unwrap(),
            _ => {
                peer.close(reason);
                assert!(peer.poll_closed().is_pending());
            }
        }
        assert!(namespace.is_empty(), "others see at once that it has left");
        assert_eq!(log.take(), ["one"], "{reason}");
        for _ in 0..2 {
            gate.open();
            peer.run();
            let _ = peer.poll_closed();
        }
        let expected = [handled, &["hook, 1 rooms"]].concat();
        assert_eq!(log.take(), expected, "{reason}");
    }
}

#[test]
fn room_to_write_is_waited_for() {
    let log = Log::default();
    let (io, _) = serve(Script::default().event({
        let log = log.clone();
        move |socket, event| {
            let (log, socket, name) = (log.clone(), socket.clone(), event.name().to_owned());
            let writing = {
                let socket = socket.clone();
                async move {
                    socket.writable().await;
                    log.note(name);
                }
            };
            if event.name() == "beside" {
                socket.spawn(writing);
                return None;
            }
            Some(Box::pin(writing))
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["at once"]"#).unwrap();
    assert_eq!(log.take(), ["at once"]);
    peer.outbox.full.store(true, Ordering::SeqCst);
    peer.recv(r#"2["beside"]"#).unwrap();
    peer.recv(r#"2["in order"]"#).unwrap();
    peer.run();
    assert_eq!(log.take(), [""; 0]);
    peer.outbox.full.store(false, Ordering::SeqCst);
    peer.run();
    let mut written = log.take();
    written.sort();
    assert_eq!(written, ["beside", "in order"]);
    // One that has left is not waited for.
    peer.outbox.full.store(true, Ordering::SeqCst);
    peer.recv(r#"2["beside"]"#).unwrap();
    assert_eq!(log.take(), [""; 0]);
    peer.close(DisconnectReason::TransportClose);
    assert!(peer.poll_closed().is_ready());
    assert_eq!(log.take(), ["beside"]);
}
