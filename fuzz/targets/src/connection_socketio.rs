//! Whole connections to a Socket.IO server, over pipes in memory: polling, WebSockets, the upgrade between them, and bytes
//! that are nothing of it. Never a panic; afterwards a good client is served, and nothing is left of the others.

use std::time::Duration;

use gatewire_hub::{HubConfig, Io, Recovery, Socket};
use gatewire_server::{Cookie, Cors, DeflateOptions, Engine, EngineConfig, Limits, SocketIo};

use crate::client::play;
use crate::listeners;
use crate::server::{self, SECOND};

const GREETING: &[u8] = b"O/socket.io/?EIO=4&transport=websocket\xfeT40\xfeT421[\"echo\",\"good\"]";

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    play(input, engine, (GREETING, r#"431["good"]"#));
}

/// The options that change what is read are chosen by the first byte of the input.
fn engine(choice: u8) -> Engine {
    let hub = HubConfig {
        connection_state_recovery: (choice & 1 != 0).then(Recovery::default),
        max_namespaces_per_connection: 4,
        max_dynamic_namespaces: 8,
        cleanup_empty_child_namespaces: choice & 2 != 0,
        mailbox: 4,
        max_early: 4,
        ..HubConfig::default()
    };
    let io = Io::new(hub);
    io.on_connection(listen);
    io.of_pattern("/room-:id").on_connection(listen);
    io.of_predicate_async(async |request| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        request.name().starts_with("/late")
    });
    let config = EngineConfig {
        allow_eio3: true,
        ping_interval: SECOND,
        ping_timeout: SECOND,
        upgrade_timeout: SECOND,
        connect_timeout: SECOND,
        max_payload: 4_000,
        cors: (choice & 4 != 0).then(|| Cors::origins(["https://a.example"]).with_credentials()),
        cookie: (choice & 8 != 0).then(Cookie::default),
        http_compression: (choice & 16 != 0).then_some(16),
        per_message_deflate: (choice & 32 != 0).then(DeflateOptions::default),
        limits: Limits {
            max_outbox: 20_000,
            max_fragments: 8,
            max_packets_per_payload: 16,
            close_timeout: SECOND,
            polling_close_timeout: SECOND,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    Engine::new(config, SocketIo::new(io)).expect("options that make sense")
}

fn listen(socket: &Socket) {
    server::listen(socket);
    listeners::say(socket);
    socket.on("echo", |socket, event| event.answer(socket, &event.to_payload()));
    socket.on_disconnect(|socket, _| drop(socket.rooms()));
}
