//! What becomes of a node when something is wrong with Redis, or with the way to it: shown in the classic mode, and the same
//! in all, which have their connections in common.

mod support;

use std::time::Duration;

use gatewire_hub::HubConfig;
use gatewire_hub::cluster::ClusterError;
use gatewire_redis::{RedisAdapter, RedisConfig};
use support::proxy::Proxy;
use support::{Node, PATIENCE, Peer, Redis, eventually, receive, server};

/// Impatient, so that the tests are short.
fn config() -> RedisConfig {
    RedisConfig {
        connect_timeout: Duration::from_millis(500),
        response_timeout: Duration::from_millis(500),
        requests_timeout: Duration::from_secs(1),
        max_reconnect_delay: Duration::from_millis(100),
        ..RedisConfig::default()
    }
}

/// Two nodes that know each other, with a client each.
async fn pair(url: &str, other: &str, config: &RedisConfig) -> (Node, Node, Peer, Peer) {
    let first = Node::start(url, config).await;
    let second = Node::start(other, config).await;
    first.meet(2).await;
    second.meet(2).await;
    let near = Peer::joined(&first.io, "/");
    let far = Peer::joined(&second.io, "/");
    (first, second, near, far)
}

fn events(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!(r#"2["n",{n}]"#)).collect()
}

fn send(node: &Node, range: std::ops::Range<usize>) {
    for n in range {
        node.main().emit("n", &n);
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_a_clear_error() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let url = redis.url().replace("redis://", "redis://me:secret@");
    redis.kill();
    let error = RedisAdapter::connect_with(&url, config()).await.unwrap_err();
    let ClusterError::Unreachable { address, advice, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*address, redis.url());
    assert!(advice.contains("start_detached"), "{advice}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_detached_node_joins_when_redis_is_there() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start();
    redis.kill();
    let config = RedisConfig {
        start_detached: true,
        ..config()
    };
    let (first, second) = (
        Node::start(&redis.url(), &config).await,
        Node::start(&redis.url(), &config).await,
    );
    let (mut near, mut far) = (Peer::joined(&first.io, "/"), Peer::joined(&second.io, "/"));
    send(&first, 0..1);
    assert_eq!(receive(&mut near, 1).await, events(0..1), "here at once");
    assert_eq!(first.cluster.server_count("/").await, 1);
    eventually("the outage to be noticed", async || {
        !first.adapter.stats().is_connected
    })
    .await;
    redis.start_again();
    first.meet(2).await;
    second.meet(2).await;
    send(&first, 1..2);
    // What waited is sent, but nobody may have listened yet.
    eventually("what is sent to arrive", async || {
        far.outbox.take().contains(&events(1..2)[0])
    })
    .await;
    assert_eq!(first.adapter.stats().lost, 0);
    far.run();
}

#[tokio::test]
async fn a_redis_that_is_killed_is_done_without_and_found_again() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let (first, second, mut near, mut far) = pair(&redis.url(), &redis.url(), &config()).await;
    send(&first, 0..10);
    assert_eq!(receive(&mut far, 10).await, events(0..10));
    let status = first.cluster.status();
    assert!(
        status.is_connected && status.lag.is_some() && status.sent > 0,
        "{status:?}"
    );
    let heard = second.cluster.status().heard;
    assert!(matches!(&*heard, [(_, age)] if *age < PATIENCE), "{heard:?}");
    for outage in 1..=2 {
        redis.kill();
        eventually("the outage to be noticed", async || {
            !first.cluster.status().is_connected
        })
        .await;
        near.sent();
        send(&first, 10..20);
        assert_eq!(
            receive(&mut near, 10).await,
            events(10..20),
            "clients of this node get everything"
        );
        let found = first.main().everyone().try_fetch_sockets().await.unwrap_err();
        assert_eq!((found.sockets.len(), found.silent_nodes.count), (1, 1));
        redis.start_again();
        for node in [&first, &second] {
            eventually("Redis to be found again", async || {
                node.adapter.stats().is_connected
            })
            .await;
            node.meet(2).await;
            assert_eq!(node.cluster.status().outages, outage);
        }
        far.sent();
        send(&first, 20..30);
        assert_eq!(receive(&mut far, 10).await, events(20..30));
        assert_eq!(first.main().fetch_sockets().await.len(), 2);
    }
}

#[tokio::test]
async fn what_waits_for_redis_is_bounded_and_keeps_its_order() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = RedisConfig {
        max_queue: 100,
        // Nobody gives up.
        response_timeout: Duration::from_secs(60),
        ..config()
    };
    let (first, _second, mut near, mut far) = pair(&redis.url(), &redis.url(), &config).await;
    redis.pause();
    send(&first, 0..1_000);
    assert_eq!(
        receive(&mut near, 1_000).await,
        events(0..1_000),
        "clients of this node get everything"
    );
    let lost = first.adapter.stats().lost;
    assert!(
        (800..=900).contains(&lost),
        "{lost}: but for what waits or is under way"
    );
    redis.resume();
    let got = receive(&mut far, 1_000 - lost as usize).await;
    assert_eq!(got[got.len() - 100..], events(900..1_000), "the oldest are lost");
    let mut all = events(0..1_000).into_iter();
    assert!(
        got.iter().all(|one| all.any(|other| other == *one)),
        "in order: {got:?}"
    );
    assert_eq!(first.adapter.stats().outages, 0);
}

#[tokio::test]
async fn a_redis_that_stands_still_is_given_up() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (first, second, mut near, mut far) = pair(&redis.url(), &redis.url(), &config()).await;
    redis.pause();
    send(&first, 0..5);
    assert_eq!(receive(&mut near, 5).await, events(0..5));
    let asked = first.main().server_side_emit_with_ack("ask", &());
    let answers = tokio::time::timeout(Duration::from_secs(10), asked).await;
    let answers = answers.expect("that nobody answers is said");
    assert!(answers.is_err(), "nobody answers: {answers:?}");
    eventually("the outage to be noticed", async || {
        !first.adapter.stats().is_connected
    })
    .await;
    redis.resume();
    for node in [&first, &second] {
        eventually("Redis to be found again", async || {
            node.adapter.stats().is_connected
        })
        .await;
        node.meet(2).await;
    }
    far.sent();
    send(&first, 5..10);
    assert_eq!(receive(&mut far, 5).await, events(5..10));
}

