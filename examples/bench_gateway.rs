//! What the benchmark measures: an echo by acknowledgement, an echo by event, an echo of bytes, a broadcast to all and one to a
//! room; and the echo in `/n0`, `/n1` and so on, which come into being when clients ask for them. `WORKERS` sets the
//! number of worker threads (all cores if it is not set), `PORT` (3000) and `HOST` (127.0.0.1) the address, `ADAPTER` what
//! its clients speak: `socketio`, `ws`, or `both`, beside Server-Sent Events at `/sse`; `RECOVERY=1` keeps what is sent for clients that come back, `DEFLATE=1`
//! compresses messages for clients that offer it. `BOUND=1` binds a guard and an interceptor to every handler, and `LOW_LEVEL=1`
//! does the same without gateways, to see what these cost. `BINARY=1` has plain WebSocket clients speak MessagePack. `TLS=1` encrypts, with a certificate that is made up. `METRICS=1` counts and measures
//! everything, and tells it at `/metrics`. `LIMITS=1` counts what each address does, with limits that nobody comes to.

mod serve;

use bytes::Bytes;
use gatewire::adapter::DeflateOptions;
use gatewire::adapter::envelope::MsgpackCodec;
use gatewire::prelude::*;
use gatewire::{ClientLimits, HubConfig, Networks, Rate};
use gatewire_hub::{Event, Io, Recovery};
use gatewire_metrics::Metrics;
use gatewire_server::{Cors, Engine, EngineConfig, SocketIo};
use serde::Deserialize;
use tokio::runtime::Builder;

/// Room for messages of 1 MiB.
const MAX_MESSAGE: usize = 4 << 20;

#[derive(Deserialize)]
struct RoomMessage {
    room: String,
    message: String,
}

#[websocket_gateway(cors(origin = "*"))]
struct BenchGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl BenchGateway {
    #[subscribe_message("ping")]
    fn ping(&self, MessageBody(data): MessageBody<String>) -> String {
        format!("pong: {data}")
    }

    #[subscribe_message("ping-emit")]
    fn ping_emit(&self, MessageBody(data): MessageBody<String>) -> WsResponse<String> {
        WsResponse::new("pong", format!("pong: {data}"))
    }

    #[subscribe_message("binary")]
    fn binary(&self, MessageBody(data): MessageBody<Bytes>) -> Bytes {
        data
    }

    #[subscribe_message("broadcast")]
    fn broadcast(&self, MessageBody(message): MessageBody<String>) {
        self.server.emit("message", &message);
    }

    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(rooms): MessageBody<Vec<String>>) {
        client.join(rooms);
    }

    #[subscribe_message("room")]
    fn room(&self, MessageBody(data): MessageBody<RoomMessage>) {
        self.server.to(data.room).emit("message", &data.message);
    }
}

/// The echo in as many namespaces as clients ask for.
#[websocket_gateway(namespace = "/n:number")]
struct SpaceGateway;

#[subscriptions]
impl SpaceGateway {
    #[subscribe_message("ping")]
    fn ping(&self, MessageBody(data): MessageBody<String>) -> String {
        format!("pong: {data}")
    }
}

/// Lets everything through.
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

/// The same broadcasts for those who only listen.
#[controller]
struct BenchController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl BenchController {
    #[sse("/sse")]
    fn listen(&self) -> Feed {
        Feed::of(&self.server)
    }
}

#[module(controllers = [BenchController], providers = [BenchGateway, SpaceGateway])]
struct BenchModule;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let workers: Option<usize> = match std::env::var("WORKERS") {
        Ok(workers) => Some(
            workers
                .parse()
                .map_err(|_| "WORKERS: a number of threads is expected")?,
        ),
        Err(_) => None,
    };
    let mut runtime = match workers {
        Some(0) => return Err("WORKERS: at least one thread is needed".into()),
        // As the peers do: threads that are not there need no scheduler that shares work among them.
        Some(1) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Some(workers) = workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().build()?;
    // Spawned, so that accepting too runs on a worker and not on the thread that waits here.
    runtime.block_on(async { tokio::spawn(serve()).await? })
}

fn env(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

async fn serve() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if env("LOW_LEVEL", "0") == "1" {
        return low_level().await;
    }
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let config = HubConfig {
        connection_state_recovery: (env("RECOVERY", "0") == "1").then(Recovery::default),
        ..HubConfig::default()
    };
    let deflate = (env("DEFLATE", "0") == "1").then(DeflateOptions::default);
    let socketio = SocketIoAdapter::new()
        .max_http_buffer_size(MAX_MESSAGE)
        .per_message_deflate(deflate.clone());
    let ws = |adapter: WsAdapter| {
        let adapter = adapter.max_message_size(MAX_MESSAGE).per_message_deflate(deflate);
        match &*env("BINARY", "0") {
            "1" => adapter.codec(MsgpackCodec),
            _ => adapter,
        }
    };
    let mut app = App::create::<BenchModule>().hub_config(config).await?;
    match &*env("ADAPTER", "socketio") {
        "socketio" => drop(app.use_websocket_adapter(socketio)),
        "ws" => drop(app.use_websocket_adapter(ws(WsAdapter::new()))),
        "both" => drop(app.use_websocket_adapters((socketio, ws(WsAdapter::at("/ws"))))),
        other => return Err(format!("ADAPTER: socketio, ws or both is expected, not {other:?}").into()),
    }
    if env("BOUND", "0") == "1" {
        app.use_global_guards(Through).use_global_interceptors(Through);
    }
    if env("METRICS", "0") == "1" {
        app.use_metrics(Metrics::prometheus("/metrics"));
    }
    if env("LIMITS", "0") == "1" {
        app.limit_clients(high_limits());
    }
    if env("TLS", "0") == "1" {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = issued.signing_key.serialize_pem();
        app.use_tls(Tls::from_pem(issued.cert.pem(), key)?);
    }
    let app = app.bind(address).await?;
    let scheme = if app.is_secure() { "https" } else { "http" };
    println!("listening on {scheme}://{}", app.local_addr());
    app.serve().await;
    Ok(())
}

/// More than any load takes, for the loopback, too.
fn high_limits() -> ClientLimits {
    const MANY: Rate = Rate::per_second(1_000_000_000);
    ClientLimits {
        max_connections: usize::MAX,
        max_http_connections: usize::MAX,
        connections: Some(MANY),
        requests: Some(MANY),
        messages: Some(MANY),
        bytes: Some(Rate::per_second(1 << 40)),
        exempt: Networks::default(),
        ..ClientLimits::default()
    }
}

/// The same events with the hub and the server alone.
async fn low_level() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let io = Io::default();
    io.of("/").on_connection(|socket| {
        socket.on("ping", |socket, event| {
            let Some(pong) = pong(event) else { return };
            match event.ack(socket) {
                Some(ack) => ack.send(&pong),
                None => socket.emit("ping", &pong),
            }
        });
        socket.on("ping-emit", |socket, event| {
            if let Some(pong) = pong(event) {
                socket.emit("pong", &pong);
            }
        });
        socket.on("broadcast", |socket, event| {
            if let Ok(message) = event.body::<String>() {
                socket.namespace().emit("message", &message);
            }
        });
    });
    let config = EngineConfig {
        cors: Some(Cors::default()),
        ..EngineConfig::default()
    };
    let served = serve::serve(Engine::new(config, SocketIo::new(io))?, 3000).await;
    served.map_err(|error| error.to_string().into())
}

fn pong(event: &Event<'_>) -> Option<String> {
    let data: String = event.body().ok()?;
    Some(format!("pong: {data}"))
}
