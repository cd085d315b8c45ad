//! What counts as a fault of a plain client, whatever is bound to its handler, and what too many of them lead to.

#[path = "support/plain.rs"]
mod plain;

use std::net::SocketAddr;

use gatewire::prelude::*;
use gatewire::testing::TestApp;
use plain::Plain;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Lets everything through.
#[injectable]
struct Through;

impl Guard for Through {
    async fn can_activate(&self, _: &ExecutionContext) -> Result<bool, Exception> {
        Ok(true)
    }
}

impl Interceptor for Through {
    async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        next.handle().await
    }
}

/// Lets no message through.
#[injectable]
struct Nobody;

impl Guard for Nobody {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        Ok(context.is_connection())
    }
}

#[websocket_gateway]
struct Numbers;

#[subscriptions]
impl Numbers {
    #[subscribe_message("double")]
    fn double(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number * 2
    }

    #[subscribe_message("guarded")]
    #[use_guards(Through)]
    fn guarded(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number
    }

    #[subscribe_message("around")]
    #[use_interceptors(Through)]
    async fn around(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number
    }

    #[subscribe_message("closed")]
    #[use_guards(Nobody)]
    fn closed(&self) {}

    #[subscribe_message("odd")]
    #[use_guards(Through)]
    fn odd(&self) -> Result<(), WsException> {
        Err("odd".into())
    }
}

#[module(providers = [Numbers, Through, Nobody])]
struct NumbersModule;

async fn serve() -> (TestApp, SocketAddr) {
    let mut app = App::create::<NumbersModule>().without_logger().await.unwrap();
    app.use_websocket_adapter(WsAdapter::new().max_faults(8));
    let app = TestApp::on_free_port(app).await.unwrap();
    let address = app.local_addr().unwrap();
    (app, address)
}

#[tokio::test]
async fn every_fault_is_told_and_too_many_end_the_connection() {
    let (_app, address) = serve().await;
    let mut client = Plain::open(address, "/").await;
    let faults = [
        ("nonsense", "the message is not JSON from byte 0 on"),
        (r#"{"data":1}"#, "the message has no field `event`"),
        (r#"{"event":"unheard of"}"#, "Unknown event"),
        (
            r#"{"event":"double","data":"two"}"#,
            "Invalid message body: invalid type: string \"two\", expected u32",
        ),
        (
            r#"{"event":"guarded","data":"two"}"#,
            "Invalid message body: invalid type: string \"two\", expected u32",
        ),
        (
            r#"{"event":"around","data":"two"}"#,
            "Invalid message body: invalid type: string \"two\", expected u32",
        ),
        (r#"{"event":"unheard of","id":7}"#, "Unknown event"),
    ];
    for (message, expected) in faults {
        client.say(message).await;
        let told = client.json().await;
        assert_eq!(told["data"]["message"], expected, "{told}");
    }
    futures_util::SinkExt::send(&mut client.0, Message::binary(b"{}".to_vec()))
        .await
        .unwrap();
    let told = client.json().await;
    assert_eq!(told["event"], "exception");
    assert_eq!(
        told["data"]["message"],
        "a binary message came, but every message is text"
    );
    // What is right, and what a guard or a handler does not like, are no faults.
    client.say(r#"{"event":"closed","data":1}"#).await;
    assert_eq!(client.json().await["data"]["message"], "Forbidden resource");
    client.say(r#"{"event":"odd","data":1}"#).await;
    assert_eq!(client.json().await["data"]["message"], "odd");
    assert_eq!(
        client.call(json!({"event": "double", "data": 4, "id": 1})).await,
        8
    );
    client.say(r#"{"event":"double","data":-1}"#).await;
    assert_eq!(client.json().await["event"], "exception");
    assert_eq!(
        client.closed().await,
        (1008, "too many messages that are none".to_owned())
    );
}
