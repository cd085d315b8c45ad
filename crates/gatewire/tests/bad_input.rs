//! What clients do wrong, with Socket.IO and with plain WebSockets: each gets a typed error, leaves one line in the log, and
//! neither its connection nor the process is the worse for it.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::{TestApp, TestClient, TestWsClient};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tracing_subscriber::fmt::MakeWriter;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Pair {
    number: u32,
    text: String,
}

#[websocket_gateway]
struct Gateway {
    #[inject(default)]
    entered: Notify,
    #[inject(default)]
    gate: Notify,
    #[inject(default)]
    done: Mutex<Vec<&'static str>>,
}

impl Gateway {
    fn note(&self, what: &'static str) {
        self.done.lock().unwrap().push(what);
    }

    fn done(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.done.lock().unwrap())
    }
}

impl OnGatewayDisconnect for Gateway {
    async fn handle_disconnect(&self, _: &Socket, _: DisconnectReason) {
        self.note("left");
        self.entered.notify_one();
    }
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("number")]
    fn number(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number
    }

    #[subscribe_message("pair")]
    async fn pair(&self, MessageBody(pair): MessageBody<Pair>) -> String {
        format!("{} {}", pair.number, pair.text)
    }

    #[subscribe_message("echo")]
    fn echo(&self, MessageBody(value): MessageBody<Value>) -> Value {
        value
    }

    #[subscribe_message("none")]
    fn none(&self) {}

    #[subscribe_message("unencodable")]
    async fn unencodable(&self) -> HashMap<(u8, u8), u8> {
        HashMap::from([((1, 2), 3)])
    }

    #[subscribe_message("panic")]
    async fn panic(&self) {
        panic!("secret")
    }

    #[subscribe_message("wait")]
    async fn wait(&self) -> &'static str {
        self.entered.notify_one();
        self.gate.notified().await;
        self.note("waited");
        "waited"
    }

    #[subscribe_message("wait-in-vain", on_disconnect = "cancel")]
    async fn wait_in_vain(&self) {
        self.entered.notify_one();
        std::future::pending::<()>().await;
        self.note("waited in vain");
    }
}

#[module(providers = [Gateway])]
struct AppModule;

async fn app() -> Result<TestApp, Failure> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(TestApp::in_memory(app)?)
}

/// The lines of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn take(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// An event, its arguments as JSON, and the message of the error.
fn wrong() -> Vec<(&'static str, String, &'static str)> {
    let invalid = |event, args: &str, message| (event, args.to_owned(), message);
    vec![
        invalid(
            "number",
            r#""x""#,
            "Invalid message body: invalid type: string \"x\", expected u32",
        ),
        invalid(
            "pair",
            r#"{"number":1}"#,
            "Invalid message body: missing field `text`",
        ),
        invalid(
            "number",
            "",
            "Invalid message body: invalid type: null, expected u32",
        ),
        invalid(
            "number",
            "4294967296",
            "Invalid message body: invalid value: integer `4294967296`, expected u32",
        ),
        invalid("echo", "1e999", "Invalid message body: number out of range"),
        invalid("unencodable", "1", "Internal server error"),
        invalid("panic", "1", "Internal server error"),
        invalid("what", "1", "Unknown event"),
        (
            "echo",
            format!("{}{}", "[".repeat(90_000), "]".repeat(90_000)),
            "The data nests too deep",
        ),
    ]
}

/// Checks that a log has one line, which does not tell the client's data at length.
fn one_line(log: &Log, what: &str) {
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{what}: {lines:?}");
    assert!(lines[0].len() < 500, "{what}: {}", lines[0].len());
}

async fn lives(client: &mut TestClient) -> Result<(), Failure> {
    let pair: String = client
        .emit_with_ack("pair", &serde_json::json!({ "number": 1, "text": "x" }))
        .await?;
    assert_eq!(pair, "1 x");
    Ok(())
}

async fn lives_plainly(client: &mut TestWsClient) -> Result<(), Failure> {
    let pair: String = client
        .emit_with_ack("pair", &serde_json::json!({ "number": 1, "text": "x" }))
        .await?;
    assert_eq!(pair, "1 x");
    Ok(())
}

