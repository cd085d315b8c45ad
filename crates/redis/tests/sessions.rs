//! The bus by which engines share their sessions, over a Redis of the test's own.

mod support;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_hub::cluster::{BusReceiver, Cluster, SessionBus};
use gatewire_redis::{RedisAdapter, RedisConfig};
use support::{PATIENCE, Redis, server};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

struct Heard(UnboundedSender<Bytes>);

impl BusReceiver for Heard {
    fn receive(&self, message: &[u8]) {
        // The test has ended if nobody listens.
        let _ = self.0.send(Bytes::copy_from_slice(message));
    }
}

struct Node {
    id: Id,
    bus: Arc<dyn SessionBus>,
    heard: UnboundedReceiver<Bytes>,
    _receiver: Arc<Heard>,
}

impl Node {
    async fn start(redis: &Redis) -> Self {
        let config = RedisConfig {
            share_sessions: true,
            ..RedisConfig::default()
        };
        let adapter = RedisAdapter::connect_with(&redis.url(), config).await.unwrap();
        let bus = adapter.session_bus().expect("a bus");
        let (sender, heard) = unbounded_channel();
        let (id, receiver) = (Id::generate(), Arc::new(Heard(sender)));
        let weak: Weak<Heard> = Arc::downgrade(&receiver);
        bus.join(id, weak);
        Self {
            id,
            bus,
            heard,
            _receiver: receiver,
        }
    }

    async fn next(&mut self) -> Bytes {
        timeout(PATIENCE, self.heard.recv())
            .await
            .expect("a message")
            .unwrap()
    }

    /// Sends to all until `other` hears it: subscriptions take their time.
    async fn meet(&self, other: &mut Self) {
        let meeting = async {
            loop {
                self.bus
                    .send(self.id, None, Bytes::from_static(b"hello"))
                    .unwrap();
                self.bus
                    .send(self.id, Some(other.id), Bytes::from_static(b"hello you"))
                    .unwrap();
                let soon = timeout(PATIENCE / 100, async {
                    while other.heard.recv().await.unwrap() != "hello you" {}
                });
                if soon.await.is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, meeting).await.expect("the nodes to meet");
        // What is under way still.
        self.bus
            .send(self.id, Some(other.id), Bytes::from_static(b"now"))
            .unwrap();
        while other.next().await != "now" {}
    }
}

#[tokio::test]
async fn messages_go_to_one_or_to_all_in_order() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (mut a, mut b, mut c) = (
        Node::start(&redis).await,
        Node::start(&redis).await,
        Node::start(&redis).await,
    );
    a.meet(&mut b).await;
    a.meet(&mut c).await;
    b.meet(&mut a).await;
    for at in 0..5_000 {
        let to = (at % 2 == 0).then_some(b.id);
        a.bus.send(a.id, to, format!("to b {at}").into()).unwrap();
    }
    for at in 0..5_000 {
        loop {
            let message = b.next().await;
            if message.starts_with(b"to b") {
                assert_eq!(message, format!("to b {at}"));
                break;
            }
        }
    }
    // Of the others it hears nothing.
    let mut heard = 0;
    while heard < 2_500 {
        let message = c.next().await;
        if message.starts_with(b"to b") {
            assert_eq!(message, format!("to b {}", 2 * heard + 1));
            heard += 1;
        }
    }
    b.bus.leave(b.id);
    a.bus.send(a.id, Some(b.id), Bytes::from_static(b"gone")).unwrap();
    a.bus.send(a.id, None, Bytes::from_static(b"last")).unwrap();
    while c.next().await != "last" {}
}

#[tokio::test]
async fn a_bus_is_there_if_it_is_wanted() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let adapter = RedisAdapter::connect(&redis.url()).await.unwrap();
    assert!(adapter.session_bus().is_none());
}
