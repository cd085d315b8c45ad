//! What one connection after the other says to the hub, message by message: joins and refusals, events, answers,
//! attachments, sessions that are claimed back. Never a panic; afterwards no socket and no room is left, and what was sent is
//! packets. The first byte of the input chooses the kind of the clients and the packet format.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use gatewire_hub::{
    Client, CloseReason, DisconnectReason, FramedText, Handshake, HandshakeParts, HubConfig, Id, Io, Message,
    MsgpackParser, Outbox, PlainClient, PlainFormat, Prepared, Recovery, Socket, TransportKind,
};
use gatewire_proto::socketio::{self, Limits};

use crate::listeners;
use crate::paused_runtime;
use crate::script::{Step, steps};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&choice, script)) = input.split_first() else {
        return;
    };
    paused_runtime().block_on(play(choice, script));
}

async fn play(choice: u8, script: &[u8]) {
    let io = io(choice);
    let kind = choice >> 3 & 3;
    let mut clients = vec![Peer::new(&io, kind)];
    for step in steps(script) {
        let at = clients.len() - 1;
        match step {
            Step::Connect if clients.len() < 4 => clients.push(Peer::new(&io, kind)),
            Step::HangUp => {
                clients[at].close();
                clients[at] = Peer::new(&io, kind);
            }
            Step::Text(text) => {
                if let Ok(text) = std::str::from_utf8(text) {
                    let text = text.replace('$', &clients[at].outbox.named());
                    clients[at].receive(Ok(&text));
                }
            }
            Step::Binary(data) => clients[at].receive(Err(data)),
            Step::Wait(hundredths) => {
                tokio::time::sleep(Duration::from_millis(10) * u32::from(hundredths)).await
            }
            _ => {}
        }
        tokio::task::yield_now().await;
        for client in &mut clients {
            client.poll();
        }
    }
    for client in &mut clients {
        client.close();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(clients);
    for namespace in io.namespaces() {
        assert!(namespace.is_empty(), "sockets are left in {}", namespace.name());
        assert!(
            namespace.rooms().is_empty(),
            "rooms are left in {}",
            namespace.name()
        );
    }
}

fn io(choice: u8) -> Io {
    let io = Io::new(HubConfig {
        parser: (choice & 1 != 0).then(|| Arc::new(MsgpackParser) as _),
        connection_state_recovery: (choice & 2 != 0).then(|| Recovery {
            max_packets: 8,
            max_sessions: 2,
            ..Recovery::default()
        }),
        cleanup_empty_child_namespaces: choice & 4 != 0,
        max_namespaces_per_connection: 3,
        max_dynamic_namespaces: 4,
        max_pending_acks: 3,
        mailbox: 3,
        max_early: 3,
        max_held: 3,
        ..HubConfig::default()
    });
    io.on_connection(listen);
    io.of_pattern("/room-:id").on_connection(listen);
    io.of_predicate_async(async |request| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        request.name().starts_with("/late")
    });
    io
}

fn listen(socket: &Socket) {
    socket.on("echo", |socket, event| {
        socket.emit_payload("echo", &event.to_payload());
        event.answer(socket, &event.to_payload());
    });
    listeners::say(socket);
    listeners::ask(socket);
    socket.on("leave", |socket, event| {
        socket.disconnect(event.arg(0).unwrap_or(false))
    });
}

/// Where packets of the server end.
#[derive(Default)]
struct Sink {
    /// The last texts.
    texts: Mutex<VecDeque<String>>,
    is_closed: Mutex<bool>,
    is_text_form: bool,
}

impl Sink {
    fn note(&self, text: &[u8]) {
        let text = std::str::from_utf8(text).expect("a text is text");
        if self.is_text_form {
            let packet = text.strip_prefix('4').expect("a message of Engine.IO");
            let limits = Limits {
                max_depth: usize::MAX,
                max_attachments: usize::MAX,
                ..Limits::default()
            };
            socketio::decode(packet, &limits).expect("the server sends packets");
        }
        let mut texts = self.texts.lock().expect("nothing panics here");
        texts.push_back(text.to_owned());
        if texts.len() > 4 {
            texts.pop_front();
        }
    }

    /// The secret id of a session that can be recovered, and the last offset, if there are any: `"pid","offset"`.
    fn named(&self) -> String {
        let texts = self.texts.lock().expect("nothing panics here");
        let after = |text: &str, key: &str| {
            let at = text.find(key)? + key.len();
            text.get(at..at + 20).map(str::to_owned)
        };
        texts
            .iter()
            .find_map(|text| after(text, "\"pid\":\""))
            .unwrap_or_default()
    }
}

impl Outbox for Sink {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            if let Message::Text(text) = message {
                self.note(&text);
            }
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.note(text.text());
    }

    fn close(&self, _: CloseReason) {
        *self.is_closed.lock().expect("nothing panics here") = true;
    }

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }
}

enum Kind {
    SocketIo(Client),
    Plain(PlainClient),
}

struct Peer {
    client: Kind,
    outbox: Arc<Sink>,
}

impl Peer {
    fn new(io: &Io, kind: u8) -> Self {
        let outbox = Arc::new(Sink {
            is_text_form: kind < 2 && io.config().parser.is_none(),
            ..Sink::default()
        });
        let handshake = Arc::new(Handshake::new(HandshakeParts {
            headers: &http::HeaderMap::new(),
            uri: &http::Uri::from_static("/?a=1"),
            peer: None,
            secure: false,
        }));
        let client = match kind {
            0 => Kind::SocketIo(Client::new(io, outbox.clone(), handshake)),
            1 => Kind::SocketIo(Client::new_v2(io, outbox.clone(), handshake, Id::generate())),
            _ => {
                let format = PlainFormat::default().max_faults(3);
                Kind::Plain(PlainClient::new(
                    io,
                    &format,
                    "/room-7",
                    outbox.clone(),
                    handshake,
                ))
            }
        };
        Self { client, outbox }
    }

    fn receive(&mut self, message: Result<&str, &[u8]>) {
        let mut cx = Context::from_waker(Waker::noop());
        let is_ended = match (&mut self.client, message) {
            (Kind::SocketIo(client), Ok(text)) => client.receive_text(text, &mut cx).is_err(),
            (Kind::SocketIo(client), Err(data)) => client.receive_binary(data, &mut cx).is_err(),
            (Kind::Plain(client), Ok(text)) => client.receive_text(text, &mut cx).is_err(),
            (Kind::Plain(client), Err(data)) => client.receive_binary(data, &mut cx).is_err(),
        };
        if is_ended || *self.outbox.is_closed.lock().expect("nothing panics here") {
            self.close();
        }
    }

    fn poll(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        match &mut self.client {
            Kind::SocketIo(client) => client.poll(&mut cx),
            Kind::Plain(client) => client.poll(&mut cx),
        }
    }

    fn close(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        match &mut self.client {
            Kind::SocketIo(client) => {
                client.close(DisconnectReason::TransportClose);
                let _ = client.poll_closed(&mut cx);
            }
            Kind::Plain(client) => {
                client.close(DisconnectReason::TransportClose);
                let _ = client.poll_closed(&mut cx);
            }
        }
    }
}
