//! Middleware of namespaces and of sockets: who is let in, which events are handled, and what the client is told.

mod support;

use gatewire_hub::{ConnectError, DisconnectReason, EventError, Io};
use serde_json::json;
use support::{Gate, Log, Peer, Script, serve};

#[test]
fn middleware_runs_in_order_before_the_handler() {
    let log = Log::default();
    let (io, namespace) = serve(
        Script::default()
            .connect({
                let log = log.clone();
                move |socket| {
                    log.note(format!("handler {:?}", socket.rooms().len()));
                    Box::pin(std::future::ready(Ok(())))
                }
            })
            .connected({
                let log = log.clone();
                move |_| log.note("connected")
            }),
    );
    for n in 1..=2 {
        let log = log.clone();
        namespace.use_middleware(move |socket| {
            let log = log.clone();
            async move {
                assert!(!socket.connected());
                log.note(format!("middleware {n}"));
                socket.join(format!("room {n}"));
                socket.emit("welcome", &n);
                Ok(())
            }
        });
    }
    let on_connection = log.clone();
    namespace.on_connection(move |socket| {
        assert!(socket.connected());
        on_connection.note("connection");
    });
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    let sent = peer.sent();
    assert!(sent[0].starts_with(r#"0{"sid":""#));
    assert_eq!(sent[1..], [r#"2["welcome",1]"#, r#"2["welcome",2]"#]);
    assert_eq!(
        log.take(),
        [
            "middleware 1",
            "middleware 2",
            "handler 3",
            "connected",
            "connection"
        ]
    );
}

#[test]
fn an_error_of_middleware_is_the_clients_connect_error() {
    let log = Log::default();
    let io = Io::default();
    let namespace = io.of("/chat");
    namespace.use_middleware(async |socket| match socket.auth_json() {
        "{}" => Err(ConnectError::new("no token").with_data(json!({"code": 7}))),
        r#"{"panic":1}"# => panic!("as told"),
        _ => Ok(()),
    });
    namespace.use_middleware({
        let log = log.clone();
        move |_| {
            log.note("second");
            async { Ok(()) }
        }
    });
    let mut peer = Peer::new(&io);
    peer.recv("0/chat,").unwrap();
    assert_eq!(
        peer.sent(),
        [r#"4/chat,{"message":"no token","data":{"code":7}}"#]
    );
    peer.recv(r#"0/chat,{"panic":1}"#).unwrap();
    assert_eq!(peer.sent(), [r#"4/chat,{"message":"Internal server error"}"#]);
    assert!(namespace.is_empty() && log.take().is_empty());
    peer.recv(r#"0/chat,{"token":1}"#).unwrap();
    assert!(peer.sent()[0].starts_with(r#"0/chat,{"sid""#));
    assert_eq!(log.take(), ["second"]);
    assert_eq!(namespace.len(), 1);
}

#[test]
fn who_goes_while_middleware_runs_is_dropped() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, namespace) = serve(
        Script::default()
            .connect({
                let log = log.clone();
                move |_| {
                    log.note("handler");
                    Box::pin(std::future::ready(Ok(())))
                }
            })
            .disconnect({
                let log = log.clone();
                move |_, _| {
                    log.note("disconnect");
                    None
                }
            }),
    );
    let waiting = gate.clone();
    namespace.use_middleware(move |socket| {
        let waiting = waiting.clone();
        async move {
            // Listeners that hold the socket do not keep it alive.
            let held = socket.clone();
            socket.on_disconnect(move |_, _| drop(held.clone()));
            waiting.wait().await;
            Ok(())
        }
    });
    namespace.on_connection({
        let log = log.clone();
        move |_| log.note("connection")
    });
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    assert_eq!(namespace.len(), 1);
    peer.close(DisconnectReason::TransportClose);
    assert!(namespace.is_empty());
    gate.open();
    assert!(peer.poll_closed().is_ready());
    assert!(peer.sent().is_empty() && log.take().is_empty());
}

#[test]
fn middleware_of_a_socket_drops_events() {
    let log = Log::default();
    let handled = log.clone();
    let (io, namespace) = serve(Script::default().event(move |_, event| {
        handled.note(event.name());
        None
    }));
    namespace.on_connection(|socket| {
        socket.use_middleware(|_, event| match event.name() {
            "bad" => Err(EventError::new("bad").with_data(json!([1]))),
            "panic" => panic!("as told"),
            _ => Ok(()),
        });
        socket.use_middleware(|_, event| match event.name() {
            "worse" => Err(EventError::new("worse")),
            _ => Ok(()),
        });
    });
    let mut peer = Peer::joined(&io, "/");
    let cases: [(&str, &[&str], &[&str]); 6] = [
        (r#"2["good"]"#, &[], &["good"]),
        (r#"2["bad"]"#, &[], &[]),
        (
            r#"27["bad"]"#,
            &[r#"37[{"status":"error","message":"bad","data":[1]}]"#],
            &[],
        ),
        (
            r#"28["worse",1]"#,
            &[r#"38[{"status":"error","message":"worse"}]"#],
            &[],
        ),
        (
            r#"29["panic"]"#,
            &[r#"39[{"status":"error","message":"Internal server error"}]"#],
            &[],
        ),
        (r#"2["good"]"#, &[], &["good"]),
    ];
    for (packet, sent, handled) in cases {
        peer.recv(packet).unwrap();
        assert_eq!(peer.sent(), sent, "{packet}");
        assert_eq!(log.take(), handled, "{packet}");
    }
}

#[test]
fn async_middleware_of_a_socket_keeps_the_order() {
    let (gate, log) = (Gate::default(), Log::default());
    let io = Io::default();
    let namespace = io.of("/");
    let (waiting, noted) = (gate.clone(), log.clone());
    namespace.on_connection(move |socket| {
        let waiting = waiting.clone();
        socket.use_middleware_async(move |_, event| {
            let waiting = waiting.clone();
            async move {
                if event.name() == "slow" {
                    waiting.wait().await;
                }
                if event.body::<Option<bool>>().ok().flatten() == Some(false) {
                    return Err(EventError::new("no"));
                }
                Ok(())
            }
        });
        let noted = noted.clone();
        socket.use_middleware(move |_, event| {
            noted.note(format!("second {}", event.name()));
            Ok(())
        });
        socket.on("slow", |socket, _| socket.emit("slow", &()));
        socket.on("fast", |socket, _| socket.emit("fast", &()));
    });
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["slow"]"#).unwrap();
    peer.recv(r#"2["fast"]"#).unwrap();
    peer.recv(r#"23["fast",false]"#).unwrap();
    assert!(peer.sent().is_empty());
    gate.open();
    peer.run();
    assert_eq!(
        peer.sent(),
        [
            r#"2["slow"]"#,
            r#"2["fast"]"#,
            r#"33[{"status":"error","message":"no"}]"#
        ]
    );
    assert_eq!(log.take(), ["second slow", "second fast"]);
}
