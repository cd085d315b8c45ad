//! The move of a session from polling to WebSocket, and what goes wrong in it; the heartbeat over it.

use std::time::Duration;

use crate::support::{Frame, POLLING, TestServer};
use gatewire_proto::engineio::CloseReason;
use gatewire_server::EngineConfig;

/// Pings soon, and waits for a pong longer than a busy machine takes for a few packets.
fn eager() -> EngineConfig {
    EngineConfig {
        ping_interval: Duration::from_millis(150),
        ping_timeout: Duration::from_secs(2),
        ..EngineConfig::default()
    }
}

#[tokio::test]
async fn every_poll_is_released_while_the_probe_lasts() {
    let server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    for _ in 0..3 {
        assert_eq!(server.request("GET", &target, b"").await, (200, "6".to_owned()));
    }
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
}

#[tokio::test]
async fn an_upgrade_without_a_probe_is_accepted() {
    let server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
}

#[tokio::test]
async fn an_upgrade_that_hangs_is_given_up() {
    let server = TestServer::start(EngineConfig {
        upgrade_timeout: Duration::from_secs(1),
        ..EngineConfig::default()
    })
    .await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    for is_probed in [false, true] {
        let mut socket = server.websocket(&format!("&sid={sid}")).await;
        if is_probed {
            socket.text("2probe").await;
            assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
        }
        assert_eq!(socket.receive().await, Frame::End);
        assert_eq!(server.request("POST", &target, b"4still here").await.0, 200);
        assert_eq!(
            server.request("GET", &target, b"").await,
            (200, "4still here".to_owned())
        );
    }
}

#[tokio::test]
async fn a_session_has_one_upgrade_at_a_time_and_one_in_all() {
    let server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let mut first = server.websocket(&format!("&sid={sid}")).await;
    first.text("2probe").await;
    assert_eq!(first.receive().await, Frame::Text("3probe".to_owned()));
    for _ in ["while one is under way", "when one has succeeded"] {
        let mut second = server.websocket(&format!("&sid={sid}")).await;
        assert_eq!(second.receive().await, Frame::Close(1005));
        assert_eq!(second.receive().await, Frame::End);
        first.text("5").await;
        first.text("4here").await;
        assert_eq!(first.receive().await, Frame::Text("4here".to_owned()));
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_in_the_upgrade_is_found_out() {
    // The Node server stops its clock there, and keeps such a client for ever.
    let mut server = TestServer::start(eager()).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    assert_eq!(server.request("GET", &target, b"").await, (200, "2".to_owned()));
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    socket.text("5").await;
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(server.closed().await, CloseReason::PingTimeout);
}

#[tokio::test]
async fn the_heartbeat_goes_on_after_the_upgrade() {
    let mut server = TestServer::start(eager()).await;
    let sid = server.open_polling().await;
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    socket.text("5").await;
    for _ in 0..3 {
        assert_eq!(socket.receive().await, Frame::Text("2".to_owned()));
        socket.text("3").await;
    }
    assert_eq!(socket.receive().await, Frame::Text("2".to_owned()));
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(server.closed().await, CloseReason::PingTimeout);
}

#[tokio::test]
async fn packets_without_a_meaning_are_ignored() {
    let server = TestServer::start(EngineConfig::default()).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    for packet in ["0", "5", "6", "3"] {
        socket.text(packet).await;
    }
    socket.text("4here").await;
    assert_eq!(socket.receive().await, Frame::Text("4here".to_owned()));
}
