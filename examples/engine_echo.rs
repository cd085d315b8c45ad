//! The bare Engine.IO layer without Socket.IO: every message comes back as it was, text as text, binary as binary.
//! Reads `PORT` (3000) and `HOST` (127.0.0.1); `EIO3=1` lets clients of protocol 3 in, too. The path is `/engine.io/`.

mod serve;

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{Application, Connection, Cors, Engine, EngineConfig, Rejected, Session};

struct Echo;

struct EchoSession(Connection);

impl Application for Echo {
    fn open(&self, connection: Connection, _handshake: Arc<Handshake>) -> Box<dyn Session> {
        Box::new(EchoSession(connection))
    }
}

impl Session for EchoSession {
    fn receive_text(&mut self, text: &str, _cx: &mut Context<'_>) -> Result<(), Rejected> {
        self.0.send_text(text);
        Ok(())
    }

    fn receive_binary(&mut self, data: &[u8], _cx: &mut Context<'_>) -> Result<(), Rejected> {
        self.0.send_binary(data);
        Ok(())
    }

    fn close(&mut self, _reason: CloseReason) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = EngineConfig {
        path: "/engine.io".to_owned(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        cors: Some(Cors::any()),
        allow_eio3: env::var("EIO3").is_ok_and(|value| value == "1"),
        ..EngineConfig::default()
    };
    let engine = Engine::new(config, Echo)?;
    serve::serve(engine, 3000).await
}
