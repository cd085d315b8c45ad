//! Acknowledgements: the server's answers, the clients' answers, time limits, and sockets that leave while they owe one.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatewire_hub::cluster::SilentNodes;
use gatewire_hub::{
    AckError, AckSender, BroadcastAckError, DisconnectReason, HubConfig, Id, Io, Payload, Socket,
};
use serde::Serialize;
use support::{Gate, Log, Peer, Script, serve, serve_with};
use tokio::time::Instant;

fn peer_and_socket(io: &Io) -> (Peer, Socket) {
    let mut peer = Peer::new(io);
    let id = peer.join("/");
    let socket = io.of("/").socket(&id).unwrap();
    (peer, socket)
}

#[test]
fn answers_have_the_node_servers_bytes() {
    fn answer(name: &str, ack: AckSender) {
        match name {
            "unit" => ack.send(&()),
            "one" => ack.send(&"x"),
            "many" => ack.send_args(&(1, [2])),
            "payload" => ack.send_payload(&Payload::from_args(&("a", "b")).unwrap()),
            _ => {
                struct Sour;
                impl Serialize for Sour {
                    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                        Err(serde::ser::Error::custom("sour"))
                    }
                }
                let error = ack.try_send(&Sour).unwrap_err();
                ack.send(&error.to_string());
            }
        }
    }
    let (io, _namespace) = serve(Script::default().event(|socket, event| {
        match event.ack(socket) {
            Some(ack) => answer(event.name(), ack),
            None => socket.emit("no ack", &()),
        }
        None
    }));
    let mut peer = Peer::joined(&io, "/");
    for packet in [
        r#"20["unit"]"#,
        r#"27["one"]"#,
        r#"28["many"]"#,
        r#"29["payload"]"#,
        r#"210["sour"]"#,
        r#"2["x"]"#,
    ] {
        peer.recv(packet).unwrap();
    }
    let expected = [
        "30[]",
        r#"37["x"]"#,
        "38[1,[2]]",
        r#"39["a","b"]"#,
        r#"310["the data of `ack` cannot be written as JSON: sour"]"#,
        r#"2["no ack"]"#,
    ];
    assert_eq!(peer.sent(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_client_answers() {
    let (io, _namespace) = serve(Script::default());
    let (mut peer, socket) = peer_and_socket(&io);
    let first = socket.emit_with_ack("q", &1);
    let second = socket.emit_args_with_ack("q", &(2, 3));
    assert_eq!(peer.sent(), [r#"20["q",1]"#, r#"21["q",2,3]"#]);
    peer.recv(r#"31["b",true]"#).unwrap();
    peer.recv("30[]").unwrap();
    // Twice, or unasked: nobody minds.
    peer.recv("30[]").unwrap();
    peer.recv("399[]").unwrap();
    assert_eq!(
        second.await.unwrap().body::<(String, bool)>().unwrap(),
        ("b".to_owned(), true)
    );
    assert!(first.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_binary_answer_comes_when_it_is_whole() {
    let (io, _namespace) = serve(Script::default());
    let (mut peer, socket) = peer_and_socket(&io);
    let request = socket.emit_with_ack("q", &());
    peer.recv(r#"61-0[{"_placeholder":true,"num":0}]"#).unwrap();
    peer.recv_binary(b"\x01").unwrap();
    assert_eq!(request.await.unwrap().body::<bytes::Bytes>().unwrap(), "\x01");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_so_long() {
    let config = HubConfig {
        ack_timeout: Duration::from_secs(3),
        ..HubConfig::default()
    };
    let (io, _namespace) = serve_with(config, Script::default());
    let (mut peer, socket) = peer_and_socket(&io);
    let start = Instant::now();
    assert_eq!(socket.emit_with_ack("q", &()).await, Err(AckError::Timeout));
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    let request = socket.emit_with_ack("q", &()).timeout(Duration::from_millis(50));
    assert_eq!(request.await, Err(AckError::Timeout));
    assert_eq!(start.elapsed(), Duration::from_millis(3_050));
    // Too late.
    peer.recv("31[]").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_leaves_answers_no_more() {
    let (io, _namespace) = serve(Script::default());
    let (mut peer, socket) = peer_and_socket(&io);
    let request = socket.emit_with_ack("q", &());
    peer.close(DisconnectReason::TransportClose);
    assert_eq!(request.await, Err(AckError::Disconnected));
    assert_eq!(socket.emit_with_ack("q", &()).await, Err(AckError::Disconnected));
}

#[tokio::test(start_paused = true)]
async fn a_socket_owes_so_many_answers() {
    let config = HubConfig {
        max_pending_acks: 2,
        ..HubConfig::default()
    };
    let (io, _namespace) = serve_with(config, Script::default());
    let (peer, socket) = peer_and_socket(&io);
    let _first = socket.emit_with_ack("q", &());
    drop(socket.emit_with_ack("dropped, and not waited for", &()));
    let _second = socket.emit_with_ack("q", &());
    assert_eq!(
        socket.emit_with_ack("q", &()).await,
        Err(AckError::TooMany { limit: 2 })
    );
    assert_eq!(peer.sent().len(), 3);
    let reserved = socket.emit_with_ack("connect", &()).await;
    assert!(matches!(reserved, Err(AckError::TooMany { .. })));
    drop(_first);
    assert!(matches!(
        socket.emit_with_ack("connect", &()).await,
        Err(AckError::Emit(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_wait_for_its_own_client() {
    let (gate, log) = (Gate::default(), Log::default());
    let (io, _namespace) = serve(Script::default().event({
        let (gate, log) = (gate.clone(), log.clone());
        move |socket, event| {
            let (gate, log, socket) = (gate.clone(), log.clone(), socket.clone());
            let ack = event.ack(&socket);
            Some(Box::pin(async move {
                let answer: String = socket
                    .emit_with_ack("really?", &())
                    .await
                    .unwrap()
                    .body()
                    .unwrap();
                log.note(answer.clone());
                gate.wait().await;
                if let Some(ack) = ack {
                    ack.send(&answer);
                }
            }))
        }
    }));
    let mut peer = Peer::joined(&io, "/");
    peer.recv(r#"25["ask"]"#).unwrap();
    peer.recv(r#"2["behind"]"#).unwrap();
    peer.recv(r#"30["yes"]"#).unwrap();
    peer.run();
    assert_eq!(log.take(), ["yes"]);
    gate.open();
    peer.run();
    assert_eq!(
        peer.sent(),
        [r#"20["really?"]"#, r#"35["yes"]"#, r#"21["really?"]"#]
    );
}

#[tokio::test(start_paused = true)]
async fn all_receivers_of_a_broadcast_answer() {
    let (io, namespace) = serve(Script::default());
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::joined(&io, "/")).collect();
    let request = namespace.emit_with_ack("q", &());
    for (n, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.sent(), [r#"20["q"]"#]);
        peer.recv(&format!("30[{n}]")).unwrap();
    }
    let answers: Vec<usize> = request
        .await
        .unwrap()
        .iter()
        .map(|answer| answer.body().unwrap())
        .collect();
    assert_eq!(answers, [0, 1, 2]);
    assert_eq!(
        namespace.to("nobody").emit_with_ack("q", &()).await,
        Ok(Vec::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_tells_which_answers_came() {
    let (io, namespace) = serve(Script::default());
    let (mut peers, ids): (Vec<Peer>, Vec<Id>) = (0..3)
        .map(|_| peer_and_socket(&io))
        .map(|(peer, socket)| (peer, socket.id()))
        .unzip();
    let start = Instant::now();
    let request = namespace.timeout(Duration::from_secs(1)).emit_with_ack("q", &());
    peers[0].recv("30[1]").unwrap();
    peers[1].close(DisconnectReason::TransportClose);
    let one = vec![Payload::from_value(&1).unwrap()];
    assert_eq!(
        request.await,
        Err(BroadcastAckError::Timeout {
            responses: one.clone(),
            missing: 2,
            silent: vec![ids[1], ids[2]],
            silent_nodes: SilentNodes::default(),
        })
    );
    assert_eq!(start.elapsed(), Duration::from_secs(1));

    let request = namespace.emit_with_ack("q", &());
    peers[0].recv("31[1]").unwrap();
    peers[2].close(DisconnectReason::TransportClose);
    assert_eq!(
        request.await,
        Err(BroadcastAckError::Disconnected {
            responses: one,
            missing: 1,
            silent: vec![ids[2]]
        })
    );
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// Counts how often it is written.
struct Counted(AtomicUsize);

impl Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str("x")
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_to_a_thousand_is_encoded_once() {
    let (io, namespace) = serve(Script::default());
    let mut peers: Vec<Peer> = (0..1_000).map(|_| Peer::joined(&io, "/")).collect();
    let data = Counted(AtomicUsize::new(0));
    let request = namespace.emit_with_ack("q", &data);
    for peer in &mut peers {
        let mut sent = peer.sent();
        // So many are sent to in slices, by a task.
        while sent.is_empty() {
            tokio::task::yield_now().await;
            sent = peer.sent();
        }
        assert_eq!(sent, [r#"20["q","x"]"#]);
        peer.recv("30[]").unwrap();
    }
    assert_eq!(request.await.unwrap().len(), 1_000);
    assert_eq!(data.0.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_a_broadcast_waits_for_the_servers_own() {
    for (ack_timeout, waited) in [(None, 30), (Some(3), 3)] {
        let mut config = HubConfig::default();
        if let Some(seconds) = ack_timeout {
            config.ack_timeout = Duration::from_secs(seconds);
        }
        let (io, namespace) = serve_with(config, Script::default());
        let (_peer, socket) = peer_and_socket(&io);
        let start = Instant::now();
        let silent = BroadcastAckError::Timeout {
            responses: Vec::new(),
            missing: 1,
            silent: vec![socket.id()],
            silent_nodes: SilentNodes::default(),
        };
        assert_eq!(namespace.emit_with_ack("q", &()).await, Err(silent));
        assert_eq!(start.elapsed(), Duration::from_secs(waited));
    }
}
