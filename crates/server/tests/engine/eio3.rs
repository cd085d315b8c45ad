//! Clients of protocol 3: let in only where allowed, with their own payloads, frames and heartbeat.

use std::time::Duration;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{EngineConfig, Limits};

use crate::support::{Frame, STALL, TestServer};

const POLLING: &str = "/socket.io/?EIO=3&transport=polling";

fn config() -> EngineConfig {
    EngineConfig {
        allow_eio3: true,
        ..EngineConfig::default()
    }
}

/// Opens a session on polling and returns its id and the target of its requests.
async fn open_polling(server: &TestServer, query: &str) -> (String, String) {
    let (status, body) = server.request("GET", &format!("{POLLING}{query}"), b"").await;
    assert_eq!(status, 200, "{body}");
    let (length, open) = body.split_once(':').expect("a payload of protocol 3");
    assert_eq!(length, open.len().to_string());
    let sid = crate::support::sid_of(open);
    let target = format!("{POLLING}&sid={sid}");
    (sid, target)
}

#[tokio::test]
async fn protocol_3_is_refused_unless_allowed() {
    let server = TestServer::start(EngineConfig::default()).await;
    for target in [POLLING, "/socket.io/?transport=polling"] {
        let refused = server.request("GET", target, b"").await;
        let body = r#"{"code":5,"message":"Unsupported protocol version"}"#;
        assert_eq!(refused, (400, body.to_owned()), "{target}");
    }
    let server = TestServer::start(config()).await;
    open_polling(&server, "").await;
    let (status, body) = server.request("GET", "/socket.io/?transport=polling", b"").await;
    assert_eq!(status, 200);
    assert!(body.contains(":0{"), "{body}");
}

#[tokio::test]
async fn a_session_keeps_its_protocol() {
    let server = TestServer::start(config()).await;
    let (sid, _) = open_polling(&server, "").await;
    let of_4 = server.open_polling().await;
    let mismatched = [
        format!("/socket.io/?EIO=4&transport=polling&sid={sid}"),
        format!("/socket.io/?EIO=3&transport=polling&sid={of_4}"),
        format!("/socket.io/?transport=polling&sid={of_4}"),
    ];
    for target in mismatched {
        let refused = server.request("GET", &target, b"").await;
        let body = r#"{"code":3,"message":"Bad request"}"#;
        assert_eq!(refused, (400, body.to_owned()), "{target}");
    }
}

#[tokio::test]
async fn polling_in_text_and_in_bytes() {
    let server = TestServer::start(config()).await;
    let (_, target) = open_polling(&server, "").await;
    let posted = server.request("POST", &target, "3:4é€1:24:4😀b".as_bytes()).await;
    assert_eq!(posted, (200, "ok".to_owned()));
    let answer = server.request("GET", &target, b"").await;
    assert_eq!(answer, (200, "3:4é€1:34:4😀b".to_owned()));

    let octets = "Content-Type: application/octet-stream\r\n";
    let body = b"\x00\x02\xff4a\x01\x04\xff\x04\x00\x01\x02";
    let (head, _) = server.exchange("POST", &target, octets, body).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, answer) = server.exchange("GET", &target, "", b"").await;
    assert!(head.contains("application/octet-stream"), "{head}");
    assert_eq!(answer, body);
}

#[tokio::test]
async fn base64_where_the_client_asks_for_it() {
    let server = TestServer::start(config()).await;
    let (_, target) = open_polling(&server, "&b64=1").await;
    let posted = server.request("POST", &target, b"10:b4AQIDBA==").await;
    assert_eq!(posted.0, 200);
    let answer = server.request("GET", &target, b"").await;
    assert_eq!(answer, (200, "10:b4AQIDBA==".to_owned()));

    let mut socket = server.websocket("&EIO=3&b64=1").await;
    socket.opened().await;
    socket.text("b4AQIDBA==").await;
    assert_eq!(socket.receive().await, Frame::Text("b4AQIDBA==".to_owned()));
}

