//! Processes that only send, in each mode.

mod support;

use bytes::Bytes;
use gatewire_hub::{HubConfig, Recovery};
use gatewire_redis::{ClassicConfig, Emitter, Mode, RedisConfig, ShardedConfig, StreamsConfig};
use support::operations::until_heard;
use support::{Node, Peer, Redis, eventually, receive, server};

async fn every_operation(mode: Mode) {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = RedisConfig {
        mode,
        ..RedisConfig::default()
    };
    let node = Node::start(&redis.url(), &config).await;
    node.meet(1).await;
    let emitter = Emitter::connect_with(&redis.url(), config).await.unwrap();
    let mut peer = Peer::new(&node.io);
    let id = peer.join("/");
    let socket = node.main().socket(&id).unwrap();
    until_heard(&emitter.everyone(), &mut peer).await;

    emitter.emit("hello", &1);
    emitter.emit_args("bytes", &(Bytes::from_static(&[7]), "end"));
    assert_eq!(
        receive(&mut peer, 3).await,
        [
            r#"2["hello",1]"#,
            r#"51-["bytes",{"_placeholder":true,"num":0},"end"]"#,
            "<07>"
        ]
    );
    emitter.to(&id).sockets_join("red");
    eventually("the socket to join", async || socket.rooms().len() == 2).await;
    until_heard(&emitter.to("red"), &mut peer).await;
    emitter.to("red").emit("red", &());
    emitter.to("red").except(&id).emit("never", &());
    emitter.in_room("blue").emit("never", &());
    emitter.except("red").emit("never", &());
    emitter.emit("end", &());
    assert_eq!(receive(&mut peer, 2).await, [r#"2["red"]"#, r#"2["end"]"#]);
    emitter.to("red").sockets_leave("red");
    eventually("the socket to leave", async || socket.rooms().len() == 1).await;

    node.main().on_server_side("hear", |namespace, event| {
        namespace.local().emit_payload("heard", event.payload());
    });
    emitter.server_side_emit_args("hear", &(1, 2)).unwrap();
    assert_eq!(receive(&mut peer, 1).await, [r#"2["heard",1,2]"#]);

    let _ = node.io.of("/other");
    let mut other = Peer::joined(&node.io, "/other");
    until_heard(&emitter.of("other").everyone(), &mut other).await;
    assert!(peer.sent().is_empty());

    emitter.to(&id).disconnect_sockets(false);
    assert_eq!(receive(&mut peer, 1).await, ["1"]);
    // It is no node.
    assert_eq!(node.cluster.server_count("/").await, 1);
    emitter.flush().await.unwrap();
    assert_eq!(emitter.stats().lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn classic() {
    every_operation(Mode::Classic(ClassicConfig::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sharded() {
    every_operation(Mode::Sharded(ShardedConfig::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    every_operation(Mode::Streams(StreamsConfig::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_a_stream_has_an_offset() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = RedisConfig {
        mode: Mode::Streams(StreamsConfig::default()),
        ..RedisConfig::default()
    };
    let hub = HubConfig {
        connection_state_recovery: Some(Recovery::default()),
        ..HubConfig::default()
    };
    let node = Node::start_with(&redis.url(), &config, hub).await;
    node.meet(1).await;
    let mut peer = Peer::new(&node.io);
    peer.recv("0").unwrap();
    receive(&mut peer, 1).await;
    let emitter = Emitter::connect_with(&redis.url(), config).await.unwrap();
    emitter.emit("hello", &1);
    emitter.flush().await.unwrap();
    let line = receive(&mut peer, 1).await.remove(0);
    assert!(line.starts_with(r#"2["hello",1,""#), "{line}");
    let entry = redis.cli(&["XRANGE", "socket.io", "-", "+"]);
    assert!(entry.contains("emitter"), "{entry}");
}
