//! Engines that share their sessions: requests that come to any of them, and what becomes of what is relayed when nodes
//! end or die, and when the bus is slow or loses messages.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::{BusError, BusReceiver, MemoryBus, SessionBus};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{ConfigError, Engine, EngineConfig, Limits, SharingConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{sleep, timeout};

use crate::support::{Echo, Frame, STALL, TestServer};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const UNKNOWN_SID: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const PATIENCE: Duration = Duration::from_secs(10);

/// In which a request gets to where it is answered, but is not: longer than that takes on a busy machine.
const A_WHILE: Duration = Duration::from_millis(300);

/// Finds out soon that a node is dead.
fn alert() -> SharingConfig {
    SharingConfig {
        ask_timeout: Duration::from_millis(300),
        keepalive: Duration::from_millis(200),
        peer_timeout: Duration::from_millis(300),
        ..SharingConfig::default()
    }
}

async fn node_with(config: EngineConfig, bus: &Arc<dyn SessionBus>, sharing: SharingConfig) -> TestServer {
    let (sender, closed) = unbounded_channel();
    let engine = Engine::new(config, Echo(sender)).unwrap();
    assert_eq!(engine.share_sessions(bus.clone(), sharing), Ok(true));
    TestServer {
        closed,
        ..TestServer::with_other(engine, None).await
    }
}

async fn nodes<const N: usize>(bus: &Arc<dyn SessionBus>, sharing: &SharingConfig) -> [TestServer; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(node_with(EngineConfig::default(), bus, sharing.clone()).await);
    }
    nodes.try_into().ok().unwrap()
}

fn memory() -> Arc<dyn SessionBus> {
    Arc::new(MemoryBus::new())
}

/// A bus between others and a [`MemoryBus`] with faults.
#[derive(Default)]
struct Faulty {
    inner: MemoryBus,
    /// Messages until one is lost; negative loses none.
    until_loss: AtomicI64,
    /// What nodes are to hear late.
    delay: Duration,
    /// Nodes that neither hear nor say anything.
    dead: Mutex<Vec<Id>>,
    joined: Mutex<Vec<Id>>,
}

impl Faulty {
    /// The node that joined as the `at`th falls silent.
    fn kill(&self, at: usize) {
        let node = self.joined.lock().unwrap()[at];
        self.dead.lock().unwrap().push(node);
    }
}

struct Late(
    Duration,
    tokio::sync::mpsc::UnboundedSender<(tokio::time::Instant, Bytes)>,
);

impl BusReceiver for Late {
    fn receive(&self, message: &[u8]) {
        let due = tokio::time::Instant::now() + self.0;
        let _ = self.1.send((due, Bytes::copy_from_slice(message)));
    }
}

impl SessionBus for Faulty {
    fn join(&self, node: Id, receiver: Weak<dyn BusReceiver>) {
        self.joined.lock().unwrap().push(node);
        if self.delay.is_zero() {
            return self.inner.join(node, receiver);
        }
        let (sender, mut messages) = unbounded_channel();
        let late = Arc::new(Late(self.delay, sender));
        let weak: Weak<Late> = Arc::downgrade(&late);
        self.inner.join(node, weak);
        tokio::spawn(async move {
            let _late = late;
            while let Some((due, message)) = messages.recv().await {
                tokio::time::sleep_until(due).await;
                let Some(receiver) = receiver.upgrade() else {
                    return;
                };
                receiver.receive(&message);
            }
        });
    }

    fn leave(&self, node: Id) {
        self.inner.leave(node);
    }

    fn send(&self, from: Id, to: Option<Id>, message: Bytes) -> Result<(), BusError> {
        let is_dead = {
            let dead = self.dead.lock().unwrap();
            dead.contains(&from) || to.is_some_and(|to| dead.contains(&to))
        };
        if is_dead || self.until_loss.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.inner.send(from, to, message)
    }
}

