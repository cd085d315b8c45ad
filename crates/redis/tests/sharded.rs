//! The sharded mode, over one Redis and over a cluster of three.

mod support;

use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::{ClusterAdapter, ClusterError};
use gatewire_hub::{BroadcastAckError, HubConfig};
use gatewire_redis::{Mode, RedisAdapter, RedisConfig, ShardedConfig, SubscriptionMode};
use support::operations::{self, until_heard};
use support::{Node, Peer, Redis, RedisCluster, eventually, receive, server};

fn config(subscription_mode: SubscriptionMode) -> RedisConfig {
    RedisConfig {
        mode: Mode::Sharded(ShardedConfig {
            subscription_mode,
            channel_prefix: "socket.io".to_owned(),
        }),
        requests_timeout: Duration::from_secs(3),
        ..RedisConfig::default()
    }
}

const MODES: [SubscriptionMode; 3] = [
    SubscriptionMode::Dynamic,
    SubscriptionMode::Static,
    SubscriptionMode::DynamicPrivate,
];

async fn every_operation(url: &str, mode: SubscriptionMode) {
    // Each mode has channels of its own: nodes of the one before may still be there.
    let config = RedisConfig {
        mode: Mode::Sharded(ShardedConfig {
            subscription_mode: mode,
            channel_prefix: format!("{mode:?}"),
        }),
        ..config(mode)
    };
    let [first, second] = Node::start_all(url, &config, &HubConfig::default()).await;
    operations::all(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_in_every_mode() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    for mode in MODES {
        every_operation(&redis.url(), mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_over_a_cluster_of_three() {
    if !server::is_there() {
        return;
    }
    let redis = RedisCluster::start();
    for mode in MODES {
        every_operation(&redis.url(), mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_have_channels_as_long_as_somebody_is_there() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let node = Node::start(&redis.url(), &config(SubscriptionMode::Dynamic)).await;
    let channels = async |expected: &[&str]| {
        let expected: Vec<String> = expected
            .iter()
            .map(|name| format!("socket.io#/#{name}"))
            .collect();
        eventually(&format!("the channels {expected:?}"), async || {
            let told = redis.cli(&["PUBSUB", "SHARDCHANNELS", "socket.io#/#*"]);
            let mut told: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
            // The node's own one has its name in it.
            told.retain(|name| name.len() < 20);
            told.sort_unstable();
            told == expected
        })
        .await;
    };
    channels(&[""]).await;
    let mut peers = [Peer::new(&node.io), Peer::new(&node.io)];
    for peer in &mut peers {
        let id = peer.join("/");
        node.main()
            .socket(&id)
            .unwrap()
            .join(["red", "a name that is as long as an id"]);
    }
    node.main().sockets_leave("a name that is as long as an id");
    channels(&["", "red#"]).await;
    peers[0].recv("1").unwrap();
    channels(&["", "red#"]).await;
    peers[1].recv("1").unwrap();
    channels(&[""]).await;
    node.io.close();
    channels(&[]).await;
}

/// What the one node sends to a room and to everyone comes to the other once and in its order.
async fn ten_thousand(url: &str, mode: SubscriptionMode) {
    const COUNT: usize = 10_000;
    let [first, second] = Node::start_all(url, &config(mode), &HubConfig::default()).await;
    let mut far = Peer::new(&second.io);
    let id = far.join("/");
    second.main().socket(&id).unwrap().join("red");
    until_heard(&first.main().to("red"), &mut far).await;
    let here = first.main();
    for n in 0..COUNT {
        if n % 2 == 0 {
            here.to("red").emit("red", &n);
        } else {
            here.emit("all", &n);
        }
        if n % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let lines = receive(&mut far, COUNT).await;
    for (event, rest) in [("red", 0), ("all", 1)] {
        let got: Vec<String> = lines
            .iter()
            .filter(|line| line.contains(event))
            .cloned()
            .collect();
        let expected = (0..COUNT).filter(|n| n % 2 == rest);
        let expected: Vec<String> = expected.map(|n| format!(r#"2["{event}",{n}]"#)).collect();
        let different = got.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!(
            (different, got.len()),
            (None, expected.len()),
            "{event}: {:?}",
            different.map(|at| &got[at..(at + 5).min(got.len())])
        );
    }
    let stats = first.adapter.stats();
    assert_eq!(
        (stats.lost, stats.malformed, stats.outages),
        (0, 0, 0),
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_none_lost_and_none_twice() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    ten_thousand(&redis.url(), SubscriptionMode::Dynamic).await;
    let redis = RedisCluster::start();
    ten_thousand(&redis.url(), SubscriptionMode::Dynamic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_says_nothing_is_named() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [first, second] = Node::start_all(
        &redis.url(),
        &config(SubscriptionMode::Dynamic),
        &HubConfig::default(),
    )
    .await;
    let here = first.main();
    // Nobody listens: as with the Node server there is no answer.
    let asked = here
        .server_side_emit_with_ack("nobody listens", &())
        .timeout(Duration::from_millis(200));
    let Err(BroadcastAckError::Timeout {
        missing: 1,
        silent_nodes,
        ..
    }) = asked.await
    else {
        panic!("an answer from nowhere");
    };
    assert_eq!((silent_nodes.count, silent_nodes.names.len()), (1, 0));
    // It is known as soon as it has answered anything.
    assert!(here.fetch_sockets().await.is_empty());
    let asked = here
        .server_side_emit_with_ack("nobody listens", &())
        .timeout(Duration::from_millis(200));
    let Err(BroadcastAckError::Timeout { silent_nodes, .. }) = asked.await else {
        panic!("an answer from nowhere");
    };
    assert_eq!((silent_nodes.count, silent_nodes.names.len()), (1, 1));
    second.io.close();
    first.meet(1).await;
    let answers = here.server_side_emit_with_ack("nobody is there", &()).await;
    assert_eq!(answers, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_is_subscribed_to_again() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let [first, second] = Node::start_all(
        &redis.url(),
        &config(SubscriptionMode::Dynamic),
        &HubConfig::default(),
    )
    .await;
    let (mut near, mut far) = (Peer::new(&first.io), Peer::new(&second.io));
    near.join("/");
    let id = far.join("/");
    second.main().socket(&id).unwrap().join("red");
    until_heard(&first.main().to("red"), &mut far).await;
    redis.kill();
    eventually("the loss to be noticed", async || {
        !first.adapter.stats().is_connected
    })
    .await;
    first.main().emit("here", &());
    assert_eq!(receive(&mut near, 1).await, [r#"2["here"]"#]);
    redis.start_again();
    first.meet(2).await;
    second.meet(2).await;
    until_heard(&first.main().to("red"), &mut far).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_sharded_channels_is_refused_at_start() {
    if !server::is_there() {
        return;
    }
    // As one before version 7 answers.
    let redis = Redis::start_with(&["--save", "", "--rename-command", "PUBSUB", ""]);
    let connected = RedisAdapter::connect_with(&redis.url(), config(SubscriptionMode::Dynamic)).await;
    let Err(ClusterError::Config { message }) = connected else {
        panic!("{connected:?}");
    };
    assert!(message.contains("use Redis 7 or later"), "{message}");
}

async fn conforming(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    let config = config(SubscriptionMode::Dynamic);
    support::conforming(count, &config).await
}

mod conforms {
    gatewire_hub::cluster_suite!(super::conforming);
}
