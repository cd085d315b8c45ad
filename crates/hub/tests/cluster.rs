//! What goes to other servers and comes from them, with an adapter that writes down what it is asked for.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewire_hub::cluster::{
    BroadcastOptions, ClusterAdapter, FoundSocket, FoundSockets, RemoteAcks, SilentNodes,
};
use gatewire_hub::{
    AckError, BoxFuture, BroadcastAckError, EmitError, HubConfig, Id, Io, Namespace, Payload, Prepared, Room,
    Selection,
};
use serde_json::{Value, json};
use support::{Log, Peer};

/// Notes every call; answers are what `acks` has.
#[derive(Clone, Default)]
struct Notes {
    log: Log,
    acks: Arc<Mutex<RemoteAcks>>,
    silent_nodes: Arc<Mutex<SilentNodes>>,
    found: Arc<Mutex<Vec<FoundSocket>>>,
}

impl Notes {
    fn answer(&self, values: &[i32], missing: usize) {
        *self.acks.lock().unwrap() = RemoteAcks {
            responses: values
                .iter()
                .map(|value| Payload::from_value(value).unwrap())
                .collect(),
            missing,
            ..RemoteAcks::default()
        };
    }

    fn acks(&self) -> BoxFuture<'static, RemoteAcks> {
        let acks = RemoteAcks {
            silent_nodes: self.silent_nodes.lock().unwrap().clone(),
            ..self.acks.lock().unwrap().clone()
        };
        Box::pin(std::future::ready(acks))
    }
}

impl ClusterAdapter for Notes {
    fn open(&self, namespace: &Namespace) {
        self.log.note(format!("open {}", namespace.name()));
    }

    fn broadcast(&self, _: &str, message: &Prepared, selection: &Selection, _: BroadcastOptions) {
        self.log
            .note(format!("broadcast {} to {:?}", message.data(), selection.rooms()));
    }

    fn broadcast_with_ack(
        &self,
        _: &str,
        message: &Prepared,
        _: &Selection,
        _: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        self.log.note(format!("ask {} {timeout:?}", message.data()));
        self.acks()
    }

    fn sockets_join(&self, _: &str, selection: &Selection, rooms: &[Room]) {
        self.log.note(format!("join {:?} {rooms:?}", selection.rooms()));
    }

    fn sockets_leave(&self, _: &str, selection: &Selection, rooms: &[Room]) {
        self.log.note(format!("leave {:?} {rooms:?}", selection.rooms()));
    }

    fn disconnect_sockets(&self, _: &str, selection: &Selection, close: bool) {
        self.log
            .note(format!("disconnect {:?} {close}", selection.rooms()));
    }

    fn fetch_sockets(&self, _: &str, _: &Selection, _: Duration) -> BoxFuture<'static, FoundSockets> {
        let sockets = self.found.lock().unwrap().clone();
        Box::pin(std::future::ready(FoundSockets {
            sockets,
            silent_nodes: self.silent_nodes.lock().unwrap().clone(),
        }))
    }

    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload) {
        self.log
            .note(format!("{namespace} {event} {}", payload.args().json()));
    }

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        self.log.note(format!(
            "{namespace} {event} {} {timeout:?}",
            payload.args().json()
        ));
        self.acks()
    }

    fn server_count(&self, _: &str) -> BoxFuture<'static, usize> {
        Box::pin(std::future::ready(2))
    }

    fn close_namespace(&self, namespace: &str) {
        self.log.note(format!("close {namespace}"));
    }

    fn close(&self) {
        self.log.note("leave");
    }
}

fn cluster() -> (Io, Notes) {
    let notes = Notes::default();
    let config = HubConfig {
        cleanup_empty_child_namespaces: true,
        ..HubConfig::default()
    };
    (Io::with_cluster(config, Arc::new(notes.clone())), notes)
}