#[tokio::test]
async fn a_session_is_served_wherever_its_requests_come() {
    let mut nodes = nodes::<3>(&memory(), &SharingConfig::default()).await;
    let sid = nodes[0].open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    for at in 0..12 {
        let message = format!("4message {at}\x1ebAQID");
        let posted = nodes[at % 3].request("POST", &target, message.as_bytes()).await;
        assert_eq!(posted, (200, "ok".to_owned()));
        let polled = nodes[(at / 2) % 3].request("GET", &target, b"").await;
        assert_eq!(polled, (200, message));
    }
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    assert_eq!(nodes[2].request("GET", &target, b"").await, (200, "6".to_owned()));
    socket.text("5").await;
    for at in 0..100 {
        socket.text(&format!("4{at}")).await;
    }
    socket.send(Opcode::Binary, b"bytes").await;
    for at in 0..100 {
        assert_eq!(socket.receive().await, Frame::Text(format!("4{at}")));
    }
    assert_eq!(socket.receive().await, Frame::Binary(b"bytes".to_vec()));
    assert_eq!(
        nodes.each_ref().map(|node| node.engine.clients_count()),
        [1, 0, 0]
    );
    socket.send(Opcode::Close, b"").await;
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(socket.receive().await, Frame::End);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn each_node_has_sessions_and_relays_to_the_others() {
    let nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let [a, b] = [nodes[0].open_polling().await, nodes[1].open_polling().await];
    for (node, sid) in [(1, &a), (0, &b), (1, &a), (0, &b)] {
        let target = format!("{POLLING}&sid={sid}");
        assert_eq!(nodes[node].request("POST", &target, b"4here").await.0, 200);
        assert_eq!(
            nodes[node].request("GET", &target, b"").await,
            (200, "4here".to_owned())
        );
    }
}

#[tokio::test]
async fn a_session_that_nobody_has_is_unknown() {
    let nodes = nodes::<2>(&memory(), &alert()).await;
    let target = format!("{POLLING}&sid={}", Id::generate());
    for method in ["GET", "POST"] {
        let answer = nodes[0].request(method, &target, b"").await;
        assert_eq!(answer, (400, UNKNOWN_SID.to_owned()));
    }
    let (_, head) = nodes[0]
        .websocket_with(&format!("&sid={}", Id::generate()), "")
        .await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[tokio::test]
async fn polls_that_overlap_on_two_nodes_end_the_session() {
    let mut nodes = nodes::<3>(&memory(), &SharingConfig::default()).await;
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let (first, second) = tokio::join!(
        nodes[1].request("GET", &target, b""),
        nodes[2].request("GET", &target, b"")
    );
    let mut answers = [first, second];
    answers.sort();
    // The one that came first is told the end.
    assert_eq!(answers, [(200, "1".to_owned()), (400, String::new())]);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn posts_that_overlap_on_two_nodes_end_the_session() {
    let mut nodes = nodes::<3>(&memory(), &SharingConfig::default()).await;
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let (first, second) = tokio::join!(
        nodes[1].request("POST", &target, b"4stall\x1e4more"),
        nodes[2].request("POST", &target, b"4stall\x1e4more")
    );
    assert_eq!(first.0.min(second.0), 200);
    assert_eq!(first.0.max(second.0), 400);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_post_is_answered_when_its_messages_are_handled() {
    let nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let begun = tokio::time::Instant::now();
    let posted = nodes[1].request("POST", &target, b"4stall\x1e4more").await;
    assert_eq!(posted, (200, "ok".to_owned()));
    assert!(begun.elapsed() >= STALL, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_poll_given_up_on_another_node_ends_the_session() {
    let mut nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let mut stream = TcpStream::connect(nodes[1].address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(A_WHILE).await;
    drop(stream);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn big_messages_go_through_the_window() {
    let nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let sid = nodes[0].open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    let message = format!("4{}", "x".repeat(900_000));
    let posted = nodes[1].request("POST", &target, message.as_bytes()).await;
    assert_eq!(posted.0, 200);
    assert_eq!(
        nodes[1].request("GET", &target, b"").await,
        (200, message.clone())
    );
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    for _ in 0..3 {
        socket.text(&message).await;
        assert_eq!(socket.receive().await, Frame::Text(message.clone()));
    }
}

#[tokio::test]
async fn a_relayed_client_that_takes_nothing_is_closed() {
    let bus = memory();
    let config = EngineConfig {
        limits: Limits {
            max_outbox: 4 << 20,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let mut owner = node_with(config.clone(), &bus, SharingConfig::default()).await;
    let other = node_with(config, &bus, SharingConfig::default()).await;
    let sid = owner.open_polling().await;
    let mut socket = other.websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    let message = format!("4{}", "x".repeat(900_000));
    let flood = async {
        for _ in 0..100 {
            socket.text(&message).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = flood => unreachable!("the flood waits for ever"),
        reason = owner.closed() => assert_eq!(reason, CloseReason::TransportError),
    }
}

#[tokio::test]
async fn what_is_relayed_ends_with_the_death_of_the_sessions_node() {
    let faulty = Arc::new(Faulty {
        until_loss: AtomicI64::new(-1),
        ..Faulty::default()
    });
    let bus: Arc<dyn SessionBus> = faulty.clone();
    let nodes = nodes::<2>(&bus, &alert()).await;
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let upgraded = nodes[0].open_polling().await;
    let mut socket = nodes[1].websocket(&format!("&sid={upgraded}")).await;
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
    let (poll, ()) = tokio::join!(nodes[1].request("GET", &target, b""), async {
        sleep(A_WHILE).await;
        faulty.kill(0);
    });
    assert_eq!(poll, (400, UNKNOWN_SID.to_owned()));
    assert_eq!(socket.receive().await, Frame::End);
    // Nobody has it any more.
    let poll = nodes[1].request("GET", &target, b"").await;
    assert_eq!(poll, (400, UNKNOWN_SID.to_owned()));
}

#[tokio::test]
async fn sessions_end_with_the_death_of_the_node_that_relays() {
    let faulty = Arc::new(Faulty {
        until_loss: AtomicI64::new(-1),
        ..Faulty::default()
    });
    let bus: Arc<dyn SessionBus> = faulty.clone();
    let mut nodes = nodes::<2>(&bus, &alert()).await;
    let sid = nodes[0].open_polling().await;
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
    faulty.kill(1);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_node_that_shuts_down_says_goodbye_through_the_others() {
    let nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let sid = nodes[0].open_polling().await;
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let (poll, ()) = tokio::join!(nodes[1].request("GET", &target, b""), async {
        sleep(A_WHILE).await;
        nodes[0].engine.close();
    });
    assert_eq!(poll, (200, "1".to_owned()));
    assert_eq!(socket.receive().await, Frame::Close(1001));
    socket.send(Opcode::Close, b"").await;
    assert_eq!(socket.receive().await, Frame::End);
    let drained = timeout(PATIENCE, nodes[0].engine.drained()).await;
    assert!(drained.is_ok());
}

#[tokio::test]
async fn a_node_that_shuts_down_ends_what_it_relays() {
    let mut nodes = nodes::<2>(&memory(), &SharingConfig::default()).await;
    let sid = nodes[0].open_polling().await;
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
    nodes[1].engine.close();
    assert_eq!(socket.receive().await, Frame::End);
    assert_eq!(nodes[0].closed().await, CloseReason::TransportError);
    // It relays nothing any more; other nodes do.
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    assert_eq!(nodes[1].request("GET", &target, b"").await.0, 503);
    assert_eq!(nodes[0].engine.clients_count(), 1);
}

#[tokio::test]
async fn a_slow_bus_makes_nothing_but_slow() {
    let bus: Arc<dyn SessionBus> = Arc::new(Faulty {
        until_loss: AtomicI64::new(-1),
        delay: Duration::from_millis(100),
        ..Faulty::default()
    });
    let nodes = nodes::<3>(&bus, &SharingConfig::default()).await;
    let sid = nodes[0].open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    for at in 0..3 {
        let message = format!("4message {at}");
        let posted = nodes[1 + at % 2]
            .request("POST", &target, message.as_bytes())
            .await;
        assert_eq!(posted.0, 200);
        assert_eq!(
            nodes[2 - at % 2].request("GET", &target, b"").await,
            (200, message)
        );
    }
    let mut socket = nodes[1].websocket(&format!("&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
}

/// Whichever message is lost: a client gets everything, or is told that its session is over.
#[tokio::test]
async fn no_message_is_lost_in_a_session_that_lives() {
    for lost in 0..1_000 {
        let faulty = Arc::new(Faulty {
            until_loss: AtomicI64::new(lost),
            ..Faulty::default()
        });
        let bus: Arc<dyn SessionBus> = faulty.clone();
        let nodes = nodes::<2>(&bus, &alert()).await;
        let outcome = timeout(PATIENCE, talk(&nodes)).await.expect("an end");
        if faulty.until_loss.load(Ordering::Relaxed) >= 0 {
            assert_eq!(outcome, Outcome::Whole, "nothing was lost");
            return;
        }
    }
    panic!("so short a talk needs no thousand messages");
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Ended,
}

/// Polls, posts and goes over to a WebSocket, all relayed; each message must come in its turn.
async fn talk(nodes: &[TestServer; 2]) -> Outcome {
    let sid = nodes[0].open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    for at in 0..3 {
        let message = format!("4{at}");
        let (status, _) = nodes[1].request("POST", &target, message.as_bytes()).await;
        if status != 200 {
            assert_eq!(status, 400);
            return Outcome::Ended;
        }
        let (status, polled) = nodes[1].request("GET", &target, b"").await;
        if status != 200 {
            assert_eq!(status, 400);
            return Outcome::Ended;
        }
        assert_eq!(polled, message);
    }
    let (mut socket, head) = nodes[1].websocket_with(&format!("&sid={sid}"), "").await;
    if !head.starts_with("HTTP/1.1 101") {
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        return Outcome::Ended;
    }
    socket.text("5").await;
    for at in 0..3 {
        let message = format!("4{at}");
        socket.text(&message).await;
        match socket.receive().await {
            Frame::Text(echoed) => assert_eq!(echoed, message),
            Frame::End | Frame::Close(_) => return Outcome::Ended,
            other => panic!("{other:?}"),
        }
    }
    Outcome::Whole
}

#[tokio::test]
async fn questions_and_relays_are_bounded() {
    let bus = memory();
    let narrow = SharingConfig {
        max_asks: 1,
        max_relayed: 1,
        ..SharingConfig::default()
    };
    let nodes = nodes::<2>(&bus, &narrow).await;
    let unknown = format!("{POLLING}&sid={}", Id::generate());
    let (first, second) = tokio::join!(
        nodes[1].request("GET", &unknown, b""),
        nodes[1].request("GET", &unknown, b"")
    );
    assert_eq!((first.0.min(second.0), first.0.max(second.0)), (400, 503));
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    let (poll, post) = tokio::join!(nodes[1].request("GET", &target, b""), async {
        sleep(A_WHILE).await;
        let refused = nodes[1].request("POST", &target, b"4a").await;
        assert_eq!(nodes[0].request("POST", &target, b"4b").await.0, 200);
        refused
    });
    assert_eq!((poll, post.0), ((200, "4b".to_owned()), 503));
    assert_eq!(nodes[1].request("POST", &target, b"4a").await.0, 200);
}

#[tokio::test]
async fn sessions_are_shared_once_and_with_sense() {
    let (sender, _) = unbounded_channel();
    let engine = Engine::new(EngineConfig::default(), Echo(sender)).unwrap();
    let zero = SharingConfig {
        keepalive: Duration::ZERO,
        ..SharingConfig::default()
    };
    let option = "keepalive";
    assert_eq!(
        engine.share_sessions(memory(), zero),
        Err(ConfigError::Zero { option })
    );
    assert_eq!(
        engine.share_sessions(memory(), SharingConfig::default()),
        Ok(true)
    );
    assert_eq!(
        engine.share_sessions(memory(), SharingConfig::default()),
        Ok(false)
    );
}

/// A stranger that writes to the bus is not understood, and breaks nothing.
#[tokio::test]
async fn what_is_no_message_is_ignored() {
    let memory = MemoryBus::new();
    let bus: Arc<dyn SessionBus> = Arc::new(memory.clone());
    let nodes = nodes::<2>(&bus, &SharingConfig::default()).await;
    for message in ["", "\u{0}", "hello", "\u{81}"] {
        memory
            .send(Id::generate(), None, Bytes::from_static(message.as_bytes()))
            .unwrap();
    }
    let target = format!("{POLLING}&sid={}", nodes[0].open_polling().await);
    assert_eq!(nodes[1].request("POST", &target, b"4here").await.0, 200);
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect(nodes[1].address).await.unwrap();
    // HTTP/1.0, which has no chunks: the answer is as the session's node would give it.
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200") && answer.ends_with("4here"),
        "{answer}"
    );
}
