//! Much of what costs a client nothing: pings, pongs, tiny packets, answers that nobody asked for.

use std::time::Duration;

use gatewire_hub::HubConfig;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{EngineConfig, Limits, ListenerConfig};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::TestSocket;
use crate::world::{PATIENCE, World, answers, frame, hurried, resident};

/// Sends the bytes so many times, as fast as the server takes them, and reads nothing meanwhile; false if the server has
/// closed the connection.
async fn flood(socket: &mut TestSocket, bytes: &[u8], times: usize) -> bool {
    let block = bytes.repeat(1_000);
    for _ in 0..times / 1_000 {
        let sent = timeout(PATIENCE, socket.0.write_all(&block)).await;
        if !sent.is_ok_and(|sent| sent.is_ok()) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_piles_up_no_pongs() {
    let world = World::start().await;
    let before = resident();
    let mut flooding = world.joined().await;
    let mut good = world.joined().await;
    // One pong may answer several pings (RFC 6455 §5.5.3): what a client does not read is one frame, not a hundred thousand.
    let ping = frame(true, Opcode::Ping, &[7; 125]);
    assert!(flood(&mut flooding, &ping, 200_000).await);
    answers(&mut good).await;
    answers(&mut flooding).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_what_says_nothing_is_worked_off() {
    let world = World::start().await;
    let before = resident();
    let mut good = world.joined().await;
    for flood_of in [
        frame(true, Opcode::Pong, b"nobody asked"),
        frame(true, Opcode::Text, b"3"),
        frame(true, Opcode::Text, br#"43999["nobody asked"]"#),
        frame(true, Opcode::Text, br#"42["nobody listens"]"#),
        [
            frame(false, Opcode::Text, b"42[\"x\"]"),
            frame(true, Opcode::Continuation, b""),
        ]
        .concat(),
    ] {
        let mut flooding = world.joined().await;
        assert!(flood(&mut flooding, &flood_of, 100_000).await);
        answers(&mut good).await;
        answers(&mut flooding).await;
    }
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

/// Each event is answered with as much as it has, and the client reads nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_of_its_answers_is_closed_at_the_bound() {
    let config = EngineConfig {
        limits: Limits {
            max_outbox: 4 << 20,
            close_timeout: Duration::from_millis(500),
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let before = resident();
    let mut greedy = world.joined().await;
    let event = frame(
        true,
        Opcode::Text,
        format!(r#"421["echo","{}"]"#, "x".repeat(10_000)).as_bytes(),
    );
    assert!(
        !flood(&mut greedy, &event, 100_000).await,
        "the server takes a gigabyte and sends none"
    );
    world.has_clients(0).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

/// A small event that asks for much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_event_sets_off_is_bounded_too() {
    let config = EngineConfig {
        limits: Limits {
            max_outbox: 4 << 20,
            close_timeout: Duration::from_millis(500),
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let before = resident();
    let mut greedy = world.joined().await;
    greedy.text(r#"42["flood",300000]"#).await;
    world.has_clients(0).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

/// A client that breaks the protocol, and goes on to send instead of closing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_while_it_is_put_out_is_gone_at_the_deadline() {
    let world = World::with(hurried(), HubConfig::default(), ListenerConfig::default()).await;
    let mut flooding = world.joined().await;
    let no_frame = [0xff; 64];
    let flooded = timeout(PATIENCE, async {
        while flooding.0.write_all(&no_frame.repeat(10_000)).await.is_ok() {}
    });
    assert!(flooded.await.is_ok(), "the server reads on and on");
    world.has_clients(0).await;
    world.serves().await;
}
