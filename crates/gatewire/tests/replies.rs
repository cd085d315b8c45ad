//! What a client gets for each kind of result, with an acknowledgement asked for and without.

mod support;

use std::collections::HashMap;

use gatewire::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{Peer, ask};

#[derive(Serialize, Deserialize)]
struct Chat {
    text: String,
    to: Option<u32>,
}

/// Looks like a response, but is a value.
#[derive(Serialize)]
struct Looks {
    event: &'static str,
}

#[derive(Debug)]
struct Full;

impl From<Full> for WsException {
    fn from(_: Full) -> Self {
        Self::object(json!({ "code": "full" }))
    }
}

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("value")]
    fn value(&self, MessageBody(text): MessageBody<String>) -> String {
        format!("got {text}")
    }

    #[subscribe_message("value-async")]
    async fn value_async(&self, MessageBody(text): MessageBody<String>) -> String {
        tokio::task::yield_now().await;
        format!("got {text}")
    }

    #[subscribe_message("falsy")]
    fn falsy(&self) -> bool {
        false
    }

    #[subscribe_message("unit")]
    fn unit(&self) {}

    #[subscribe_message("unit-async")]
    async fn unit_async(&self) {}

    #[subscribe_message("none")]
    fn none(&self) -> Option<String> {
        None
    }

    #[subscribe_message("some")]
    async fn some(&self) -> Result<Option<String>, WsException> {
        Ok(Some("x".to_owned()))
    }

    #[subscribe_message("response")]
    fn response(&self) -> WsResponse<u8> {
        WsResponse::new("evt", 1)
    }

    #[subscribe_message("looks")]
    fn looks(&self) -> Looks {
        Looks { event: "evt" }
    }

    #[subscribe_message("payload")]
    fn payload(&self, all: Payload) -> Payload {
        all
    }

    #[subscribe_message("struct")]
    fn structure(&self, MessageBody(chat): MessageBody<Chat>) -> Chat {
        chat
    }

    #[subscribe_message("tuple")]
    fn tuple(&self, MessageBody((a, b)): MessageBody<(u8, String)>) -> String {
        format!("{a}{b}")
    }

    #[subscribe_message("error")]
    fn error(&self) -> Result<String, WsException> {
        Err(WsException::new("bad creds"))
    }

    #[subscribe_message("error-async")]
    async fn error_async(&self) -> Result<(), &'static str> {
        tokio::task::yield_now().await;
        Err("bad creds")
    }

    #[subscribe_message("error-object")]
    fn error_object(&self) -> Result<u8, Full> {
        Err(Full)
    }

    #[subscribe_message("error-hidden")]
    async fn error_hidden(&self) -> Result<(), WsException> {
        std::fs::read("/nonexistent/secret").map_err(WsException::internal)?;
        Ok(())
    }

    #[subscribe_message("panic")]
    fn panic(&self) -> String {
        panic!("secret")
    }

    #[subscribe_message("panic-async")]
    async fn panic_async(&self) -> Result<(), WsException> {
        tokio::task::yield_now().await;
        panic!("secret")
    }

    #[subscribe_message("unencodable")]
    fn unencodable(&self) -> HashMap<(u8, u8), u8> {
        HashMap::from([((1, 2), 3)])
    }

    #[subscribe_message("ack")]
    fn ack(&self, ack: Ack) -> &'static str {
        assert!(ack.is_asked());
        ack.send("by hand");
        "dropped"
    }

    #[subscribe_message("ack-silent")]
    fn ack_silent(&self, _ack: Ack) {}

    #[subscribe_message("ack-later")]
    fn ack_later(&self, ack: Ack) {
        tokio::spawn(async move { ack.send(&1) });
    }

    #[subscribe_message("ack-error")]
    async fn ack_error(&self, _ack: Option<Ack>) -> Result<(), WsException> {
        Err("no".into())
    }

    #[subscribe_message("ack-none")]
    fn ack_none(&self, ack: Option<Ack>, again: Ack) -> bool {
        assert!(ack.is_none() && !again.is_asked());
        true
    }

    #[subscribe_message("context")]
    #[subscribe_message("context2")]
    async fn context(
        &self,
        Pattern(event): Pattern,
        client: Socket,
        server: Server,
        shake: Handshake,
    ) -> String {
        assert!(server.socket(client.id().as_str()).is_some());
        assert_eq!(server.name(), self.server.name());
        format!("{event} {}", shake.headers().get("x-user").unwrap_or("?"))
    }

    #[subscribe_message("extension")]
    fn extension(&self, name: Extension<String>) -> String {
        name.0.to_string()
    }

    #[subscribe_message("set")]
    fn set(&self, client: Socket, MessageBody(name): MessageBody<String>) {
        client.set(name);
    }

    #[subscribe_message("slow", concurrent = 1)]
    async fn slow(&self, MessageBody(ms): MessageBody<u64>) -> u64 {
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        ms
    }
}

