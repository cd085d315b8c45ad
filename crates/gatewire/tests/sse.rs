//! Streams of events from controllers: what handlers return, errors before and after the first event, replay, rooms, and
//! the end from either side.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, stream};
use gatewire::controller::{Followed, Json, Overflow, ReplayLog, SseConfig, SseQueue, SseSender};
use gatewire::gateway::TransportKind;
use gatewire::pipeline::ContextKind;
use gatewire::prelude::*;
use gatewire::testing::{TestApp, TestError};
use gatewire_proto::sse::{Item, Message};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Serialize)]
struct Price {
    cents: u32,
}

/// Says when it is dropped.
struct Endless(Arc<Notify>);

impl Stream for Endless {
    type Item = SseEvent;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SseEvent>> {
        Poll::Pending
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[controller("/prices")]
struct Prices {
    #[inject(default)]
    log: ReplayLog,
    #[inject(default)]
    dropped: Arc<Notify>,
    #[inject(default)]
    sender: Mutex<Option<SseSender>>,
    #[inject(value = "EUR".to_owned())]
    currency: String,
}

#[derive(Deserialize)]
struct Wanted {
    symbol: String,
}

#[routes]
impl Prices {
    #[sse("/kinds")]
    fn kinds(&self) -> impl Stream<Item = SseEvent> {
        stream::iter([
            SseEvent::data("full")
                .event("t")
                .id("id9")
                .retry(Duration::from_millis(500)),
            SseEvent::only_comment("c"),
            SseEvent::data(&*self.currency),
        ])
    }

    #[sse("/json")]
    async fn json(&self) -> impl Stream<Item = Price> + use<> {
        tokio::task::yield_now().await;
        stream::iter([1, 2].map(|cents| Price { cents }))
    }

    #[sse("/texts")]
    fn texts(&self) -> impl Stream<Item = Result<&'static str, HttpError>> + use<> {
        stream::iter([Ok("a"), Err(HttpError::conflict("stop")), Ok("never")])
    }

    #[sse("/refused")]
    fn refused(&self) -> Result<Endless, HttpError> {
        Err(HttpError::unauthorized("log in"))
    }

    #[sse("/early")]
    fn early(&self) -> impl Stream<Item = Result<Price, HttpError>> + use<> {
        stream::iter([Err(HttpError::not_found("no such price"))])
    }

    #[sse("/late")]
    fn late(&self) -> impl Stream<Item = Result<Price, HttpError>> + use<> {
        stream::once(async {
            tokio::task::yield_now().await;
            Err(HttpError::internal("the database is on fire"))
        })
    }

    #[sse("/panics")]
    fn panics(&self) -> impl Stream<Item = Price> + use<> {
        stream::once(async {
            tokio::task::yield_now().await;
            panic!("as it must")
        })
    }

    #[sse("/over")]
    fn over(&self) -> Option<Endless> {
        None
    }

    #[sse("/endless")]
    fn endless(&self) -> Endless {
        Endless(self.dropped.clone())
    }

    #[sse("/ask", method = POST)]
    fn ask(&self, Json(wanted): Json<Wanted>) -> impl Stream<Item = String> + use<> {
        stream::iter([wanted.symbol])
    }

    #[sse("/ticker")]
    fn ticker(&self, LastEventId(last): LastEventId) -> Option<Followed> {
        self.log.resume(last)
    }

    #[sse("/queue")]
    fn queue(&self) -> SseQueue {
        let (sender, queue) = SseQueue::new(2, Overflow::DropOldest);
        *self.sender.lock().unwrap() = Some(sender);
        queue
    }
}

#[module(controllers = [Prices])]
struct PricesModule;

async fn prices() -> TestApp {
    TestApp::create::<PricesModule>().await.unwrap()
}

fn message(event: &str, data: &str, id: &str) -> Message {
    Message {
        event: event.to_owned(),
        data: data.to_owned(),
        id: id.to_owned(),
    }
}

async fn texts(app: &TestApp, target: &str) -> Vec<(String, String)> {
    let mut events = app.events(target).await.unwrap();
    let mut texts = Vec::new();
    while let Some(item) = events.item().await.unwrap() {
        if let Item::Message(message) = item {
            texts.push((message.event, message.data));
        }
    }
    texts
}

#[tokio::test]
async fn items_become_events() {
    let app = prices().await;
    let whole = app.fetch("/prices/kinds").await.unwrap();
    assert_eq!(
        whole.text(),
        "\nevent: t\nid: id9\nretry: 500\ndata: full\n\n: c\n\ndata: EUR\n\n"
    );
    for (name, value) in [
        ("content-type", "text/event-stream"),
        (
            "cache-control",
            "private, no-cache, no-store, must-revalidate, max-age=0, no-transform",
        ),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(whole.header(name), Some(value));
    }
    let told = |data: &str| ("message".to_owned(), data.to_owned());
    assert_eq!(
        texts(&app, "/prices/json").await,
        [told(r#"{"cents":1}"#), told(r#"{"cents":2}"#)]
    );
    let asked = app
        .request(Method::POST, "/prices/ask")
        .json(&json!({ "symbol": "GW" }));
    assert_eq!(asked.send().await.unwrap().text(), "\ndata: GW\n\n");
    let over = app.fetch("/prices/over").await.unwrap();
    assert_eq!((over.status, over.text()), (StatusCode::NO_CONTENT, ""));
    let head = app.request(Method::HEAD, "/prices/endless").send().await.unwrap();
    assert_eq!((head.status, head.text()), (StatusCode::OK, ""));
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
}

#[tokio::test]
async fn errors_are_the_answer_before_the_first_event_and_an_event_after_it() {
    let app = prices().await;
    for (target, status, body) in [
        (
            "refused",
            401,
            r#"{"message":"log in","error":"Unauthorized","statusCode":401}"#,
        ),
        (
            "early",
            404,
            r#"{"message":"no such price","error":"Not Found","statusCode":404}"#,
        ),
    ] {
        let error = app.events(&format!("/prices/{target}")).await.err().unwrap();
        assert_eq!(
            error,
            TestError::Refused {
                status,
                body: body.to_owned()
            }
        );
    }
    let exception = |data: &str| ("exception".to_owned(), data.to_owned());
    assert_eq!(
        texts(&app, "/prices/texts").await,
        [
            ("message".to_owned(), "a".to_owned()),
            exception(r#"{"status":"error","message":"stop","statusCode":409}"#)
        ]
    );
    for target in ["/prices/late", "/prices/panics"] {
        let internal = exception(r#"{"status":"error","message":"Internal server error"}"#);
        assert_eq!(texts(&app, target).await, [internal]);
    }
}

#[tokio::test]
async fn a_stream_is_dropped_when_its_client_leaves_on_any_connection() {
    for is_memory in [true, false] {
        let app = App::create::<PricesModule>().without_logger().await.unwrap();
        let prices = app.get::<Prices>();
        let app = if is_memory {
            TestApp::in_memory(app).unwrap()
        } else {
            TestApp::on_free_port(app).await.unwrap()
        };
        let events = app.events("/prices/endless").await.unwrap();
        drop(events);
        tokio::time::timeout(Duration::from_secs(5), prices.dropped.notified())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed() {
    let app = prices().await;
    let log = app.get::<Prices>().log.clone();
    let mut first = app.events("/prices/ticker").await.unwrap();
    let ids: Vec<String> = ["a", "b", "c"]
        .map(|text| log.push(SseEvent::data(text)))
        .to_vec();
    assert_eq!(first.message().await.unwrap(), message("message", "a", &ids[0]));
    assert_eq!(first.last_event_id(), ids[0]);
    drop(first);
    let mut again = app
        .request(Method::GET, "/prices/ticker")
        .header("last-event-id", &ids[0])
        .events()
        .await
        .unwrap();
    assert_eq!(again.message().await.unwrap(), message("message", "b", &ids[1]));
    assert_eq!(again.message().await.unwrap(), message("message", "c", &ids[2]));
    let mut query = app
        .events(&format!("/prices/ticker?lastEventId={}", ids[1]))
        .await
        .unwrap();
    assert_eq!(query.message().await.unwrap(), message("message", "c", &ids[2]));
    let mut lost = app.events("/prices/ticker?lastEventId=before-7").await.unwrap();
    assert_eq!(lost.message().await.unwrap(), message("reset", "null", ""));
    let id = log.push(SseEvent::data("d"));
    for events in [&mut again, &mut query, &mut lost] {
        assert_eq!(events.message().await.unwrap(), message("message", "d", &id));
    }
    log.end();
    assert_eq!(again.item().await, Ok(None));
    assert_eq!(
        app.fetch("/prices/ticker").await.unwrap().status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_queue_keeps_its_bound_until_the_client_comes() {
    let app = prices().await;
    let mut events = app.events("/prices/queue").await.unwrap();
    let sender = app.get::<Prices>().sender.lock().unwrap().take().unwrap();
    for text in ["a", "b", "c"] {
        sender.send(SseEvent::data(text));
    }
    assert_eq!(events.message().await.unwrap().data, "b");
    assert_eq!(events.message().await.unwrap().data, "c");
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), async {
        while sender.send(SseEvent::data("d")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_and_the_last_words_of_the_server() {
    let mut app = App::create::<PricesModule>().without_logger().await.unwrap();
    app.sse_config(SseConfig {
        heartbeat: Duration::from_secs(15),
        ..SseConfig::default()
    });
    let app = TestApp::in_memory(app).unwrap();
    let mut events = app
        .events("/prices/endless")
        .await
        .unwrap()
        .patience(Duration::from_secs(60));
    let before = tokio::time::Instant::now();
    assert_eq!(events.item().await, Ok(Some(Item::Comment(String::new()))));
    assert!(before.elapsed() >= Duration::from_secs(14));
    let handle = app.handle();
    let ((), last) = tokio::join!(handle.close(), events.item());
    let Ok(Some(Item::Retry(wait))) = last else {
        panic!("{last:?} is no hint")
    };
    assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&wait));
    assert_eq!(events.item().await, Ok(None));
    let refused = app.events("/prices/endless").await.err().unwrap();
    assert!(
        matches!(refused, TestError::Refused { status: 503, .. }),
        "{refused}"
    );
}

#[derive(Deserialize)]
struct Auth {
    name: Option<String>,
}

struct User(String);

#[injectable]
struct NameGuard;

impl Guard for NameGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        let Auth { name } = context.data()?;
        let Some(name) = name else { return Ok(false) };
        context.client().set(User(name));
        Ok(true)
    }
}

#[websocket_gateway(namespace = "/chat")]
struct ChatGateway {
    #[websocket_server]
    server: Server,
    #[inject(default)]
    log: Arc<Mutex<Vec<String>>>,
}

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("say")]
    fn say(&self, MessageBody((room, text)): MessageBody<(String, String)>) {
        self.server.to(room).emit("said", &text);
    }
}

impl OnGatewayConnection for ChatGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let name = client
            .get::<User>()
            .map_or_else(|| "nobody".to_owned(), |user| user.0.clone());
        if name == "Mallory" {
            return Err(WsException::new("members only").with("code", 7));
        }
        self.log
            .lock()
            .unwrap()
            .push(format!("{name} by {}", client.transport()));
        Ok(())
    }
}

impl OnGatewayDisconnect for ChatGateway {
    async fn handle_disconnect(&self, _: &Socket, reason: DisconnectReason) {
        self.log.lock().unwrap().push(format!("left: {reason}"));
    }
}

#[controller("/chat", namespace = "/chat")]
#[use_guards(NameGuard)]
struct ChatController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl ChatController {
    #[sse("/rooms/{room}")]
    fn feed(&self, Path(room): Path<String>) -> Feed {
        Feed::of(&self.server).room(room)
    }

    #[post("/rooms/{room}")]
    fn say(&self, Path(room): Path<String>, user: Extension<User>, text: String) {
        self.server
            .to(room)
            .emit("said", &format!("{}: {text}", user.0.0));
    }
}

#[module(controllers = [ChatController], providers = [ChatGateway])]
struct ChatModule;

#[tokio::test]
async fn rooms_reach_listeners_and_other_clients_alike() {
    let app = TestApp::create::<ChatModule>().await.unwrap();
    let mut a = app.events("/chat/rooms/a?name=Tom").await.unwrap();
    let mut b = app.events("/chat/rooms/b?name=Kit").await.unwrap();
    let chat = app.server("/chat").unwrap();
    let mut transports: Vec<_> = chat.sockets().iter().map(Socket::transport).collect();
    assert_eq!(transports, [TransportKind::Sse, TransportKind::Sse]);
    assert_eq!(chat.fetch_sockets().await.len(), 2);

    let mut client = app.connect("/chat").await.unwrap();
    transports = chat.sockets().iter().map(Socket::transport).collect();
    assert_eq!(transports.len(), 3);
    client.emit("say", &("a", "hello")).await.unwrap();
    assert_eq!(a.message().await.unwrap(), message("said", "\"hello\"", ""));
    let posted = app
        .request(Method::POST, "/chat/rooms/b?name=Kit")
        .body("hi")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status, StatusCode::OK);
    assert_eq!(b.message().await.unwrap(), message("said", "\"Kit: hi\"", ""));
    chat.emit("all", &json!({ "n": 1 }));
    for events in [&mut a, &mut b] {
        assert_eq!(events.message().await.unwrap(), message("all", r#"{"n":1}"#, ""));
    }
    drop(a);
    let log = app.get::<ChatGateway>().log.clone();
    tokio::time::timeout(Duration::from_secs(5), async {
        while log.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(
        *log.lock().unwrap(),
        [
            "Tom by sse",
            "Kit by sse",
            "nobody by websocket",
            "left: transport close"
        ]
    );
    // Put out by the server, the stream ends.
    chat.in_room("b").disconnect_sockets(false);
    assert_eq!(b.item().await, Ok(None));
}

/// Whose token is good for a minute.
#[injectable]
struct MinuteGuard;

impl Guard for MinuteGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if context.kind() == ContextKind::Sse {
            Expiry::after(Duration::from_secs(60))
                .reason("Token expired")
                .set(context.client());
        }
        Ok(true)
    }
}

#[controller("/minute", namespace = "/chat")]
#[use_guards(MinuteGuard)]
struct MinuteController {
    #[websocket_server]
    server: Server,
    #[inject(default)]
    dropped: Arc<Notify>,
}

#[routes]
impl MinuteController {
    #[sse("/stream")]
    fn stream(&self) -> Endless {
        Endless(self.dropped.clone())
    }

    #[sse("/feed")]
    fn feed(&self) -> Feed {
        Feed::of(&self.server)
    }
}

#[module(controllers = [MinuteController])]
struct MinuteModule;

#[tokio::test(start_paused = true)]
async fn the_end_of_an_identity_is_that_of_its_streams() {
    let app = TestApp::create::<MinuteModule>().await.unwrap();
    for target in ["/minute/stream", "/minute/feed"] {
        let mut events = app
            .events(target)
            .await
            .unwrap()
            .patience(Duration::from_secs(90));
        let before = tokio::time::Instant::now();
        let told = message("exception", r#"{"status":"error","message":"Token expired"}"#, "");
        assert_eq!(events.message().await, Ok(told));
        assert!(before.elapsed() >= Duration::from_secs(59));
        assert_eq!(events.item().await, Ok(None));
    }
}

#[tokio::test]
async fn who_may_not_listen_is_told_so() {
    let app = TestApp::create::<ChatModule>().await.unwrap();
    for (target, told) in [
        (
            "/chat/rooms/a",
            json!({ "message": "Forbidden resource", "error": "Forbidden", "statusCode": 403 }),
        ),
        (
            "/chat/rooms/a?name=Mallory",
            json!({ "message": "members only", "error": "Forbidden", "statusCode": 403, "data": { "code": 7 } }),
        ),
    ] {
        let refused = app.fetch(target).await.unwrap();
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(refused.json::<Value>(), told);
    }
    assert!(app.server("/chat").unwrap().sockets().is_empty());
}