#[tokio::test]
async fn a_wrong_message_is_told_and_logged_once() -> Result<(), Failure> {
    let app = app().await?;
    let mut client = app.connect("/").await?;
    let log = Log::default();
    let _listening = log.listen();
    for (event, args, message) in wrong() {
        let comma = if args.is_empty() { "" } else { "," };
        client
            .send_packet(&format!(r#"27["{event}"{comma}{args}]"#))
            .await?;
        let start = format!(r#"{{"status":"error","message":{}"#, Value::from(message));
        loop {
            let packet = client.next_packet().await?;
            if let Some(ack) = packet.strip_prefix("37[") {
                assert!(ack.starts_with(&start), "{event}: {ack}");
                break;
            }
        }
        one_line(&log, event);
        lives(&mut client).await?;
    }
    // More than was asked for is no fault.
    assert_eq!(
        client.emit_with_ack::<_, ()>("none", &[1, 2]).await.ok(),
        Some(())
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_plain_message_is_told_and_logged_once() -> Result<(), Failure> {
    let app = app().await?;
    let log = Log::default();
    let _listening = log.listen();
    // A client for each: too many faults end a connection, and that is logged, too.
    let mut clients = Vec::new();
    for (event, args, message) in wrong() {
        let mut client = app.connect_ws("/ws").await?;
        log.take();
        let data = if args.is_empty() {
            String::new()
        } else {
            format!(r#","data":{args}"#)
        };
        client
            .send_text(&format!(r#"{{"event":"{event}"{data}}}"#))
            .await?;
        let told = client.next_message().await?;
        assert!(
            told.starts_with(r#"{"event":"exception","data":{"#),
            "{event}: {told}"
        );
        assert!(told.contains(r#""status":"error""#), "{event}: {told}");
        let is_told = told.contains(&Value::from(message).to_string()) || told.contains("nest");
        assert!(is_told, "{event}: {told}");
        one_line(&log, event);
        lives_plainly(&mut client).await?;
        clients.push(client);
    }
    for (what, text) in [
        ("no JSON", "{"),
        ("no object", "[1]"),
        ("no event", "{}"),
        ("a number as the event", r#"{"event":1}"#),
        ("no id", r#"{"event":"none","id":{}}"#),
    ] {
        let mut client = app.connect_ws("/ws").await?;
        log.take();
        client.send_text(text).await?;
        let exception: Value = client.next_event("exception").await?;
        assert_eq!(exception["status"], "error", "{what}");
        one_line(&log, what);
        lives_plainly(&mut client).await?;
        clients.push(client);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_may_leave_in_the_middle_of_a_handler() -> Result<(), Failure> {
    let app = app().await?;
    let gateway = app.get::<Gateway>();
    for is_plain in [false, true] {
        for (event, done) in [("wait", vec!["waited", "left"]), ("wait-in-vain", vec!["left"])] {
            if is_plain {
                let mut client = app.connect_ws("/ws").await?;
                client.emit(event, &()).await?;
                gateway.entered.notified().await;
                drop(client);
            } else {
                let mut client = app.connect("/").await?;
                client.emit(event, &()).await?;
                gateway.entered.notified().await;
                drop(client);
            }
            gateway.gate.notify_waiters();
            tokio::time::timeout(Duration::from_secs(5), gateway.entered.notified()).await?;
            assert_eq!(gateway.done(), done, "{event}, plain: {is_plain}");
        }
    }
    lives(&mut app.connect("/").await?).await
}

#[tokio::test]
async fn thousands_of_messages_of_one_plain_client_wait_in_bounds() -> Result<(), Failure> {
    let app = app().await?;
    let gateway = app.get::<Gateway>();
    let mut client = app.connect_ws("/ws").await?;
    client.emit("wait", &()).await?;
    gateway.entered.notified().await;
    let sender = async {
        for number in 0..5_000_u32 {
            client.emit("number", &number).await?;
        }
        Ok::<_, Failure>(client)
    };
    let opener = async {
        tokio::task::yield_now().await;
        gateway.gate.notify_one();
    };
    let (client, ()) = futures_util::future::join(sender, opener).await;
    let mut client = client?;
    assert_eq!(client.next_event::<String>("wait").await?, "waited");
    for number in 0..5_000_u32 {
        assert_eq!(client.next_event::<u32>("number").await?, number);
    }
    lives_plainly(&mut client).await
}

#[tokio::test]
async fn who_looks_at_the_wrong_place_is_told_of_in_the_log() -> Result<(), Failure> {
    let log = Log::default();
    let _guard = log.listen();
    let routes = axum::Router::new().route("/other", axum::routing::get(|| async { "no WebSocket" }));
    for router in [None, Some(routes)] {
        let mut app = App::create::<AppModule>().without_logger().await?;
        app.use_websocket_adapter(WsAdapter::at("/ws"));
        let app = TestApp::in_memory(match router {
            Some(router) => app.merge(router),
            None => app,
        })?;
        log.take();
        assert!(app.connect_ws("/wss").await.is_err());
        assert!(app.connect("/").await.is_err(), "Socket.IO is not served");
        let lines = log.take();
        let told = |who: &str| lines.iter().filter(|line| line.contains(who)).collect::<Vec<_>>();
        let [told_of_ws, told_of_io] = [
            told("a WebSocket finds nobody at /wss"),
            told("a client of Socket.IO finds nobody at /socket.io/"),
        ];
        assert!(
            matches!(&*told_of_ws, [line] if line.contains("WARN") && line.contains("there are plain WebSockets at /ws;")),
            "{lines:?}"
        );
        assert!(
            matches!(&*told_of_io, [line] if line.contains("DEBUG")),
            "{lines:?}"
        );
        assert_eq!(app.fetch("/nothing").await?.status, 404);
        assert!(log.take().iter().all(|line| !line.contains("finds nobody")));
    }
    Ok(())
}

struct NotToday;

impl Guard for NotToday {
    async fn can_activate(&self, _: &ExecutionContext) -> Result<bool, Exception> {
        Err("not today".into())
    }
}

#[tokio::test]
async fn who_is_refused_is_in_the_log() -> Result<(), Failure> {
    let log = Log::default();
    let _guard = log.listen();
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")))
        .use_global_guards(NotToday);
    let app = TestApp::in_memory(app)?;
    log.take();
    assert!(app.connect("/").await.is_err());
    let mut plain = app.connect_ws("/ws").await?;
    plain.closed().await?;
    let refused = |line: &&String| line.contains("a client is refused") && line.contains("reason=not today");
    let lines = log.take();
    assert_eq!(lines.iter().filter(refused).count(), 2, "{lines:?}");
    Ok(())
}