#[module(providers = [Gateway])]
struct Module;

async fn server() -> Server {
    let app = App::create::<Module>().without_logger().await.unwrap();
    // The handlers go with the application, which is to live as long as the test.
    Box::leak(Box::new(app)).get::<Gateway>().server.clone()
}

#[tokio::test]
async fn results_become_answers() {
    let server = server().await;
    let mut peer = Peer::with_headers(&server, &[("x-user", "ada")]);
    peer.join(&server);
    let cause = |event: &str| format!(r#"{{"pattern":"{event}","data":{{"k":1}}}}"#);
    let error = |event: &str, message: &str| {
        format!(
            r#"{{"status":"error","message":"{message}","cause":{}}}"#,
            cause(event)
        )
    };
    let both =
        |id: u32, object: &str| vec![format!(r#"2["exception",{object}]"#), format!("3{id}[{object}]")];
    let one = |text: &str| vec![text.to_owned()];
    let deep = format!(r#"21["value",{}"#, "[".repeat(200_000));
    let too_deep = r#"{"status":"error","message":"The data nests too deep","cause":{"pattern":"value"}}"#;
    let cases: Vec<(&str, Vec<String>)> = vec![
        // A plain value: the acknowledgement, or an event of the same name.
        (r#"21["value","x"]"#, one(r#"31["got x"]"#)),
        (r#"2["value","x"]"#, one(r#"2["value","got x"]"#)),
        (r#"21["value-async","x"]"#, one(r#"31["got x"]"#)),
        (r#"2["value-async","x"]"#, one(r#"2["value-async","got x"]"#)),
        (r#"21["falsy"]"#, one("31[false]")),
        (r#"2["falsy"]"#, one(r#"2["falsy",false]"#)),
        // Nothing.
        (r#"22["unit"]"#, one("32[]")),
        (r#"2["unit"]"#, vec![]),
        (r#"22["unit-async"]"#, one("32[]")),
        (r#"22["none"]"#, one("32[]")),
        (r#"2["none"]"#, vec![]),
        (r#"22["some"]"#, one(r#"32["x"]"#)),
        // A response, and what only looks like one.
        (r#"2["response"]"#, one(r#"2["evt",1]"#)),
        (
            r#"23["response"]"#,
            vec![r#"2["evt",1]"#.to_owned(), "33[]".to_owned()],
        ),
        (r#"23["looks"]"#, one(r#"33[{"event":"evt"}]"#)),
        // Any arguments, untouched.
        (
            r#"24["payload",1,"two",{"a" : 3}]"#,
            one(r#"34[1,"two",{"a" : 3}]"#),
        ),
        (r#"2["payload"]"#, one(r#"2["payload"]"#)),
        // Bodies.
        (
            r#"25["struct",{"text":"hi"}]"#,
            one(r#"35[{"text":"hi","to":null}]"#),
        ),
        (r#"25["tuple",7,"up"]"#, one(r#"35["7up"]"#)),
        (
            r#"25["value",{"k":1}]"#,
            both(
                5,
                &error(
                    "value",
                    "Invalid message body: invalid type: map, expected a string",
                ),
            ),
        ),
        (
            r#"25["struct",{"k":1}]"#,
            both(5, &error("struct", "Invalid message body: missing field `text`")),
        ),
        (&deep, both(1, too_deep)),
        // Errors.
        (r#"26["error",{"k":1}]"#, both(6, &error("error", "bad creds"))),
        (
            r#"26["error-async",{"k":1}]"#,
            both(6, &error("error-async", "bad creds")),
        ),
        (
            r#"2["error",{"k":1}]"#,
            one(&format!(r#"2["exception",{}]"#, error("error", "bad creds"))),
        ),
        (
            r#"2["error",1,[2]]"#,
            one(
                r#"2["exception",{"status":"error","message":"bad creds","cause":{"pattern":"error","data":[1,[2]]}}]"#,
            ),
        ),
        (
            r#"2["error"]"#,
            one(r#"2["exception",{"status":"error","message":"bad creds","cause":{"pattern":"error"}}]"#),
        ),
        (r#"26["error-object",{"k":1}]"#, both(6, r#"{"code":"full"}"#)),
        (
            r#"26["error-hidden",{"k":1}]"#,
            both(6, &error("error-hidden", "Internal server error")),
        ),
        (
            r#"26["panic",{"k":1}]"#,
            both(6, &error("panic", "Internal server error")),
        ),
        (
            r#"26["panic-async",{"k":1}]"#,
            both(6, &error("panic-async", "Internal server error")),
        ),
        (
            r#"26["unencodable",{"k":1}]"#,
            both(6, &error("unencodable", "Internal server error")),
        ),
        (
            r#"2["unencodable",{"k":1}]"#,
            one(&format!(
                r#"2["exception",{}]"#,
                error("unencodable", "Internal server error")
            )),
        ),
        (
            r#"27["unknown",{"k":1}]"#,
            one(&format!("37[{}]", error("unknown", "Unknown event"))),
        ),
        (r#"2["unknown",{"k":1}]"#, vec![]),
        // By hand.
        (r#"28["ack"]"#, one(r#"38["by hand"]"#)),
        (r#"28["ack-silent"]"#, one("38[]")),
        (r#"28["ack-later"]"#, one("38[1]")),
        (r#"28["ack-error",{"k":1}]"#, both(8, &error("ack-error", "no"))),
        (r#"2["ack-none"]"#, vec![]),
        // What else there is to know.
        (r#"29["context"]"#, one(r#"39["context ada"]"#)),
        (r#"29["context2"]"#, one(r#"39["context2 ada"]"#)),
        (
            r#"29["extension",{"k":1}]"#,
            both(9, &error("extension", "Internal server error")),
        ),
        (r#"29["set","ada"]"#, one("39[]")),
        (r#"29["extension"]"#, one(r#"39["ada"]"#)),
    ];
    for (packet, expected) in cases {
        assert_eq!(ask(&mut peer, packet, expected.len()).await, expected, "{packet}");
    }
}

#[tokio::test]
async fn binary_arguments_come_back() {
    let mut peer = Peer::joined(&server().await);
    assert!(
        peer.ask(r#"51-7["payload",{"_placeholder":true,"num":0},2]"#)
            .is_empty()
    );
    assert_eq!(
        peer.ask_binary(&[1, 2, 255]),
        [r#"61-7[{"_placeholder":true,"num":0},2]"#, "<0102ff>"]
    );
}

#[tokio::test]
async fn concurrent_handlers_do_not_wait_up_to_their_limit() {
    let mut peer = Peer::joined(&server().await);
    assert!(peer.ask(r#"21["slow",40]"#).is_empty());
    assert_eq!(
        peer.ask(r#"22["value","x"]"#),
        [r#"32["got x"]"#],
        "the slow one is not waited for"
    );
    assert!(peer.ask(r#"23["slow",1]"#).is_empty(), "one runs already");
    assert!(peer.ask(r#"24["value","y"]"#).is_empty(), "so the order is kept");
    assert_eq!(peer.wait(3).await.len(), 3);
}
