//! Guards at the connection: who is let in, with which identity, and what a refused client is told.

#[path = "support/log.rs"]
mod log;
mod support;

use std::time::Duration;

use gatewire::pipeline::Expiry;
use gatewire::prelude::*;
use log::Log;
use serde::Deserialize;
use serde_json::json;
use support::{Peer, ask};
use tokio::time::Instant;

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Debug)]
struct User(String);

#[derive(Debug)]
struct Banned;

impl From<Banned> for WsException {
    fn from(_: Banned) -> Self {
        "banned".into()
    }
}

/// Lets clients with a token in, as the user of that name.
#[injectable]
struct TokenGuard {
    log: Arc<Log>,
}

impl Guard for TokenGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        let client = context.client();
        if !context.is_connection() {
            return Ok(client.get::<User>().is_some());
        }
        assert_eq!(
            (context.handler(), context.pattern()),
            ("handle_connection", "handle_connection")
        );
        assert!(context.args().is_none());
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.log.note(format!("{} asks", context.gateway()));
        match &*context.data::<Auth>()?.token {
            "panic" => panic!("secret"),
            "none" => return Ok(false),
            "hang" => std::future::pending().await,
            "banned" => return Err(Banned.into()),
            "object" => return Err(WsException::object(json!({ "message": "no", "code": 4401 })).into()),
            "short" => Expiry::after(Duration::from_millis(500))
                .reason("Token expired")
                .set(client),
            _ => {}
        }
        client.set(User(context.data::<Auth>()?.token));
        Ok(true)
    }
}

/// Tries to let banned clients in, which no filter can.
#[injectable]
struct BanFilter;

impl ExceptionFilter for BanFilter {
    type Error = Banned;

    async fn catch(&self, _: Banned, context: &ExecutionContext) -> Result<Answer, WsException> {
        assert!(context.is_connection());
        Answer::value(&json!({ "message": "come back", "days": 3 }))
    }
}

#[websocket_gateway(namespace = "/safe")]
#[use_guards(TokenGuard)]
#[use_filters(BanFilter)]
struct Safe {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
}

impl OnGatewayConnection for Safe {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let user = client.get::<User>().ok_or("no user")?;
        self.log.note(format!("{} comes", user.0));
        if user.0 == "hook" {
            Err("not you".into())
        } else {
            Ok(())
        }
    }
}

impl OnGatewayDisconnect for Safe {
    async fn handle_disconnect(&self, _client: &Socket, reason: DisconnectReason) {
        self.log.note(format!("left: {reason}"));
    }
}

#[subscriptions]
impl Safe {
    #[subscribe_message("whoami")]
    fn whoami(&self, user: Extension<User>) -> String {
        user.0.0.clone()
    }

    #[subscribe_message("renew")]
    fn renew(&self, client: Socket) {
        Expiry::after(Duration::from_millis(800)).set(&client);
    }

    #[subscribe_message("keep")]
    fn keep(&self, client: Socket) {
        Expiry::clear(&client);
    }
}

/// Shares the namespace; has no guard of its own.
#[websocket_gateway(namespace = "/safe")]
struct Second {
    log: Arc<Log>,
}

impl OnGatewayConnection for Second {
    async fn handle_connection(&self, _client: &Socket) -> Result<(), WsException> {
        self.log.note("second");
        Ok(())
    }
}

#[module(providers = [Log, Safe, Second])]
struct Module;

async fn app() -> (App, Arc<Log>, Server) {
    let app = App::create::<Module>().without_logger().await.unwrap();
    let (log, server) = (app.get::<Log>(), app.get::<Safe>().server.clone());
    (app, log, server)
}

