//! The gateways on plain WebSockets, alone and beside Socket.IO: where they are found, rooms and operators, answers both
//! ways, forms of messages, and what else is on the port.

#[path = "support/plain.rs"]
mod plain;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::{any, get};
use gatewire::adapter::Adapter;
use gatewire::adapter::envelope::{
    ArrayCodec, CodecError, Incoming, JsonCodec, Limits, MessageCodec, MsgpackCodec, Outgoing, WireKind,
};
use gatewire::module::Module;
use gatewire::prelude::*;
use gatewire::testing::{TestApp, TestClient};
use plain::Plain;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// Free when it was asked for; the gateway takes it again.
static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
});

/// What everything here is about: rooms and answers.
#[websocket_gateway]
struct Rooms {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl Rooms {
    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(room): MessageBody<String>) -> usize {
        client.join(room);
        client.rooms().len()
    }

    #[subscribe_message("leave")]
    fn leave(&self, client: Socket, MessageBody(room): MessageBody<String>) -> usize {
        client.leave(room);
        client.rooms().len()
    }

    #[subscribe_message("spoken")]
    fn spoken(&self, client: Socket) -> Option<String> {
        client.subprotocol().map(str::to_owned)
    }

    #[subscribe_message("double")]
    fn double(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number * 2
    }

    /// Through the operator that the client names.
    #[subscribe_message("say")]
    fn say(
        &self,
        client: Socket,
        MessageBody((how, room, text)): MessageBody<(String, String, String)>,
    ) -> bool {
        let server = &self.server;
        let broadcast = match &*how {
            "to" => server.to(room),
            "except" => server.except(room),
            "volatile" => server.to(room).volatile(),
            "local" => server.local().to(room),
            "uncompressed" => server.to(room).compress(false),
            "others" => client.to(room),
            "other rooms" => client.broadcast().except(room),
            _ => return false,
        };
        broadcast.emit("said", &text);
        true
    }

    #[subscribe_message("bring")]
    fn bring(&self, MessageBody((from, to)): MessageBody<(String, String)>) -> usize {
        self.server.in_room(from).sockets_join(to.clone());
        self.server.in_room(to).sockets().len()
    }

    #[subscribe_message("put out")]
    fn put_out(&self, MessageBody(room): MessageBody<String>) {
        self.server.in_room(room).disconnect_sockets(true);
    }
}

#[websocket_gateway(namespace = "/chat")]
struct Chat;

#[subscriptions]
impl Chat {
    #[subscribe_message("where")]
    fn place(&self, client: Socket) -> String {
        client.namespace().name().to_owned()
    }
}

#[websocket_gateway(path = "/feed", namespace = "/prices")]
struct Feed;

#[subscriptions]
impl Feed {
    #[subscribe_message("where")]
    fn place(&self) -> &'static str {
        "the feed"
    }
}

#[websocket_gateway(port = *PORT)]
struct Own;

#[subscriptions]
impl Own {
    #[subscribe_message("where")]
    fn place(&self) -> &'static str {
        "a port of its own"
    }
}

#[module(providers = [Rooms, Chat, Feed, Own])]
struct PlacesModule;

#[module(providers = [Rooms])]
struct RoomsModule;

#[module(providers = [Rooms, Chat])]
struct ChatModule;

async fn serve<M: Module>(adapter: impl Into<Adapter>, router: Option<Router>) -> (TestApp, SocketAddr) {
    let mut app = App::create::<M>().without_logger().await.unwrap();
    if let Some(router) = router {
        app = app.merge(router);
    }
    app.use_websocket_adapter(adapter);
    let app = TestApp::on_free_port(app).await.unwrap();
    let address = app.local_addr().unwrap();
    (app, address)
}

fn both() -> (SocketIoAdapter, WsAdapter) {
    (SocketIoAdapter::new(), WsAdapter::at("/ws"))
}

