//! Connection state recovery through a cluster: two servers over one log, and clients that lose the one and come back to
//! the other.

mod support;

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewire_hub::cluster::{
    BroadcastOptions, ClusterAdapter, Delivery, FoundSockets, Missed, RecoveryLog, RemoteAcks, SavedSession,
};
use gatewire_hub::{
    BoxFuture, DisconnectReason, HubConfig, Io, Namespace, Payload, Prepared, Recovery, Room, Selection,
};
use serde_json::{Value, json};
use support::Peer;

/// What all servers share.
#[derive(Default)]
struct Broker {
    log: Mutex<Vec<(String, Prepared, Selection)>>,
    sessions: Mutex<HashMap<String, SavedSession>>,
    servers: Mutex<Vec<Namespace>>,
    /// Messages on their way to other servers than the first.
    late: Mutex<Option<Vec<(Prepared, Selection)>>>,
    /// Messages that are kept, and not yet delivered where they come from.
    waiting: Mutex<Option<Vec<(String, Delivery)>>>,
    is_broken: Mutex<bool>,
}

/// One server's adapter.
struct Node(Arc<Broker>);

impl Broker {
    fn deliver(&self, message: &Prepared, selection: &Selection, skip: usize) {
        for server in self.servers.lock().unwrap().iter().skip(skip) {
            let broadcast = match selection.rooms() {
                Some(rooms) => server.local().to(rooms),
                None => server.local(),
            };
            broadcast
                .except(selection.except())
                .emit_prepared(message.clone());
        }
    }

    fn deliver_late(&self) {
        for (message, selection) in self.late.lock().unwrap().take().unwrap_or_default() {
            self.deliver(&message, &selection, 1);
        }
    }
}

impl RecoveryLog for Node {
    fn publish(
        &self,
        _: &str,
        message: &Prepared,
        selection: &Selection,
        _: BroadcastOptions,
        delivery: Delivery,
    ) {
        let broker = &self.0;
        if *broker.is_broken.lock().unwrap() {
            return delivery.without_offset();
        }
        let offset = {
            let mut log = broker.log.lock().unwrap();
            let offset = format!("{}-0", log.len());
            log.push((offset.clone(), message.clone(), selection.clone()));
            offset
        };
        let message = message.with_offset(&offset);
        if let Some(late) = &mut *broker.late.lock().unwrap() {
            late.push((message, selection.clone()));
        } else {
            broker.deliver(&message, selection, 1);
        }
        match &mut *broker.waiting.lock().unwrap() {
            Some(waiting) => waiting.push((offset, delivery)),
            None => delivery.at(&offset),
        }
    }

    fn save_session(&self, _: &str, session: SavedSession, max_age: Duration) {
        assert_eq!(max_age, Duration::from_secs(120));
        let mut sessions = self.0.sessions.lock().unwrap();
        sessions.insert(session.private_id.clone(), session);
    }

    fn take_session(&self, _: &str, private_id: &str, _: &str) -> BoxFuture<'static, Option<SavedSession>> {
        Box::pin(ready(self.0.sessions.lock().unwrap().remove(private_id)))
    }

    fn missed(
        &self,
        _: &str,
        session: &SavedSession,
        offset: &str,
    ) -> BoxFuture<'static, Option<Vec<Missed>>> {
        if *self.0.is_broken.lock().unwrap() {
            return Box::pin(ready(None));
        }
        let log = self.0.log.lock().unwrap();
        let behind = log.iter().skip_while(|(at, ..)| at != offset).skip(1);
        let missed = behind
            .filter(|(.., selection)| session.is_for(selection))
            .map(|(at, message, _)| Missed {
                offset: at.clone(),
                message: message.clone(),
            });
        Box::pin(ready(Some(missed.collect())))
    }
}

impl ClusterAdapter for Node {
    fn open(&self, namespace: &Namespace) {
        self.0.servers.lock().unwrap().push(namespace.clone());
    }

