//! The fuzz targets, each a module with one function that takes any bytes; `client`, `server`, `script` and `listeners` are
//! what the targets of whole connections have in common. Nothing here knows of libFuzzer: `fuzz_targets/` of the folder
//! above hands each function to it, and a test here runs each over its corpus with any compiler.

mod client;
mod listeners;
mod script;
mod server;

pub mod classic_cluster;
pub mod connection_socketio;
pub mod connection_sse;
pub mod connection_tls;
pub mod connection_websocket;
pub mod engineio_jsonp;
pub mod engineio_packet;
pub mod engineio_payload;
pub mod engineio_v3_payload;
pub mod envelope;
pub mod handshake;
pub mod http_upgrade;
pub mod hub_client;
pub mod local_frame;
pub mod presence;
pub mod proxy;
pub mod redis_cluster;
pub mod relay_message;
pub mod socketio_event;
pub mod socketio_msgpack;
pub mod socketio_packet;
pub mod sse;
pub mod websocket_decoder;
pub mod websocket_deflate;
pub mod websocket_tungstenite;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::{Builder, Runtime};

/// A target.
pub type Target = fn(&[u8]);

/// Every target, by the name that its corpus has.
pub const TARGETS: [(&str, Target); 25] = [
    ("classic_cluster", classic_cluster::run),
    ("connection_socketio", connection_socketio::run),
    ("connection_sse", connection_sse::run),
    ("connection_tls", connection_tls::run),
    ("connection_websocket", connection_websocket::run),
    ("engineio_jsonp", engineio_jsonp::run),
    ("engineio_packet", engineio_packet::run),
    ("engineio_payload", engineio_payload::run),
    ("engineio_v3_payload", engineio_v3_payload::run),
    ("envelope", envelope::run),
    ("handshake", handshake::run),
    ("http_upgrade", http_upgrade::run),
    ("hub_client", hub_client::run),
    ("local_frame", local_frame::run),
    ("presence", presence::run),
    ("proxy", proxy::run),
    ("redis_cluster", redis_cluster::run),
    ("relay_message", relay_message::run),
    ("socketio_event", socketio_event::run),
    ("socketio_msgpack", socketio_msgpack::run),
    ("socketio_packet", socketio_packet::run),
    ("sse", sse::run),
    ("websocket_decoder", websocket_decoder::run),
    ("websocket_deflate", websocket_deflate::run),
    ("websocket_tungstenite", websocket_tungstenite::run),
];

/// The headers that lines say, as `name: value`; other lines are passed over.
fn headers<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Time in it passes only while nothing else is to be done.
fn paused_runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// The text at the start of an input, for the targets that read text.
fn text(input: &[u8]) -> &str {
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}
