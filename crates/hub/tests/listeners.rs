//! The listeners of a socket: which are called, in which order, how they are taken away, and that they go with it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatewire_hub::{DisconnectReason, Io, Socket};
use support::{Gate, Log, Peer, Script, serve};

/// A connection in `/` and its socket.
fn connected(io: &Io) -> (Peer, Socket) {
    let mut peer = Peer::new(io);
    let id = peer.join("/");
    let socket = io.of("/").socket(&id).unwrap();
    (peer, socket)
}

#[test]
fn listeners_are_called_in_order_after_the_handler() {
    let log = Log::default();
    let handled = log.clone();
    let (io, _namespace) = serve(Script::default().event(move |_, event| {
        handled.note(format!("handler {}", event.name()));
        None
    }));
    let (mut peer, socket) = connected(&io);
    let note = |what: &'static str| {
        let log = log.clone();
        move |_: &Socket, event: &gatewire_hub::Event<'_>| log.note(format!("{what} {}", event.name()))
    };
    socket.on("e", note("first"));
    socket.once("e", note("once"));
    let second = socket.on("e", note("second"));
    socket.on("other", note("other"));
    socket.on_any(note("any"));
    socket.prepend_any(note("before any"));
    peer.recv(r#"2["e"]"#).unwrap();
    assert_eq!(
        log.take(),
        [
            "before any e",
            "any e",
            "handler e",
            "first e",
            "once e",
            "second e"
        ]
    );
    assert!(socket.off_listener(second));
    assert!(!socket.off_listener(second));
    peer.recv(r#"2["e"]"#).unwrap();
    assert_eq!(log.take(), ["before any e", "any e", "handler e", "first e"]);
    socket.off("e");
    socket.off_any();
    peer.recv(r#"2["e"]"#).unwrap();
    peer.recv(r#"2["other"]"#).unwrap();
    assert_eq!(log.take(), ["handler e", "handler other", "other other"]);
}

#[test]
fn listeners_read_arguments_and_answer() {
    let io = Io::default();
    io.of("/").on_connection(|socket| {
        socket.on("sum", |socket, event| {
            let (a, b): (i64, i64) = event.body().unwrap_or_default();
            event.ack(socket).unwrap().send(&(a + b));
        });
        socket.on_async("echo", async |socket, event| {
            assert_eq!(event.name(), "echo");
            socket.emit("heard", &event.arg::<String>(0).unwrap());
            event.ack(&socket).unwrap().send_payload(event.payload());
        });
        socket.once_async("late", async |socket, _| socket.emit("late", &()));
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"21["sum",2,3]"#).unwrap();
    peer.recv(r#"22["echo","x",{"y":1}]"#).unwrap();
    peer.recv(r#"2["late"]"#).unwrap();
    peer.recv(r#"2["late"]"#).unwrap();
    assert_eq!(
        peer.sent(),
        ["31[5]", r#"2["heard","x"]"#, r#"32["x",{"y":1}]"#, r#"2["late"]"#]
    );
}

#[test]
fn an_event_waits_for_the_async_listeners_of_the_one_before() {
    let (gate, log) = (Gate::default(), Log::default());
    let io = Io::default();
    let (mut peer, socket) = {
        let _ = io.of("/");
        connected(&io)
    };
    let (waiting, noted) = (gate.clone(), log.clone());
    socket.on_async("e", move |_, event| {
        let (waiting, noted) = (waiting.clone(), noted.clone());
        async move {
            noted.note(format!("begin {:?}", event.body::<u8>()));
            waiting.wait().await;
            noted.note("end");
        }
    });
    let noted = log.clone();
    socket.on_async("e", move |_, _| {
        noted.note("beside");
        async { panic!("as told") }
    });
    peer.recv(r#"2["e",1]"#).unwrap();
    peer.recv(r#"2["e",2]"#).unwrap();
    assert_eq!(log.take(), ["beside", "begin Ok(1)"]);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["end", "beside", "begin Ok(2)"]);
}

#[test]
fn an_event_waits_for_the_async_listeners_of_every_event_before() {
    let (gate, log) = (Gate::default(), Log::default());
    let io = Io::default();
    let _ = io.of("/");
    let (mut peer, socket) = connected(&io);
    let (waiting, noted) = (gate.clone(), log.clone());
    socket.on_any_async(move |_, event| {
        let (waiting, noted) = (waiting.clone(), noted.clone());
        async move {
            noted.note(format!("begin {}", event.name()));
            waiting.wait().await;
            noted.note("end");
        }
    });
    peer.recv(r#"2["a"]"#).unwrap();
    peer.recv(r#"2["b"]"#).unwrap();
    assert_eq!(log.take(), ["begin a"]);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["end", "begin b"]);
}

#[test]
fn panics_of_listeners_end_nothing_else() {
    let io = Io::default();
    let log = Log::default();
    let noted = log.clone();
    io.of("/").on_connection(move |socket| {
        let noted = noted.clone();
        socket.on_any(|_, _| panic!("as told"));
        socket.on("e", |_, _| panic!("as told"));
        socket.on_any_outgoing(|_, _| panic!("as told"));
        socket.on("e", move |socket, _| {
            noted.note("second");
            socket.emit("answer", &());
        });
        panic!("as told");
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["e"]"#).unwrap();
    assert_eq!(log.take(), ["second"]);
    assert_eq!(peer.sent(), [r#"2["answer"]"#]);
}

#[test]
fn what_is_sent_is_heard() {
    let io = Io::default();
    let (log, noted) = (Log::default(), Log::default());
    let namespace = io.of("/");
    namespace.use_middleware({
        let (log, noted) = (log.clone(), noted);
        move |socket| {
            let (log, noted) = (log.clone(), noted.clone());
            async move {
                socket.on_any_outgoing(move |_, event| {
                    let bytes: usize = event.attachments().iter().map(bytes::Bytes::len).sum();
                    log.note(format!("{} {} {bytes}", event.name(), event.args().json()));
                });
                socket.prepend_any_outgoing(move |_, _| noted.note("first"));
                socket.emit("early", &1);
                Ok(())
            }
        }
    });
    let (mut peer, socket) = connected(&io);
    let (_other, _) = connected(&io);
    assert_eq!(log.take().len(), 2);
    socket.emit_args("args", &("a", 2));
    socket.emit("bytes", &bytes::Bytes::from_static(b"abc"));
    namespace.to(socket.id()).emit("broadcast", &());
    socket.broadcast().emit("to others", &());
    drop(socket.emit_with_ack("ask", &"x"));
    peer.recv(r#"21["unheard"]"#).unwrap();
    assert_eq!(
        log.take(),
        [
            r#"args "a",2 0"#,
            r#"bytes {"_placeholder":true,"num":0} 3"#,
            "broadcast  0",
            "to others  0",
            r#"ask "x" 0"#,
        ]
    );
    socket.off_any_outgoing();
    socket.emit("e", &());
    assert!(log.take().is_empty());
    assert_eq!(peer.sent().len(), 6);
}

#[test]
fn leaving_is_told_twice() {
    let (gate, log) = (Gate::default(), Log::default());
    let handled = log.clone();
    let (io, namespace) = serve(Script::default().disconnect(move |socket, reason| {
        handled.note(format!("handler {reason} {}", socket.rooms().len()));
        None
    }));
    let (noted, waiting) = (log.clone(), gate.clone());
    namespace.on_connection(move |socket| {
        socket.join(["a", "b"]);
        let note = |what: &'static str| {
            let noted = noted.clone();
            move |socket: &Socket, reason: DisconnectReason| {
                noted.note(format!("{what} {reason} {}", socket.rooms().len()));
            }
        };
        socket.on_disconnect(note("disconnect"));
        socket.on_disconnecting(note("disconnecting"));
        let waiting = waiting.clone();
        socket.on_disconnecting_async(move |_, _| {
            let waiting = waiting.clone();
            async move { waiting.wait().await }
        });
        let (ended, note) = (noted.clone(), note("async"));
        socket.on_disconnect_async(move |socket, reason| {
            note(&socket, reason);
            let ended = ended.clone();
            async move { ended.note("end") }
        });
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv("1").unwrap();
    assert_eq!(
        log.take(),
        [
            "disconnecting client namespace disconnect 3",
            "handler client namespace disconnect 3"
        ]
    );
    gate.open();
    peer.run();
    assert_eq!(
        log.take(),
        [
            "disconnect client namespace disconnect 0",
            "async client namespace disconnect 0",
            "end"
        ]
    );
    assert!(namespace.is_empty());
}

#[test]
fn listeners_that_hold_their_socket_go_with_it() {
    type End = fn(Peer, &Socket);
    let ends: [(&str, End); 4] = [
        ("client leaves", |mut peer, _| peer.recv("1").unwrap()),
        ("connection ends", |mut peer, _| {
            peer.close(DisconnectReason::TransportClose);
            assert!(peer.poll_closed().is_ready());
        }),
        ("put out", |mut peer, socket| {
            socket.disconnect(false);
            peer.run();
        }),
        ("dropped", |peer, _| drop(peer)),
    ];
    for (name, end) in ends {
        let io = Io::default();
        let _ = io.of("/");
        let (peer, socket) = connected(&io);
        let token = Arc::new(());
        let held = (socket.clone(), token.clone());
        socket.on("e", move |_, _| drop(held.clone()));
        let held = (socket.clone(), token.clone());
        socket.on_disconnect(move |_, _| drop(held.clone()));
        let held = (socket.clone(), token.clone());
        socket.on_any_outgoing(move |_, _| drop(held.clone()));
        end(peer, &socket);
        assert_eq!(Arc::strong_count(&token), 1, "{name}");
        let held = token.clone();
        socket.on("e", move |_, _| drop(held.clone()));
        assert_eq!(Arc::strong_count(&token), 1, "{name}: added after the end");
    }
}

#[test]
fn a_listener_may_change_the_listeners() {
    let io = Io::default();
    let log = Log::default();
    let called = Arc::new(AtomicBool::new(false));
    let noted = log.clone();
    let noted_again = log.clone();
    io.of("/").on_connection(move |socket| {
        let (noted, called) = (noted.clone(), called.clone());
        socket.on("e", move |socket, _| {
            noted.note("old");
            socket.off("e");
            if !called.swap(true, Ordering::SeqCst) {
                let noted = noted.clone();
                socket.on("e", move |_, _| noted.note("new"));
            }
        });
        socket.on_any(|socket, event| {
            if event.name() == "put out" {
                socket.disconnect(false);
            }
        });
        let noted = noted_again.clone();
        socket.on("put out", move |_, _| noted.note("never"));
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["e"]"#).unwrap();
    peer.recv(r#"2["e"]"#).unwrap();
    assert_eq!(log.take(), ["old", "new"]);
    peer.recv(r#"2["put out"]"#).unwrap();
    assert_eq!(peer.sent(), ["1"]);
    peer.recv(r#"2["e"]"#).unwrap();
    assert!(log.take().is_empty());
}
