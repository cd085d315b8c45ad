//! A Socket.IO server without gateways: middleware, listeners, rooms, acknowledgements and namespaces by pattern, with
//! `gatewire-hub` and `gatewire-server` alone. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.
//!
//! A client of the main namespace says who it is, `io(url, { auth: { name: "Ada" } })`; one of `/room-7` just enters.

mod serve;

use std::error::Error;
use std::time::Duration;

use gatewire_hub::{ConnectError, EventError, HubConfig, Io, Namespace, Socket};
use gatewire_server::{Cors, Engine, EngineConfig, SocketIo};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a client sends with its CONNECT.
#[derive(Deserialize)]
struct Auth {
    name: String,
}

/// Kept with each socket.
struct Name(String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let io = Io::new(HubConfig {
        cleanup_empty_child_namespaces: true,
        ..HubConfig::default()
    });
    lobby(&io.of("/"));
    rooms(&io);

    let config = EngineConfig {
        cors: Some(Cors::any()),
        ..EngineConfig::default()
    };
    serve::serve(Engine::new(config, SocketIo::new(io))?, 3000).await
}

/// The main namespace: people who say their name, private messages, and questions.
fn lobby(namespace: &Namespace) {
    namespace.use_middleware(authenticate);
    namespace.on_connection(|socket| {
        socket.broadcast().emit("came", &name(socket));

        // Never handled, whatever listens to it.
        socket.use_middleware(|_socket, event| match event.name() {
            "shutdown" => Err(EventError::new("not you").with_data(json!({ "event": "shutdown" }))),
            _ => Ok(()),
        });

        socket.on("say", |socket, event| match event.body::<String>() {
            Ok(words) => socket.broadcast().emit_args("said", &(name(socket), words)),
            Err(error) => socket.emit("error", &error.to_string()),
        });

        // A message for one, or for all in a room: `emit("to", "red", "hello")`.
        socket.on("to", |socket, event| {
            if let Ok((room, words)) = event.body::<(String, String)>() {
                socket.to(room).emit_args("said", &(name(socket), words));
            }
        });

        socket.on("join", |socket, event| {
            if let Ok(room) = event.body::<String>() {
                socket.join(room);
            }
            if let Some(ack) = event.ack(socket) {
                ack.send(&socket.rooms());
            }
        });

        // Asks everybody else, for a second: `emit("ask", "tea?", (answers) => …)`. The next event of this client is
        // handled when the answers are there.
        socket.on_async("ask", async |socket, event| {
            let question: Value = event.body().unwrap_or_default();
            let others = socket.broadcast().timeout(Duration::from_secs(1));
            let answers: Vec<Value> = match others.emit_with_ack("question", &question).await {
                Ok(answers) => answers.iter().filter_map(|answer| answer.body().ok()).collect(),
                Err(error) => vec![json!({ "error": error.to_string() })],
            };
            if let Some(ack) = event.ack(&socket) {
                ack.send(&answers);
            }
        });

        socket.once("hello", |socket, _event| {
            socket.emit("hello", &"only the first time")
        });
        socket
            .on_any(|socket, event| println!("{} <- {} {}", socket.id(), event.name(), event.args().json()));
        socket.on_any_outgoing(|socket, event| println!("{} -> {}", socket.id(), event.name()));

        socket.on_disconnecting(|socket, _reason| {
            // It is still known where it was, but for itself it is too late to be told.
            socket.to(socket.rooms()).emit("went", &name(socket));
        });
        socket.on_disconnect(|socket, reason| println!("{} left: {reason}", socket.id()));
    });
}

async fn authenticate(socket: Socket) -> Result<(), ConnectError> {
    let auth: Auth = socket.auth().map_err(|_| ConnectError::new("say your name"))?;
    if auth.name.is_empty() || auth.name.len() > 50 {
        return Err(ConnectError::new("that is no name").with_data(json!({ "max": 50 })));
    }
    socket.join(auth.name.as_str());
    socket.set(Name(auth.name));
    Ok(())
}

fn name(socket: &Socket) -> String {
    socket
        .get::<Name>()
        .map_or_else(String::new, |name| name.0.clone())
}

/// `/room-1`, `/room-2` and so on: each comes into being with its first client and ends with its last.
fn rooms(io: &Io) {
    let rooms = io.of_pattern("/room-:number");
    rooms.use_middleware(async |socket| match socket.namespace().param("number") {
        Some(number) if number.parse::<u16>().is_ok() => Ok(()),
        _ => Err(ConnectError::new("rooms have numbers")),
    });
    rooms.on_connection(|socket| {
        let namespace = socket.namespace();
        namespace.emit("people", &namespace.len());
        socket.on_any(|socket, event| {
            // Whatever is sent in a room goes to everybody in it.
            socket.namespace().emit_payload(event.name(), &event.to_payload());
        });
        socket.on_disconnect(|socket, _reason| {
            let namespace = socket.namespace();
            namespace.emit("people", &namespace.len());
        });
    });
    io.on_new_namespace(|namespace| println!("{} begins", namespace.name()));
}
