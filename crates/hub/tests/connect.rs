//! CONNECT and its answers: what is let in, what is refused, what waits meanwhile, and what ends the connection.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gatewire_hub::{
    BoxFuture, ConnectError, DisconnectReason, HubConfig, Io, NamespaceHandler, ProtocolError, Socket,
};
use serde_json::json;
use support::{Gate, Log, Peer, Script, serve, serve_with};

#[test]
fn a_namespace_that_exists_is_joined() {
    let io = Io::default();
    let _ = (io.of("/"), io.of("chat"));
    let mut peer = Peer::new(&io);
    assert!(!peer.client.is_joined());
    let first = peer.join("/");
    let second = peer.join("/chat");
    assert_ne!(first, second);
    assert!(peer.client.is_joined());
    assert_eq!(io.of("/").socket(&first).unwrap().id().as_str(), first);
    assert_eq!(io.get("chat").unwrap().len(), 1);
    assert!(io.get("/chat").unwrap().socket(&first).is_none());
}

#[test]
fn an_unknown_namespace_is_refused_and_the_connection_lives() {
    let io = Io::default();
    let _ = io.of("/");
    let mut peer = Peer::new(&io);
    peer.recv("0/nope,").unwrap();
    assert_eq!(peer.sent(), [r#"4/nope,{"message":"Invalid namespace"}"#]);
    assert!(!peer.client.is_joined());
    assert!(io.get("/nope").is_none());
    peer.join("/");
}

#[test]
fn what_breaks_the_protocol_is_an_error() {
    type Packets<'a> = &'a [&'a str];
    type Check = fn(&ProtocolError) -> bool;
    let cases: [(Packets<'_>, Check); 9] = [
        (&["0", "0"], |error| *error == ProtocolError::AlreadyConnected),
        (&[r#"2["e"]"#], |error| *error == ProtocolError::NotConnected),
        (&["0", r#"2/other,["e"]"#], |error| {
            *error == ProtocolError::NotConnected
        }),
        (&["31[]"], |error| *error == ProtocolError::NotConnected),
        (&["1"], |error| *error == ProtocolError::NotConnected),
        (&["0", r#"4{"message":"x"}"#], |error| {
            *error == ProtocolError::ServerPacket
        }),
        (&["0", "7"], |error| matches!(error, ProtocolError::Decode(_))),
        (&["0", r#"2["connect"]"#], |error| {
            matches!(error, ProtocolError::Decode(_))
        }),
        (
            &["0", r#"51-["e",{"_placeholder":true,"num":0}]"#, "0"],
            |error| matches!(error, ProtocolError::Attachment(_)),
        ),
    ];
    for (script, is_expected) in cases {
        let io = Io::default();
        let _ = (io.of("/"), io.of("/other"));
        let mut peer = Peer::new(&io);
        let (last, before) = script.split_last().unwrap();
        for packet in before {
            peer.recv(packet).unwrap();
        }
        let error = peer.recv(last).unwrap_err();
        assert!(is_expected(&error), "{script:?}: {error:?}");
    }
}

#[test]
fn a_binary_message_must_be_announced() {
    let io = Io::default();
    let _ = io.of("/");
    let mut peer = Peer::joined(&io, "/");
    assert!(matches!(
        peer.recv_binary(b"x"),
        Err(ProtocolError::Attachment(_))
    ));
}

#[test]
fn a_connection_joins_so_many_namespaces() {
    let io = Io::new(HubConfig {
        max_namespaces_per_connection: 2,
        ..HubConfig::default()
    });
    let _ = (io.of("/"), io.of("/a"), io.of("/b"));
    let mut peer = Peer::joined(&io, "/");
    peer.join("/a");
    assert_eq!(
        peer.recv("0/b,"),
        Err(ProtocolError::TooManyNamespaces { limit: 2 })
    );
}

#[test]
fn a_refusal_reaches_the_client_with_its_data() {
    let log = Log::default();
    let (io, namespace) = serve(
        Script::default()
            .connect(|socket| {
                socket.emit("lost", &1);
                socket.join("room");
                Box::pin(async {
                    Err(ConnectError::new("not authorized").with_data(json!({"content": "retry later"})))
                })
            })
            .disconnect({
                let log = log.clone();
                move |_, reason| {
                    log.note(reason.as_str());
                    None
                }
            }),
    );
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    assert_eq!(
        peer.sent(),
        [r#"4{"message":"not authorized","data":{"content":"retry later"}}"#]
    );
    assert!(namespace.is_empty());
    assert!(namespace.rooms().is_empty());
    assert!(!peer.client.is_joined());
    // What the client sent before it knew is no fault of its.
    peer.recv(r#"2["early"]"#).unwrap();
    peer.close(DisconnectReason::TransportClose);
    assert!(peer.poll_closed().is_ready());
    assert!(log.take().is_empty());
}

#[test]
fn the_stage_holds_what_goes_out_and_what_comes_in() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, namespace) = serve(
        Script::default()
            .connect({
                let gate = gate.clone();
                move |socket| {
                    assert!(!socket.connected());
                    socket.emit("from connect", &1);
                    socket.join("room");
                    let gate = gate.clone();
                    Box::pin(async move {
                        gate.wait().await;
                        Ok(())
                    })
                }
            })
            .connected({
                let log = log.clone();
                move |socket| {
                    log.note("connected");
                    socket.emit("from connected", &4);
                }
            })
            .event({
                let log = log.clone();
                move |_, event| {
                    log.note(event.name());
                    None
                }
            }),
    );
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    peer.recv(r#"2["one"]"#).unwrap();
    peer.recv(r#"2["two"]"#).unwrap();
    namespace.to("room").emit("to room", &2);
    namespace.emit("to all", &3);
    namespace.volatile().emit("volatile", &0);
    peer.run();
    assert!(peer.sent().is_empty());
    assert!(log.take().is_empty());
    assert!(peer.client.wants_input());
    assert!(!peer.client.is_joined());

    gate.open();
    assert!(peer.is_woken());
    peer.run();
    let sent = peer.sent();
    assert!(sent[0].starts_with(r#"0{"sid":""#));
    let expected = [
        r#"2["from connect",1]"#,
        r#"2["to room",2]"#,
        r#"2["to all",3]"#,
        r#"2["from connected",4]"#,
    ];
    assert_eq!(sent[1..], expected);
    assert_eq!(log.take(), ["connected", "one", "two"]);
}

#[test]
fn early_events_and_held_packets_are_bounded() {
    let config = HubConfig {
        max_early: 2,
        max_held: 3,
        ..HubConfig::default()
    };
    let gate = Gate::default();
    let (io, namespace) = serve_with(
        config,
        Script::default().connect({
            let gate = gate.clone();
            move |_| {
                let gate = gate.clone();
                Box::pin(async move {
                    gate.wait().await;
                    Ok(())
                })
            }
        }),
    );
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    for _ in 0..2 {
        peer.recv(r#"2["e"]"#).unwrap();
    }
    assert_eq!(
        peer.recv(r#"2["e"]"#),
        Err(ProtocolError::TooManyEarly { limit: 2 })
    );
    for n in 0..5 {
        namespace.emit("n", &n);
    }
    gate.open();
    peer.run();
    assert_eq!(peer.sent()[1..], [r#"2["n",0]"#, r#"2["n",1]"#, r#"2["n",2]"#]);
}

#[test]
fn one_slow_namespace_does_not_hold_up_another() {
    let gate = Gate::default();
    let (io, _namespace) = serve(Script::default().connect({
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.wait().await;
                Ok(())
            })
        }
    }));
    let _ = io.of("/fast");
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    peer.join("/fast");
    gate.open();
    peer.run();
    assert!(peer.sent()[0].starts_with(r#"0{"sid":""#));
}

#[test]
fn a_panic_in_the_stage_refuses() {
    for is_late in [false, true] {
        let (io, namespace) = serve(Script::default().connect(move |_| {
            assert!(is_late, "at once");
            Box::pin(async { panic!("in the future") })
        }));
        let mut peer = Peer::new(&io);
        peer.recv("0").unwrap();
        assert_eq!(peer.sent(), [r#"4{"message":"Internal server error"}"#]);
        assert!(namespace.is_empty());
    }
}

#[test]
fn a_client_that_goes_during_the_stage_is_heard_of_once_it_was_let_in() {
    for is_let_in in [true, false] {
        let (gate, log) = (Gate::default(), Log::default());
        let (io, namespace) = serve(
            Script::default()
                .connect({
                    let gate = gate.clone();
                    move |_| {
                        let gate = gate.clone();
                        Box::pin(async move {
                            gate.wait().await;
                            if is_let_in {
                                Ok(())
                            } else {
                                Err(ConnectError::new("no"))
                            }
                        })
                    }
                })
                .connected(|_| panic!("it has gone"))
                .disconnect({
                    let log = log.clone();
                    move |_, reason| {
                        log.note(reason.as_str());
                        None
                    }
                }),
        );
        let mut peer = Peer::new(&io);
        peer.recv("0").unwrap();
        peer.close(DisconnectReason::PingTimeout);
        assert!(namespace.is_empty());
        assert!(peer.poll_closed().is_pending());
        gate.open();
        assert!(peer.poll_closed().is_ready());
        assert!(peer.sent().is_empty());
        let expected: &[&str] = if is_let_in { &["ping timeout"] } else { &[] };
        assert_eq!(log.take(), expected);
    }
}

#[test]
fn a_socket_put_out_during_the_stage_is_answered_first() {
    for close in [false, true] {
        let log = Log::default();
        let (io, _namespace) = serve(
            Script::default()
                .connect(move |socket| {
                    socket.emit("why", &"kicked");
                    socket.disconnect(close);
                    socket.emit("too late", &());
                    Box::pin(std::future::ready(Ok(())))
                })
                .connected(|_| panic!("it was put out"))
                .disconnect({
                    let log = log.clone();
                    move |_, reason| {
                        log.note(reason.as_str());
                        None
                    }
                }),
        );
        let mut peer = Peer::new(&io);
        peer.recv("0").unwrap();
        peer.run();
        let sent = peer.sent();
        assert!(sent[0].starts_with(r#"0{"sid":""#));
        let rest: &[&str] = if close {
            &[r#"2["why","kicked"]"#, "1", "close: forced close"]
        } else {
            &[r#"2["why","kicked"]"#, "1"]
        };
        assert_eq!(sent[1..], *rest);
        assert_eq!(log.take(), ["server namespace disconnect"]);
    }
}

#[test]
fn the_auth_object_is_kept_as_it_came() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (io, _namespace) = serve(Script::default().connected({
        let seen = seen.clone();
        move |socket| seen.lock().unwrap().push(socket.clone())
    }));
    Peer::joined(&io, "/");
    let mut peer = Peer::new(&io);
    peer.recv(r#"0{"token":"x","n":1.0}"#).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].auth_json(), "{}");
    assert_eq!(seen[1].auth_json(), r#"{"token":"x","n":1.0}"#);
    assert_eq!(seen[1].auth::<serde_json::Value>().unwrap()["token"], "x");
    assert_eq!(seen[1].handshake_json()["auth"]["token"], "x");
    assert_eq!(seen[1].handshake().query("EIO").as_deref(), Some("4"));
}

#[test]
fn a_namespace_without_handler_lets_everyone_in() {
    struct Counting(AtomicUsize);
    impl NamespaceHandler for Counting {
        fn event(&self, _: &Socket, _: gatewire_hub::Event<'_>) -> Option<BoxFuture<'static, ()>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            None
        }
    }
    let io = Io::default();
    let namespace = io.of("/");
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"21["ignored"]"#).unwrap();
    assert!(peer.sent().is_empty());
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    assert!(namespace.set_handler(counting.clone()));
    assert!(!namespace.set_handler(counting.clone()));
    peer.recv(r#"21["ignored"]"#).unwrap();
    let mut late = Peer::joined(&io, "/");
    late.recv(r#"21["counted"]"#).unwrap();
    assert_eq!(counting.0.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_overtakes_the_answer_to_connect() {
    // This thread may lose the processor while CONNECT waits, and the other one goes on sending.
    let config = HubConfig {
        max_held: usize::MAX,
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(config, Script::default());
    let is_done = Arc::new(AtomicBool::new(false));
    let sender = std::thread::spawn({
        let (namespace, is_done) = (namespace.clone(), is_done.clone());
        move || {
            let mut n = 0;
            while !is_done.load(Ordering::SeqCst) {
                namespace.emit("n", &n);
                n += 1;
            }
        }
    });
    for _ in 0..300 {
        let mut peer = Peer::new(&io);
        peer.recv("0").unwrap();
        namespace.emit("last", &());
        peer.recv("1").unwrap();
        let sent = peer.sent();
        assert!(sent[0].starts_with(r#"0{"sid":""#), "{sent:?}");
        assert!(sent.contains(&r#"2["last"]"#.to_owned()));
        let numbers = sent
            .iter()
            .filter_map(|packet| packet.strip_prefix(r#"2["n","#)?.strip_suffix(']'));
        let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{numbers:?}"
        );
    }
    is_done.store(true, Ordering::SeqCst);
    sender.join().unwrap();
}
