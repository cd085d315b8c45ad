//! What a server does in its main namespace, listeners of connections that take their time, and the small operators.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewire_hub::cluster::Local;
use gatewire_hub::{ConnectError, HubConfig, Io, Recovery, Socket};
use support::{Gate, Log, Peer};

#[tokio::test]
async fn the_server_speaks_for_its_main_namespace() {
    let io = Io::default();
    io.use_middleware(async |socket: Socket| match socket.auth_json() {
        "{}" => Ok(()),
        _ => Err(ConnectError::new("no")),
    });
    io.on_connection(|socket| socket.join("lobby"));
    io.on_connection_async(async |socket| socket.emit("welcome", &()));
    let elsewhere = io.of("/elsewhere");

    let mut refused = Peer::new(&io);
    refused.recv(r#"0{"token":1}"#).unwrap();
    assert_eq!(refused.sent(), [r#"4{"message":"no"}"#]);
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    assert_eq!(peer.sent()[1..], [r#"2["welcome"]"#]);
    peer.join("/elsewhere");

    io.emit("a", &1);
    io.try_emit("b", &2).unwrap();
    assert!(io.try_emit("connect", &2).is_err());
    io.emit_args("c", &(3, 4));
    io.to("lobby").emit("d", &5);
    io.in_room("nobody").emit("e", &6);
    io.except("lobby").emit("f", &7);
    io.volatile().emit("g", &8);
    io.compress(false).emit("h", &9);
    io.local().emit("i", &10);
    assert_eq!(
        peer.sent(),
        [
            r#"2["a",1]"#,
            r#"2["b",2]"#,
            r#"2["c",3,4]"#,
            r#"2["d",5]"#,
            r#"2["g",8]"#,
            r#"2["h",9]"#,
            r#"2["i",10]"#
        ]
    );
    let answers = io.timeout(Duration::from_secs(1)).emit_with_ack("q", &());
    assert_eq!(peer.sent(), [r#"20["q"]"#]);
    peer.recv("30[1]").unwrap();
    assert_eq!(answers.await.unwrap().len(), 1);
    let answers = io.emit_args_with_ack("q", &(1, 2));
    assert_eq!(peer.sent(), [r#"21["q",1,2]"#]);
    peer.recv("31[]").unwrap();
    assert_eq!(answers.await.unwrap().len(), 1);

    io.sockets_join(["x", "y"]);
    io.sockets_leave("y");
    let fetched = io.fetch_sockets().await;
    assert_eq!(fetched.len(), 1);
    assert!(fetched[0].rooms().iter().any(|room| **room == *"x"));
    assert!(fetched[0].rooms().iter().all(|room| **room != *"y"));
    io.disconnect_sockets(false);
    assert_eq!(peer.sent(), ["1"]);
    assert_eq!(elsewhere.len(), 1);
}

#[tokio::test]
async fn the_server_speaks_to_other_servers() {
    let io = Io::with_cluster(HubConfig::default(), Arc::new(Local));
    let log = Log::default();
    let heard = log.clone();
    io.on_server_side("hello", move |namespace, event| {
        heard.note(format!("{} {}", namespace.name(), event.body::<u8>().unwrap()));
    });
    let payload = gatewire_hub::Payload::from_value(&7).unwrap();
    assert!(io.sockets().receive_server_side("hello", payload, None));
    assert_eq!(log.take(), ["/ 7"]);
    assert!(io.server_side_emit("connection", &()).is_err());
    io.server_side_emit("hello", &1).unwrap();
    io.server_side_emit_args("hello", &(1, 2)).unwrap();
    assert_eq!(io.server_side_emit_with_ack("hello", &1).await, Ok(Vec::new()));
    let request = io.server_side_emit_args_with_ack("hello", &(1, 2));
    assert_eq!(request.await, Ok(Vec::new()));
    assert!(
        io.server_side_emit_args_with_ack("hello", &1).await.is_err(),
        "no sequence"
    );
}

#[test]
fn the_first_event_waits_for_the_listeners_of_the_connection() {
    let (io, gate, log) = (Io::default(), Gate::default(), Log::default());
    let namespace = io.of("/");
    let (waiting, noted) = (gate.clone(), log.clone());
    namespace.on_connection_async(move |socket| {
        let (gate, log) = (waiting.clone(), noted.clone());
        async move {
            log.note("begins");
            gate.wait().await;
            let log = log.clone();
            socket.on("e", move |_, event| log.note(event.arg::<String>(0).unwrap()));
        }
    });
    namespace.on_connection_async(async |_| panic!("as the test asked"));
    let noted = log.clone();
    namespace.on_connection(move |socket| noted.note(format!("side by side, {}", socket.connected())));

    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["e","kept"]"#).unwrap();
    assert_eq!(log.take(), ["side by side, true", "begins"]);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["kept"]);
    peer.recv(r#"2["e","at once"]"#).unwrap();
    assert_eq!(log.take(), ["at once"]);
}

#[test]
fn a_client_that_goes_meanwhile_leaves_when_its_listeners_have_ended() {
    let (io, gate, log) = (Io::default(), Gate::default(), Log::default());
    let (waiting, noted) = (gate.clone(), log.clone());
    io.on_connection_async(move |socket| {
        let (gate, log) = (waiting.clone(), noted.clone());
        let left = log.clone();
        socket.on_disconnect(move |_, reason| left.note(reason.as_str()));
        async move {
            gate.wait().await;
            log.note(format!("ends, {}", socket.connected()));
        }
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv("1").unwrap();
    assert_eq!(log.take(), ["client namespace disconnect"]);
    assert_eq!(io.sockets().len(), 0);
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["ends, false"]);
}

#[test]
fn children_have_the_async_listeners_of_their_parent() {
    let io = Io::default();
    let parent = io.of_pattern("/room-:id");
    parent.on_connection_async(async |socket| {
        let id = socket.namespace().param("id").unwrap_or_default().to_owned();
        socket.emit("room", &id);
    });
    let mut peer = Peer::new(&io);
    peer.recv("0/room-7,").unwrap();
    assert_eq!(peer.sent()[1..], [r#"2/room-7,["room","7"]"#]);
    let other = Peer::joined(&io, "/room-8");
    parent.emit("news", &1);
    parent.emit("connect", &"is logged, and sent to nobody");
    assert_eq!(peer.sent(), [r#"2/room-7,["news",1]"#]);
    assert_eq!(other.sent().last().unwrap(), r#"2/room-8,["news",1]"#);
}

#[test]
fn what_a_parent_sends_can_be_sent_again() {
    let io = Io::new(HubConfig {
        connection_state_recovery: Some(Recovery::default()),
        ..HubConfig::default()
    });
    let parent = io.of_pattern("/room-:id");
    let peer = Peer::joined(&io, "/room-7");
    parent.emit("news", &1);
    // The offset, from which a client that comes back goes on.
    let sent = peer.sent().pop().unwrap();
    assert!(sent.starts_with(r#"2/room-7,["news",1,""#), "{sent}");
}

#[test]
fn what_a_socket_sends_locally_skips_itself() {
    let io = Io::default();
    let _ = io.of("/");
    let (mut first, second) = (Peer::new(&io), Peer::joined(&io, "/"));
    let id = first.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    socket.local().emit("e", &1);
    assert_eq!(
        (first.sent(), second.sent()),
        (vec![], vec![r#"2["e",1]"#.to_owned()])
    );
}

#[test]
fn async_listeners_hear_what_is_sent() {
    let io = Io::default();
    let _ = io.of("/");
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    let (gate, log) = (Gate::default(), Log::default());
    let (waiting, noted) = (gate.clone(), log.clone());
    let listener = socket.on_any_outgoing_async(move |socket, event| {
        let (gate, log) = (waiting.clone(), noted.clone());
        async move {
            gate.wait().await;
            log.note(format!("{} {}", event.name(), event.payload().args().json()));
            assert!(socket.connected());
        }
    });
    assert_eq!(socket.listeners_any_outgoing(), [listener]);
    let any = socket.on_any(|_, _| ());
    assert_eq!(socket.listeners_any(), [any]);
    io.emit("all", &[1]);
    // Who sends does not wait.
    assert_eq!(peer.sent(), [r#"2["all",[1]]"#]);
    peer.run();
    assert!(log.take().is_empty());
    gate.open();
    peer.run();
    assert_eq!(log.take(), ["all [1]"]);
    assert!(socket.off_listener(listener));
    assert_eq!(socket.listeners_any_outgoing(), []);
}

#[test]
fn async_listeners_of_what_is_sent_are_bounded() {
    let io = Io::default();
    let _ = io.of("/");
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    let (log, gates) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let (noted, waiting) = (log.clone(), gates.clone());
    socket.on_any_outgoing_async(move |_, _| {
        let (log, gate) = (noted.clone(), Gate::default());
        waiting.lock().unwrap().push(gate.clone());
        async move {
            gate.wait().await;
            log.note("told");
        }
    });
    for _ in 0..1_030 {
        io.emit("e", &());
    }
    peer.run();
    assert_eq!(peer.sent().len(), 1_030, "all are sent");
    gates.lock().unwrap().drain(..).for_each(|gate| gate.open());
    peer.run();
    assert_eq!(log.take().len(), 1_024);
    // There is room again.
    io.emit("e", &());
    gates.lock().unwrap().drain(..).for_each(|gate| gate.open());
    peer.run();
    assert_eq!(log.take().len(), 1);
}
