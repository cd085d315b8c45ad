//! What the soak of `bench/` loads: rooms, requests that are numbered, bytes, questions back to the client, floods, namespaces
//! that come and go; over Socket.IO, over plain WebSockets at `/ws`, and for listeners at `/listen/{room}`. It keeps the other
//! side's ledger, of what it has handled for whom, which `/ledger` hands out once a client has left, and tells at `/counts` what
//! it holds. Reads `PORT` (3000) and `HOST` (127.0.0.1).

use std::alloc::System;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::routing::get;
use bytes::Bytes;
use cap::Cap;
use gatewire::HubConfig;
use gatewire::prelude::*;
use gatewire_proto::large;
use gatewire_server::Limits;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Counts the bytes that are allocated: what is left of the resident set when the allocator's own habits are taken away.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Sockets that have not been dropped, whether or not any table still has them.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// What is handled for one client, in its socket.
struct Entry {
    life: String,
    /// Requests, each the next of the one before.
    handled: AtomicU32,
    /// Requests that were not, or whose text was not theirs.
    wrong: AtomicU32,
}

impl Entry {
    fn new(life: String) -> Self {
        SOCKETS.fetch_add(1, Ordering::Relaxed);
        Self {
            life,
            handled: AtomicU32::new(0),
            wrong: AtomicU32::new(0),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        SOCKETS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who has left.
#[injectable]
struct Ledger(#[inject(default)] Mutex<Vec<Value>>);

impl Ledger {
    fn note(&self, entry: &Entry) {
        let Entry { life, handled, wrong } = entry;
        let line = json!({ "life": life, "handled": handled, "wrong": wrong });
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(line);
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

#[derive(Deserialize)]
struct Work {
    number: u32,
    text: String,
}

#[derive(Deserialize, Serialize)]
struct Said {
    room: String,
    from: String,
    number: u32,
    text: String,
}

#[derive(Deserialize)]
struct Flood {
    parts: u32,
    /// Bytes of each.
    length: usize,
}

#[derive(Serialize)]
struct Part<'a>(u32, &'a RawValue);

#[websocket_gateway]
struct SoakGateway {
    #[websocket_server]
    server: Server,
    ledger: Arc<Ledger>,
}

impl OnGatewayConnection for SoakGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        if let Some(life) = client.handshake().query("life") {
            client.set(Entry::new(life.into_owned()));
        }
        Ok(())
    }
}

impl OnGatewayDisconnect for SoakGateway {
    async fn handle_disconnect(&self, client: &Socket, _: DisconnectReason) {
        if let Some(entry) = client.get::<Entry>() {
            self.ledger.note(&entry);
        }
    }
}

#[subscriptions]
impl SoakGateway {
    /// One request of the ledger; acknowledged when it is written down.
    #[subscribe_message("work")]
    async fn work(&self, Extension(entry): Extension<Entry>, MessageBody(work): MessageBody<Work>) -> u32 {
        let text = format!("{}#{};", entry.life, work.number);
        let is_whole = work.text.bytes().zip(text.bytes().cycle()).all(|(a, b)| a == b);
        if is_whole && entry.handled.load(Ordering::Relaxed) == work.number {
            entry.handled.fetch_add(1, Ordering::Relaxed);
        } else {
            entry.wrong.fetch_add(1, Ordering::Relaxed);
        }
        // Some take their time; the next ones wait meanwhile.
        if work.number % 16 == 7 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        work.number
    }

    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(room): MessageBody<String>) -> bool {
        client.join(room);
        true
    }

    #[subscribe_message("leave")]
    fn leave(&self, client: Socket, MessageBody(room): MessageBody<String>) -> bool {
        client.leave(room);
        true
    }

    #[subscribe_message("say")]
    fn say(&self, MessageBody(said): MessageBody<Said>) -> u32 {
        self.server.to(&*said.room).emit("said", &said);
        said.number
    }

    #[subscribe_message("reverse")]
    fn reverse(&self, MessageBody(bytes): MessageBody<Bytes>) -> Bytes {
        bytes.iter().rev().copied().collect()
    }

    /// Asks the client, and answers with its answer.
    #[subscribe_message("ask")]
    async fn ask(
        &self,
        client: Socket,
        MessageBody(number): MessageBody<u32>,
    ) -> Result<Payload, WsException> {
        let answer = client.emit_with_ack("question", &number).await;
        answer.map_err(|error| WsException::new(error.to_string()))
    }

    #[subscribe_message("flood")]
    fn flood(&self, client: Socket, MessageBody(flood): MessageBody<Flood>) -> Result<u32, WsException> {
        // JSON already: others are not to wait for what only costs time here.
        let text = format!("\"{}\"", "x".repeat(flood.length.min(100_000)));
        let text = RawValue::from_string(text).map_err(WsException::internal)?;
        for part in 0..flood.parts.min(10_000) {
            if !client.connected() {
                break;
            }
            client.emit_args("drop", &Part(part, &text));
        }
        Ok(flood.parts)
    }
}

/// Namespaces that come into being when somebody asks for them, and end with their last socket.
#[websocket_gateway(namespace = "/side-:number")]
struct SideGateway;

#[subscriptions]
impl SideGateway {
    #[subscribe_message("ping")]
    fn ping(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        number
    }
}

#[controller]
struct SoakController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl SoakController {
    #[sse("/listen/{room}")]
    fn listen(&self, Path(room): Path<String>) -> Feed {
        Feed::of(&self.server).room(room)
    }
}

#[module(controllers = [SoakController], providers = [SoakGateway, SideGateway, Ledger])]
struct SoakModule;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let hub = HubConfig {
        cleanup_empty_child_namespaces: true,
        ack_timeout: Duration::from_secs(10),
        ..HubConfig::default()
    };
    let limits = Limits {
        max_outbox: 1 << 20,
        ..Limits::default()
    };
    let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(20));
    let mut app = App::create::<SoakModule>().hub_config(hub).await?;
    app.use_websocket_adapters((
        SocketIoAdapter::new()
            .ping_interval(interval)
            .ping_timeout(timeout)
            .limits(limits.clone()),
        WsAdapter::at("/ws")
            .ping_interval(interval)
            .ping_timeout(timeout)
            .limits(limits),
    ));
    let (ledger, handle) = (app.get::<Ledger>(), app.handle());
    let tasks = tokio::runtime::Handle::current();
    let counts = move || {
        let counts = handle.counts();
        let tasks = tasks.metrics().num_alive_tasks();
        let kept = large::kept_bytes();
        async move {
            Json(json!({
                "sessions": counts.sessions,
                "timers": counts.timers,
                "namespaces": counts.namespaces,
                "sockets": counts.sockets,
                "rooms": counts.rooms,
                "pending_acks": counts.pending_acks,
                "socket_objects": SOCKETS.load(Ordering::Relaxed),
                "tasks": tasks,
                "heap": HEAP.allocated().saturating_sub(kept),
                "kept": kept,
            }))
        }
    };
    let take = move || {
        let entries = ledger.take();
        async move { Json(entries) }
    };
    let router = axum::Router::new()
        .route("/counts", get(counts))
        .route("/ledger", get(take));
    let app = app.merge(router).bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
