//! Messages that do not end: fragments without a last one, and frames that announce more than they bring.

use gatewire_hub::HubConfig;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{EngineConfig, Limits, ListenerConfig};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::TestSocket;
use crate::world::{PATIENCE, World, answers, frame, hurried, resident};

/// Sends the bytes until the server closes, and returns the code that it closes with.
async fn until_closed(mut socket: TestSocket, first: &[u8], bytes: &[u8], times: usize) -> u16 {
    let _ = socket.0.write_all(first).await;
    for _ in 0..times {
        if timeout(PATIENCE, socket.0.write_all(bytes))
            .await
            .expect("it is read")
            .is_err()
        {
            break;
        }
    }
    socket.closed_with().await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragments_without_end_are_bounded_in_bytes() {
    let world = World::start().await;
    let before = resident();
    let begin = frame(false, Opcode::Text, b"4");
    let piece = frame(false, Opcode::Continuation, &[b'x'; 10_000]);
    let code = until_closed(world.websocket().await, &begin, &piece, 101).await;
    assert_eq!(code, 1009);
    assert!(resident() < before + 256);
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_in_number() {
    let config = EngineConfig {
        limits: Limits {
            max_fragments: 1_000,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let begin = frame(false, Opcode::Binary, b"");
    let nothing = frame(false, Opcode::Continuation, b"");
    let code = until_closed(world.websocket().await, &begin, &nothing, 1_000).await;
    assert_eq!(code, 1008);
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_is_announced_takes_no_room() {
    let world = World::start().await;
    let before = resident();
    // Just within the limit of a message, and nothing of it comes.
    let mut waiting = Vec::new();
    for _ in 0..500 {
        let mut socket = world.websocket().await;
        let mut head = vec![0x82, 0xff];
        head.extend_from_slice(&999_999_u64.to_be_bytes());
        head.extend_from_slice(&[1, 2, 3, 4, b'x']);
        socket.0.write_all(&head).await.unwrap();
        waiting.push(socket);
    }
    let mut good = world.joined().await;
    answers(&mut good).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    drop(waiting);
    // One that is above it is refused before anything of it has come.
    let socket = world.websocket().await;
    let head = [
        &[0x82, 0xff][..],
        &u64::MAX.wrapping_shr(1).to_be_bytes(),
        &[1, 2, 3, 4],
    ]
    .concat();
    assert_eq!(until_closed(socket, &head, b"", 0).await, 1009);
    world.serves().await;
}

#[tokio::test]
async fn a_message_that_is_never_finished_ends_with_the_heartbeat() {
    let world = World::with(hurried(), HubConfig::default(), ListenerConfig::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut socket = world.websocket().await;
        socket
            .0
            .write_all(&frame(false, Opcode::Text, b"42[\"x"))
            .await
            .unwrap();
        waiting.push(socket);
    }
    world.has_clients(0).await;
    drop(waiting);
    let mut good = world.joined().await;
    answers(&mut good).await;
}
