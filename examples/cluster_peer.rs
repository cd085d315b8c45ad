//! One node of a cluster over Redis that does what its clients ask for, for the tests of mixed clusters:
//! `interop/reference/cluster_peer.js` is its twin. `REDIS_URL` and `REDIS_MODE` (classic, sharded or streams) choose the
//! cluster, `NAME` is what the node answers to the others, `RECOVERY=1` turns connection state recovery on; `PING_INTERVAL` and
//! `PING_TIMEOUT` are milliseconds; `PORT` and `HOST` choose the address.

mod serve;

use std::env;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::cluster::Cluster;
use gatewire_hub::{
    Broadcast, BroadcastAckError, Event, HubConfig, Io, Namespace, OwnedEvent, Payload, Recovery, Socket,
};
use gatewire_redis::{RedisAdapter, RedisConfig};
use gatewire_server::{Engine, EngineConfig, SocketIo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who is meant: the first argument of most events.
#[derive(Deserialize)]
#[serde(default)]
struct Aim {
    to: Vec<String>,
    except: Vec<String>,
    volatile: bool,
    /// Milliseconds.
    timeout: u64,
    event: String,
    rooms: Vec<String>,
    close: bool,
}

impl Default for Aim {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            except: Vec::new(),
            volatile: false,
            timeout: 5_000,
            event: String::new(),
            rooms: Vec::new(),
            close: false,
        }
    }
}

impl Aim {
    fn broadcast(&self, namespace: &Namespace) -> Broadcast {
        let mut broadcast = namespace.timeout(Duration::from_millis(self.timeout));
        if !self.to.is_empty() {
            broadcast = broadcast.to(&self.to);
        }
        if !self.except.is_empty() {
            broadcast = broadcast.except(&self.except);
        }
        if self.volatile {
            broadcast = broadcast.volatile();
        }
        broadcast
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = RedisConfig::default();
    if let Ok(mode) = env::var("REDIS_MODE") {
        config.mode = mode.parse()?;
    }
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let recovery = env::var("RECOVERY").is_ok().then(Recovery::default);
    let io = Io::new(HubConfig {
        connection_state_recovery: recovery,
        ..HubConfig::default()
    });
    io.use_cluster(RedisAdapter::connect_with(&url, config).await?.join());
    for name in ["/", "/other"] {
        peer(&io.of(name));
    }
    let mut config = EngineConfig::default();
    for (name, option) in [
        ("PING_INTERVAL", &mut config.ping_interval),
        ("PING_TIMEOUT", &mut config.ping_timeout),
    ] {
        if let Ok(milliseconds) = env::var(name) {
            *option = Duration::from_millis(milliseconds.parse()?);
        }
    }
    serve::serve(Engine::new(config, SocketIo::new(io))?, 3000).await
}

fn peer(namespace: &Namespace) {
    let name = env::var("NAME").unwrap_or_else(|_| "gatewire".to_owned());
    let own = name.clone();
    namespace.on_server_side("hear", |namespace, event| {
        namespace.local().emit_payload("heard", event.payload());
    });
    namespace.on_server_side("who", move |_, event| {
        if let Some(ack) = event.ack() {
            let question: Value = event.body().unwrap_or_default();
            ack.send(&json!({ "name": own, "question": question }));
        }
    });
    namespace.on_connection(move |socket| {
        socket.emit("welcome", &name);
        listen(socket);
    });
}

fn listen(socket: &Socket) {
    socket.on("join", |socket, event| {
        if let Ok(room) = event.body::<String>() {
            socket.join(room);
        }
        answer(socket, event, &socket.rooms());
    });
    socket.on("data", |socket, event| {
        let data: Value = event.body().unwrap_or_default();
        let kept = socket.set_data(&data).is_ok();
        answer(socket, event, &kept);
    });
    socket.on("emit", |socket, event| {
        let aim = aim(event);
        aim.broadcast(socket.namespace())
            .emit_payload(&aim.event, &rest(event));
        answer(socket, event, &true);
    });
    socket.on_async("ask", async |socket, event| {
        let aim = owned_aim(&event);
        let asked = aim.broadcast(socket.namespace());
        let question: Value = event.as_event().arg(1).unwrap_or_default();
        let answers = Answers::of(asked.emit_with_ack(&aim.event, &question).await);
        answer(&socket, &event.as_event(), &answers);
    });
    socket.on_async("fetch", async |socket, event| {
        let found = owned_aim(&event)
            .broadcast(socket.namespace())
            .fetch_sockets()
            .await;
        let found = found.iter().map(|socket| {
            json!({
                "id": socket.id(), "rooms": socket.rooms(), "data": socket.data(),
                "address": socket.handshake()["address"],
            })
        });
        answer(&socket, &event.as_event(), &found.collect::<Vec<_>>());
    });
    socket.on("sockets-join", |socket, event| {
        let aim = aim(event);
        aim.broadcast(socket.namespace()).sockets_join(&aim.rooms);
        answer(socket, event, &true);
    });
    socket.on("sockets-leave", |socket, event| {
        let aim = aim(event);
        aim.broadcast(socket.namespace()).sockets_leave(&aim.rooms);
        answer(socket, event, &true);
    });
    socket.on("disconnect-sockets", |socket, event| {
        let aim = aim(event);
        aim.broadcast(socket.namespace()).disconnect_sockets(aim.close);
        answer(socket, event, &true);
    });
    socket.on("tell-servers", |socket, event| {
        let told = socket
            .namespace()
            .server_side_emit_args("hear", &event.body::<Vec<Value>>().unwrap_or_default());
        answer(socket, event, &told.is_ok());
    });
    socket.on_async("ask-servers", async |socket, event| {
        let question: Value = event.as_event().arg(0).unwrap_or_default();
        let asked = socket.namespace().server_side_emit_with_ack("who", &question);
        let answers = Answers::of(asked.timeout(Duration::from_millis(2_000)).await);
        answer(&socket, &event.as_event(), &answers);
    });
}

fn aim(event: &Event<'_>) -> Aim {
    event.arg(0).unwrap_or_default()
}

fn owned_aim(event: &OwnedEvent) -> Aim {
    aim(&event.as_event())
}

/// The arguments behind the first.
fn rest(event: &Event<'_>) -> Payload {
    let payload = event.to_payload();
    let args: Vec<&str> = payload.args().iter().skip(1).collect();
    Payload::from_json(&args.join(","), payload.attachments().to_vec()).unwrap_or_default()
}

/// What has come in answer.
#[derive(Serialize)]
struct Answers {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<bool>,
    answers: Vec<Answer>,
}

/// An answer of the tests' clients.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Photo(Photo),
    Other(Value),
}

/// The one with bytes.
#[derive(Deserialize, Serialize)]
struct Photo {
    far: String,
    bytes: Bytes,
}

impl Answers {
    fn of(result: Result<Vec<Payload>, BroadcastAckError>) -> Self {
        let (error, responses) = match result {
            Ok(responses) => (None, responses),
            Err(
                BroadcastAckError::Timeout { responses, .. }
                | BroadcastAckError::Disconnected { responses, .. },
            ) => (Some(true), responses),
            Err(_) => (Some(true), Vec::new()),
        };
        let answers = responses.iter().map(|response| match response.body() {
            Ok(photo) => Answer::Photo(photo),
            Err(_) => Answer::Other(response.body().unwrap_or_default()),
        });
        Self {
            error,
            answers: answers.collect(),
        }
    }
}

fn answer<T: Serialize + ?Sized>(socket: &Socket, event: &Event<'_>, value: &T) {
    if let Some(ack) = event.ack(socket) {
        ack.send(value);
    }
}