#[tokio::test]
async fn gateways_are_found_by_path_namespace_and_port() {
    let (_app, address) = serve::<PlacesModule>(WsAdapter::new(), None).await;
    let own = SocketAddr::new(address.ip(), *PORT);
    let ask = json!({"event": "where", "id": 1});
    for (address, path, expected) in [
        (address, "/chat", "/chat"),
        (address, "/chat/", "/chat"),
        (address, "/chat?token=x", "/chat"),
        (address, "/feed/prices", "the feed"),
        (own, "/", "a port of its own"),
    ] {
        let mut client = Plain::open(address, path).await;
        assert_eq!(client.call(ask.clone()).await, expected, "{path}");
    }
    for (address, path) in [
        (address, "/nothing"),
        (address, "/chat/more"),
        (address, "/chats"),
        (address, "/prices"),
        (own, "/chat"),
    ] {
        let (status, body) = Plain::ask(address, path, &[]).await.err().unwrap();
        assert_eq!(status, 404, "{path}");
        assert_eq!(
            body,
            format!(r#"{{"error":"Not Found","message":"Cannot GET {path}","statusCode":404}}"#)
        );
    }
}

/// A route of somebody else's WebSocket, and a page where a gateway is.
fn others() -> Router {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    Router::new()
        .route("/echo", any(echo))
        .route("/chat", get(|| async { "a page" }))
}

#[tokio::test]
async fn other_websockets_and_pages_of_the_port_are_left_alone() {
    for (adapter, chat) in [
        (Adapter::from(WsAdapter::new()), "/chat"),
        (both().into(), "/ws/chat"),
    ] {
        let (_app, address) = serve::<ChatModule>(adapter, Some(others())).await;
        let mut echo = Plain::open(address, "/echo").await;
        echo.say("not an envelope").await;
        assert_eq!(echo.next().await, Message::text("not an envelope"));
        for upgrade in ["websocket", "h2c, WebSocket"] {
            let mut client = Plain::ask(address, chat, &[("upgrade", upgrade)]).await.unwrap();
            assert_eq!(client.call(json!({"event": "where", "id": 1})).await, "/chat");
        }
        assert_eq!(get_body(address, "/chat").await, "a page");
    }
}

async fn get_body(address: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn what_is_no_handshake_is_told_why() {
    let (_app, address) = serve::<RoomsModule>(WsAdapter::at("/ws"), None).await;
    for (header, status, expected) in [
        (
            ("sec-websocket-version", "8"),
            426,
            "the Sec-WebSocket-Version header is not 13",
        ),
        (
            ("sec-websocket-key", "short"),
            400,
            "the Sec-WebSocket-Key header is not the base64 form of 16 bytes",
        ),
        (
            ("origin", "https://evil.example"),
            403,
            "pages of this Origin may not connect: the server's `cors` option names those that may",
        ),
    ] {
        let refused = Plain::ask(address, "/ws", &[header]).await.err().unwrap();
        assert_eq!(refused, (status, expected.to_owned()));
    }
    assert_eq!(
        get_body(address, "/ws").await,
        "the Upgrade header does not name websocket"
    );
}

/// A client of either kind.
enum Client {
    Plain(Box<Plain>),
    SocketIo(TestClient),
}

impl Client {
    async fn ask<T: Serialize>(&mut self, event: &str, data: T) -> Value {
        match self {
            Self::Plain(client) => {
                client
                    .call(json!({"event": event, "data": data, "id": "x"}))
                    .await
            }
            Self::SocketIo(client) => client.emit_with_ack(event, &data).await.unwrap(),
        }
    }

    /// What it hears next; it must be said.
    async fn hears(&mut self) -> String {
        match self {
            Self::Plain(client) => {
                let message = client.json().await;
                assert_eq!(message["event"], "said", "{message}");
                message["data"].as_str().unwrap().to_owned()
            }
            Self::SocketIo(client) => client.next_event("said").await.unwrap(),
        }
    }
}

/// The same sentences, whoever speaks and listens: two of each kind, of which the first of each is in the room.
#[tokio::test]
async fn rooms_and_operators_are_the_same_for_both() {
    let (app, address) = serve::<RoomsModule>(both(), None).await;
    let mut clients = vec![
        Client::Plain(Box::new(Plain::open(address, "/ws").await)),
        Client::SocketIo(app.connect("/").await.unwrap()),
        Client::Plain(Box::new(Plain::open(address, "/ws").await)),
        Client::SocketIo(app.connect("/").await.unwrap()),
    ];
    for client in &mut clients[..2] {
        assert_eq!(client.ask("join", "room").await, 2);
    }
    let server = app.server("/").unwrap();
    assert_eq!(server.len(), 4);
    assert_eq!(server.in_room("room").fetch_sockets().await.len(), 2);
    for speaker in 0..2 {
        for (how, hearers) in [
            ("to", vec![0, 1]),
            ("volatile", vec![0, 1]),
            ("local", vec![0, 1]),
            ("uncompressed", vec![0, 1]),
            ("except", vec![2, 3]),
            ("others", vec![1 - speaker]),
            ("other rooms", vec![2, 3]),
        ] {
            let text = format!("{how} by {speaker}");
            // The broadcast is on its way before the answer, so an answer behind it says that nothing else comes.
            let said = (how, "room", &text);
            match &mut clients[speaker] {
                Client::Plain(client) => {
                    client
                        .say(&json!({"event": "say", "data": said}).to_string())
                        .await
                }
                Client::SocketIo(client) => client.emit("say", &said).await.unwrap(),
            }
            for &hearer in &hearers {
                assert_eq!(clients[hearer].hears().await, text);
            }
            if let Client::Plain(client) = &mut clients[speaker] {
                let answer = client.json().await;
                assert_eq!((&answer["event"], &answer["data"]), (&json!("say"), &json!(true)));
            }
            for client in &mut clients {
                assert_eq!(client.ask("double", 21).await, 42, "nothing else came: {how}");
            }
        }
    }
    assert_eq!(clients[2].ask("join", "hall").await, 2);
    assert_eq!(clients[3].ask("bring", ("room", "hall")).await, 3);
    assert_eq!(clients[0].ask("leave", "room").await, 2);
    let question = server
        .in_room("hall")
        .timeout(Duration::from_secs(10))
        .emit_with_ack("ready?", &1);
    let answers = tokio::spawn(async move { question.await });
    for client in [0, 1, 2] {
        match &mut clients[client] {
            Client::Plain(client) => {
                let asked = client.json().await;
                assert_eq!((&asked["event"], &asked["data"]), (&json!("ready?"), &json!(1)));
                let answer = json!({"ack": asked["ack"], "data": "yes"});
                client.say(&answer.to_string()).await;
            }
            Client::SocketIo(client) => {
                let asked = client.next_event_of("ready?").await.unwrap();
                client.answer(&asked, "yes").await.unwrap();
            }
        }
    }
    assert_eq!(answers.await.unwrap().unwrap().len(), 3);
    let Client::SocketIo(last) = &mut clients[3] else {
        unreachable!()
    };
    last.emit("put out", "hall").await.unwrap();
    for client in [0, 2] {
        let Client::Plain(client) = &mut clients[client] else {
            unreachable!()
        };
        assert_eq!(client.closed().await.0, 1000);
    }
}

/// A value that counts how often it is written.
struct Counted<'a>(&'a AtomicUsize);

impl Serialize for Counted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_str("counted")
    }
}