#[tokio::test]
async fn servers_emit_to_each_other() {
    let (io, notes) = cluster();
    let namespace = io.of("/chat");
    notes.log.take();
    namespace.server_side_emit("hello", &json!({"a": 1})).unwrap();
    namespace.server_side_emit_args("many", &(1, "b")).unwrap();
    assert_eq!(
        notes.log.take(),
        [r#"/chat hello {"a":1}"#, r#"/chat many 1,"b""#]
    );
    notes.answer(&[1, 2], 0);
    let answers = namespace.server_side_emit_with_ack("ask", &()).await.unwrap();
    assert_eq!(answers.len(), 2);
    notes.answer(&[3], 1);
    let request = namespace
        .server_side_emit_with_ack("ask", &7)
        .timeout(Duration::from_secs(1));
    assert_eq!(
        request.await,
        Err(BroadcastAckError::Timeout {
            responses: vec![Payload::from_value(&3).unwrap()],
            missing: 1,
            silent: Vec::new(),
            silent_nodes: SilentNodes::default(),
        })
    );
    assert_eq!(notes.log.take(), ["/chat ask  30s", "/chat ask 7 1s"]);
    for event in ["connect", "connection", "new_namespace"] {
        let reserved = EmitError::ReservedName {
            event: event.to_owned(),
        };
        assert_eq!(namespace.server_side_emit(event, &()), Err(reserved.clone()));
        assert_eq!(namespace.server_side_emit_args(event, &()), Err(reserved.clone()));
        let answer = namespace.server_side_emit_with_ack(event, &()).await;
        assert_eq!(answer, Err(BroadcastAckError::Emit(reserved)));
    }
    assert!(notes.log.take().is_empty());
    namespace.server_side_emit("disconnect", &()).unwrap();
    assert_eq!(notes.log.take(), ["/chat disconnect "]);
}

#[tokio::test]
async fn without_a_cluster_nobody_answers() {
    let io = Io::default();
    let namespace = io.of("/");
    namespace.on_server_side("hello", |_, _| panic!("this server is left out"));
    namespace.server_side_emit("hello", &1).unwrap();
    let answers = namespace.server_side_emit_with_ack("hello", &1).await;
    assert_eq!(answers, Ok(Vec::new()));
}

#[test]
fn what_other_servers_emit_is_heard() {
    let io = Io::default();
    let log = Log::default();
    let namespace = io.of("/");
    assert!(!namespace.receive_server_side("e", Payload::default(), None));
    namespace.on_server_side("e", |_, _| panic!("as told"));
    for n in 1..=2 {
        let log = log.clone();
        namespace.on_server_side("e", move |namespace, event| {
            let body: Value = event.body().unwrap();
            log.note(format!(
                "{n} {} {} {body} {:?}",
                namespace.name(),
                event.name(),
                event.ack()
            ));
            if let Some(ack) = event.ack() {
                ack.send(&n);
                ack.send("twice");
            }
        });
    }
    assert!(!namespace.receive_server_side("other", Payload::default(), None));
    assert!(namespace.receive_server_side("e", Payload::from_args(&(1, 2)).unwrap(), None));
    assert_eq!(log.take(), ["1 / e [1,2] None", "2 / e [1,2] None"]);
    let answers = log.clone();
    let answer = Box::new(move |payload: Payload| answers.note(format!("answer {}", payload.args().json())));
    assert!(namespace.receive_server_side("e", Payload::from_value("x").unwrap(), Some(answer)));
    assert_eq!(
        log.take(),
        [
            r#"1 / e "x" Some(ServerSideAck { is_answered: false })"#,
            "answer 1",
            r#"2 / e "x" Some(ServerSideAck { is_answered: true })"#,
        ]
    );
}

#[tokio::test]
async fn sockets_of_other_servers_are_reached_through_the_adapter() {
    let (io, notes) = cluster();
    let namespace = io.of("/");
    let id = Id::generate();
    notes.found.lock().unwrap().push(FoundSocket {
        id,
        rooms: vec!["a".into()],
        handshake: json!({"url": "/"}),
        data: json!({"name": "Ada"}),
    });
    let sockets = namespace.fetch_sockets().await;
    let [socket] = sockets.as_slice() else {
        panic!("{sockets:?}")
    };
    #[derive(serde::Deserialize)]
    struct Data {
        name: String,
    }
    assert_eq!(socket.id(), id);
    assert_eq!(socket.data_as::<Data>().unwrap().name, "Ada");
    assert!(socket.data_as::<u8>().is_err());
    notes.log.take();
    notes.answer(&[5], 0);
    socket.emit("one", &1);
    socket.try_emit("two", &2).unwrap();
    socket.emit_args("three", &(3, 4));
    socket.emit_payload("four", &Payload::from_value("x").unwrap());
    assert_eq!(
        socket
            .emit_with_ack("ask", &1)
            .await
            .unwrap()
            .body::<u8>()
            .unwrap(),
        5
    );
    notes.answer(&[], 1);
    let request = socket.timeout(Duration::from_secs(2)).emit_with_ack("ask", &2);
    assert_eq!(request.await, Err(AckError::Timeout));
    notes.answer(&[], 0);
    assert_eq!(
        socket.emit_args_with_ack("ask", &(3, 4)).await,
        Err(AckError::Disconnected)
    );
    assert!(matches!(
        socket.emit_with_ack("connect", &3).await,
        Err(AckError::Emit(_))
    ));
    socket.join("room");
    socket.leave(["room"]);
    socket.disconnect(true);
    let to = format!("Some([\"{id}\"])");
    assert_eq!(
        notes.log.take(),
        [
            format!(r#"broadcast ["one",1] to {to}"#),
            format!(r#"broadcast ["two",2] to {to}"#),
            format!(r#"broadcast ["three",3,4] to {to}"#),
            format!(r#"broadcast ["four","x"] to {to}"#),
            r#"ask ["ask",1] 30s"#.to_owned(),
            r#"ask ["ask",2] 2s"#.to_owned(),
            r#"ask ["ask",3,4] 30s"#.to_owned(),
            format!(r#"join {to} ["room"]"#),
            format!(r#"leave {to} ["room"]"#),
            format!("disconnect {to} true"),
        ]
    );
}

#[tokio::test]
async fn sockets_of_this_server_are_fetched_with_their_data() {
    let io = Io::default();
    let _ = io.of("/");
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    assert_eq!(socket.data_json(), Value::Null);
    socket.set_data(&json!({"name": "Ada"})).unwrap();
    socket.set(7u8);
    assert_eq!(socket.data_json(), json!({"name": "Ada"}));
    let fetched = &io.of("/").fetch_sockets().await[0];
    assert_eq!(fetched.data(), &json!({"name": "Ada"}));
    assert_eq!(fetched.handshake(), &socket.handshake_json());
    fetched.join("x");
    assert_eq!(socket.rooms().len(), 2);
    let request = fetched.emit_with_ack("ask", &1);
    assert_eq!(peer.sent(), [r#"20["ask",1]"#]);
    peer.recv(r#"30["yes"]"#).unwrap();
    assert_eq!(request.await.unwrap().body::<String>().unwrap(), "yes");
    let request = fetched.emit_with_ack("ask", &1);
    peer.recv("1").unwrap();
    assert_eq!(request.await, Err(AckError::Disconnected));
    assert_eq!(
        fetched.emit_with_ack("ask", &1).await,
        Err(AckError::Disconnected)
    );
}

#[test]
fn the_adapter_hears_of_namespaces() {
    let (io, notes) = cluster();
    io.of_pattern("/room-:id");
    let mut peer = Peer::joined(&io, "/room-1");
    peer.recv("1/room-1,").unwrap();
    peer.join("/room-1");
    assert_eq!(
        notes.log.take(),
        ["open /room-1", "close /room-1", "open /room-1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_tells_who_did_not_answer_on_other_servers() {
    let (io, notes) = cluster();
    let namespace = io.of("/");
    let mut peers: Vec<Peer> = (0..2).map(|_| Peer::new(&io)).collect();
    let ids: Vec<Id> = peers
        .iter_mut()
        .map(|peer| Id::parse(&peer.join("/")).unwrap())
        .collect();
    let elsewhere = Id::generate();
    *notes.acks.lock().unwrap() = RemoteAcks {
        responses: vec![Payload::from_value(&7).unwrap()],
        // One of them is of a node that names nobody.
        missing: 2,
        silent: vec![elsewhere],
        silent_nodes: SilentNodes::default(),
    };
    let request = namespace.emit_with_ack("ask", &());
    peers[0].recv("30[6]").unwrap();
    assert_eq!(
        request.await,
        Err(BroadcastAckError::Timeout {
            responses: [6, 7].map(|value| Payload::from_value(&value).unwrap()).into(),
            missing: 3,
            silent: vec![ids[1], elsewhere],
            silent_nodes: SilentNodes::default(),
        })
    );
}

#[tokio::test]
async fn nodes_that_say_nothing_are_told_of() {
    let (io, notes) = cluster();
    let namespace = io.of("/");
    let silent_nodes = SilentNodes {
        count: 2,
        names: vec!["b".into()],
    };
    *notes.silent_nodes.lock().unwrap() = silent_nodes.clone();
    let error = namespace.everyone().try_fetch_sockets().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "only some of the sockets were fetched: 2 nodes of the cluster did not answer (b)"
    );
    assert!(error.sockets.is_empty());
    assert!(namespace.fetch_sockets().await.is_empty());
    let request = namespace.emit_with_ack("ask", &()).await.unwrap_err();
    assert_eq!(
        request.to_string(),
        "0 receivers did not answer in time, and 2 nodes of the cluster did not answer (b)"
    );
    assert_eq!(
        request,
        BroadcastAckError::Timeout {
            responses: Vec::new(),
            missing: 0,
            silent: Vec::new(),
            silent_nodes,
        }
    );
}

#[tokio::test(start_paused = true)]
async fn clients_answer_another_server() {
    let io = Io::default();
    let namespace = io.of("/");
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::new(&io)).collect();
    let ids: Vec<String> = peers.iter_mut().map(|peer| peer.join("/")).collect();
    let log = Log::default();
    let answers = log.clone();
    let asked = namespace
        .except(&ids[2])
        .timeout(Duration::from_secs(1))
        .relay_with_ack(r#"["ask",1]"#, &[], move |answer| {
            answers.note(answer.args().json())
        });
    assert_eq!(asked, 2);
    assert_eq!(peers[0].sent(), [r#"20["ask",1]"#]);
    assert!(peers[2].sent().is_empty());
    peers[0].recv("30[7,8]").unwrap();
    assert_eq!(log.take(), ["7,8"]);
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    peers[1].recv("30[9]").unwrap();
    assert!(log.take().is_empty(), "too late");
    let nobody = namespace.to("nowhere");
    assert_eq!(nobody.relay_with_ack(r#"["ask"]"#, &[], |_| panic!("who?")), 0);
}

#[test]
fn a_room_is_there_while_somebody_is_in_it() {
    let io = Io::default();
    let namespace = io.of("/");
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    assert!(!namespace.has_room("a"));
    let socket = namespace.socket(&id).unwrap();
    socket.join("a");
    assert!(namespace.has_room("a") && namespace.has_room(&id));
    socket.leave("a");
    assert!(!namespace.has_room("a"));
}

#[test]
fn a_cluster_is_joined_later() {
    let io = Io::default();
    let _ = io.of("/early");
    let notes = Notes::default();
    assert!(!io.is_clustered());
    assert!(io.use_cluster(Arc::new(notes.clone())));
    assert!(io.is_clustered());
    assert!(!io.use_cluster(Arc::new(Notes::default())), "there is one");
    io.of("/late").emit("e", &1);
    assert_eq!(
        notes.log.take(),
        ["open /early", "open /late", r#"broadcast ["e",1] to None"#]
    );
}

#[test]
fn a_server_that_closes_leaves_the_cluster() {
    let (io, notes) = cluster();
    let _ = io.of("/");
    let peer = Peer::joined(&io, "/");
    notes.log.take();
    io.close();
    assert_eq!(peer.sent(), ["close: server shutting down"]);
    assert_eq!(notes.log.take(), ["leave"]);
}
