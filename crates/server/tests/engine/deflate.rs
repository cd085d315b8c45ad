//! permessage-deflate on the WebSockets of an engine: when it is agreed on, what is compressed, and what is refused.

use gatewire_hub::{FramedText, Prepared};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{MAX_HEADER, Opcode};
use gatewire_server::{Application, Connection, DeflateOptions, Engine, EngineConfig, Rejected, Session};
use std::sync::Arc;
use std::task::Context;

use crate::support::{Frame, TestServer, TestSocket};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn config() -> EngineConfig {
    EngineConfig {
        per_message_deflate: Some(DeflateOptions::default()),
        ..EngineConfig::default()
    }
}

async fn socket(server: &TestServer, query: &str, headers: &str) -> TestSocket {
    let (socket, answer) = server.websocket_with(query, headers).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    socket
}

#[tokio::test]
async fn is_agreed_on_only_if_it_is_switched_on_and_offered() {
    let off = TestServer::start(EngineConfig::default()).await;
    let on = TestServer::start(config()).await;
    let takes_over = TestServer::start(EngineConfig {
        per_message_deflate: Some(DeflateOptions {
            client_context_takeover: true,
            ..DeflateOptions::default()
        }),
        ..EngineConfig::default()
    })
    .await;
    let table = [
        (&off, OFFER, None),
        (&off, "Sec-WebSocket-Extensions: ;;;\r\n", None),
        (&on, "", None),
        (&on, "Sec-WebSocket-Extensions: permessage-deflate; x=1\r\n", None),
        (
            &on,
            OFFER,
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            &takes_over,
            OFFER,
            Some("permessage-deflate; server_no_context_takeover"),
        ),
    ];
    for (server, headers, agreed) in table {
        let (_, answer) = server.websocket_with("", headers).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
        assert_eq!(line, agreed, "{headers}");
    }
    let (mut socket, answer) = on.websocket_with("", "Sec-WebSocket-Extensions: ;;;\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let mut body = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket.0, &mut body)
        .await
        .unwrap();
    let expected = "the Sec-WebSocket-Extensions header is no list of extensions with parameters";
    assert_eq!(body, expected);
}

#[tokio::test]
async fn messages_are_compressed_both_ways_above_the_threshold() {
    let server = TestServer::start(config()).await;
    let long = format!("4{}", "long ".repeat(1_000));
    let bytes = vec![7; 5_000];
    let mut compressed = socket(&server, "", OFFER).await;
    compressed.opened().await;
    compressed.send_deflated(Opcode::Text, long.as_bytes()).await;
    compressed.send_deflated(Opcode::Binary, &bytes).await;
    compressed.send_deflated(Opcode::Text, b"4short").await;
    compressed.text(&long).await;
    let frame = Frame::Deflated(Opcode::Text, long.clone().into_bytes());
    assert_eq!(compressed.receive().await, frame);
    assert_eq!(compressed.receive().await, Frame::Deflated(Opcode::Binary, bytes));
    assert_eq!(compressed.receive().await, Frame::Text("4short".to_owned()));
    assert_eq!(compressed.receive().await, frame);

    let mut plain = socket(&server, "", "").await;
    plain.opened().await;
    plain.text(&long).await;
    assert_eq!(plain.receive().await, Frame::Text(long));
}

#[tokio::test]
async fn a_session_that_comes_from_polling_is_compressed_after_the_upgrade() {
    let server = TestServer::start(config()).await;
    let sid = server.open_polling().await;
    let mut socket = socket(&server, &format!("&sid={sid}"), OFFER).await;
    socket.send_deflated(Opcode::Text, b"2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    let long = format!("4{}", "long ".repeat(1_000));
    socket.text("5").await;
    socket.send_deflated(Opcode::Text, long.as_bytes()).await;
    assert_eq!(
        socket.receive().await,
        Frame::Deflated(Opcode::Text, long.into_bytes())
    );
}

#[tokio::test]
async fn each_fault_has_its_close_code() {
    let mut server = TestServer::start(config()).await;
    let bomb = vec![b'4'; 5_000_000];
    for (what, headers, message, code) in [
        ("a bomb", OFFER, &bomb[..], 1009),
        ("compressed without agreement", "", b"4a", 1002),
        ("not UTF-8", OFFER, b"4\xff", 1007),
    ] {
        let mut socket = socket(&server, "", headers).await;
        socket.opened().await;
        socket.send_deflated(Opcode::Text, message).await;
        assert_eq!(socket.receive().await, Frame::Close(code), "{what}");
        assert_eq!(server.closed().await, CloseReason::TransportError, "{what}");
    }
    let mut socket = socket(&server, "", OFFER).await;
    socket.opened().await;
    let mut frame = Vec::new();
    gatewire_proto::websocket::put_masked_frame(&mut frame, true, Opcode::Text, [0; 4], b"\x06");
    frame[0] |= 0x40;
    tokio::io::AsyncWriteExt::write_all(&mut socket.0, &frame)
        .await
        .unwrap();
    assert_eq!(socket.receive().await, Frame::Close(1007), "no deflate");
}

/// Answers each message in the three ways in which the hub sends.
struct Hub(Connection, Arc<[Prepared; 2]>);

struct HubApplication(Arc<[Prepared; 2]>);

impl Application for HubApplication {
    fn open(&self, connection: Connection, _: Arc<gatewire_hub::Handshake>) -> Box<dyn Session> {
        Box::new(Hub(connection, self.0.clone()))
    }
}

impl Session for Hub {
    fn receive_text(&mut self, text: &str, _: &mut Context<'_>) -> Result<(), Rejected> {
        let outbox = self.0.outbox();
        match text {
            "one" => outbox.send(&self.1[0]),
            "all" => outbox.send_all(&*self.1),
            _ => {
                let mut packet = vec![0; MAX_HEADER];
                packet.extend_from_slice(&[b'x'; 2_000]);
                outbox.send_text(&FramedText::seal(&mut packet));
            }
        }
        Ok(())
    }

    fn receive_binary(&mut self, _: &[u8], _: &mut Context<'_>) -> Result<(), Rejected> {
        Ok(())
    }

    fn close(&mut self, _: CloseReason) {}
}

#[tokio::test]
async fn packets_of_the_hub_are_compressed_and_shared() {
    let shared = Prepared::event("/", "shared", &"a".repeat(3_000), None).unwrap();
    let with_bytes = Prepared::from_data("/", r#"["e"]"#, &[vec![7; 4_000].into()], None);
    let packets = Arc::new([shared.clone(), with_bytes]);
    let engine = Engine::new(config(), HubApplication(packets)).unwrap();
    let server = TestServer::of(engine).await;
    let first = || {
        let text = format!(r#"42["shared","{}"]"#, "a".repeat(3_000));
        Frame::Deflated(Opcode::Text, text.into_bytes())
    };
    for _ in 0..2 {
        let mut socket = socket(&server, "", OFFER).await;
        socket.opened().await;
        socket.text("4one").await;
        assert_eq!(socket.receive().await, first());
        socket.text("4all").await;
        assert_eq!(socket.receive().await, first());
        assert_eq!(socket.receive().await, Frame::Text(r#"451-["e"]"#.to_owned()));
        assert_eq!(
            socket.receive().await,
            Frame::Deflated(Opcode::Binary, vec![7; 4_000])
        );
        socket.text("4own").await;
        assert_eq!(
            socket.receive().await,
            Frame::Deflated(Opcode::Text, vec![b'x'; 2_000])
        );
    }
    let mut plain = socket(&server, "", "").await;
    plain.opened().await;
    plain.text("4one").await;
    assert!(matches!(plain.receive().await, Frame::Text(text) if text.len() > 3_000));
}
