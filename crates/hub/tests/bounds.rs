//! What a client that means no good can make the hub keep, and for how long.

mod support;

use gatewire_hub::{ConnectError, HubConfig, OwnedEvent, TooManyRooms};
use support::{Gate, Log, Peer, Script, serve, serve_with};

#[test]
fn a_client_that_is_not_let_in_has_joined_nothing() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let (io, _) = serve(Script::default().connect(move |_| {
        let gate = waiting.clone();
        Box::pin(async move {
            gate.wait().await;
            Err(ConnectError::new("no"))
        })
    }));
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    // The connect timeout goes on: else a refusal that takes a moment would end it for good.
    assert!(!peer.client.is_joined());
    gate.open();
    peer.run();
    assert_eq!(peer.sent(), [r#"4{"message":"no"}"#]);
    assert!(!peer.client.is_joined());
}

#[test]
fn one_that_is_let_in_has_joined() {
    let (io, _) = serve(Script::default());
    assert!(Peer::joined(&io, "/").client.is_joined());
}

#[test]
fn connecting_and_leaving_in_a_row_piles_nothing_up() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let config = HubConfig {
        max_namespaces_per_connection: 3,
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(
        config,
        Script::default().connect(move |_| {
            let gate = waiting.clone();
            Box::pin(async move {
                gate.wait().await;
                Ok(())
            })
        }),
    );
    let mut peer = Peer::new(&io);
    let mut taken = 0;
    while taken < 100 && peer.client.wants_input() {
        peer.recv("0").unwrap();
        peer.recv("1").unwrap();
        taken += 1;
    }
    assert_eq!(
        taken, 3,
        "the connection is read on while three sockets are leaving"
    );
    for _ in 0..3 {
        gate.open();
        peer.run();
    }
    assert!(peer.client.wants_input());
    assert!(namespace.is_empty());
}

/// A server whose event `ask` waits for the client's answer, and a client that has sent it, with `count` events behind.
fn asked(config: HubConfig, count: usize) -> (Peer, Log) {
    let log = Log::default();
    let (io, _) = serve_with(
        config,
        Script::default().event({
            let log = log.clone();
            move |socket, event| {
                if event.name() != "ask" {
                    log.note("event");
                    return None;
                }
                let (socket, log) = (socket.clone(), log.clone());
                Some(Box::pin(async move {
                    let answer = socket.emit_with_ack("question", &()).await;
                    log.note(format!("{:?}", answer.map(|answer| answer.body::<u8>().unwrap())));
                }))
            }
        }),
    );
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["ask"]"#).unwrap();
    assert_eq!(peer.sent(), [r#"20["question"]"#]);
    for _ in 0..count {
        assert!(peer.client.wants_input());
        peer.recv(r#"2["x","0123456789"]"#).unwrap();
    }
    (peer, log)
}

#[tokio::test]
async fn an_answer_behind_many_events_is_read() {
    let config = HubConfig {
        mailbox: 4,
        ..HubConfig::default()
    };
    let (mut peer, log) = asked(config, 100);
    peer.recv("30[7]").unwrap();
    peer.run();
    assert_eq!(log.take()[..2], ["Ok(7)", "event"]);
}

#[tokio::test]
async fn even_then_the_mailbox_is_bounded() {
    for config in [
        HubConfig {
            mailbox: 4,
            mailbox_while_asked: 20,
            ..HubConfig::default()
        },
        HubConfig {
            mailbox_bytes: 20 * (size_of::<OwnedEvent>() + 13),
            ..HubConfig::default()
        },
    ] {
        let (peer, _) = asked(config, 19);
        let mut peer = peer;
        peer.recv(r#"2["x","0123456789"]"#).unwrap();
        peer.recv(r#"2["x","0123456789"]"#).unwrap();
        assert!(!peer.client.wants_input());
    }
}

#[tokio::test]
async fn a_question_that_is_asked_later_wakes_who_does_not_read() {
    let gate = Gate::default();
    let config = HubConfig {
        mailbox: 1,
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(config, Script::default().event(move |_, _| Some(gate.future())));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"2["x"]"#).unwrap();
    peer.recv(r#"2["x"]"#).unwrap();
    assert!(!peer.client.wants_input());
    let wakes = || peer.outbox.wakes.load(std::sync::atomic::Ordering::SeqCst);
    let before = wakes();
    let question = namespace.sockets()[0].emit_with_ack("question", &());
    assert_eq!(wakes(), before + 1);
    assert!(peer.client.wants_input());
    drop(question);
    assert!(!peer.client.wants_input());
}

#[test]
fn a_socket_is_in_so_many_rooms() {
    let config = HubConfig {
        max_rooms_per_socket: 3,
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(config, Script::default());
    let _peer = Peer::joined(&io, "/");
    let socket = namespace.sockets()[0].clone();
    let full = Err(TooManyRooms { limit: 3 });
    assert_eq!(socket.try_join(["a", "b"]), Ok(()));
    assert_eq!(socket.try_join(["c", "d", "e"]), full);
    socket.join("f");
    namespace.sockets_join("g");
    let mut rooms = socket.rooms();
    rooms.sort_unstable();
    rooms.retain(|room| **room != *socket.id().as_str());
    assert_eq!(rooms, ["a", "b", "c"].map(Into::into));
    assert_eq!(
        namespace.rooms().len(),
        3,
        "rooms that nobody entered are not there"
    );
    // Where it is already it may be; its own room counts for nothing; and who leaves has room again.
    assert_eq!(socket.try_join([socket.id().as_str(), "a", "c"]), Ok(()));
    socket.leave("a");
    assert_eq!(socket.try_join("d"), Ok(()));
}
