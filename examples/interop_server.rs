//! What the client suites of `interop/` talk to: rooms, broadcasts, acknowledgements both ways, binary data, refusals and
//! disconnects. Its twin on the npm package is `interop/reference/interop_server.js`; the same tests run against both.
//! Reads `PORT` (3000) and `HOST` (127.0.0.1); `EIO3=1` lets clients of Socket.IO 2 in, too, `RECOVERY=1` gives
//! clients that lost their connection their session back, `DEFLATE=1` compresses WebSocket messages, and
//! `PARSER=msgpack` speaks MessagePack with all clients. `MAX_OUTBOX` and `MAX_OUTBOX_TOTAL` bound the bytes that wait for
//! clients, `MAX_SESSIONS` the sessions; `PING_TIMEOUT` is how long a client may be silent, in milliseconds.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewire::adapter::{DeflateOptions, Limits};
use gatewire::prelude::*;
use gatewire_hub::{BroadcastAckError, ConnectError, HubConfig, MsgpackParser, Parser, Recovery};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Tests wait for what a heartbeat finds out.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The events of the namespace `/`.
#[websocket_gateway(cors(origin = "*"))]
struct MainGateway {
    #[websocket_server]
    server: Server,
}

/// A namespace beside it.
#[websocket_gateway(namespace = "/news")]
struct NewsGateway {
    #[websocket_server]
    server: Server,
}

/// A namespace that asks for a token.
#[websocket_gateway(namespace = "/private")]
struct PrivateGateway;

#[module(providers = [MainGateway, NewsGateway, PrivateGateway])]
struct InteropModule;

#[derive(Serialize)]
struct WhoAmI {
    id: String,
    auth: Value,
    team: Option<String>,
    transport: &'static str,
}

#[derive(Deserialize)]
struct ToRoom {
    room: String,
    data: Value,
}

#[derive(Deserialize)]
struct Photo {
    room: String,
    bytes: Bytes,
}

#[derive(Serialize)]
struct Picture {
    bytes: Bytes,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    /// Milliseconds.
    timeout: u64,
}

#[derive(Deserialize)]
struct RoomQuestion {
    room: String,
    question: String,
    /// Milliseconds.
    timeout: u64,
}

#[derive(Serialize)]
struct Answers {
    answers: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

#[derive(Deserialize)]
struct Upload {
    name: String,
    data: Bytes,
}

#[derive(Serialize)]
struct Inspection {
    name: String,
    length: usize,
    first: Bytes,
}

#[derive(Deserialize)]
struct Kick {
    close: bool,
}

#[subscriptions]
impl MainGateway {
    #[subscribe_message("whoami")]
    async fn whoami(&self, client: Socket, handshake: Handshake) -> Result<WhoAmI, WsException> {
        Ok(WhoAmI {
            id: client.id().to_string(),
            auth: client.auth().map_err(WsException::internal)?,
            team: handshake.query("team").map(|team| team.into_owned()),
            transport: client.transport().as_str(),
        })
    }

    /// When the client came, by the server's clock, in milliseconds since 1970.
    #[subscribe_message("issued")]
    fn issued(&self, handshake: Handshake) -> u64 {
        handshake.issued()
    }

    #[subscribe_message("echo")]
    fn echo(&self, arguments: Payload) -> Payload {
        arguments
    }

    #[subscribe_message("nothing")]
    fn nothing(&self) {}

    #[subscribe_message("reverse")]
    fn reverse(&self, MessageBody(bytes): MessageBody<Bytes>) -> Bytes {
        bytes.iter().rev().copied().collect()
    }

    #[subscribe_message("inspect")]
    fn inspect(&self, MessageBody(Upload { name, data }): MessageBody<Upload>) -> Inspection {
        Inspection {
            name,
            length: data.len(),
            first: data.slice(..data.len().min(2)),
        }
    }

    #[subscribe_message("slow")]
    async fn slow(&self, MessageBody(milliseconds): MessageBody<u64>) -> u64 {
        tokio::time::sleep(Duration::from_millis(milliseconds.min(1000))).await;
        milliseconds
    }

    #[subscribe_message("panic")]
    fn panic(&self) {
        panic!("as the test asked");
    }

    #[subscribe_message("join")]
    async fn join(&self, client: Socket, MessageBody(room): MessageBody<String>) -> Vec<String> {
        client.join(room);
        rooms(&client)
    }

    #[subscribe_message("leave")]
    async fn leave(&self, client: Socket, MessageBody(room): MessageBody<String>) -> Vec<String> {
        client.leave(room);
        rooms(&client)
    }

    #[subscribe_message("to-room")]
    async fn to_room(&self, client: Socket, MessageBody(ToRoom { room, data }): MessageBody<ToRoom>) {
        client.to(room).emit("news", &data);
    }

    #[subscribe_message("in-room")]
    fn in_room(&self, MessageBody(ToRoom { room, data }): MessageBody<ToRoom>) {
        self.server.in_room(room).emit("news", &data);
    }

    #[subscribe_message("photo")]
    fn photo(&self, MessageBody(Photo { room, bytes }): MessageBody<Photo>) {
        self.server.in_room(room).emit("news", &Picture { bytes });
    }

    #[subscribe_message("others")]
    async fn others(&self, client: Socket, MessageBody(data): MessageBody<Value>) {
        client.broadcast().emit("news", &data);
    }