    fn broadcast(&self, _: &str, message: &Prepared, selection: &Selection, _: BroadcastOptions) {
        self.0.deliver(message, selection, 1);
    }

    fn broadcast_with_ack(
        &self,
        _: &str,
        _: &Prepared,
        _: &Selection,
        _: BroadcastOptions,
        _: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Box::pin(ready(RemoteAcks::default()))
    }

    fn sockets_join(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn sockets_leave(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn disconnect_sockets(&self, _: &str, _: &Selection, _: bool) {}

    fn fetch_sockets(&self, _: &str, _: &Selection, _: Duration) -> BoxFuture<'static, FoundSockets> {
        Box::pin(ready(FoundSockets::default()))
    }

    fn server_side_emit(&self, _: &str, _: &str, _: &Payload) {}

    fn server_side_emit_with_ack(
        &self,
        _: &str,
        _: &str,
        _: &Payload,
        _: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Box::pin(ready(RemoteAcks::default()))
    }

    fn server_count(&self, _: &str) -> BoxFuture<'static, usize> {
        Box::pin(ready(2))
    }

    fn recovery_log(&self) -> Option<Arc<dyn RecoveryLog>> {
        Some(Arc::new(Self(self.0.clone())))
    }
}

fn serve() -> (Arc<Broker>, Io, Io) {
    let broker = Arc::new(Broker::default());
    let io = || {
        let config = HubConfig {
            connection_state_recovery: Some(Recovery::default()),
            ..HubConfig::default()
        };
        let io = Io::with_cluster(config, Arc::new(Node(broker.clone())));
        let _ = io.of("/");
        io
    };
    (broker.clone(), io(), io())
}

/// The lines before the answer to CONNECT, the answer, and the lines behind it.
fn connect(peer: &mut Peer, auth: &str) -> (Vec<String>, Value, Vec<String>) {
    peer.recv(&format!("0{auth}")).unwrap();
    peer.run();
    let mut before = peer.sent();
    let at = before.iter().position(|line| line.starts_with("0{")).unwrap();
    let after = before.split_off(at + 1);
    let reply = serde_json::from_str(&before.pop().unwrap()[1..]).unwrap();
    (before, reply, after)
}

fn claim(reply: &Value, offset: &str) -> String {
    json!({ "pid": reply["pid"], "offset": offset }).to_string()
}