/// A client that comes with this token.
async fn connect(server: &Server, token: &str) -> (Peer, Vec<String>) {
    let mut peer = Peer::new(server);
    let sent = ask(&mut peer, &format!(r#"0/safe,{{"token":"{token}"}}"#), 1).await;
    (peer, sent)
}

#[tokio::test(start_paused = true)]
async fn a_guard_refuses_before_the_hook() {
    let (_app, log, server) = app().await;
    for (token, refusal) in [
        ("none", r#"{"message":"Forbidden resource"}"#),
        ("panic", r#"{"message":"Internal server error"}"#),
        (
            "object",
            r#"{"message":"no","data":{"code":4401,"message":"no"}}"#,
        ),
        (
            "banned",
            r#"{"message":"come back","data":{"days":3,"message":"come back"}}"#,
        ),
    ] {
        let (_peer, sent) = connect(&server, token).await;
        assert_eq!(sent, [format!("4/safe,{refusal}")]);
        assert_eq!(log.take(), ["Safe asks"], "neither hook is called");
    }
    let mut peer = Peer::new(&server);
    assert_eq!(
        ask(&mut peer, r#"0/safe,{"name":"ada"}"#, 1).await,
        [r#"4/safe,{"message":"Invalid auth: missing field `token`"}"#]
    );
    assert_eq!(log.take(), ["Safe asks"]);
    let (_peer, sent) = connect(&server, "hook").await;
    assert_eq!(sent, [r#"4/safe,{"message":"not you"}"#]);
    assert_eq!(log.take(), ["Safe asks", "hook comes"]);
    assert!(server.sockets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_identity_is_there_before_the_first_message() {
    let (_app, log, server) = app().await;
    let mut peer = Peer::new(&server);
    assert_eq!(peer.ask(r#"0/safe,{"token":"ada"}"#), [""; 0]);
    // Sent before the guard has decided: held until both hooks have ended.
    assert_eq!(peer.ask(r#"2/safe,1["whoami"]"#), [""; 0]);
    let sent = peer.wait(2).await;
    assert!(sent[0].starts_with(r#"0/safe,{"sid""#), "{sent:?}");
    assert_eq!(sent[1], r#"3/safe,1["ada"]"#);
    assert_eq!(log.take(), ["Safe asks", "ada comes", "second"]);
}

#[tokio::test(start_paused = true)]
async fn early_messages_are_dropped_with_the_refusal() {
    let (_app, log, server) = app().await;
    let mut peer = Peer::new(&server);
    assert_eq!(peer.ask(r#"0/safe,{"token":"none"}"#), [""; 0]);
    for _ in 0..64 {
        assert_eq!(peer.ask(r#"2/safe,["whoami"]"#), [""; 0]);
    }
    assert_eq!(peer.wait(1).await, [r#"4/safe,{"message":"Forbidden resource"}"#]);
    assert_eq!(log.take(), ["Safe asks"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_does_not_decide_refuses() {
    let (mut app, log, server) = app().await;
    app.connect_limit(Duration::from_secs(3));
    let mut peer = Peer::new(&server);
    assert_eq!(peer.ask(r#"0/safe,{"token":"hang"}"#), [""; 0]);
    assert_eq!(peer.ask(r#"2/safe,1["whoami"]"#), [""; 0]);
    tokio::time::sleep(Duration::from_millis(2900)).await;
    assert_eq!(peer.sent(), [""; 0]);
    assert_eq!(
        peer.wait(1).await,
        [r#"4/safe,{"message":"Connection timed out"}"#]
    );
    assert_eq!(log.take(), ["Safe asks"]);
    assert!(server.sockets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_identity_ends() {
    let (_app, log, server) = app().await;

    let start = Instant::now();
    let (mut peer, _) = connect(&server, "short").await;
    let expired = r#"2/safe,["exception",{"status":"error","message":"Token expired"}]"#;
    assert_eq!(peer.wait(2).await, [expired, "1/safe,"]);
    assert!(
        (500..600).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(log.take().last().unwrap(), "left: server namespace disconnect");

    // Set anew, the new end counts.
    let (mut peer, _) = connect(&server, "short").await;
    let start = Instant::now();
    assert_eq!(peer.ask(r#"2/safe,1["renew"]"#), ["3/safe,1[]"]);
    let expired = r#"2/safe,["exception",{"status":"error","message":"Identity expired"}]"#;
    assert_eq!(peer.wait(2).await, [expired, "1/safe,"]);
    assert!(
        (800..900).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );

    let (mut peer, _) = connect(&server, "short").await;
    assert_eq!(peer.ask(r#"2/safe,1["keep"]"#), ["3/safe,1[]"]);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(peer.ask(r#"2/safe,2["whoami"]"#), [r#"3/safe,2["short"]"#]);
}
