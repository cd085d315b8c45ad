//! The hand-written axum peer: bare WebSocket with `{event, data}` envelopes, without namespaces or heartbeats. A binary message
//! comes back as it is. It comes in the three forms in which such servers are written: `STYLE=careful` (if it is not set),
//! `queue` and `plain`. `BINARY=1` gives the careful one a buffer for large messages, too.

mod careful;
mod plain;
mod queue;

use std::io;

use axum::Router;
use axum::extract::ws::Utf8Bytes;
use gatewire_bench_peers::serve;
use serde::{Deserialize, Serialize};

fn main() -> io::Result<()> {
    let style = std::env::var("STYLE").unwrap_or_else(|_| "careful".to_owned());
    let routes: fn() -> Router = match style.as_str() {
        "careful" => careful::routes,
        "queue" => queue::routes,
        "plain" => plain::routes,
        _ => {
            let fault = format!("STYLE is careful, queue or plain, not {style}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
        }
    };
    serve(routes)
}

#[derive(Deserialize, Serialize)]
struct Envelope<'a> {
    event: &'a str,
    data: String,
}

/// What comes of a text.
enum Outcome {
    Answer(Utf8Bytes),
    Broadcast(Utf8Bytes),
}

fn handle(text: &str) -> Option<Outcome> {
    let Envelope { event, data } = serde_json::from_str(text).ok()?;
    match event {
        "ping" => encode("ping", format!("pong: {data}")).map(Outcome::Answer),
        "ping-emit" => encode("pong", format!("pong: {data}")).map(Outcome::Answer),
        "broadcast" => encode("message", data).map(Outcome::Broadcast),
        _ => None,
    }
}

fn encode(event: &str, data: String) -> Option<Utf8Bytes> {
    serde_json::to_string(&Envelope { event, data })
        .ok()
        .map(Into::into)
}
