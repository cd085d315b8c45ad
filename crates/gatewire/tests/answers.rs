//! Every acknowledgement is answered once, also where the application's own code fails while the answer is made.

use gatewire::prelude::*;
use gatewire::testing::ScriptedClient as Peer;
use serde::{Serialize, Serializer};

/// Cannot be encoded.
struct Sour;

impl Serialize for Sour {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("sour"))
    }
}

/// Panics when it is encoded.
struct Bomb;

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("secret")
    }
}

/// An error that panics when it is turned into an exception.
struct Fuse;

impl From<Fuse> for WsException {
    fn from(_: Fuse) -> Self {
        panic!("secret")
    }
}

#[websocket_gateway(namespace = "answers")]
struct Gateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("bomb")]
    fn bomb(&self) -> Bomb {
        Bomb
    }

    #[subscribe_message("bomb-async")]
    async fn bomb_async(&self) -> Bomb {
        Bomb
    }

    #[subscribe_message("bomb-concurrent", concurrent)]
    async fn bomb_concurrent(&self) -> Bomb {
        Bomb
    }

    #[subscribe_message("bomb-response")]
    async fn bomb_response(&self) -> WsResponse<Bomb> {
        WsResponse::new("evt", Bomb)
    }

    #[subscribe_message("bomb-by-hand")]
    fn bomb_by_hand(&self, ack: Ack) {
        ack.send(&Bomb);
    }

    #[subscribe_message("sour-by-hand")]
    fn sour_by_hand(&self, ack: Ack) {
        ack.send(&Sour);
    }

    #[subscribe_message("fuse")]
    async fn fuse(&self) -> Result<(), Fuse> {
        Err(Fuse)
    }

    #[subscribe_message("fine")]
    fn fine(&self) -> bool {
        true
    }
}

#[module(providers = [Gateway])]
struct Answers;

#[tokio::test]
async fn whatever_fails() {
    let app = App::create::<Answers>().without_logger().await.unwrap();
    let mut peer = Peer::joined(&app.get::<Gateway>().server);
    for event in [
        "bomb",
        "bomb-async",
        "bomb-concurrent",
        "bomb-response",
        "bomb-by-hand",
        "sour-by-hand",
        "fuse",
        "fine",
    ] {
        let mut sent = peer.ask(&format!(r#"2/answers,7["{event}"]"#));
        if sent.is_empty() {
            sent = peer.wait(1).await;
        }
        let acks: Vec<_> = sent
            .iter()
            .filter(|line| line.starts_with("3/answers,7["))
            .collect();
        let expected = if event == "fine" {
            "true"
        } else {
            r#"{"status":"error","message":"Internal server error"}"#
        };
        assert_eq!(acks, [&format!("3/answers,7[{expected}]")], "{event}");
        assert!(!sent.iter().any(|line| line.contains("secret")), "{event}");
    }
}

#[tokio::test]
async fn the_root_namespace_answers_without_a_gateway_of_its_own() {
    let app = App::create::<Answers>().without_logger().await.unwrap();
    let server = app.get::<Gateway>().server.clone();
    let mut peer = Peer::joined(&server.of("/").unwrap());
    assert_eq!(
        peer.ask(r#"27["fine"]"#),
        [r#"37[{"status":"error","message":"Unknown event","cause":{"pattern":"fine"}}]"#]
    );
}
