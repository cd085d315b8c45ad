//! Whole connections to a server of plain WebSockets, over pipes in memory. Never a panic; afterwards a good client is
//! served, and nothing is left of the others. The first byte of the input chooses the form of the messages.

use gatewire_hub::{HubConfig, Io, PlainFormat, PlainFormats};
use gatewire_proto::envelope::{ArrayCodec, MsgpackCodec};
use gatewire_server::{DeflateOptions, Limits, Origin, PlainSockets, WebSocketConfig, WebSocketServer};

use crate::client::play;
use crate::server::{SECOND, listen_and_echo};

/// A message of the main namespace, whose form is always that of NestJS.
const GREETING: &[u8] = b"O/ws\xfeT{\"event\":\"echo\",\"data\":\"good\"}";

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    play(input, server, (GREETING, r#""good""#));
}

fn server(choice: u8) -> WebSocketServer {
    let io = Io::new(HubConfig {
        mailbox: 4,
        max_early: 4,
        max_dynamic_namespaces: 8,
        ..HubConfig::default()
    });
    for name in ["/", "/array", "/msgpack"] {
        io.of(name).on_connection(listen_and_echo);
    }
    io.of_pattern("/room-:id").on_connection(listen_and_echo);
    let formats = PlainFormats::default()
        .with("/array", PlainFormat::new(ArrayCodec))
        .with("/msgpack", PlainFormat::new(MsgpackCodec).max_faults(2));
    let config = WebSocketConfig {
        origin: (choice & 1 != 0).then(|| Origin::List(vec!["https://a.example".to_owned()])),
        protocols: vec!["one".to_owned(), "two".to_owned()],
        idle_timeout: (choice & 2 != 0).then_some(SECOND),
        ping_interval: SECOND,
        ping_timeout: SECOND,
        max_message: 4_000,
        per_message_deflate: (choice & 4 != 0).then(|| DeflateOptions {
            client_context_takeover: choice & 8 != 0,
            ..DeflateOptions::default()
        }),
        limits: Limits {
            max_outbox: 20_000,
            max_fragments: 8,
            close_timeout: SECOND,
            ..Limits::default()
        },
    };
    let sockets = PlainSockets::new(io, "/ws", formats);
    WebSocketServer::new(config, sockets).expect("options that make sense")
}
