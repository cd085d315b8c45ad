//! Statuses, headers and bodies as the Node server writes them, row by row of a recording; and where it is done better.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::{Frame, POLLING, TestServer, read_head, sid_of};
use ::http::{Request, Response};
use bytes::Bytes;
use gatewire_hub::{HubConfig, Io};
use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_server::{Body, Cookie, Cors, Engine, EngineConfig, Hooks, Limits, Origin, SocketIo};
use http_body::Frame as BodyFrame;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const UNKNOWN_SID: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const PATIENCE: Duration = Duration::from_secs(10);

/// The header lines of a head that say something of the protocol, in lower case and sorted.
fn headers(head: &str) -> Vec<String> {
    let mut lines: Vec<_> = head
        .lines()
        .skip(1)
        .map(str::to_ascii_lowercase)
        .filter(|line| !line.is_empty() && !line.starts_with("date:"))
        .collect();
    lines.sort();
    lines
}

/// One request on a connection of its own, whose bytes are the test's, read to the end of the connection.
async fn raw(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

fn upgrade(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A body that never comes.
struct Pending;

impl http_body::Body for Pending {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

/// Begins with a request that cannot be answered yet.
async fn begin(request: Pin<&mut impl Future<Output = Response<Body>>>) {
    assert!(timeout(Duration::ZERO, request).await.is_err());
}

#[tokio::test]
async fn polling_is_answered_with_these_headers() {
    let server = TestServer::start(EngineConfig::default()).await;
    let (head, open) = server.exchange("GET", POLLING, "", b"").await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let length = format!("content-length: {}", open.len());
    assert_eq!(
        headers(&head),
        [
            "cache-control: no-store",
            "connection: close",
            &length,
            "content-type: text/plain; charset=utf-8"
        ]
    );
    let open = String::from_utf8(open).unwrap();
    let sid = sid_of(&open);
    assert_eq!(
        open,
        format!(
            r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
        )
    );
    let target = format!("{POLLING}&sid={sid}");
    let (head, body) = server.exchange("POST", &target, "", b"4hello").await;
    assert_eq!(
        headers(&head),
        [
            "cache-control: no-store",
            "connection: close",
            "content-length: 2",
            "content-type: text/html"
        ]
    );
    assert_eq!(body, b"ok");
    let (head, _) = server
        .exchange("GET", &target, "User-Agent: Mozilla/5.0 (Trident/7.0)\r\n", b"")
        .await;
    assert!(
        headers(&head).contains(&"x-xss-protection: 0".to_owned()),
        "{head}"
    );
}

#[tokio::test]
async fn http_1_0_is_answered_and_the_connection_closed() {
    let server = TestServer::start(EngineConfig::default()).await;
    let answer = raw(&server, format!("GET {POLLING} HTTP/1.0\r\n\r\n").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
        "{answer}"
    );
    assert!(answer.contains("0{\"sid\":"), "{answer}");
}

#[tokio::test]
async fn refusals_are_json_with_their_length() {
    let server = TestServer::start(EngineConfig::default()).await;
    let (head, body) = server.exchange("GET", "/socket.io/?EIO=4", "", b"").await;
    assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{head}");
    let length = format!("content-length: {}", body.len());
    assert_eq!(
        headers(&head),
        ["connection: close", &length, "content-type: application/json"]
    );
}

#[tokio::test]
async fn paths_below_the_engines_are_its_own() {
    let server = TestServer::start(EngineConfig::default()).await;
    for (target, status) in [
        ("/socket.io/x?EIO=4&transport=polling", 200),
        ("/socket.io/nope.js", 400),
        ("/socket.io?EIO=4&transport=polling", 404),
        ("/other", 404),
        ("/socket.io/?EIO=3&transport=polling&EIO=4", 200),
        ("/socket.io/?EIO=4&transport=polling&sid=", 200),
    ] {
        assert_eq!(server.request("GET", target, b"").await.0, status, "{target}");
    }
}

#[tokio::test]
async fn an_upgrade_elsewhere_is_refused_at_once() {
    // The Node server leaves it without an answer for `destroyUpgradeTimeout`, a second.
    let server = TestServer::start(EngineConfig::default()).await;
    let answer = raw(&server, upgrade("/other", "Connection: close\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn a_session_takes_get_and_post_of_text_alone() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    assert_eq!(server.request("PUT", &target, b"4a").await, (500, String::new()));
    let octets = "Content-Type: application/octet-stream\r\n";
    let (head, body) = server.exchange("POST", &target, octets, b"\x04a").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(body.is_empty());
    assert_eq!(server.closed().await, CloseReason::TransportError);
    // The last packets may still be taken; then the session is unknown.
    server.engine.drained().await;
    assert_eq!(
        server.request("GET", &target, b"").await,
        (400, UNKNOWN_SID.to_owned())
    );
}

#[tokio::test]
async fn a_chunked_body_above_the_limit_ends_the_session() {
    // The Node server refuses the body, too, but keeps the session without it.
    let mut server = TestServer::start(EngineConfig {
        max_payload: 100,
        ..EngineConfig::default()
    })
    .await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let chunk = format!("40\r\n{}\r\n", "4".repeat(0x40));
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let answer = raw(&server, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_second_post_ends_the_session() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let engine = server.engine.clone();
    let first = Request::post(&target).body(Pending).unwrap();
    let mut first = std::pin::pin!(engine.handle(first, None));
    begin(first.as_mut()).await;
    assert_eq!(server.request("POST", &target, b"4a").await, (400, String::new()));
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_poll_that_the_client_gives_up_ends_the_session() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let engine = server.engine.clone();
    let request = Request::get(&target).body(Body::default()).unwrap();
    let mut poll = Box::pin(engine.handle(request, None));
    begin(poll.as_mut()).await;
    drop(poll);
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_poll_that_is_open_is_told_of_the_servers_close() {
    let mut server = TestServer::start(EngineConfig::default()).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    let engine = server.engine.clone();
    let request = Request::get(&target).body(Body::default()).unwrap();
    let mut poll = std::pin::pin!(engine.handle(request, None));
    begin(poll.as_mut()).await;
    assert_eq!(server.request("POST", &target, b"4close").await.0, 200);
    let body = poll.await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "1");
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
    server.engine.drained().await;
}

#[tokio::test]
async fn preflights_and_other_origins() {
    let cors = Cors {
        origin: Origin::List(vec!["https://a.example".to_owned()]),
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        allowed_headers: Some(vec!["x-my".to_owned()]),
        credentials: true,
        max_age: Some(600),
        ..Cors::default()
    };
    let server = TestServer::start(EngineConfig {
        cors: Some(cors),
        ..EngineConfig::default()
    })
    .await;
    let origin = "Origin: https://a.example\r\n";
    let (head, body) = server.exchange("OPTIONS", POLLING, origin, b"").await;
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    assert!(body.is_empty());
    let lines = headers(&head);
    for line in [
        "access-control-allow-credentials: true",
        "access-control-allow-headers: x-my",
        "access-control-allow-methods: get,post",
        "access-control-allow-origin: https://a.example",
        "access-control-max-age: 600",
        "vary: origin",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line} in {head}");
    }
    let (head, _) = server
        .exchange("GET", POLLING, "Origin: https://b.example\r\n", b"")
        .await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let lines = headers(&head);
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("access-control-allow-origin"))
    );
    assert!(lines.contains(&"access-control-allow-credentials: true".to_owned()));
    assert!(lines.contains(&"vary: origin".to_owned()));
}

#[tokio::test]
async fn an_origin_with_control_characters_is_refused() {
    let server = TestServer::start(EngineConfig::default()).await;
    let request =
        format!("GET {POLLING} HTTP/1.1\r\nHost: test\r\nOrigin: a\x01b\r\nConnection: close\r\n\r\n");
    let answer = raw(&server, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.engine.clients_count(), 0);
}

#[tokio::test]
async fn a_websocket_gets_the_headers_of_hooks_and_cors_but_no_cookie() {
    let hooks = Hooks::new()
        .initial_headers(|headers, _| drop(headers.insert("x-first", "1".parse().unwrap())))
        .headers(|headers, _| drop(headers.insert("x-all", "1".parse().unwrap())));
    let config = EngineConfig {
        cookie: Some(Cookie::default()),
        cors: Some(Cors::default()),
        ..EngineConfig::default()
    };
    let server = TestServer::with_hooks(config, hooks).await;
    let target = "/socket.io/?EIO=4&transport=websocket";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = upgrade(target, "Sec-WebSocket-Protocol: one, two\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let lines = headers(&head);
    for line in [
        "access-control-allow-origin: *",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: one",
        "x-all: 1",
        "x-first: 1",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line} in {head}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("set-cookie")));
    let mut socket = crate::support::TestSocket(stream);
    let Frame::Text(open) = socket.receive().await else {
        panic!("no open packet")
    };
    assert!(open.contains(r#""upgrades":[]"#), "{open}");
}

#[tokio::test]
async fn a_websocket_is_refused_in_plain_words() {
    let server = TestServer::start(EngineConfig::default()).await;
    let target = "/socket.io/?transport=websocket";
    for (query, reason) in [
        ("&EIO=4&sid=abc", "Session ID unknown"),
        // The Node server answers 101 to these, and then refuses within the new stream, or closes it.
        ("", "Unsupported protocol version"),
        ("&EIO=5", "Unsupported protocol version"),
        ("&EIO=4&transport=polling", "Bad request"),
    ] {
        let answer = raw(&server, upgrade(&format!("{target}{query}"), "").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{query}: {answer}");
        let length = format!("content-length: {}", reason.len());
        assert_eq!(
            headers(head),
            ["connection: close", &length, "content-type: text/html"]
        );
        assert_eq!(body, reason);
    }
    let old = upgrade(&format!("{target}&EIO=4"), "").replace("Version: 13", "Version: 7");
    let answer = raw(&server, old.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("sec-websocket-version: 13"),
        "{answer}"
    );
    assert_eq!(server.engine.clients_count(), 0);
}

#[tokio::test]
async fn transports_are_those_of_the_options() {
    let only = |transport| EngineConfig {
        transports: vec![transport],
        ..EngineConfig::default()
    };
    let server = TestServer::start(only(TransportKind::WebSocket)).await;
    let refused = r#"{"code":0,"message":"Transport unknown"}"#.to_owned();
    assert_eq!(server.request("GET", POLLING, b"").await, (400, refused));
    server.websocket("").await.opened().await;

    let server = TestServer::start(only(TransportKind::Polling)).await;
    let (_, open) = server.request("GET", POLLING, b"").await;
    assert!(open.contains(r#""upgrades":[]"#), "{open}");
    let target = "/socket.io/?EIO=4&transport=websocket";
    let answer = raw(&server, upgrade(target, "").as_bytes()).await;
    assert!(answer.ends_with("Transport unknown"), "{answer}");
}

#[tokio::test]
async fn sessions_are_bounded_in_number() {
    let limits = Limits {
        max_sessions: 1,
        ..Limits::default()
    };
    let server = TestServer::start(EngineConfig {
        limits,
        ..EngineConfig::default()
    })
    .await;
    server.open_polling().await;
    assert_eq!(server.request("GET", POLLING, b"").await, (503, String::new()));
}

#[tokio::test]
async fn who_joins_no_namespace_is_closed() {
    let config = EngineConfig {
        connect_timeout: Duration::from_secs(1),
        ..EngineConfig::default()
    };
    let io = Io::new(HubConfig::default());
    let _ = io.of("/");
    let server = TestServer::of(Engine::new(config, SocketIo::new(io)).unwrap()).await;
    let (mut idle, mut refused, mut joined) = (
        server.websocket("").await,
        server.websocket("").await,
        server.websocket("").await,
    );
    idle.opened().await;
    refused.opened().await;
    joined.opened().await;
    // What counts is the namespaces that were joined, not those that were tried.
    refused.text("40/nowhere,").await;
    joined.text("40").await;
    assert!(matches!(joined.receive().await, Frame::Text(text) if text.starts_with("40{")));
    assert!(matches!(refused.receive().await, Frame::Text(text) if text.starts_with("44/nowhere,")));
    assert_eq!(idle.receive().await, Frame::Close(1005));
    assert_eq!(refused.receive().await, Frame::Close(1005));
    joined.text("40").await;
    assert_eq!(
        joined.receive().await,
        Frame::Close(1005),
        "joining twice is what ends this one"
    );
}

#[tokio::test]
async fn what_is_not_to_be_compressed_is_not() {
    let io = Io::new(HubConfig::default());
    let _ = io.of("/");
    let engine = Engine::new(EngineConfig::default(), SocketIo::new(io.clone())).unwrap();
    let server = TestServer::of(engine).await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    server.request("POST", &target, b"40").await;
    server.request("GET", &target, b"").await;
    let (plain, long) = (io.compress(false), "x".repeat(2_000));
    let emit_plain = || plain.emit("e", &long);
    let emit_both = || {
        plain.emit("e", &long);
        io.emit("e", &1);
    };
    let emit_long = || io.emit("e", &long);
    let cases: [(&dyn Fn(), bool); 4] = [
        (&emit_plain, false),
        (&emit_both, true),
        (&emit_plain, false),
        (&emit_long, true),
    ];
    for (at, (emit, is_compressed)) in cases.into_iter().enumerate() {
        emit();
        let (head, _) = server
            .exchange("GET", &target, "Accept-Encoding: gzip\r\n", b"")
            .await;
        assert_eq!(
            head.contains("content-encoding: gzip"),
            is_compressed,
            "{at}: {head}"
        );
    }
}