#[tokio::test]
async fn what_is_no_payload_ends_the_session() {
    let mut server = TestServer::start(config()).await;
    let octets = "Content-Type: application/octet-stream\r\n";
    let cases: [(&str, &[u8]); 5] = [
        ("", b""),
        ("", b"4a"),
        ("", b"2:4a\x1e"),
        (octets, b"2:4a"),
        (octets, b"\x01\x02\xff4a"),
    ];
    for (headers, body) in cases {
        let (_, target) = open_polling(&server, "").await;
        let (head, _) = server.exchange("POST", &target, headers, body).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(server.closed().await, CloseReason::ParseError, "{body:?}");
    }
}

#[tokio::test]
async fn frames_of_bytes_begin_with_their_type() {
    let mut server = TestServer::start(config()).await;
    let mut socket = server.websocket("&EIO=3").await;
    socket.opened().await;
    socket.text("4hi").await;
    assert_eq!(socket.receive().await, Frame::Text("4hi".to_owned()));
    socket.send(Opcode::Binary, &[4, 1, 2]).await;
    assert_eq!(socket.receive().await, Frame::Binary(vec![4, 1, 2]));
    socket.send(Opcode::Binary, &[4]).await;
    assert_eq!(socket.receive().await, Frame::Binary(vec![4]));
    socket.send(Opcode::Binary, &[1, 2]).await;
    assert_eq!(server.closed().await, CloseReason::ParseError);
}

#[tokio::test]
async fn the_client_pings() {
    let mut server = TestServer::start(EngineConfig {
        ping_interval: Duration::from_millis(200),
        ping_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let mut socket = server.websocket("&EIO=3").await;
    socket.opened().await;
    // The data of a ping does not come back, and the server sends none of its own: the sleeps exceed one whole timeout.
    for ping in ["2", "2data", "2"] {
        tokio::time::sleep(Duration::from_millis(250)).await;
        socket.text(ping).await;
        assert_eq!(socket.receive().await, Frame::Text("3".to_owned()));
    }
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(server.closed().await, CloseReason::PingTimeout);

    let (_, target) = open_polling(&server, "").await;
    assert_eq!(server.request("POST", &target, b"1:2").await.0, 200);
    assert_eq!(server.request("GET", &target, b"").await, (200, "1:3".to_owned()));
    assert_eq!(server.closed().await, CloseReason::PingTimeout);

    let mut socket = server.websocket("&EIO=3").await;
    socket.opened().await;
    socket.text("3").await;
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_client_that_is_not_read_misses_no_ping() {
    let server = TestServer::start(EngineConfig {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..config()
    })
    .await;
    assert!(STALL > Duration::from_millis(400));
    let mut socket = server.websocket("&EIO=3").await;
    socket.opened().await;
    for packet in ["4stall", "2", "4after"] {
        socket.text(packet).await;
    }
    assert_eq!(socket.receive().await, Frame::Text("3".to_owned()));
    assert_eq!(socket.receive().await, Frame::Text("4after".to_owned()));
}

#[tokio::test]
async fn an_upgrade_takes_along_what_waits() {
    let mut server = TestServer::start(config()).await;
    let (sid, target) = open_polling(&server, "").await;
    let mut socket = server.websocket(&format!("&EIO=3&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    assert_eq!(server.request("GET", &target, b"").await, (200, "1:6".to_owned()));
    let octets = "Content-Type: application/octet-stream\r\n";
    let (head, _) = server
        .exchange("POST", &target, octets, b"\x00\x02\xff4a\x01\x02\xff\x04\x07")
        .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    socket.text("5").await;
    let mut received = vec![socket.receive().await, socket.receive().await];
    if received[0] != Frame::Text("4a".to_owned()) {
        panic!("not in order: {received:?}");
    }
    assert_eq!(received.pop(), Some(Frame::Binary(vec![4, 7])));
    socket.text("1").await;
    assert_eq!(server.closed().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn the_server_closes_in_the_clients_form() {
    let server = TestServer::start(config()).await;
    let (_, target) = open_polling(&server, "").await;
    server.request("POST", &target, b"6:4close").await;
    assert_eq!(server.request("GET", &target, b"").await, (200, "1:1".to_owned()));
}

#[tokio::test]
async fn pongs_that_nobody_takes_are_bounded() {
    let mut server = TestServer::start(EngineConfig {
        limits: Limits {
            max_outbox: 20_000,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let (_, target) = open_polling(&server, "").await;
    server
        .request("POST", &target, "1:2".repeat(2_000).as_bytes())
        .await;
    assert_eq!(server.closed().await, CloseReason::TransportError);
}
