//! Clients that take their time, so that others find no room: in the head of a request, in its body, in a frame, and with
//! the answer.

use std::time::{Duration, Instant};

use gatewire_hub::HubConfig;
use gatewire_proto::websocket::Opcode;
use gatewire_server::{EngineConfig, ListenerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::world::{PATIENCE, SHORT, World, all_of, answers, frame, hurried, status_of, upgrade};

fn listener() -> ListenerConfig {
    ListenerConfig {
        header_timeout: SHORT,
        write_timeout: SHORT,
        ..ListenerConfig::default()
    }
}

/// Sends a byte now and then until the server has closed the connection; what it said, and how long it took.
async fn trickle(mut stream: TcpStream, bytes: &[u8]) -> (String, Duration) {
    let begin = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        for byte in bytes {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = write => {}
        read = timeout(PATIENCE, reading.read_to_end(&mut answer)) => {
            let _ = read.expect("the server closes the connection");
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())
}

#[tokio::test]
async fn slowloris_on_the_handshake() {
    let world = World::with(EngineConfig::default(), HubConfig::default(), listener()).await;
    let long = upgrade("", &"X-A: b\r\n".repeat(50));
    for begin in [
        "",
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: test\r\n\r\n",
    ] {
        // The second request of a connection has its time, too.
        let mut stream = world.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        let (_, taken) = trickle(stream, long.as_bytes()).await;
        assert!(taken < 5 * SHORT, "it took {taken:?}");
    }
    world.serves().await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_makes_room_for_others() {
    let config = ListenerConfig {
        max_connections: 8,
        ..listener()
    };
    let world = World::with(EngineConfig::default(), HubConfig::default(), config).await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(world.connect().await);
    }
    timeout(PATIENCE, world.serves())
        .await
        .expect("there is room again");
    drop(silent);
}

#[tokio::test]
async fn slowloris_on_polling() {
    let world = World::with(hurried(), HubConfig::default(), listener()).await;
    let polling = world.polling().await;
    let mut stream = world.connect().await;
    let head = format!("POST {polling} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (answer, taken) = trickle(stream, &[b'4'; 1_000]).await;
    assert!(taken < 10 * SHORT, "it took {taken:?}");
    assert!(
        answer.is_empty() || matches!(status_of(&answer), 400 | 408),
        "{answer}"
    );
    world.has_clients(0).await;
    world.serves().await;
}

#[tokio::test]
async fn a_frame_byte_by_byte_is_no_sign_of_life() {
    let world = World::with(hurried(), HubConfig::default(), listener()).await;
    let socket = world.websocket().await;
    let (_, taken) = trickle(socket.0, &frame(true, Opcode::Text, &[b'4'; 100_000])).await;
    assert!(taken < 10 * SHORT, "it took {taken:?}");
    world.has_clients(0).await;
    world.serves().await;
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_dropped() {
    let world = World::with(EngineConfig::default(), HubConfig::default(), listener()).await;
    let polling = world.polling().await;
    // More than the kernel takes for a client that reads nothing.
    assert_eq!(world.request(&polling, "40").await.0, 200);
    assert_eq!(world.request(&polling, r#"42["flood",30000]"#).await.0, 200);
    let mut stream = world.connect().await;
    let poll = format!("GET {polling} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(poll.as_bytes()).await.unwrap();
    sleep(2 * SHORT).await;
    // What the kernel took meanwhile is there, and the end of it.
    let read = all_of(&mut stream).await;
    assert!(read.len() < 30_000_000, "the whole answer came");
    world.serves().await;
}

#[tokio::test]
async fn who_reads_slowly_but_reads_is_not() {
    let world = World::with(EngineConfig::default(), HubConfig::default(), listener()).await;
    let polling = world.polling().await;
    assert_eq!(world.request(&polling, "40").await.0, 200);
    assert_eq!(world.request(&polling, r#"42["flood",12000]"#).await.0, 200);
    let mut stream = world.connect().await;
    let poll = format!("GET {polling} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(poll.as_bytes()).await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        let more = timeout(PATIENCE, stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        if more == 0 {
            break;
        }
        read += more;
        sleep(SHORT / 20).await;
    }
    assert!(read > 12_000_000, "{read}");
    assert_eq!(world.engine.clients_count(), 1);
    world.serves().await;
}

#[tokio::test]
async fn an_upgrade_that_is_begun_and_left_is_given_up() {
    let world = World::with(hurried(), HubConfig::default(), listener()).await;
    let polling = world.polling().await;
    let (_, sid) = polling.split_once("sid=").unwrap();
    let mut probing = Vec::new();
    for _ in 0..20 {
        let mut stream = world.connect().await;
        stream
            .write_all(upgrade(&format!("&sid={sid}"), "").as_bytes())
            .await
            .unwrap();
        probing.push(stream);
    }
    for mut stream in probing {
        all_of(&mut stream).await;
    }
    world.has_clients(0).await;
    let mut good = world.joined().await;
    answers(&mut good).await;
}
