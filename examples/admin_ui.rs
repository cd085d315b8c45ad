//! A server that the official Admin UI can attach to: open <https://admin.socket.io>, say `http://localhost:3000`, and log
//! in as `admin` with `changeit`. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.
//!
//! `ADMIN_MODE=production` shows statistics alone, `ADMIN_READONLY=1` takes no commands, and `ADMIN_AUTH=none` asks for no
//! password.

mod serve;

use std::env;
use std::error::Error;

use gatewire_admin::{AdminOptions, Mode, instrument};
use gatewire_hub::Io;
use gatewire_server::{Cors, Engine, EngineConfig, SocketIo};
use serde_json::json;

/// "changeit", by bcrypt.
const PASSWORD: &str = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let io = Io::default();
    instrument(&io, options())?;

    for name in ["/", "/chat"] {
        io.of(name).on_connection(|socket| {
            // The UI shows what is kept for others to see, and each change of it.
            socket.on("rename", |socket, event| {
                let name: String = event.body().unwrap_or_default();
                if let Err(error) = socket.set_data(&json!({ "name": name })) {
                    socket.emit("error", &error.to_string());
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
            socket.on("leave", |socket, event| {
                if let Ok(room) = event.body::<String>() {
                    socket.leave(room);
                }
            });
            socket.on("echo", |socket, event| {
                socket.emit_payload("echo", &event.to_payload())
            });
        });
    }

    let config = EngineConfig {
        cors: Some(Cors::origins(["https://admin.socket.io"]).with_credentials()),
        ..EngineConfig::default()
    };
    serve::serve(Engine::new(config, SocketIo::new(io))?, 3000).await
}

fn options() -> AdminOptions {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    let options = if is("ADMIN_AUTH", "none") {
        AdminOptions::without_auth()
    } else {
        AdminOptions::basic("admin", PASSWORD)
    };
    let mode = if is("ADMIN_MODE", "production") {
        Mode::Production
    } else {
        Mode::Development
    };
    options
        .mode(mode)
        .readonly(is("ADMIN_READONLY", "1"))
        .server_id("example")
}