/// The default form; counts what goes out.
#[derive(Debug, Default)]
struct Counting;

static ENCODED: AtomicUsize = AtomicUsize::new(0);

impl MessageCodec for Counting {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        JsonCodec.decode_text(message, limits)
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        ENCODED.fetch_add(1, Ordering::SeqCst);
        JsonCodec.encode(message, out)
    }
}

#[tokio::test]
async fn a_broadcast_is_encoded_once_for_each_form() {
    let ws = WsAdapter::at("/ws").codec(Counting);
    let (app, address) = serve::<RoomsModule>((SocketIoAdapter::new(), ws), None).await;
    let mut plain = Vec::new();
    let mut socket_io = Vec::new();
    for _ in 0..3 {
        plain.push(Plain::open(address, "/ws").await);
        socket_io.push(app.connect("/").await.unwrap());
    }
    for client in &mut plain {
        client
            .call(json!({"event": "join", "data": "room", "id": 1}))
            .await;
    }
    for client in &mut socket_io {
        client.emit_with_ack::<_, usize>("join", "room").await.unwrap();
    }
    let (before, written) = (ENCODED.load(Ordering::SeqCst), AtomicUsize::new(0));
    app.server("/")
        .unwrap()
        .to("room")
        .emit("said", &Counted(&written));
    for client in &mut plain {
        assert_eq!(client.json().await, json!({"event": "said", "data": "counted"}));
    }
    for client in &mut socket_io {
        assert_eq!(client.next_event::<String>("said").await.unwrap(), "counted");
    }
    assert_eq!(written.load(Ordering::SeqCst), 1);
    assert_eq!(ENCODED.load(Ordering::SeqCst) - before, 1);
}

#[websocket_gateway(namespace = "/short", codec = ArrayCodec)]
struct Short;

#[subscriptions]
impl Short {
    #[subscribe_message("double")]
    fn double(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number * 2
    }
}

#[websocket_gateway(namespace = "/packed", codec = MsgpackCodec)]
struct Packed;

#[subscriptions]
impl Packed {
    #[subscribe_message("reverse")]
    fn reverse(&self, MessageBody(mut data): MessageBody<Vec<u8>>) -> bytes::Bytes {
        data.reverse();
        data.into()
    }
}

#[module(providers = [Rooms, Short, Packed])]
struct FormsModule;

