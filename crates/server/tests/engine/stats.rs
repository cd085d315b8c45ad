//! The figures of a server: sessions by transport, what goes over them, and who is refused for what.

use std::future::ready;
use std::time::Duration;

use crate::support::{Frame, POLLING, TestServer, TestSocket};
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{EngineConfig, Hooks, Limits, Refusal, ServerStats, TransportStats};
use tokio::time::{sleep, timeout};

async fn metered(config: EngineConfig) -> TestServer {
    let server = TestServer::start(config).await;
    server.engine.meter();
    server
}

fn polling(stats: &ServerStats) -> &TransportStats {
    &stats.transports[0]
}

fn websocket(stats: &ServerStats) -> &TransportStats {
    &stats.transports[1]
}

fn closed(stats: &TransportStats) -> Vec<(CloseReason, u64)> {
    stats.closed.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Waits until the figures are so.
async fn until(server: &TestServer, is_so: impl Fn(&ServerStats) -> bool) -> ServerStats {
    let looked = async {
        loop {
            let stats = server.engine.stats();
            if is_so(&stats) {
                return stats;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), looked)
        .await
        .unwrap_or_else(|_| panic!("{:?}", server.engine.stats()))
}

async fn open(server: &TestServer) -> TestSocket {
    let mut socket = server.websocket("").await;
    assert!(matches!(socket.receive().await, Frame::Text(_)));
    socket
}

#[tokio::test]
async fn what_goes_over_a_websocket() {
    let mut server = metered(EngineConfig::default()).await;
    let mut socket = open(&server).await;
    for text in ["4a", "4äb"] {
        socket.text(text).await;
        assert_eq!(socket.receive().await, Frame::Text(text.to_owned()));
    }
    let stats = server.engine.stats();
    let figures = websocket(&stats);
    assert_eq!((figures.open, figures.opened), (1, 1));
    assert_eq!((figures.messages_in, figures.bytes_in), (2, 6));
    assert_eq!((figures.messages_out, figures.bytes_out), (2, 6));
    assert_eq!(closed(figures), []);
    assert_eq!(polling(&stats).opened, 0);

    socket.text("1").await;
    server.closed().await;
    let stats = until(&server, |stats| websocket(stats).open == 0).await;
    assert_eq!(closed(websocket(&stats)), [(CloseReason::TransportClose, 1)]);
}

#[tokio::test]
async fn what_goes_over_polling_and_an_upgrade() {
    let server = metered(EngineConfig::default()).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    server.request("POST", &target, "4a\u{1e}4bc".as_bytes()).await;
    server.request("GET", &target, b"").await;
    let stats = server.engine.stats();
    let figures = polling(&stats);
    assert_eq!((figures.open, figures.opened), (1, 1));
    assert_eq!((figures.messages_in, figures.bytes_in), (2, 5));
    assert_eq!((figures.messages_out, figures.bytes_out), (2, 5));

    let mut socket = server.websocket(&format!("&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive().await, Frame::Text("3probe".to_owned()));
    socket.text("5").await;
    let stats = until(&server, |stats| stats.upgrades == 1).await;
    assert_eq!((polling(&stats).open, polling(&stats).opened), (0, 1));
    assert_eq!((websocket(&stats).open, websocket(&stats).opened), (1, 0));
    drop(socket);
    let stats = until(&server, |stats| websocket(stats).open == 0).await;
    assert_eq!(closed(websocket(&stats)), [(CloseReason::TransportClose, 1)]);
    assert_eq!(closed(polling(&stats)), []);
}

#[tokio::test]
async fn what_waits_for_a_client() {
    let limits = Limits {
        max_outbox: 1_000,
        ..Limits::default()
    };
    let server = metered(EngineConfig {
        limits,
        ..EngineConfig::default()
    })
    .await;
    let target = format!("{POLLING}&sid={}", server.open_polling().await);
    server.request("POST", &target, &[b'4'; 500]).await;
    let stats = server.engine.stats();
    let figures = polling(&stats);
    assert!(
        (500..600).contains(&figures.outbox_bytes),
        "{}",
        figures.outbox_bytes
    );
    assert_eq!(figures.outbox_bytes_max, figures.outbox_bytes);
    server.request("POST", &target, &[b'4'; 900]).await;
    let stats = until(&server, |stats| stats.dropped_bytes > 0).await;
    assert!(stats.dropped_bytes > 1_000);
}

#[tokio::test]
async fn a_wait_lasts_from_its_first_byte_to_its_last() {
    const PAUSE: Duration = Duration::from_millis(60);
    let server = metered(EngineConfig::default()).await;
    let mut socket = open(&server).await;
    let large = format!("4{}", "x".repeat(900_000));
    for _ in 0..12 {
        socket.text(&large).await;
    }
    until(&server, |stats| websocket(stats).outbox_bytes > 0).await;
    // What comes while it waits begins no wait of its own.
    for _ in 0..3 {
        sleep(PAUSE).await;
        socket.text("4more").await;
    }
    for _ in 0..15 {
        assert!(matches!(socket.receive().await, Frame::Text(_)));
    }
    let stats = until(&server, |stats| stats.outbox_wait.count() > 0).await;
    assert_eq!(stats.outbox_wait.count(), 1);
    assert!(
        u128::from(stats.outbox_wait.nanos) >= 3 * PAUSE.as_nanos(),
        "{stats:?}"
    );
}

#[tokio::test]
async fn who_is_refused() {
    let hooks = Hooks::new().allow_request(|parts: &http::request::Parts| {
        let is_let_in = !parts.headers.contains_key("x-refuse");
        ready(is_let_in.then_some(()).ok_or_else(|| "no".to_owned()))
    });
    let limits = Limits {
        max_sessions: 1,
        ..Limits::default()
    };
    let config = EngineConfig {
        limits,
        ..EngineConfig::default()
    };
    let server = TestServer::with_hooks(config, hooks).await;
    for (headers, query, refusal) in [
        (
            "x-refuse: 1\r\n",
            "?EIO=4&transport=polling",
            Refusal::AllowRequest,
        ),
        (
            "Origin: http://other\r\n",
            "?EIO=4&transport=polling",
            Refusal::Origin,
        ),
        ("", "?EIO=4&transport=x", Refusal::Handshake),
        ("", "?EIO=5&transport=polling", Refusal::Version),
        (
            "",
            "?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
            Refusal::UnknownSession,
        ),
    ] {
        let before = server.engine.stats().refused;
        server
            .exchange("GET", &format!("/socket.io/{query}"), headers, b"")
            .await;
        let after = server.engine.stats().refused;
        let more = before
            .into_iter()
            .zip(after)
            .filter_map(|((reason, before), (_, after))| {
                (after > before).then_some((reason, after - before))
            });
        assert_eq!(more.collect::<Vec<_>>(), [(refusal, 1)], "{query}");
    }
    let _sid = server.open_polling().await;
    server.request("GET", POLLING, b"").await;
    server.engine.stop_accepting();
    server.request("GET", POLLING, b"").await;
    let refused = server.engine.stats().refused;
    assert!(refused.contains(&(Refusal::Full, 1)) && refused.contains(&(Refusal::Ending, 1)));
}

#[tokio::test]
async fn nothing_is_counted_before_anybody_asks() {
    let server = TestServer::start(EngineConfig::default()).await;
    let mut socket = open(&server).await;
    socket.text("4a").await;
    assert_eq!(socket.receive().await, Frame::Text("4a".to_owned()));
    let stats = server.engine.stats();
    assert_eq!((websocket(&stats).open, websocket(&stats).messages_in), (1, 0));
}
