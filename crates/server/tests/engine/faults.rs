//! What clients do wrong is counted, each kind for itself.

use std::time::Duration;

use crate::support::{Frame, POLLING, TestServer};
use gatewire_hub::Io;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{Engine, EngineConfig, Fault, Limits, SocketIo};
use tokio::time::{sleep, timeout};

fn config() -> EngineConfig {
    EngineConfig {
        max_payload: 1_000,
        ..EngineConfig::default()
    }
}

/// Waits until one fault is counted, and checks that it is `wanted` alone.
async fn assert_counted(server: &TestServer, wanted: Fault) {
    let counts = || Fault::ALL.map(|fault| (fault, server.engine.faults(fault)));
    let counted = async {
        while counts().iter().all(|(_, count)| *count == 0) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), counted).await.expect("a fault");
    assert_eq!(
        counts(),
        Fault::ALL.map(|fault| (fault, u64::from(fault == wanted)))
    );
}

#[tokio::test]
async fn faults_of_requests() {
    for (what, query) in [
        ("a transport", "?EIO=4&transport=x"),
        ("a version", "?EIO=5&transport=polling"),
    ] {
        let server = TestServer::start(config()).await;
        let (status, _) = server.request("GET", &format!("/socket.io/{query}"), b"").await;
        assert_eq!(status, 400, "{what}");
        assert_counted(&server, Fault::Request).await;
    }
}

#[tokio::test]
async fn faults_on_polling() {
    for (body, headers, fault) in [
        (&b"abc"[..], "", Fault::Packet),
        (b"2", "", Fault::Packet),
        (b"4reject", "", Fault::Message),
        (&[b'4'; 1_001], "", Fault::TooLarge),
        (b"4a", "Content-Type: application/octet-stream\r\n", Fault::Body),
    ] {
        let server = TestServer::start(config()).await;
        let target = format!("{POLLING}&sid={}", server.open_polling().await);
        server.exchange("POST", &target, headers, body).await;
        assert_counted(&server, fault).await;
    }
}

#[tokio::test]
async fn a_second_poll() {
    let server = TestServer::start(config()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    tokio::join!(
        server.request("GET", &target, b""),
        server.request("GET", &target, b"")
    );
    assert_counted(&server, Fault::Overlap).await;
}

#[tokio::test]
async fn faults_on_a_websocket() {
    for (opcode, payload, fault) in [
        (Opcode::Text, &b"abc"[..], Fault::Packet),
        (Opcode::Text, b"2", Fault::Packet),
        (Opcode::Text, b"4reject", Fault::Message),
        (Opcode::Text, b"4\xff", Fault::WebSocket),
        (Opcode::Binary, &[0; 1_001], Fault::TooLarge),
    ] {
        let server = TestServer::start(config()).await;
        let mut socket = server.websocket("").await;
        socket.send(opcode, payload).await;
        assert_counted(&server, fault).await;
    }
}

#[tokio::test]
async fn an_upgrade_that_goes_wrong() {
    for packet in ["hello", "4a", "2other"] {
        let server = TestServer::start(config()).await;
        let sid = server.open_polling().await;
        let mut socket = server.websocket(&format!("&sid={sid}")).await;
        socket.text(packet).await;
        assert_counted(&server, Fault::Upgrade).await;
    }
}

#[tokio::test]
async fn a_client_that_joins_nothing() {
    let config = EngineConfig {
        connect_timeout: Duration::from_millis(50),
        ..config()
    };
    let engine = Engine::new(config, SocketIo::new(Io::default())).unwrap();
    let server = TestServer::of(engine).await;
    let _socket = server.websocket("").await;
    assert_counted(&server, Fault::NotJoined).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing() {
    let server = TestServer::start(EngineConfig {
        limits: Limits {
            max_outbox: 1_000,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    for _ in 0..2 {
        server.request("POST", &target, &[b'4'; 900]).await;
    }
    assert_counted(&server, Fault::Unread).await;
}

#[tokio::test]
async fn honest_clients_are_not_counted() {
    let mut server = TestServer::start(config()).await;
    let mut socket = server.websocket("").await;
    assert!(matches!(socket.receive().await, Frame::Text(_)));
    socket.text("4a").await;
    assert_eq!(socket.receive().await, Frame::Text("4a".to_owned()));
    socket.text("1").await;
    server.closed().await;
    let sid = server.open_polling().await;
    drop(server.websocket(&format!("&sid={sid}")).await);
    let target = format!("{POLLING}&sid={sid}");
    server.request("POST", &target, b"1").await;
    server.closed().await;
    assert!(Fault::ALL.iter().all(|fault| server.engine.faults(*fault) == 0));
}
