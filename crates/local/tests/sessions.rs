//! The bus by which engines share their sessions, over sockets of a directory.

mod support;

use std::sync::{Arc, Weak};
use std::time::Duration;

use gatewire_hub::Id;
use gatewire_hub::cluster::{BusError, BusReceiver, Cluster, SessionBus};
use gatewire_local::{LocalCluster, LocalConfig};
use support::{Folder, PATIENCE};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

struct Heard(UnboundedSender<Vec<u8>>);

impl BusReceiver for Heard {
    fn receive(&self, message: &[u8]) {
        // The test has ended if nobody listens.
        let _ = self.0.send(message.to_vec());
    }
}

struct Engine {
    id: Id,
    bus: Arc<dyn SessionBus>,
    heard: UnboundedReceiver<Vec<u8>>,
    _receiver: Arc<Heard>,
}

impl Engine {
    async fn start(folder: &Folder) -> Self {
        let bus = LocalCluster::at(folder.path()).await.unwrap().session_bus();
        let bus = bus.expect("a bus");
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

    async fn next(&mut self) -> Vec<u8> {
        timeout(PATIENCE, self.heard.recv())
            .await
            .expect("a message")
            .unwrap()
    }

    /// Sends to all until the other hears it.
    async fn meet(&self, other: &mut Self) {
        let meeting = async {
            loop {
                self.bus.send(self.id, None, self.id.to_string().into()).unwrap();
                let wait = Duration::from_millis(20);
                if let Ok(Some(_)) = timeout(wait, other.heard.recv()).await {
                    break;
                }
            }
        };
        timeout(PATIENCE, meeting).await.expect("the engines to meet");
        self.bus.send(self.id, Some(other.id), "met".into()).unwrap();
        while other.next().await != b"met" {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_to_one_or_to_all_others_in_their_order() {
    const COUNT: u32 = 5_000;
    let folder = Folder::new();
    let (mut a, mut b, mut c) = (
        Engine::start(&folder).await,
        Engine::start(&folder).await,
        Engine::start(&folder).await,
    );
    a.meet(&mut b).await;
    a.meet(&mut c).await;
    b.meet(&mut a).await;
    // Behind what they said to meet each other.
    a.bus.send(a.id, None, "start".into()).unwrap();
    while b.next().await != b"start" {}
    while c.next().await != b"start" {}
    for n in 0..COUNT {
        let to = (n % 2 == 0).then_some(b.id);
        a.bus.send(a.id, to, n.to_string().into()).unwrap();
    }
    for n in 0..COUNT {
        assert_eq!(b.next().await, n.to_string().as_bytes());
    }
    for n in (1..COUNT).step_by(2) {
        assert_eq!(c.next().await, n.to_string().as_bytes());
    }
    b.bus.leave(b.id);
    assert_eq!(b.bus.send(b.id, None, "gone".into()), Err(BusError::Disconnected));
    a.bus.send(a.id, Some(b.id), "gone".into()).unwrap();
    a.bus.send(a.id, None, "after".into()).unwrap();
    assert_eq!(c.next().await, b"after");
}

#[tokio::test]
async fn a_cluster_need_not_share_sessions() {
    let folder = Folder::new();
    let config = LocalConfig {
        share_sessions: false,
        ..LocalConfig::default()
    };
    let cluster = LocalCluster::with_config(folder.path(), config).await.unwrap();
    assert!(cluster.session_bus().is_none());
}
