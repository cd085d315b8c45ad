//! One engine over real TCP: handshakes and refusals, polling, WebSocket, the upgrade between them, heartbeats, and
//! how each fault ends a session.

use std::time::Duration;

use crate::support::{Frame, POLLING, TestServer};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{EngineConfig, Limits};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const UNKNOWN_SID: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

fn fast() -> EngineConfig {
    EngineConfig {
        ping_interval: Duration::from_millis(150),
        ping_timeout: Duration::from_millis(100),
        ..EngineConfig::default()
    }
}

#[tokio::test]
async fn refuses_with_the_codes_of_the_protocol() {
    let server = TestServer::start(EngineConfig::default()).await;
    let polling_sid = server.open_polling().await;
    let on_session = format!("&sid={polling_sid}");
    let table = [
        (
            "GET",
            "?EIO=4",
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "?EIO=4&transport=constructor",
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "?EIO=4&transport=__proto__",
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "?EIO=4&transport=polling&sid=abc",
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "GET",
            "?EIO=4&transport=polling&sid=__proto__",
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "POST",
            "?EIO=4&transport=polling",
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            "PUT",
            "?EIO=4&transport=polling",
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            "GET",
            "?EIO=4&transport=websocket",
            400,
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            "GET",
            "?transport=polling",
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
        (
            "GET",
            "?EIO=3&transport=polling",
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
        (
            "GET",
            "?EIO=abc&transport=polling",
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ];
    for (method, query, status, body) in table {
        let answer = server.request(method, &format!("/socket.io/{query}"), b"").await;
        assert_eq!(answer, (status, body.to_owned()), "{method} {query}");
    }
    for query in ["?EIO=4&transport=websocket", "?EIO=3&transport=polling"] {
        let answer = server
            .request("GET", &format!("/socket.io/{query}{on_session}"), b"")
            .await;
        assert_eq!(
            answer,
            (400, r#"{"code":3,"message":"Bad request"}"#.to_owned()),
            "{query} on a session"
        );
    }
    assert_eq!(
        server
            .request("GET", "/socket.io?EIO=4&transport=polling", b"")
            .await
            .0,
        404
    );
    assert_eq!(server.engine.clients_count(), 1);
}

#[tokio::test]
async fn echoes_over_polling_in_order() {
    let server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    assert_eq!(
        server.request("POST", &target, b"4one\x1ebAQID\x1e4two").await,
        (200, "ok".to_owned())
    );
    assert_eq!(
        server.request("GET", &target, b"").await,
        (200, "4one\x1ebAQID\x1e4two".to_owned())
    );
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let (first, second) = tokio::join!(
        server.request("GET", &target, b""),
        server.request("GET", &target, b"")
    );
    let mut answers = [first, second];
    answers.sort();
    assert_eq!(answers, [(200, "1".to_owned()), (400, String::new())]);
    assert_eq!(server.closed().await, CloseReason::TransportError);
    assert_eq!(server.request("GET", &target, b"").await.0, 400);
}

#[tokio::test]
async fn a_malformed_payload_is_answered_and_ends_the_session() {
    for body in [&b"abc"[..], b"", b"4a\x1e", b"\xff\xfe"] {
        let mut server = TestServer::start(EngineConfig::default()).await;
        let target = format!("{POLLING}&sid={}", server.open_polling().await);
        assert_eq!(
            server.request("POST", &target, body).await,
            (200, "ok".to_owned()),
            "{body:?}"
        );
        assert_eq!(server.closed().await, CloseReason::ParseError, "{body:?}");
        let (status, answer) = server.request("GET", &target, b"").await;
        assert_eq!(
            (status, answer.as_str()),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_and_ends_the_session() {
    let config = EngineConfig {
        max_payload: 100,
        ..EngineConfig::default()
    };
    let mut server = TestServer::start(config).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    assert_eq!(
        server.request("POST", &target, &[b'4'; 101]).await,
        (413, String::new())
    );
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_body_above_the_limit_is_answered_before_the_open_poll() {
    let config = EngineConfig {
        max_payload: 100,
        ..EngineConfig::default()
    };
    let mut server = TestServer::start(config).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    // Asked in memory, so that one look at the future tells that the poll is open.
    let request = ::http::Request::get(&target)
        .body(gatewire_server::Body::default())
        .unwrap();
    let engine = server.engine.clone();
    let mut poll = std::pin::pin!(engine.handle(request, None));
    assert!(timeout(Duration::ZERO, poll.as_mut()).await.is_err());
    assert_eq!(
        server.request("POST", &target, &[b'4'; 101]).await,
        (413, String::new())
    );
    assert_eq!(server.closed().await, CloseReason::TransportError);
    assert!(timeout(Duration::ZERO, poll.as_mut()).await.is_err());
    let answer = timeout(Duration::from_secs(10), poll).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn a_slow_poster_is_not_waited_for() {
    let mut server = TestServer::start(fast()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n4a");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Either its missing pong or its late body ends the session, whichever is seen first; the request is answered.
    let reason = server.closed().await;
    assert!(
        matches!(reason, CloseReason::PingTimeout | CloseReason::TransportError),
        "{reason}"
    );
    let mut answer = [0; 12];
    timeout(Duration::from_secs(10), stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_close_packet_on_polling_releases_the_open_poll() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    // Asked in memory, so that one look at the future tells that the poll is open.
    let request = ::http::Request::get(&target)
        .body(gatewire_server::Body::default())
        .unwrap();
    let engine = server.engine.clone();
    let mut poll = std::pin::pin!(engine.handle(request, None));
    assert!(timeout(Duration::ZERO, poll.as_mut()).await.is_err());
    assert_eq!(
        server.request("POST", &target, b"1").await,
        (200, "ok".to_owned())
    );
    let body = poll.await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "6");
    assert_eq!(server.closed().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn a_session_closed_by_the_server_tells_the_next_poll() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    assert_eq!(server.request("POST", &target, b"4hello\x1e4close").await.0, 200);
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
    // Each by itself, as from the Node server: see `PollLane::say_goodbye`.
    for payload in ["4hello", "1"] {
        let answer = server.request("GET", &target, b"").await;
        assert_eq!(answer, (200, payload.to_owned()));
    }
    server.engine.drained().await;
    assert_eq!(server.engine.clients_count(), 0);
}

#[tokio::test]
async fn echoes_over_websocket() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let mut socket = server.websocket("").await;
    assert_eq!(socket.opened().await.len(), 20);
    socket.text("4hello").await;
    socket.send(Opcode::Binary, &[1, 2, 3]).await;
    socket.send(Opcode::Ping, b"are you there").await;
    assert_eq!(socket.receive().await, Frame::Text("4hello".to_owned()));
    assert_eq!(socket.receive().await, Frame::Binary(vec![1, 2, 3]));
    assert_eq!(socket.receive().await, Frame::Pong(b"are you there".to_vec()));
    socket.send(Opcode::Close, &1000u16.to_be_bytes()).await;
    assert_eq!(socket.receive().await, Frame::Close(1000));
    assert_eq!(socket.receive().await, Frame::End);
    assert_eq!(server.closed().await, CloseReason::TransportClose);
    server.engine.drained().await;
}

#[tokio::test]
async fn each_fault_on_a_websocket_has_its_close_code_and_reason() {
    let limited = EngineConfig {
        max_payload: 100,
        ..EngineConfig::default()
    };
    let table: [(&str, Opcode, &[u8], u16, CloseReason); 6] = [
        (
            "too big",
            Opcode::Text,
            &[b'4'; 101],
            1009,
            CloseReason::TransportError,
        ),
        (
            "bad UTF-8",
            Opcode::Text,
            b"4\xff",
            1007,
            CloseReason::TransportError,
        ),
        ("no packet", Opcode::Text, b"x", 1005, CloseReason::ParseError),
        (
            "a ping from the client",
            Opcode::Text,
            b"2",
            1005,
            CloseReason::TransportError,
        ),
        (
            "a close packet",
            Opcode::Text,
            b"1",
            1005,
            CloseReason::TransportClose,
        ),
        (
            "refused above",
            Opcode::Text,
            b"4reject",
            1005,
            CloseReason::ForcedClose,
        ),
    ];
    for (what, opcode, payload, code, reason) in table {
        let mut server = TestServer::start(limited.clone()).await;
        let mut socket = server.websocket("").await;
        socket.opened().await;
        socket.send(opcode, payload).await;
        assert_eq!(socket.receive().await, Frame::Close(code), "{what}");
        assert_eq!(server.closed().await, reason, "{what}");
    }
}

#[tokio::test]
async fn an_unmasked_frame_is_a_protocol_error() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    socket.0.write_all(b"\x81\x024a").await.unwrap();
    assert_eq!(socket.receive().await, Frame::Close(1002));
    assert_eq!(
        socket.receive().await,
        Frame::End,
        "a failed connection waits for no answer"
    );
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_session_moves_from_polling_to_websocket_and_loses_nothing() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    let poll = server.request("GET", &target, b"");
    let probe = async {
        socket.text("2probe").await;
        assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
        socket
    };
    let (poll, mut socket) = tokio::join!(poll, probe);
    assert_eq!(poll, (200, "6".to_owned()), "the open poll is released");
    assert_eq!(server.request("POST", &target, b"4over polling").await.0, 200);
    socket.text("5").await;
    assert_eq!(socket.receive().await, Frame::Text("4over polling".to_owned()));
    socket.text("4over websocket").await;
    assert_eq!(socket.receive().await, Frame::Text("4over websocket".to_owned()));
    let answer = server.request("GET", &target, b"").await;
    assert_eq!(answer, (400, r#"{"code":3,"message":"Bad request"}"#.to_owned()));
    socket.text("1").await;
    assert_eq!(server.closed().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn a_failed_upgrade_leaves_the_session_on_polling() {
    let server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    socket.text("4no probe").await;
    assert_eq!(socket.receive().await, Frame::End);
    let target = format!("{POLLING}&sid={sid}");
    assert_eq!(server.request("POST", &target, b"4still here").await.0, 200);
    assert_eq!(
        server.request("GET", &target, b"").await,
        (200, "4still here".to_owned())
    );
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let mut server = TestServer::start(fast()).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    assert_eq!(socket.receive().await, Frame::Text("2".to_owned()));
    socket.text("3").await;
    assert_eq!(socket.receive().await, Frame::Text("2".to_owned()));
    assert_eq!(socket.receive().await, Frame::Close(1005));
    assert_eq!(server.closed().await, CloseReason::PingTimeout);
}

#[tokio::test]
async fn bytes_renew_the_ping_timeout_as_text_does() {
    let config = EngineConfig {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(500),
        ..EngineConfig::default()
    };
    let mut server = TestServer::start(config).await;
    for (opcode, message) in [(Opcode::Text, b"4a" as &[u8]), (Opcode::Binary, b"a")] {
        let mut socket = server.websocket("").await;
        socket.opened().await;
        assert_eq!(socket.receive().await, Frame::Text("2".to_owned()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begin = std::time::Instant::now();
        socket.send(opcode, message).await;
        let echo = socket.receive().await;
        assert!(matches!(echo, Frame::Text(_) | Frame::Binary(_)), "{echo:?}");
        assert_eq!(socket.receive().await, Frame::Close(1005));
        let left = begin.elapsed();
        assert!(left >= Duration::from_millis(500), "{opcode:?}: {left:?}");
        assert_eq!(server.closed().await, CloseReason::PingTimeout);
    }
}

#[tokio::test]
async fn a_client_that_is_not_read_misses_no_ping() {
    let server = TestServer::start(fast()).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    socket.text("4stall").await;
    socket.text("4after").await;
    loop {
        match socket.receive().await {
            Frame::Text(text) if text == "2" => socket.text("3").await,
            frame => break assert_eq!(frame, Frame::Text("4after".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_post_is_answered_when_its_packets_are_worked_off() {
    let server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let begin = std::time::Instant::now();
    assert_eq!(
        server.request("POST", &target, b"4stall\x1e4after").await,
        (200, "ok".to_owned())
    );
    assert!(
        begin.elapsed() >= crate::support::STALL,
        "the second packet waited"
    );
    assert_eq!(
        server.request("GET", &target, b"").await,
        (200, "4after".to_owned())
    );
}

#[tokio::test]
async fn a_polling_session_that_is_left_ends_by_itself() {
    let mut server = TestServer::start(fast()).await;
    server.open_polling().await;
    assert_eq!(server.closed().await, CloseReason::PingTimeout);
    server.engine.drained().await;
    assert_eq!(server.engine.clients_count(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_at_the_bound() {
    let limits = Limits {
        max_outbox: 256 * 1024,
        close_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let mut server = TestServer::start(EngineConfig {
        limits,
        ..EngineConfig::default()
    })
    .await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    let message = vec![b'4'; 500_000];
    for _ in 0..200 {
        let mut frame = Vec::new();
        gatewire_proto::websocket::put_masked_frame(&mut frame, true, Opcode::Text, [0; 4], &message);
        if socket.0.write_all(&frame).await.is_err() {
            break;
        }
    }
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn shutting_down_closes_with_going_away() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    server.engine.close();
    assert_eq!(socket.receive().await, Frame::Close(1001));
    assert_eq!(server.closed().await, CloseReason::ServerShuttingDown);
    drop(socket);
    server.engine.drained().await;
    assert_eq!(server.request("GET", POLLING, b"").await.0, 503);
}

#[tokio::test]
async fn a_body_that_is_being_worked_off_survives_the_upgrade() {
    let server = TestServer::start(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    let post = server.request("POST", &target, b"4stall\x1e4after\x1e4that");
    let upgrade = async {
        let mut socket = server.websocket(&format!("&sid={sid}")).await;
        socket.text("2probe").await;
        assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
        socket.text("5").await;
        socket.text("4last").await;
        for expected in ["4after", "4that", "4last"] {
            assert_eq!(socket.receive().await, Frame::Text(expected.to_owned()));
        }
    };
    let ((status, _), ()) = tokio::join!(post, upgrade);
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_comes_while_the_session_ends_is_told_so() {
    let server = TestServer::start(EngineConfig::default()).await;
    for _ in 0..50 {
        let sid = server.open_polling().await;
        let target = format!("{POLLING}&sid={sid}");
        let close = server.request("POST", &target, b"1");
        let poll = server.request("GET", &target, b"");
        let (_, (status, body)) = tokio::join!(close, poll);
        // The poll was there before the end, and is released; or it comes after it.
        assert!(
            (status, &*body) == (200, "6") || (status, &*body) == (400, UNKNOWN_SID),
            "{status} {body}"
        );
    }
}