#[tokio::test]
async fn a_client_comes_back_to_another_server() {
    let (_, first, second) = serve();
    let mut peer = Peer::new(&first);
    let (_, reply, _) = connect(&mut peer, "");
    let id = reply["sid"].as_str().unwrap().to_owned();
    let socket = first.sockets().socket(&id).unwrap();
    socket.join("room");
    socket.set_data(&json!({"name": "Ada"})).unwrap();
    first.sockets().emit("hello", &1);
    assert_eq!(peer.sent(), [r#"2["hello",1,"0-0"]"#]);
    peer.close(DisconnectReason::TransportClose);
    second.sockets().emit("missed", &1);
    second.sockets().to("room").emit("missed", &2);
    second.sockets().to("other").emit("not for it", &());
    second.sockets().except("room").emit("not for it", &());
    second.sockets().volatile().emit("lost", &());
    first.sockets().emit("missed", &3);
    let mut peer = Peer::new(&second);
    let (before, again, after) = connect(&mut peer, &claim(&reply, "0-0"));
    assert_eq!(again, reply);
    assert_eq!(
        before,
        [
            r#"2["missed",1,"1-0"]"#,
            r#"2["missed",2,"2-0"]"#,
            r#"2["missed",3,"5-0"]"#
        ]
    );
    assert!(after.is_empty(), "{after:?}");
    let socket = second.sockets().socket(&id).unwrap();
    assert!(socket.recovered());
    assert_eq!(socket.data_json(), json!({"name": "Ada"}));
    assert_eq!(socket.rooms().len(), 2);
    first.sockets().to("room").emit("now", &());
    assert_eq!(peer.sent(), [r#"2["now","6-0"]"#]);
    // A session is given once.
    let mut thief = Peer::new(&first);
    let (_, other, _) = connect(&mut thief, &claim(&reply, "0-0"));
    assert_ne!(other["sid"], reply["sid"]);
}

#[tokio::test]
async fn what_is_in_the_log_and_on_its_way_is_sent_once() {
    let (broker, first, second) = serve();
    let mut peer = Peer::new(&second);
    let (_, reply, _) = connect(&mut peer, "");
    first.sockets().emit("hello", &());
    peer.close(DisconnectReason::TransportClose);
    *broker.late.lock().unwrap() = Some(Vec::new());
    first.sockets().emit("late", &1);
    first.sockets().emit("late", &2);
    let mut peer = Peer::new(&second);
    let (before, again, _) = connect(&mut peer, &claim(&reply, "0-0"));
    assert_eq!(again, reply);
    assert_eq!(before, [r#"2["late",1,"1-0"]"#, r#"2["late",2,"2-0"]"#]);
    broker.deliver_late();
    first.sockets().emit("next", &());
    assert_eq!(peer.sent(), [r#"2["next","3-0"]"#]);
}

#[tokio::test]
async fn a_message_is_delivered_when_the_log_says_so_and_in_any_case_once() {
    let (broker, first, second) = serve();
    let (mut near, mut far) = (Peer::new(&first), Peer::new(&second));
    connect(&mut near, "");
    connect(&mut far, "");
    *broker.waiting.lock().unwrap() = Some(Vec::new());
    first.sockets().emit("slow", &1);
    first.sockets().emit("slow", &2);
    assert!(near.sent().is_empty());
    let waiting = broker.waiting.lock().unwrap().take().unwrap();
    let [(offset, delivery), (_, dropped)] = <[_; 2]>::try_from(waiting).unwrap();
    delivery.at(&offset);
    assert_eq!(near.sent(), [r#"2["slow",1,"0-0"]"#]);
    drop(dropped);
    assert_eq!(near.sent(), [r#"2["slow",2]"#]);
    assert_eq!(far.sent(), [r#"2["slow",1,"0-0"]"#, r#"2["slow",2,"1-0"]"#]);
}

#[tokio::test]
async fn without_the_log_messages_go_out_here_and_clients_begin_afresh() {
    let (broker, first, second) = serve();
    let mut peer = Peer::new(&first);
    let (_, reply, _) = connect(&mut peer, "");
    let id = reply["sid"].as_str().unwrap().to_owned();
    first.sockets().socket(&id).unwrap().join("room");
    first.sockets().emit("hello", &());
    peer.sent();
    *broker.is_broken.lock().unwrap() = true;
    first.sockets().emit("still", &1);
    assert_eq!(peer.sent(), [r#"2["still",1]"#]);
    peer.close(DisconnectReason::PingTimeout);
    let mut peer = Peer::new(&second);
    let (before, again, _) = connect(&mut peer, &claim(&reply, "0-0"));
    assert!(before.is_empty());
    assert_ne!(again["pid"], reply["pid"]);
    let socket = second.sockets().socket(again["sid"].as_str().unwrap()).unwrap();
    assert!(!socket.recovered());
    assert_eq!(socket.rooms().len(), 1);
    // A client that only says it was here.
    let mut peer = Peer::new(&second);
    let (before, _, _) = connect(&mut peer, &json!({"pid": "x", "offset": "0-0"}).to_string());
    assert!(before.is_empty());
}

#[tokio::test]
async fn a_client_that_is_let_in_again_may_be_lost_again() {
    let (_, first, second) = serve();
    let mut peer = Peer::new(&first);
    let (_, reply, _) = connect(&mut peer, "");
    first.sockets().emit("hello", &());
    peer.close(DisconnectReason::TransportClose);
    for io in [&second, &first, &second] {
        let mut peer = Peer::new(io);
        let (_, again, _) = connect(&mut peer, &claim(&reply, "0-0"));
        assert_eq!(again, reply);
        peer.close(DisconnectReason::TransportError);
    }
}
