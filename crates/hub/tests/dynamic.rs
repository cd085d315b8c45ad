//! Namespaces that come into being when a client asks for them: by pattern, by predicate, their inheritance, their
//! number, and their end.

mod support;

use std::sync::Arc;

use gatewire_hub::{ConnectError, DisconnectReason, HubConfig, Io, ProtocolError};
use support::{Gate, Log, Peer, Script};

fn refusal(peer: &mut Peer, packet: &str) -> String {
    peer.recv(packet).unwrap();
    let sent = peer.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent[0].clone()
}

#[test]
fn a_pattern_makes_namespaces() {
    let io = Io::default();
    let log = Log::default();
    let noted = log.clone();
    io.on_new_namespace(move |namespace| noted.note(namespace.name()));
    let rooms = io.of_pattern("/room-:id");
    rooms.on_connection(|socket| socket.emit("id", socket.namespace().param("id").unwrap()));
    let mut peer = Peer::new(&io);
    peer.recv("0/room-7,").unwrap();
    let sent = peer.sent();
    assert!(sent[0].starts_with(r#"0/room-7,{"sid""#));
    assert_eq!(sent[1], r#"2/room-7,["id","7"]"#);
    assert_eq!(
        refusal(&mut peer, "0/hall,"),
        r#"4/hall,{"message":"Invalid namespace"}"#
    );
    assert!(Peer::new(&io).join("/room-7").len() == 20);
    let by_hand = io.of("room-8");
    let _ = (io.of("/"), io.of("/other"));
    assert_eq!(by_hand.param("id"), Some("8"));
    assert_eq!(by_hand.param("other"), None);
    assert_eq!(io.of("/other").param("id"), None);
    assert_eq!(log.take(), ["/room-7", "/room-8", "/other"]);
    let mut children: Vec<_> = rooms
        .children()
        .iter()
        .map(|child| child.name().to_owned())
        .collect();
    children.sort();
    assert_eq!(children, ["/room-7", "/room-8"]);
    rooms.emit("news", &1);
    assert_eq!(peer.sent(), [r#"2/room-7,["news",1]"#]);
}

#[test]
fn children_have_what_their_parent_has() {
    let io = Io::default();
    let log = Log::default();
    let parent = io.of_predicate(|request| request.name().starts_with("/tenant/"));
    parent.use_middleware(async |socket| match socket.auth_json() {
        "{}" => Err(ConnectError::new("who?")),
        _ => Ok(()),
    });
    let noted = log.clone();
    assert!(
        parent.set_handler(Arc::new(Script::default().event(move |socket, event| {
            noted.note(format!("{} {}", socket.namespace().name(), event.name()));
            None
        })))
    );
    assert!(!parent.set_handler(Arc::new(Script::default())));
    let mut peer = Peer::new(&io);
    assert_eq!(
        refusal(&mut peer, "0/tenant/a,"),
        r#"4/tenant/a,{"message":"who?"}"#
    );
    // Nothing is cleaned up by default.
    assert!(io.get("/tenant/a").unwrap().is_empty());
    peer.recv(r#"0/tenant/a,{"me":1}"#).unwrap();
    peer.recv(r#"2/tenant/a,["e"]"#).unwrap();
    assert_eq!(log.take(), ["/tenant/a e"]);
    let late = log.clone();
    parent.on_connection(move |_| late.note("late"));
    peer.recv(r#"0/tenant/b,{"me":1}"#).unwrap();
    assert_eq!(log.take(), ["late"]);
    Peer::new(&io).recv(r#"0/tenant/a,{"me":1}"#).unwrap();
    assert!(log.take().is_empty());
}

#[test]
fn parents_are_asked_in_order() {
    let io = Io::default();
    let log = Log::default();
    for n in 1..=3 {
        let (asked, connected) = (log.clone(), log.clone());
        let parent = io.of_predicate(move |request| {
            asked.note(format!("asked {n} {}", request.auth_json()));
            assert!(n != 1, "as told");
            assert_eq!(request.handshake().query("EIO").as_deref(), Some("4"));
            n == 2
        });
        parent.on_connection(move |_| connected.note(format!("connected {n}")));
    }
    Peer::new(&io).join("/x");
    assert_eq!(log.take(), ["asked 1 {}", "asked 2 {}", "connected 2"]);
}

#[test]
fn what_comes_while_an_async_predicate_is_asked_waits() {
    let (gate, log) = (Gate::default(), Log::default());
    let io = Io::new(HubConfig {
        max_early: 2,
        ..HubConfig::default()
    });
    let waiting = gate.clone();
    let parent = io.of_predicate_async(move |request| {
        let waiting = waiting.clone();
        async move {
            waiting.wait().await;
            match request.name() {
                "/panic" => panic!("as told"),
                name => name != "/no",
            }
        }
    });
    let noted = log.clone();
    parent.on_connection(move |socket| {
        let noted = noted.clone();
        socket.on_any(move |_, event| noted.note(format!("{} {}", event.name(), event.args().json())));
    });
    let mut peer = Peer::new(&io);
    for name in ["/yes", "/no", "/panic", "/gone"] {
        peer.recv(&format!("0{name},")).unwrap();
    }
    assert!(!peer.client.is_joined() && peer.sent().is_empty() && io.namespaces().is_empty());
    peer.recv(r#"2/yes,["a",1]"#).unwrap();
    peer.recv(r#"51-/yes,["b",{"_placeholder":true,"num":0}]"#)
        .unwrap();
    peer.recv_binary(&[1]).unwrap();
    peer.recv(r#"2/no,["a",1]"#).unwrap();
    peer.recv("3/yes,1[]").unwrap();
    peer.recv("1/gone,").unwrap();
    assert_eq!(peer.recv("0/yes,"), Err(ProtocolError::AlreadyConnected));
    assert_eq!(
        peer.recv(r#"2/yes,["c"]"#),
        Err(ProtocolError::TooManyEarly { limit: 2 })
    );
    for _ in 0..3 {
        gate.open();
        peer.run();
    }
    let sent = peer.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent[0].starts_with(r#"0/yes,{"sid""#));
    assert_eq!(sent[1], r#"4/no,{"message":"Invalid namespace"}"#);
    assert_eq!(sent[2], r#"4/panic,{"message":"Invalid namespace"}"#);
    assert_eq!(log.take(), ["a 1", r#"b {"_placeholder":true,"num":0}"#]);
    // What was sent before the refusal came is no fault.
    peer.recv(r#"2/no,["late"]"#).unwrap();
    assert_eq!(peer.recv(r#"2/gone,["late"]"#), Err(ProtocolError::NotConnected));
}

#[test]
fn who_goes_while_a_predicate_is_asked_leaves_nothing() {
    let gate = Gate::default();
    let io = Io::default();
    let waiting = gate.clone();
    io.of_predicate_async(move |_| {
        let waiting = waiting.clone();
        async move {
            waiting.wait().await;
            true
        }
    });
    let mut peer = Peer::new(&io);
    peer.recv("0/x,").unwrap();
    peer.close(DisconnectReason::TransportClose);
    assert!(!peer.client.is_joined());
    gate.open();
    assert!(peer.poll_closed().is_ready());
    assert!(peer.sent().is_empty() && io.namespaces().is_empty());
}

#[test]
fn their_number_is_limited() {
    let io = Io::new(HubConfig {
        max_dynamic_namespaces: 2,
        cleanup_empty_child_namespaces: true,
        max_namespaces_per_connection: 3,
        ..HubConfig::default()
    });
    let _ = (io.of("/a"), io.of("/b"), io.of("/c"));
    io.of_pattern("/d-:n");
    io.of_predicate_async(async |_| true);
    let mut peer = Peer::new(&io);
    peer.join("/d-1");
    peer.join("/e");
    assert_eq!(
        refusal(&mut peer, "0/d-3,"),
        r#"4/d-3,{"message":"Too many namespaces"}"#
    );
    assert_eq!(
        refusal(&mut peer, "0/f,"),
        r#"4/f,{"message":"Too many namespaces"}"#
    );
    peer.recv("1/e,").unwrap();
    peer.join("/d-3");
    peer.join("/a");
    assert_eq!(
        peer.recv("0/b,"),
        Err(ProtocolError::TooManyNamespaces { limit: 3 })
    );
}

#[test]
fn empty_children_end() {
    let io = Io::new(HubConfig {
        cleanup_empty_child_namespaces: true,
        ..HubConfig::default()
    });
    let _ = io.of("/static");
    let parent = io.of_pattern("/:name");
    parent.use_middleware(async |socket| match socket.auth_json() {
        "{}" => Ok(()),
        _ => Err(ConnectError::new("no")),
    });
    let mut peer = Peer::joined(&io, "/x");
    let mut other = Peer::joined(&io, "/x");
    peer.join("/static");
    peer.recv("1/x,").unwrap();
    assert_eq!(io.get("/x").unwrap().len(), 1);
    other.close(DisconnectReason::TransportClose);
    assert!(io.get("/x").is_none());
    peer.recv("1/static,").unwrap();
    assert!(io.get("/static").is_some());
    // Also after a refusal.
    assert_eq!(refusal(&mut peer, r#"0/y,{"a":1}"#), r#"4/y,{"message":"no"}"#);
    assert!(io.get("/y").is_none());
    drop(Peer::joined(&io, "/z"));
    assert!(io.get("/z").is_none());
    peer.join("/x");
    assert_eq!(parent.children().len(), 1);
}

#[test]
fn nobody_is_lost_when_namespaces_end_and_begin_at_once() {
    let io = Io::new(HubConfig {
        cleanup_empty_child_namespaces: true,
        ..HubConfig::default()
    });
    io.of_pattern("/:name");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut peer = Peer::new(&io);
                    let id = peer.join("/x");
                    // Whoever is connected is in the namespace that everybody finds.
                    assert!(io.get("/x").unwrap().socket(&id).is_some());
                    peer.recv("1/x,").unwrap();
                }
            });
        }
    });
    assert!(io.namespaces().is_empty());
}

#[test]
fn what_clients_invent_is_not_kept_for_ever() {
    let io = Io::new(HubConfig {
        max_namespaces_per_connection: 2,
        mailbox_bytes: 2_000,
        ..HubConfig::default()
    });
    let gate = Gate::default();
    let waiting = gate.clone();
    io.of_predicate_async(move |request| {
        let waiting = waiting.clone();
        async move {
            if request.name() == "/slow" {
                waiting.wait().await;
            }
            false
        }
    });
    let mut peer = Peer::new(&io);
    for n in 0..3 {
        refusal(&mut peer, &format!("0/n{n},"));
    }
    peer.recv(r#"2/n1,["crossed"]"#).unwrap();
    peer.recv(r#"2/n2,["crossed"]"#).unwrap();
    assert_eq!(
        peer.recv(r#"2/n0,["too late"]"#),
        Err(ProtocolError::NotConnected)
    );
    // What waits for the answer is bounded in bytes, too.
    peer.recv("0/slow,").unwrap();
    assert!(peer.client.wants_input());
    peer.recv(&format!(r#"2/slow,["{}"]"#, "x".repeat(2_000)))
        .unwrap();
    assert!(!peer.client.wants_input());
    gate.open();
    peer.run();
    assert!(peer.client.wants_input());
}
