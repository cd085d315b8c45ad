//! How calls follow each other, how long they may go on, and what becomes of them when their client leaves.

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::ScriptedClient as Peer;
use log::Log;
use tokio::sync::Notify;

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
    #[inject(default)]
    gate: Notify,
}

#[subscriptions(timeout = "1h")]
impl Gateway {
    #[subscribe_message("at-once")]
    fn at_once(&self, MessageBody(text): MessageBody<String>) -> String {
        self.log.note(&text);
        text
    }

    #[subscribe_message("wait")]
    async fn wait(&self, MessageBody(text): MessageBody<String>) -> String {
        self.gate.notified().await;
        self.log.note(&text);
        text
    }

    #[subscribe_message("beside", concurrent = 2)]
    async fn beside(&self, MessageBody(text): MessageBody<String>) -> String {
        self.wait(MessageBody(text)).await
    }

    #[subscribe_message("cancelled", on_disconnect = "cancel")]
    async fn cancelled(&self) {
        self.gate.notified().await;
        self.log.note("not cancelled");
    }

    #[subscribe_message("late", timeout = "20ms")]
    async fn late(&self) {
        std::future::pending().await
    }
}

impl OnGatewayDisconnect for Gateway {
    async fn handle_disconnect(&self, client: &Socket, _: DisconnectReason) {
        self.log.note(format!("left {} room", client.rooms().len()));
    }
}

#[module(providers = [Log, Gateway])]
struct Module;

async fn gateway() -> Arc<Gateway> {
    let app = App::create::<Module>().without_logger().await.unwrap();
    // The handlers go with the application, which is to live as long as the test.
    Box::leak(Box::new(app)).get::<Gateway>()
}

#[tokio::test]
async fn concurrent_calls_are_bounded_for_each_client() {
    let gateway = gateway().await;
    let mut peers = [Peer::joined(&gateway.server), Peer::joined(&gateway.server)];
    for peer in &mut peers {
        for id in 1..=2 {
            assert!(peer.ask(&format!(r#"2{id}["beside","{id}"]"#)).is_empty());
        }
        assert_eq!(
            peer.ask(r#"23["at-once","3"]"#),
            [r#"33["3"]"#],
            "nobody waits yet"
        );
        assert!(peer.ask(r#"24["beside","4"]"#).is_empty());
        assert!(
            peer.ask(r#"25["at-once","5"]"#).is_empty(),
            "two run: the third waits, and so does this"
        );
    }
    for peer in &mut peers {
        for _ in 0..3 {
            gateway.gate.notify_one();
            peer.wait(0).await;
        }
    }
    for _ in 0..6 {
        gateway.gate.notify_one();
        for peer in &mut peers {
            peer.ask(r#"2["unknown"]"#);
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.log.take().len(), 2 + 2 * 4);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_with_an_error() {
    let mut peer = Peer::joined(&gateway().await.server);
    assert!(peer.ask(r#"21["late",{"k":1}]"#).is_empty());
    let error = r#"{"status":"error","message":"Request timeout","cause":{"pattern":"late","data":{"k":1}}}"#;
    assert_eq!(
        peer.wait(2).await,
        [format!(r#"2["exception",{error}]"#), format!("31[{error}]")]
    );
    assert_eq!(peer.ask(r#"22["at-once","on"]"#), [r#"32["on"]"#]);
}

#[tokio::test]
async fn the_hook_waits_for_what_the_client_sent() {
    let gateway = gateway().await;
    let mut peer = Peer::joined(&gateway.server);
    for event in ["beside", "wait", "at-once"] {
        assert!(peer.ask(&format!(r#"21["{event}","{event}"]"#)).is_empty());
    }
    let closed = tokio::spawn(peer.close());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(gateway.log.take(), [""; 0]);
    assert!(gateway.server.is_empty(), "others see at once that it has left");
    gateway.gate.notify_waiters();
    closed.await.unwrap();
    let mut log = gateway.log.take();
    assert_eq!(log.pop().unwrap(), "left 1 room");
    log.sort();
    assert_eq!(log, ["at-once", "beside", "wait"]);
}

#[tokio::test]
async fn a_call_may_end_with_its_client() {
    let gateway = gateway().await;
    let mut peer = Peer::joined(&gateway.server);
    assert!(peer.ask(r#"21["cancelled"]"#).is_empty());
    assert!(peer.ask(r#"22["at-once","behind it"]"#).is_empty());
    peer.close().await;
    assert_eq!(gateway.log.take(), ["behind it", "left 1 room"]);
}

#[tokio::test]
async fn thousands_of_messages_at_once_wait_in_bounds() {
    let app = gatewire::testing::TestApp::create::<Module>().await.unwrap();
    let gateway = app.get::<Gateway>();
    let mut client = app.connect("/").await.unwrap();
    let sender = async {
        client.emit("wait", "first").await.unwrap();
        for _ in 0..5_000 {
            client.emit("at-once", "x").await.unwrap();
        }
        client
    };
    let opener = async {
        tokio::task::yield_now().await;
        gateway.gate.notify_one();
    };
    let (mut client, ()) = futures_util::future::join(sender, opener).await;
    let done = client
        .emit_with_ack::<_, String>("at-once", "last")
        .await
        .unwrap();
    assert_eq!(done, "last");
    let log = gateway.log.take();
    assert_eq!(
        (log.len(), &*log[0], &*log[5_001]),
        (5_002, "first", "last"),
        "none is lost, and in order"
    );
}