#[tokio::test]
async fn a_node_that_is_cut_off_goes_on_by_itself() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port(), Duration::ZERO).await;
    let (first, second, mut near, mut far) = pair(&proxy.url(), &redis.url(), &config()).await;
    proxy.cut();
    send(&first, 0..3);
    send(&second, 3..6);
    assert_eq!(receive(&mut near, 3).await, events(0..3));
    assert_eq!(receive(&mut far, 3).await, events(3..6));
    eventually("the outage to be noticed", async || {
        !first.adapter.stats().is_connected
    })
    .await;
    assert!(second.adapter.stats().is_connected);
    let alone = first.main().everyone().try_fetch_sockets().await.unwrap_err();
    assert_eq!((alone.sockets.len(), alone.silent_nodes.count), (1, 1));
    proxy.mend();
    eventually("the way to be found again", async || {
        first.adapter.stats().is_connected
    })
    .await;
    first.meet(2).await;
    second.meet(2).await;
    near.sent();
    send(&second, 6..9);
    assert_eq!(receive(&mut near, 3).await, events(6..9));
    assert_eq!(first.adapter.stats().outages, 1);
}

#[tokio::test]
async fn a_slow_way_is_a_way() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port(), Duration::from_millis(40)).await;
    let config = RedisConfig {
        response_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        requests_timeout: Duration::from_secs(5),
        ..config()
    };
    let (first, second, _near, mut far) = pair(&proxy.url(), &redis.url(), &config).await;
    send(&first, 0..2_000);
    assert_eq!(receive(&mut far, 2_000).await, events(0..2_000));
    assert_eq!(
        first.main().everyone().try_fetch_sockets().await.unwrap().len(),
        2
    );
    for node in [&first, &second] {
        let stats = node.adapter.stats();
        assert_eq!((stats.outages, stats.lost), (0, 0));
    }
}

#[tokio::test]
async fn a_redis_that_is_full_still_carries() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (first, _second, _near, mut far) = pair(&redis.url(), &redis.url(), &config()).await;
    redis.cli(&["config", "set", "maxmemory-policy", "noeviction"]);
    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert!(redis.cli(&["set", "a", "b"]).contains("OOM"));
    send(&first, 0..10);
    assert_eq!(receive(&mut far, 10).await, events(0..10));
    assert_eq!(first.adapter.stats().lost, 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_skipped_and_counted() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = RedisConfig {
        max_message: 1_000,
        ..config()
    };
    let node = Node::start_with(&redis.url(), &config, HubConfig::default()).await;
    node.meet(1).await;
    let mut peer = Peer::joined(&node.io, "/");
    let (too_long, to_nobody) = ("x".repeat(1_001), "socket.io#/#nobody#");
    for (channel, message) in [
        ("socket.io#/#", "no msgpack"),
        ("socket.io#/#", &too_long),
        ("socket.io-request#/#", "{"),
        ("socket.io-request#/#", r#"{"type":99}"#),
        ("socket.io-response#/#", "[]"),
        (to_nobody, "is not even read"),
    ] {
        redis.cli(&["publish", channel, message]);
    }
    eventually("the messages to come", async || {
        node.adapter.stats().received >= 6
    })
    .await;
    assert_eq!(node.adapter.stats().malformed, 5);
    // [emitter, {data: ["n", 0]}, {}]
    let emitter = b"\x93\xa7emitter\x81\xa4data\x92\xa1n\x00\x80";
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let heard: i64 = redis::cmd("PUBLISH")
        .arg("socket.io#/#")
        .arg(emitter)
        .query(&mut connection)
        .unwrap();
    assert_eq!(heard, 1);
    assert_eq!(receive(&mut peer, 1).await, events(0..1));
}
