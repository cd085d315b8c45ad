//! Who is in a room, on one server and on several.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewire_hub::cluster::{BroadcastOptions, Cluster, ClusterAdapter, FoundSockets, InProcess, RemoteAcks};
use gatewire_hub::{
    BoxFuture, DisconnectReason, HubConfig, Io, Namespace, Payload, Prepared, Presence, PresenceEvent, Room,
    Selection,
};
use serde_json::json;
use support::{Log, Peer};

fn names(presence: &Presence) -> Vec<String> {
    let mut names: Vec<String> = presence
        .known()
        .iter()
        .map(|socket| socket.data().as_str().unwrap_or("?").to_owned())
        .collect();
    names.sort_unstable();
    names
}

fn log(presence: &Presence) -> Log {
    let log = Log::default();
    let notes = log.clone();
    presence.on_change(move |event| match event {
        PresenceEvent::Joined(socket) => notes.note(format!("+{}", socket.data_as::<String>().unwrap())),
        PresenceEvent::Left(socket) => notes.note(format!("-{}", socket.data_as::<String>().unwrap())),
        _ => {}
    });
    log
}

fn enter(io: &Io, name: &str, room: &str) -> Peer {
    let mut peer = Peer::new(io);
    let id = peer.join("/");
    let socket = io.of("/").socket(&id).unwrap();
    socket.set_data(&json!(name)).unwrap();
    socket.join(room);
    peer
}

#[test]
fn one_server_knows_itself() {
    let io = Io::default();
    let _ = io.of("/");
    let early = enter(&io, "Ada", "red");
    let red = io.of("/").presence("red");
    let log = log(&red);
    assert_eq!(names(&red), ["Ada"]);
    let mut bob = enter(&io, "Bob", "red");
    let _carl = enter(&io, "Carl", "blue");
    assert_eq!(names(&red), ["Ada", "Bob"]);
    io.of("/").sockets_leave("red");
    bob.close(DisconnectReason::TransportClose);
    assert_eq!(names(&red), Vec::<String>::new());
    let mut notes = log.take();
    notes.sort_unstable();
    assert_eq!(notes, ["+Bob", "-Ada", "-Bob"]);
    // Watched by a clone, too.
    let again = red.clone();
    drop(red);
    let socket = io
        .of("/")
        .sockets()
        .into_iter()
        .find(|socket| socket.data_json() == "Ada")
        .unwrap();
    socket.join("red");
    assert_eq!(names(&again), ["Ada"]);
    assert_eq!(again.room().as_ref(), "red");
    drop(early);
}

/// An adapter whose connection can be cut.
struct Cuttable {
    inner: Arc<dyn ClusterAdapter>,
    is_cut: Arc<Mutex<bool>>,
}

impl ClusterAdapter for Cuttable {
    fn open(&self, namespace: &Namespace) {
        self.inner.open(namespace);
    }

    fn broadcast(&self, _: &str, _: &Prepared, _: &Selection, _: BroadcastOptions) {}

    fn broadcast_with_ack(
        &self,
        _: &str,
        _: &Prepared,
        _: &Selection,
        _: BroadcastOptions,
        _: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Box::pin(std::future::ready(RemoteAcks::default()))
    }

    fn sockets_join(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn sockets_leave(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn disconnect_sockets(&self, _: &str, _: &Selection, _: bool) {}

    fn fetch_sockets(&self, _: &str, _: &Selection, _: Duration) -> BoxFuture<'static, FoundSockets> {
        Box::pin(std::future::ready(FoundSockets::default()))
    }

    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload) {
        if !*self.is_cut.lock().unwrap() {
            self.inner.server_side_emit(namespace, event, payload);
        }
    }

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        self.inner
            .server_side_emit_with_ack(namespace, event, payload, timeout)
    }

    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize> {
        self.inner.server_count(namespace)
    }

    fn close(&self) {
        self.inner.close();
    }
}

fn node(cluster: &InProcess) -> (Io, Arc<Mutex<bool>>) {
    let is_cut = Arc::new(Mutex::new(false));
    let adapter = Cuttable {
        inner: cluster.join(),
        is_cut: is_cut.clone(),
    };
    let io = Io::with_cluster(HubConfig::default(), Arc::new(adapter));
    let _ = io.of("/");
    (io, is_cut)
}

