//! The hooks: in order, once a client, with refusals, and with several gateways in one namespace.

#[path = "support/log.rs"]
mod log;
mod support;

use gatewire::prelude::*;
use log::Log;
use serde_json::json;
use support::{Peer, ask};

#[websocket_gateway(namespace = "room")]
struct First {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
}

impl OnGatewayInit for First {
    async fn after_init(&self, server: &Server) {
        self.log.note(format!("first init {}", server.name()));
    }
}

impl OnGatewayConnection for First {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        client.emit("welcome", "first");
        tokio::task::yield_now().await;
        self.log.note("first in");
        Ok(())
    }
}

impl OnGatewayDisconnect for First {
    async fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason) {
        self.log
            .note(format!("first out: {reason}, {} rooms", client.rooms().len()));
    }
}

#[subscriptions]
impl First {
    #[subscribe_message("first")]
    fn first(&self) -> u8 {
        1
    }
}

#[websocket_gateway(namespace = "/room")]
struct Second {
    log: Arc<Log>,
}

impl OnGatewayConnection for Second {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let auth: serde_json::Value = client.auth().map_err(WsException::internal)?;
        match auth["token"].as_str() {
            Some("good") => {
                self.log.note("second in");
                Ok(())
            }
            Some("panic") => panic!("secret"),
            Some(_) => Err(WsException::object(
                json!({ "message": "bad token", "code": 401 }),
            )),
            None => Err("who are you?".into()),
        }
    }
}

impl OnGatewayDisconnect for Second {
    async fn handle_disconnect(&self, _client: &Socket, _reason: DisconnectReason) {
        self.log.note("second out");
        panic!("in a hook");
    }
}

#[subscriptions]
impl Second {
    #[subscribe_message("second")]
    async fn second(&self) -> u8 {
        2
    }
}

#[module(providers = [Log, First, Second])]
struct Module;

#[tokio::test]
async fn hooks_run_in_order_and_may_refuse() {
    let app = App::create::<Module>().without_logger().await.unwrap();
    let log = app.get::<Log>();
    let server = app.get::<First>().server.clone();
    assert_eq!(log.take(), ["first init /room"]);

    let mut peer = Peer::new(&server);
    let mut sent = peer.ask(r#"0/room,{"token":"good"}"#);
    sent.extend(peer.ask(r#"2/room,1["second"]"#));
    sent.extend(peer.wait(3 - sent.len()).await);
    assert!(sent[0].starts_with(r#"0/room,{"sid":""#), "{sent:?}");
    assert_eq!(sent[1..], [r#"2/room,["welcome","first"]"#, r#"3/room,1[2]"#]);
    assert_eq!(peer.ask(r#"2/room,2["first"]"#), ["3/room,2[1]"]);
    assert_eq!(log.take(), ["first in", "second in"]);
    peer.close().await;
    assert_eq!(log.take(), ["first out: transport close, 1 rooms", "second out"]);

    for (auth, refusal) in [
        (
            r#"{"token":"bad"}"#,
            r#"{"message":"bad token","data":{"code":401,"message":"bad token"}}"#,
        ),
        ("{}", r#"{"message":"who are you?"}"#),
        (r#"{"token":"panic"}"#, r#"{"message":"Internal server error"}"#),
    ] {
        let mut peer = Peer::new(&server);
        assert_eq!(
            ask(&mut peer, &format!("0/room,{auth}"), 1).await,
            [format!("4/room,{refusal}")],
            "what was emitted meanwhile is not sent"
        );
        let log = log.take();
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(
            log[0] == "first in" && log[1].starts_with("first out: server namespace disconnect"),
            "{log:?}"
        );
        peer.close().await;
    }
    assert_eq!(log.take(), [""; 0], "a refused client does not leave twice");
}
