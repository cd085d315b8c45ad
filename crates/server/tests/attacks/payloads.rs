//! Bodies of polling requests: huge, of many packets, of nothing, and without an end.

use gatewire_hub::HubConfig;
use gatewire_server::{EngineConfig, Limits, ListenerConfig};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::read_head;
use crate::world::{PATIENCE, World, resident, status_of};

/// The body ends the session, whose posts are answered all the same.
async fn ends_the_session(world: &World, target: &str, body: &str) {
    let (status, _) = world.request(target, body).await;
    assert!(matches!(status, 200 | 400), "{status}");
    // Whoever asks what became of it is told.
    let (mut status, _) = world.request(target, "").await;
    if status == 200 {
        status = world.request(target, "").await.0;
    }
    assert_eq!(status, 400);
    world.has_clients(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_body_is_refused_at_the_limit() {
    let world = World::start().await;
    let polling = world.polling().await;
    let before = resident();
    let mut stream = world.connect().await;
    let head = format!("POST {polling} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'4'; 1_100_000]).await.unwrap();
    assert_eq!(status_of(&read_head(&mut stream).await), 413);
    while timeout(PATIENCE, stream.write_all(&[b'4'; 60_000]))
        .await
        .expect("nobody reads, nobody closes")
        .is_ok()
    {}
    world.has_clients(0).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_without_end_are_refused_at_the_limit() {
    let world = World::start().await;
    let before = resident();
    let polling = world.polling().await;
    let mut stream = world.connect().await;
    let head = format!("POST {polling} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "4".repeat(60_000));
    for _ in 0..10_000 {
        if timeout(PATIENCE, stream.write_all(chunk.as_bytes()))
            .await
            .expect("it is read or closed")
            .is_err()
        {
            break;
        }
    }
    world.has_clients(0).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

#[tokio::test]
async fn a_payload_of_empty_packets_ends_the_session_at_the_first() {
    let world = World::start().await;
    for body in ["\u{1e}".repeat(900_000), format!("3{}", "\u{1e}".repeat(900_000))] {
        let polling = world.polling().await;
        ends_the_session(&world, &polling, &body).await;
    }
    world.serves().await;
}

#[tokio::test]
async fn a_payload_has_so_many_packets() {
    let config = EngineConfig {
        limits: Limits {
            max_packets_per_payload: 100,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let polling = world.polling().await;
    assert_eq!(world.request(&polling, "40").await.0, 200);
    let packets = |count| vec![r#"42["nothing"]"#; count].join("\u{1e}");
    assert_eq!(world.request(&polling, &packets(100)).await.0, 200);
    assert!(world.request(&polling, "").await.1.starts_with("40"));
    ends_the_session(&world, &polling, &packets(101)).await;
    world.serves().await;
}

/// The declared length of a packet of the old protocol is nothing that room is made for.
#[tokio::test]
async fn lengths_of_old_payloads_take_no_room() {
    let config = EngineConfig {
        allow_eio3: true,
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    for body in [
        "9999999999999999:4",
        "-1:4",
        "1e9:4",
        "00000000000000000000000000001:4",
        ":::::",
    ] {
        let (status, open) = world.request("/socket.io/?EIO=3&transport=polling", "").await;
        assert_eq!(status, 200);
        let sid = crate::support::sid_of(&open);
        let target = format!("/socket.io/?EIO=3&transport=polling&sid={sid}");
        ends_the_session(&world, &target, body).await;
    }
    world.serves().await;
}
