//! Events of clients: borrowed or queued, in order, within the mailbox's bound; binary ones; and handlers that panic.

mod support;

use bytes::Bytes;
use gatewire_hub::{HubConfig, Io, Payload};
use serde_json::{Value, json};
use support::{Gate, Log, Peer, Script, serve, serve_with};

#[test]
fn arguments_come_as_they_were_sent() {
    let log = Log::default();
    let (io, _namespace) = serve(Script::default().event({
        let log = log.clone();
        move |_, event| {
            let body: Value = event.body().unwrap();
            log.note(format!(
                "{} {} {} {:?}",
                event.name(),
                event.args().len(),
                body,
                event.ack_id()
            ));
            assert_eq!(event.to_owned().as_event().body::<Value>().unwrap(), body);
            None
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    for packet in [
        r#"2["none"]"#,
        r#"20["one",{"a":[1]}]"#,
        r#"212["two", 1 , "b"]"#,
        r#"2[7,null]"#,
        r#"2["é\n"]"#,
    ] {
        peer.recv(packet).unwrap();
    }
    let expected = [
        "none 0 null None",
        r#"one 1 {"a":[1]} Some(0)"#,
        r#"two 2 [1,"b"] Some(12)"#,
        "7 1 null None",
        "é\n 0 null None",
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_binary_event_comes_when_it_is_whole() {
    let log = Log::default();
    let (io, namespace) = serve(Script::default().event({
        let log = log.clone();
        move |socket, event| {
            let (text, (first, second)): (String, (Bytes, Bytes)) = event.body().unwrap();
            log.note(format!("{text} {first:?} {second:?}"));
            socket.emit_payload("back", &event.to_payload());
            event.ack(socket).unwrap().send(&second);
            None
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    let packet = r#"52-3["b","x",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]"#;
    peer.recv(packet).unwrap();
    peer.recv_binary(b"\x01\x02").unwrap();
    assert!(log.take().is_empty());
    peer.recv_binary(b"\x03").unwrap();
    assert_eq!(log.take(), [r#"x b"\x01\x02" b"\x03""#]);
    let expected = [
        r#"52-["back","x",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]"#,
        "<0102>",
        "<03>",
        r#"61-3[{"_placeholder":true,"num":0}]"#,
        "<03>",
    ];
    assert_eq!(peer.sent(), expected);
    namespace.emit("n", &Bytes::from_static(b"\xff"));
    assert_eq!(peer.sent(), [r#"51-["n",{"_placeholder":true,"num":0}]"#, "<ff>"]);
}

#[test]
fn events_are_handled_in_order_one_at_a_time() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, _namespace) = serve(Script::default().event({
        let (gate, log) = (gate.clone(), log.clone());
        move |_, event| {
            let (gate, log, name) = (gate.clone(), log.clone(), event.name().to_owned());
            log.note(format!("begin {name}"));
            Some(Box::pin(async move {
                if name.starts_with("slow") {
                    gate.wait().await;
                }
                log.note(format!("end {name}"));
            }))
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    for name in ["quick 1", "slow 2", "quick 3", "slow 4", "quick 5"] {
        peer.recv(&format!(r#"2["{name}"]"#)).unwrap();
    }
    assert_eq!(log.take(), ["begin quick 1", "end quick 1", "begin slow 2"]);
    gate.open();
    peer.run();
    assert_eq!(
        log.take(),
        ["end slow 2", "begin quick 3", "end quick 3", "begin slow 4"]
    );
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["end slow 4", "begin quick 5", "end quick 5"]);
}

#[test]
fn a_full_mailbox_stops_the_reading_and_loses_nothing() {
    let (gate, log) = (Gate::default(), Log::default());
    let config = HubConfig {
        mailbox: 2,
        ..HubConfig::default()
    };
    let (io, _namespace) = serve_with(
        config,
        Script::default().event({
            let (gate, log) = (gate.clone(), log.clone());
            move |_, event| {
                log.note(event.name());
                (event.name() == "0").then(|| gate.future())
            }
        }),
    );
    let mut peer = Peer::joined(&io, "/");
    let mut wants = Vec::new();
    for n in 0..5 {
        peer.recv(&format!(r#"2["{n}"]"#)).unwrap();
        wants.push(peer.client.wants_input());
    }
    assert_eq!(wants, [true, true, false, false, false]);
    gate.open();
    peer.run();
    assert!(peer.client.wants_input());
    assert_eq!(log.take(), ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_long_mailbox_is_worked_off_in_turns() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, _namespace) = serve(Script::default().event({
        let (gate, log) = (gate.clone(), log.clone());
        move |_, event| {
            log.note("event");
            (event.name() == "first").then(|| gate.future())
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["first"]"#).unwrap();
    for _ in 0..200 {
        peer.recv(r#"2["e"]"#).unwrap();
    }
    gate.open();
    peer.recv("31[]").unwrap();
    let first = log.take().len();
    assert!(first < 100, "{first} events in one turn");
    assert!(peer.is_woken());
    peer.run();
    assert_eq!(first + log.take().len(), 201);
}

#[test]
fn handlers_may_panic() {
    let log = Log::default();
    let (io, namespace) = serve(
        Script::default()
            .event({
                let log = log.clone();
                move |_, event| {
                    let name = event.name().to_owned();
                    log.note(name.clone());
                    match name.as_str() {
                        "now" => panic!("at once"),
                        "later" => Some(Box::pin(async { panic!("in the future") })),
                        _ => None,
                    }
                }
            })
            .connected(|_| panic!("connected"))
            .disconnect(|_, _| panic!("disconnect")),
    );
    let mut peer = Peer::joined(&io, "/");
    for name in ["now", "later", "fine"] {
        peer.recv(&format!(r#"2["{name}"]"#)).unwrap();
    }
    assert_eq!(log.take(), ["now", "later", "fine"]);
    peer.recv("1").unwrap();
    assert!(namespace.is_empty());
    peer.join("/");
    assert_eq!(namespace.len(), 1);
}

#[test]
fn emits_have_the_node_servers_bytes() {
    let (io, namespace) = serve(Script::default().event(|socket, _| {
        socket.emit("unit", &());
        socket.emit("value", &json!({"a": [1, "é"]}));
        socket.emit_args("args", &(1, "b"));
        socket.emit_payload("payload", &Payload::from_args(&[1, 2]).unwrap());
        assert!(socket.try_emit("disconnect", &1).is_err());
        assert!(socket.try_emit_args("x", &1).is_err());
        None
    }));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["go"]"#).unwrap();
    let expected = [
        r#"2["unit"]"#,
        r#"2["value",{"a":[1,"é"]}]"#,
        r#"2["args",1,"b"]"#,
        r#"2["payload",1,2]"#,
    ];
    assert_eq!(peer.sent(), expected);
    namespace.emit_args("args", &("x", [0; 0]));
    assert_eq!(peer.sent(), [r#"2["args","x",[]]"#]);
}

#[test]
fn values_are_kept_with_a_socket() {
    let (io, namespace) = serve(Script::default());
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    let socket = namespace.socket(&id).unwrap();
    assert_eq!(socket.get::<String>(), None);
    assert_eq!(socket.set("a".to_owned()), None);
    assert_eq!(socket.set(1_u8), None);
    assert_eq!(
        socket.set("b".to_owned()).as_deref().map(String::as_str),
        Some("a")
    );
    assert_eq!(socket.get::<String>().as_deref().map(String::as_str), Some("b"));
    assert_eq!(socket.remove::<u8>().as_deref(), Some(&1));
    assert_eq!(socket.get::<u8>(), None);
}

#[test]
fn data_that_nests_too_deep_is_told_to_its_sender() {
    let log = Log::default();
    let io = Io::default();
    let heard = log.clone();
    io.on_connection(move |socket| {
        let heard = heard.clone();
        socket.on("e", move |_, event| heard.note(event.name()));
    });
    let mut peer = Peer::joined(&io, "/");
    let deep = "[".repeat(101) + &"]".repeat(101);
    peer.recv(&format!(r#"27["e",{deep}]"#)).unwrap();
    let error = r#"37[{"message":"the data nests too deep","status":"error"}]"#;
    assert_eq!(peer.sent(), [error]);
    peer.recv(&format!(r#"2["e",{deep}]"#)).unwrap();
    peer.recv(r#"2["e",[[1]]]"#).unwrap();
    assert!(peer.sent().is_empty());
    assert_eq!(log.take(), ["e"]);
}
