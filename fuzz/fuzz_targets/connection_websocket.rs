//! Whole connections to a server of plain WebSockets, over pipes in memory. Never a panic; afterwards a good client is
//! served, and nothing is left of the others. The first byte of the input chooses the form of the messages.
#![no_main]

use std::time::Duration;

use gatewire_fuzz::client::{Body, Server, boxed, play};
use gatewire_hub::{HubConfig, Io, PlainFormat, PlainFormats, Socket};
use gatewire_proto::envelope::{ArrayCodec, MsgpackCodec};
use gatewire_server::{DeflateOptions, Limits, Origin, PlainSockets, WebSocketConfig, WebSocketServer};
use http::{Request, Response};
use hyper::body::Incoming;
use libfuzzer_sys::fuzz_target;

const SECOND: Duration = Duration::from_secs(1);

/// A message of the main namespace, whose form is always that of NestJS.
const GREETING: &[u8] = b"O/ws\xfeT{\"event\":\"echo\",\"data\":\"good\"}";

fuzz_target!(|input: &[u8]| {
    let Some((&choice, script)) = input.split_first() else {
        return;
    };
    play(script, || server(choice), (GREETING, r#""good""#));
});

#[derive(Clone)]
struct PlainServer(WebSocketServer);

impl Server for PlainServer {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        boxed(self.0.handle(request, None).await)
    }

    fn clients(&self) -> usize {
        self.0.clients_count()
    }
}

fn server(choice: u8) -> PlainServer {
    let io = Io::new(HubConfig {
        mailbox: 4,
        max_early: 4,
        max_dynamic_namespaces: 8,
        ..HubConfig::default()
    });
    for name in ["/", "/array", "/msgpack"] {
        io.of(name).on_connection(listen);
    }
    io.of_pattern("/room-:id").on_connection(listen);
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
        ..WebSocketConfig::default()
    };
    let sockets = PlainSockets::new(io, "/ws", formats);
    PlainServer(WebSocketServer::new(config, sockets).expect("options that make sense"))
}

fn listen(socket: &Socket) {
    socket.on("echo", |socket, event| {
        socket.emit_payload("echo", &event.to_payload());
        event.answer(socket, &event.to_payload());
    });
    socket.on_async("ask", async |socket, event| {
        let answer = socket
            .emit_with_ack("asked", &())
            .timeout(Duration::from_secs(3))
            .await;
        if let (Ok(answer), Some(ack)) = (answer, event.ack(&socket)) {
            ack.send_payload(&answer);
        }
    });
    socket.on("leave", |socket, _| socket.disconnect(true));
}
