//! A plain WebSocket without Engine.IO: every message comes back as it was, text as text, binary as binary. It is what the
//! Autobahn suite talks to (`docs/conformance.md`), so it takes large messages, compresses whatever it may, and lets pages of every origin in.
//! Reads `PORT` (3000) and `HOST` (127.0.0.1). Any path will do.

use std::env;
use std::error::Error;
use std::future::pending;
use std::sync::Arc;
use std::task::Context;

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{
    Application, Connection, DeflateOptions, Limits, Listener, Origin, Rejected, Session, WebSocketConfig,
    WebSocketServer,
};
use http::Request;

const MIB: usize = 1 << 20;

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
    let config = WebSocketConfig {
        origin: Some(Origin::Any),
        max_message: 64 * MIB,
        per_message_deflate: Some(DeflateOptions {
            threshold: 0,
            client_context_takeover: true,
            ..DeflateOptions::default()
        }),
        limits: Limits {
            max_fragments: 100_000,
            max_outbox: 128 * MIB,
            ..Limits::default()
        },
        ..WebSocketConfig::default()
    };
    let server = WebSocketServer::new(config, Echo)?;
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = Listener::bind((host, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let answer = move |request: Request<_>, peer| {
        let server = server.clone();
        async move { server.handle(request, Some(peer)).await }
    };
    listener.serve(answer, pending()).await;
    Ok(())
}
