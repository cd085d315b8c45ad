//! The testing tools themselves: clients in memory and on a port, what they expect and are refused, and a paused clock.

use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::{Closed, TestApp, TestError};
use serde_json::{Value, json};

#[websocket_gateway(namespace = "/chat", ping_interval = 10_000, ping_timeout = 5_000)]
struct Chat;

#[subscriptions]
impl Chat {
    #[subscribe_message("say")]
    async fn say(&self, client: Socket, MessageBody(text): MessageBody<String>) -> usize {
        client.broadcast().emit("said", &text);
        text.len()
    }

    #[subscribe_message("bytes")]
    fn bytes(&self, all: Payload) -> Payload {
        all
    }

    #[subscribe_message("ask-me")]
    async fn ask_me(&self, client: Socket) -> Result<Payload, WsException> {
        client
            .emit_with_ack("question", &6)
            .await
            .map_err(WsException::internal)
    }

    #[subscribe_message("kick-me")]
    fn kick_me(&self, client: Socket) {
        client.disconnect(false);
    }

    #[subscribe_message("slow")]
    async fn slow(&self) -> &'static str {
        tokio::time::sleep(Duration::from_secs(3)).await;
        "slow"
    }
}

impl OnGatewayConnection for Chat {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        if client.auth::<Value>().is_ok_and(|auth| auth["token"] == "bad") {
            return Err("bad token".into());
        }
        client.emit("welcome", &client.handshake().headers().get("x-name"));
        Ok(())
    }
}

#[module(providers = [Chat])]
struct AppModule;

async fn converse(app: &TestApp) -> Result<(), TestError> {
    let mut ada = app.client().header("x-name", "ada").connect("/chat").await?;
    let mut bob = app.connect("chat").await?;
    assert_eq!(ada.next_event::<String>("welcome").await?, "ada");
    assert_eq!(bob.next_event::<Value>("welcome").await?, Value::Null);
    assert!(app.server("/chat").unwrap().socket(ada.id()).is_some());

    assert_eq!(ada.emit_with_ack::<_, usize>("say", "one").await?, 3);
    ada.emit("say", "two").await?;
    assert_eq!(
        ada.next_event::<usize>("say").await?,
        3,
        "the answer without an ack"
    );
    assert_eq!(bob.next_event::<String>("said").await?, "one");
    assert_eq!(bob.next_packet().await?, r#"2/chat,["said","two"]"#);

    ada.emit("ask-me", &()).await?;
    let question = ada.next_event_of("question").await?;
    assert_eq!(question.args, [json!(6)]);
    ada.answer(&question, &42).await?;
    assert_eq!(ada.next_event::<u32>("ask-me").await?, 42);

    ada.send_packet(r#"51-/chat,9["bytes",{"_placeholder":true,"num":0}]"#)
        .await?;
    ada.send_binary([1, 2, 3]).await?;
    assert_eq!(
        ada.next_packet().await?,
        r#"61-/chat,9[{"_placeholder":true,"num":0}]"#
    );

    assert!(ada.pending_events().is_empty());
    ada.emit("kick-me", &()).await?;
    assert_eq!(ada.closed().await?, Closed::Namespace);

    let refused = app
        .client()
        .auth(&json!({ "token": "bad" }))
        .connect("/chat")
        .await;
    let Err(TestError::ConnectError { error, .. }) = refused else {
        panic!("a bad token was let in")
    };
    assert_eq!(error, json!({ "message": "bad token" }));
    let refused = app.client().query("transport", "smoke").connect("/chat").await;
    assert!(
        matches!(&refused, Err(TestError::Refused { status: 400, body }) if !body.is_empty()),
        "{:?}",
        refused.err()
    );
    bob.close().await;
    Ok(())
}

/// The same with plain WebSockets, which are at `/ws`.
async fn converse_plainly(app: &TestApp) -> Result<(), TestError> {
    let mut ada = app
        .client()
        .header("x-name", "ada")
        .connect_ws("/ws/chat")
        .await?;
    let mut bob = app
        .client()
        .query("token", "good")
        .connect_ws("/ws/chat?x=1")
        .await?;
    assert_eq!(ada.next_event::<String>("welcome").await?, "ada");
    assert_eq!(bob.next_event::<Value>("welcome").await?, Value::Null);
    assert_eq!(ada.protocol(), None);

    assert_eq!(ada.emit_with_ack::<_, usize>("say", "one").await?, 3);
    ada.emit("say", "two").await?;
    assert_eq!(
        ada.next_event::<usize>("say").await?,
        3,
        "the answer without an id"
    );
    assert_eq!(bob.next_event::<String>("said").await?, "one");
    assert_eq!(bob.next_message().await?, r#"{"event":"said","data":"two"}"#);

    ada.emit("ask-me", &()).await?;
    let question = ada.next_event_of("question").await?;
    assert_eq!(question.args, [json!(6)]);
    ada.answer(&question, &42).await?;
    assert_eq!(ada.next_event::<u32>("ask-me").await?, 42);

    ada.send_text("what?").await?;
    assert_eq!(ada.next_event::<Value>("exception").await?["status"], "error");
    ada.send_binary([1, 2, 3]).await?;
    assert_eq!(ada.next_event::<Value>("exception").await?["status"], "error");
    assert!(ada.pending_events().is_empty());
    ada.emit("kick-me", &()).await?;
    assert_eq!(ada.closed().await?, Closed::Frame(Some(1000)));

    let mut refused = app.connect_ws("/ws/chat?token=bad").await?;
    let exception: Value = refused.next_event("exception").await?;
    assert_eq!(exception["message"], "bad token");
    assert_eq!(refused.closed().await?, Closed::Frame(Some(1008)));
    let nowhere = app.connect_ws("/nowhere").await;
    assert!(matches!(nowhere, Err(TestError::Refused { status: 404, .. })));
    bob.close().await;
    Ok(())
}

async fn on_both() -> gatewire::Result<App> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(app)
}

#[tokio::test]
async fn clients_converse_in_memory() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::in_memory(on_both().await?)?;
    assert_eq!(app.local_addr(), None);
    converse(&app).await?;
    converse_plainly(&app).await?;
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn clients_converse_on_a_port() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::on_free_port(on_both().await?).await?;
    converse(&app).await?;
    converse_plainly(&app).await?;
    let address = app.local_addr().unwrap();
    app.close().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn hours_pass_in_no_time() -> Result<(), Box<dyn std::error::Error>> {
    let started = std::time::Instant::now();
    let app = TestApp::create::<AppModule>().await?;
    let mut client = app.connect("/chat").await?;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(client.emit_with_ack::<_, String>("slow", &()).await?, "slow");

    let silent = client.next_event::<Value>("never").await;
    let Err(TestError::Timeout {
        waiting_for, instead, ..
    }) = silent
    else {
        panic!("{silent:?}")
    };
    assert_eq!(waiting_for, r#"the event "never""#);
    assert_eq!(instead.len(), 1, "the welcome: {instead:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
    Ok(())
}