#[tokio::test]
async fn a_gateway_has_the_form_that_it_names() {
    let adapter = WsAdapter::new().codec_of("/short", JsonCodec);
    let (_app, address) = serve::<FormsModule>(adapter, None).await;
    let mut client = Plain::open(address, "/").await;
    assert_eq!(
        client.call(json!({"event": "double", "data": 4, "id": 1})).await,
        8
    );
    let mut client = Plain::open(address, "/short").await;
    client.say(r#"["double",4,"x"]"#).await;
    assert_eq!(client.next().await, Message::text(r#"["double",8,"x"]"#));
    client.say(r#"{"event":"double","data":4}"#).await;
    assert_eq!(
        client.json().await,
        json!(["exception", {"status": "error", "message": "the message must be an array that begins with the name of an event"}])
    );

    // In bytes.
    let mut client = Plain::open(address, "/packed").await;
    let mut message = Vec::new();
    let reverse = Outgoing {
        event: "reverse",
        data: Some("[1,2,3]"),
        id: Some("7"),
        ack: None,
        attachments: &[],
    };
    MsgpackCodec.encode(&reverse, &mut message).unwrap();
    futures_util::SinkExt::send(&mut client.0, Message::binary(message))
        .await
        .unwrap();
    let Message::Binary(answer) = client.next().await else {
        panic!("no bytes")
    };
    let answer = MsgpackCodec.decode_binary(&answer, &Limits::default()).unwrap();
    assert_eq!(answer.id.as_deref(), Some("7"));
    assert_eq!(answer.attachments, [bytes::Bytes::from_static(&[3, 2, 1])]);
}

#[derive(Clone, Debug)]
struct Named(#[expect(dead_code, reason = "read by Debug")] &'static str);

impl MessageCodec for Named {
    fn decode_text<'a>(&self, message: &'a str, limits: &Limits) -> Result<Incoming<'a>, CodecError> {
        JsonCodec.decode_text(message, limits)
    }

    fn encode(&self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<WireKind, CodecError> {
        JsonCodec.encode(message, out)
    }
}

#[websocket_gateway(codec = Named("a"))]
struct First;

#[websocket_gateway(codec = Named("a"))]
struct Second;

#[websocket_gateway(namespace = "/other", codec = Named("b"))]
struct Other;

#[websocket_gateway(codec = Named("b"))]
struct Third;

#[module(providers = [First, Second, Other])]
struct AgreeingModule;

#[module(providers = [First, Other, Third])]
struct DisagreeingModule;

#[tokio::test]
async fn gateways_of_one_namespace_have_one_form() {
    App::create::<AgreeingModule>().without_logger().await.unwrap();
    let error = App::create::<DisagreeingModule>()
        .without_logger()
        .await
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains(r#"First and Third share the server /socket.io (namespace /) but set `codec` to Named("a") and Named("b")"#),
        "{text}"
    );
}

#[tokio::test]
async fn silence_and_missing_pongs_end_the_connection() {
    let idle = WsAdapter::new().idle_timeout(Some(Duration::from_millis(200)));
    let (_app, address) = serve::<RoomsModule>(idle, None).await;
    let mut client = Plain::open(address, "/").await;
    assert_eq!(client.closed().await.0, 1001);

    let beating = WsAdapter::new()
        .ping_interval(Duration::from_millis(50))
        .ping_timeout(Duration::from_millis(100));
    let (app, address) = serve::<RoomsModule>(beating, None).await;
    // It answers no ping while it is not read.
    let mut silent = Plain::open(address, "/").await;
    let server = app.server("/").unwrap();
    let gone = async {
        while !server.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("it is put out");
    assert_eq!(silent.closed().await.0, 1011);
}

#[tokio::test]
async fn the_subprotocol_is_one_of_both_sides() {
    let adapter = WsAdapter::new().handle_protocols(["v2.chat", "v1.chat"]);
    let (_app, address) = serve::<RoomsModule>(adapter, None).await;
    for (offered, agreed) in [
        ("v1.chat, other", json!("v1.chat")),
        ("v2.chat", json!("v2.chat")),
    ] {
        // tungstenite checks the answer.
        let mut client = Plain::ask(address, "/", &[("sec-websocket-protocol", offered)])
            .await
            .unwrap();
        assert_eq!(client.call(json!({ "event": "spoken", "id": 1 })).await, agreed);
    }
    let mut client = Plain::open(address, "/").await;
    assert_eq!(
        client.call(json!({ "event": "spoken", "id": 1 })).await,
        Value::Null
    );
}
