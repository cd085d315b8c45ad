//! Pipes of whole bodies: for the application, a gateway and a handler, and before those of single parameters.

#[path = "support/log.rs"]
mod log;

use bytes::Bytes;
use gatewire::gateway::BodyRejection;
use gatewire::pipeline::{Argument, BodyPipe, Pipe, Trim};
use gatewire::prelude::*;
use gatewire::testing::TestApp;
use log::Log;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

/// Puts its name behind every text; of a text `no` it makes an error, of `panic` a panic.
macro_rules! scope {
    ($pipe:ident, $name:literal) => {
        #[injectable]
        struct $pipe {
            log: Arc<Log>,
        }

        impl BodyPipe for $pipe {
            async fn transform(&self, body: Payload, argument: &Argument) -> Result<Payload, Exception> {
                tokio::task::yield_now().await;
                self.log.note(format!("{} {}", $name, argument.pattern));
                assert_eq!(argument.key, None);
                let body = body.map_json(|value| {
                    if let Value::String(text) = value {
                        *text = format!("{text} {}", $name);
                    }
                });
                let body = body.map_err(BodyRejection::from)?;
                match body.arg::<Value>(0) {
                    Ok(Value::String(text)) if text.starts_with("no ") => Err("not this one".into()),
                    Ok(Value::String(text)) if text.starts_with("panic ") => panic!("secret"),
                    _ => Ok(body),
                }
            }
        }
    };
}

scope!(AppPipe, "app");
scope!(GatewayPipe, "gateway");
scope!(HandlerPipe, "handler");

struct Parameter;

impl Pipe<String> for Parameter {
    type Input = String;

    async fn transform(&self, text: String, _: &Argument) -> Result<String, Exception> {
        Ok(format!("{text} parameter"))
    }
}

/// Notes that it is before the pipes, and what it sees of the message.
#[injectable]
struct Before {
    log: Arc<Log>,
}

impl Guard for Before {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if !context.is_connection() {
            self.log.note(format!("guard {}", context.data::<Value>()?));
        }
        Ok(true)
    }
}

impl Interceptor for Before {
    async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        self.log.note("before");
        let answer = next.handle().await;
        self.log.note("after");
        answer
    }
}

#[websocket_gateway]
#[use_pipes(GatewayPipe)]
struct Gateway {
    log: Arc<Log>,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("all")]
    #[use_pipes(HandlerPipe)]
    #[use_guards(Before)]
    #[use_interceptors(Before)]
    fn all(&self, #[message_body(Parameter)] text: String) -> String {
        self.log.note("handler");
        text
    }

    #[subscribe_message("args")]
    fn args(&self, all: Payload) -> Payload {
        all
    }
}

/// Nothing is bound here but the shipped one.
#[websocket_gateway(namespace = "/trim")]
#[use_pipes(Trim)]
struct Trimmed;

#[subscriptions]
impl Trimmed {
    #[subscribe_message("trim")]
    fn trim(&self, MessageBody(value): MessageBody<Value>) -> Value {
        value
    }

    #[subscribe_message("bytes")]
    fn bytes(&self, MessageBody((text, bytes)): MessageBody<(String, Bytes)>) -> (String, usize) {
        (text, bytes.len())
    }
}

#[module(providers = [Log, AppPipe, Gateway, Trimmed])]
struct AppModule;

async fn app() -> Result<TestApp, Failure> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_global_pipes(app.get::<AppPipe>());
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(TestApp::in_memory(app)?)
}

#[tokio::test]
async fn pipes_run_in_nests_order() -> Result<(), Failure> {
    let app = app().await?;
    let log = app.get::<Log>();
    let mut client = app.connect("/").await?;
    let text: String = client.emit_with_ack("all", "x").await?;
    assert_eq!(text, "x app gateway handler parameter");
    assert_eq!(
        log.take(),
        [
            r#"guard "x""#,
            "before",
            "app all",
            "gateway all",
            "handler all",
            "handler",
            "after"
        ]
    );

    let mut plain = app.connect_ws("/ws").await?;
    let text: String = plain.emit_with_ack("all", "x").await?;
    assert_eq!(text, "x app gateway handler parameter");
    client.send_packet(r#"27["args","a",1,"b"]"#).await?;
    assert_eq!(
        client.next_packet().await?,
        r#"37["a app gateway",1,"b app gateway"]"#
    );
    Ok(())
}

#[tokio::test]
async fn what_a_pipe_refuses_is_told_with_what_was_sent() -> Result<(), Failure> {
    let app = app().await?;
    let log = app.get::<Log>();
    let mut client = app.connect("/").await?;
    for (sent, message) in [("no", "not this one"), ("panic", "Internal server error")] {
        let answer: Value = client.emit_with_ack("all", sent).await?;
        let exception = json!({
            "status": "error",
            "message": message,
            "cause": { "pattern": "all", "data": sent },
        });
        assert_eq!(answer, exception);
        assert_eq!(client.next_event::<Value>("exception").await?, exception);
        let lines = log.take();
        assert_eq!(lines.last().map(String::as_str), Some("after"), "{lines:?}");
    }
    // The connection lives on.
    let text: String = client.emit_with_ack("all", "x").await?;
    assert_eq!(text, "x app gateway handler parameter");
    Ok(())
}

#[tokio::test]
async fn texts_are_trimmed_wherever_they_are() -> Result<(), Failure> {
    let app = TestApp::create::<AppModule>().await?;
    let mut client = app.connect("/trim").await?;
    let sent = json!({ "a": "  x ", " b ": ["y ", { "c": "\tz" }, 1, null] });
    let answer: Value = client.emit_with_ack("trim", &sent).await?;
    assert_eq!(answer, json!({ "a": "x", " b ": ["y", { "c": "z" }, 1, null] }));
    // Attachments stay where they are.
    client
        .send_packet(r#"51-/trim,7["bytes"," x ",{"_placeholder":true,"num":0}]"#)
        .await?;
    client.send_binary([1, 2, 3]).await?;
    assert_eq!(client.next_packet().await?, r#"3/trim,7[["x",3]]"#);
    Ok(())
}