    #[subscribe_message("everyone")]
    fn everyone(&self, MessageBody(data): MessageBody<Value>) {
        self.server.emit("news", &data);
    }

    #[subscribe_message("except")]
    fn except(&self, MessageBody(ToRoom { room, data }): MessageBody<ToRoom>) {
        self.server.except(room).emit("news", &data);
    }

    #[subscribe_message("ask-me")]
    async fn ask_me(
        &self,
        client: Socket,
        MessageBody(ask): MessageBody<Question>,
    ) -> Result<Payload, WsException> {
        let answer = client
            .emit_with_ack("question", &ask.question)
            .timeout(Duration::from_millis(ask.timeout))
            .await;
        answer
            .or_else(|_| Payload::from_value(&json!({ "error": "timeout" })))
            .map_err(WsException::internal)
    }

    #[subscribe_message("ask-bytes")]
    async fn ask_bytes(
        &self,
        client: Socket,
        MessageBody(bytes): MessageBody<Bytes>,
    ) -> Result<Payload, WsException> {
        let answer = client.emit_with_ack("question", &Picture { bytes }).await;
        answer.map_err(WsException::internal)
    }

    #[subscribe_message("ask-room")]
    async fn ask_room(&self, MessageBody(ask): MessageBody<RoomQuestion>) -> Result<Answers, WsException> {
        let room = self
            .server
            .in_room(ask.room)
            .timeout(Duration::from_millis(ask.timeout));
        let (answers, error) = match room.emit_with_ack("question", &ask.question).await {
            Ok(answers) => (answers, None),
            Err(BroadcastAckError::Timeout { responses, .. }) => (responses, Some("timeout")),
            Err(error) => return Err(WsException::internal(error)),
        };
        let answers = answers
            .iter()
            .map(Payload::body)
            .collect::<Result<_, _>>()
            .map_err(WsException::internal)?;
        Ok(Answers { answers, error })
    }

    #[subscribe_message("kick")]
    async fn kick(&self, client: Socket, MessageBody(Kick { close }): MessageBody<Kick>) {
        client.disconnect(close);
    }
}

/// Namespaces that clients bring into being, for which gateways have no words: `/room-1`, `/room-lobby` and so on.
impl OnGatewayInit for MainGateway {
    async fn after_init(&self, server: &Server) {
        let rooms = server.io().of_pattern("/room-:name");
        rooms.use_middleware(async |socket| match socket.namespace().param("name") {
            Some("13") => Err(ConnectError::new("out of order").with_data(json!({ "until": "tomorrow" }))),
            _ => Ok(()),
        });
        rooms.on_connection(|socket| {
            socket.on("where", |socket, event| {
                if let Some(ack) = event.ack(socket) {
                    ack.send(socket.namespace().name());
                }
            });
            socket.on("say", |socket, event| {
                socket.namespace().emit_payload("said", &event.to_payload());
            });
        });
    }
}

impl OnGatewayDisconnect for MainGateway {
    async fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason) {
        let report = json!({ "id": client.id(), "reason": reason.as_str() });
        client.broadcast().emit("left", &report);
    }
}

#[subscriptions]
impl NewsGateway {
    #[subscribe_message("everyone")]
    fn everyone(&self, MessageBody(data): MessageBody<Value>) {
        self.server.emit("news", &data);
    }
}

#[subscriptions]
impl PrivateGateway {
    #[subscribe_message("ping")]
    fn ping(&self) -> &'static str {
        "pong"
    }
}

impl OnGatewayConnection for PrivateGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let auth: Value = client.auth().map_err(WsException::internal)?;
        if auth["token"] == "secret" {
            return Ok(());
        }
        Err(WsException::object(
            json!({ "message": "not authorized", "content": "retry later" }),
        ))
    }
}

/// The rooms of a client, but its own.
fn rooms(client: &Socket) -> Vec<String> {
    let own = client.id();
    let mut rooms: Vec<String> = client.rooms().iter().map(ToString::to_string).collect();
    rooms.retain(|room| room != own.as_str());
    rooms.sort();
    rooms
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let allow_eio3 = env::var("EIO3").is_ok_and(|value| value == "1");
    let deflates = env::var("DEFLATE").is_ok_and(|value| value == "1");
    let recovers = env::var("RECOVERY").is_ok_and(|value| value == "1");
    let speaks_msgpack = env::var("PARSER").is_ok_and(|value| value == "msgpack");
    let config = HubConfig {
        connection_state_recovery: recovers.then(Recovery::default),
        parser: speaks_msgpack.then(|| Arc::new(MsgpackParser) as Arc<dyn Parser>),
        ..HubConfig::default()
    };
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    let ping_timeout = number("PING_TIMEOUT").map_or(HEARTBEAT, |ms| Duration::from_millis(ms as u64));
    let adapter = SocketIoAdapter::new()
        .ping_interval(HEARTBEAT)
        .ping_timeout(ping_timeout)
        .allow_eio3(allow_eio3)
        .per_message_deflate(deflates.then(DeflateOptions::default))
        .limits(Limits {
            max_outbox: number("MAX_OUTBOX").unwrap_or_else(|| Limits::default().max_outbox),
            max_outbox_total: number("MAX_OUTBOX_TOTAL"),
            max_sessions: number("MAX_SESSIONS").unwrap_or_else(|| Limits::default().max_sessions),
            ..Limits::default()
        });
    let mut app = App::create::<InteropModule>().hub_config(config).await?;
    app.use_websocket_adapter(adapter);
    let app = app.bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