/// Lets messages arrive; the clock stands still.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn several_servers_know_each_other() {
    let cluster = InProcess::new();
    let ((first, _), (second, _)) = (node(&cluster), node(&cluster));
    let mut ada = enter(&second, "Ada", "red");
    let red = first.of("/").presence("red");
    let start = tokio::time::Instant::now();
    assert_eq!(red.members().await.len(), 1);
    assert!(start.elapsed() < Duration::from_millis(100));
    let log = log(&red);
    let _bob = enter(&second, "Bob", "red");
    let _carl = enter(&first, "Carl", "red");
    let _dora = enter(&second, "Dora", "blue");
    settle().await;
    assert_eq!(names(&red), ["Ada", "Bob", "Carl"]);
    ada.close(DisconnectReason::TransportClose);
    settle().await;
    let mut notes = log.take();
    notes.sort_unstable();
    assert_eq!(notes, ["+Bob", "+Carl", "-Ada"]);

    // Both ways at a time, and a server that comes later.
    let other = second.of("/").presence("red");
    other.members().await;
    assert_eq!(names(&other), ["Bob", "Carl"]);
    let (third, _) = node(&cluster);
    let _emil = enter(&third, "Emil", "red");
    tokio::time::sleep(Duration::from_secs(6)).await;
    for presence in [&red, &other] {
        assert_eq!(names(presence), ["Bob", "Carl", "Emil"]);
    }
    third.close();
    settle().await;
    assert_eq!(names(&red), ["Bob", "Carl"]);
    assert_eq!(log.take(), ["+Emil", "-Emil"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_has_left_and_may_come_back() {
    let cluster = InProcess::new();
    let ((first, _), (second, is_cut)) = (node(&cluster), node(&cluster));
    let _ada = enter(&second, "Ada", "red");
    let red = first.of("/").presence("red");
    red.members().await;
    let log = log(&red);
    *is_cut.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(names(&red), ["Ada"]);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(names(&red).is_empty());
    let _bob = enter(&second, "Bob", "red");
    *is_cut.lock().unwrap() = false;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(names(&red), ["Ada", "Bob"]);
    let mut notes = log.take();
    notes.sort_unstable();
    assert_eq!(notes, ["+Ada", "+Bob", "-Ada"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_missed_is_asked_for() {
    let cluster = InProcess::new();
    let ((first, _), (second, is_cut)) = (node(&cluster), node(&cluster));
    let mut ada = enter(&second, "Ada", "red");
    let red = first.of("/").presence("red");
    red.members().await;
    *is_cut.lock().unwrap() = true;
    ada.close(DisconnectReason::TransportClose);
    let _bob = enter(&second, "Bob", "red");
    *is_cut.lock().unwrap() = false;
    settle().await;
    assert_eq!(names(&red), ["Ada"]);
    let _carl = enter(&second, "Carl", "red");
    settle().await;
    assert_eq!(names(&red), ["Bob", "Carl"]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_watches_is_not_told() {
    let cluster = InProcess::new();
    let ((first, _), (second, _)) = (node(&cluster), node(&cluster));
    let mut ada = enter(&second, "Ada", "red");
    let red = first.of("/").presence("red");
    red.members().await;
    drop(red);
    tokio::time::sleep(Duration::from_secs(6)).await;
    ada.close(DisconnectReason::TransportClose);
    let _bob = enter(&second, "Bob", "red");
    settle().await;
    let red = first.of("/").presence("red");
    red.members().await;
    assert_eq!(names(&red), ["Bob"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_tell_is_not_waited_for_long() {
    let cluster = InProcess::new();
    let ((first, _), (_second, is_cut)) = (node(&cluster), node(&cluster));
    *is_cut.lock().unwrap() = true;
    let red = first.of("/").presence("red");
    let start = tokio::time::Instant::now();
    assert!(red.members().await.is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1));
    let start = tokio::time::Instant::now();
    red.members().await;
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_server_may_watch_before_it_joins() {
    let cluster = InProcess::new();
    let (first, _) = node(&cluster);
    let _ada = enter(&first, "Ada", "red");
    let second = Io::default();
    let red = second.of("/").presence("red");
    assert!(red.members().await.is_empty());
    assert!(second.use_cluster(cluster.join()));
    settle().await;
    assert_eq!(names(&red), ["Ada"]);
}
