//! Little that becomes much when it is unpacked.

use flate2::{Compress, Compression, FlushCompress};
use gatewire_hub::HubConfig;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{DeflateOptions, EngineConfig, ListenerConfig};
use tokio::io::AsyncWriteExt;

use crate::support::{TestSocket, read_head};
use crate::world::{World, frame, resident, upgrade};

/// A frame whose payload says "compressed", and so many equal bytes in it.
fn bomb(is_last: bool, opcode: Opcode, size: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(size / 500);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate
        .compress_vec(&vec![b'x'; size], &mut payload, FlushCompress::Sync)
        .unwrap();
    payload.truncate(payload.len() - 4);
    let mut frame = frame(is_last, opcode, &payload);
    frame[0] |= 0x40;
    frame
}

async fn compressed(world: &World) -> TestSocket {
    let mut stream = world.connect().await;
    let lines = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    stream.write_all(upgrade("", lines).as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.contains("permessage-deflate"), "{head}");
    TestSocket(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compression_bomb_stops_at_the_limit_of_a_message() {
    let config = EngineConfig {
        per_message_deflate: Some(DeflateOptions::default()),
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let bombs = [
        // 64 MB of 64 KB.
        bomb(true, Opcode::Text, 64 << 20),
        // In many fragments, none of which is too long.
        [
            bomb(false, Opcode::Text, 32 << 20),
            frame(true, Opcode::Continuation, b""),
        ]
        .concat(),
    ];
    let before = resident();
    for bomb in &bombs {
        for _ in 0..20 {
            let mut socket = compressed(&world).await;
            let _ = socket.0.write_all(bomb).await;
            assert_eq!(socket.closed_with().await.0, 1009);
        }
    }
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    world.serves().await;
}

#[tokio::test]
async fn what_was_not_agreed_to_be_compressed_is_refused() {
    let world = World::start().await;
    let mut socket = world.websocket().await;
    socket
        .0
        .write_all(&bomb(true, Opcode::Text, 1 << 20))
        .await
        .unwrap();
    assert_eq!(socket.closed_with().await.0, 1002);
    world.serves().await;
}

/// Bodies of requests are taken as they come: a coding says nothing, so nothing can be blown up.
#[tokio::test]
async fn a_body_that_says_it_is_compressed_is_not_unpacked() {
    let world = World::start().await;
    let polling = world.polling().await;
    let body = bomb(true, Opcode::Text, 32 << 20);
    let head = format!(
        "POST {polling} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Encoding: deflate\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let before = resident();
    world.answer_to([head.as_bytes(), &body].concat()).await;
    world.has_clients(0).await;
    assert!(resident() < before + 256);
    world.serves().await;
}
