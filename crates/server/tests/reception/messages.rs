//! Messages and bytes of one address, and what is done about too many.

use std::time::{Duration, Instant};

use gatewire_proto::websocket::Opcode;
use gatewire_server::{ClientLimits, Excess, Rate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, POLLING, Socket, get, limited, unlimited};

fn rate(burst: u64, per_second: u64, excess: Excess) -> ClientLimits {
    ClientLimits {
        messages: Some(Rate::per_second(per_second).burst(burst)),
        excess,
        ..unlimited()
    }
}

#[tokio::test]
async fn a_client_that_must_wait_loses_nothing_and_its_order_is_kept() {
    // Joining takes one of the three.
    let address = limited(rate(3, 50, Excess::Wait)).await;
    let (mut socket, _) = Socket::socketio(address, "").await;
    let start = Instant::now();
    for n in 0..22 {
        socket.send(&format!("42{n}[\"echo\",{n}]")).await;
    }
    for n in 0..22 {
        assert_eq!(socket.text().await, format!("43{n}[{n}]"));
    }
    // Twenty at fifty a second, but for what a clock may lack.
    assert!(
        start.elapsed() > Duration::from_millis(350),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn long_polling_waits_as_well() {
    let address = limited(rate(2, 50, Excess::Wait)).await;
    let (_, open) = get(address, POLLING, "").await;
    let sid = open.split('"').nth(3).unwrap().to_owned();
    let target = format!("{POLLING}&sid={sid}");
    let post = async |body: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    post("40").await;
    let start = Instant::now();
    let packets: Vec<String> = (0..21).map(|n| format!("42{n}[\"echo\",{n}]")).collect();
    post(&packets.join("\u{1e}")).await;
    assert!(
        start.elapsed() > Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    let (_, polled) = get(address, &target, "").await;
    let answers: Vec<&str> = polled
        .split('\u{1e}')
        .filter(|packet| packet.starts_with("43"))
        .collect();
    let expected: Vec<String> = (0..21).map(|n| format!("43{n}[{n}]")).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn bytes_are_counted_over_all_connections_of_an_address() {
    let address = limited(ClientLimits {
        bytes: Some(Rate::per_second(100_000).burst(100_000)),
        ..unlimited()
    })
    .await;
    let mut first = Socket::open(address, "/ws")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    let mut second = Socket::open(address, "/ws")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    let big = format!(r#"{{"event":"echo","id":1,"data":"{}"}}"#, "x".repeat(100_000));
    let small = r#"{"event":"echo","id":2,"data":0}"#;
    for socket in [&mut first, &mut second] {
        assert!(socket.text().await.contains("127.0.0.1"));
    }
    let start = Instant::now();
    first.send(&big).await;
    // The first leaves something to be paid off, for which the second waits after its first message.
    assert!(first.text().await.len() > 100_000);
    second.send(small).await;
    second.send(small).await;
    for _ in 0..2 {
        second.text().await;
    }
    assert!(start.elapsed() < PATIENCE);
    second.send(&big).await;
    second.send(small).await;
    second.text().await;
    second.text().await;
    assert!(
        start.elapsed() > Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
}

const TOO_MANY: &str = r#""status":"error""#;

#[tokio::test]
async fn events_that_are_dropped_are_told_of_and_what_follows_is_in_order() {
    // CONNECT, and two more; nothing flows in while the test runs.
    let mut limits = rate(3, 1, Excess::Drop);
    limits.messages = Some(Rate::new(3, Duration::from_secs(6_000)));
    let address = limited(limits).await;
    let (mut socket, _) = Socket::socketio(address, "").await;
    socket.send("421[\"echo\",1]").await;
    assert_eq!(socket.text().await, "431[1]");
    // The packet is admitted, its attachment is not: the event is dropped, and the connection lives.
    socket
        .send("451-2[\"echo\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    socket.send_frame(Opcode::Binary, &[1, 2, 3]).await;
    for start in ["42[\"exception\",{", "432[{"] {
        let told = socket.text().await;
        assert!(told.starts_with(start) && told.contains(TOO_MANY), "{told}");
        assert!(
            told.contains("\"message\":\"Too many requests\"") && told.contains("\"retryAfter\":"),
            "{told}"
        );
    }
    // One with its attachments, one without an acknowledgement, a CONNECT.
    socket
        .send("451-3[\"echo\",{\"_placeholder\":true,\"num\":0}]")
        .await;
    socket.send_frame(Opcode::Binary, &[1, 2, 3]).await;
    assert!(socket.text().await.starts_with("42[\"exception\""));
    assert!(socket.text().await.starts_with("433[{"));
    socket.send("42[\"echo\",4]").await;
    assert!(socket.text().await.starts_with("42[\"exception\""));
    socket.send("40/chat,").await;
    let refused = socket.text().await;
    assert!(
        refused.starts_with("44/chat,{\"message\":\"Too many requests\""),
        "{refused}"
    );
    // Leaving is always possible.
    socket.send("41").await;
    socket.send("40").await;
    assert!(
        socket
            .text()
            .await
            .starts_with("44{\"message\":\"Too many requests\"")
    );
}

#[tokio::test]
async fn dropped_messages_of_a_plain_websocket_are_told_of_in_its_form() {
    let mut limits = rate(1, 1, Excess::Drop);
    limits.messages = Some(Rate::new(1, Duration::from_secs(6_000)));
    let address = limited(limits).await;
    let mut socket = Socket::open(address, "/ws")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    assert!(socket.text().await.contains("127.0.0.1"));
    let event = r#"{"event":"echo","id":1,"data":0}"#;
    socket.send(event).await;
    assert_eq!(socket.text().await, r#"{"event":"echo","data":0,"id":1}"#);
    socket.send(event).await;
    let told = socket.text().await;
    assert!(
        told.contains(r#""event":"exception""#) && told.contains("Too many requests"),
        "{told}"
    );
    let answered = socket.text().await;
    assert!(
        answered.contains(r#""id":1"#) && answered.contains("Too many requests"),
        "{answered}"
    );
    // A ping above the limit is not answered.
    socket.send_frame(Opcode::Ping, b"x").await;
    socket.send(event).await;
    assert!(socket.text().await.contains("exception"));
}

#[tokio::test]
async fn a_socketio_client_that_floods_is_put_out_by_a_disconnect() {
    let address = limited(rate(3, 1, Excess::Close)).await;
    let (mut socket, _) = Socket::socketio(address, "").await;
    for _ in 0..3 {
        socket.send("42[\"x\"]").await;
    }
    assert_eq!(socket.text().await, "41");
    let (kind, _) = socket.frame().await.expect("a Close frame");
    assert_eq!(kind, 0x88);
}

#[tokio::test]
async fn a_plain_websocket_that_floods_is_closed_with_1008() {
    let address = limited(rate(2, 1, Excess::Close)).await;
    let mut socket = Socket::open(address, "/ws")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    assert!(socket.text().await.contains("127.0.0.1"));
    for _ in 0..3 {
        // Frames that are no messages count as well.
        socket.send_frame(Opcode::Ping, b"").await;
    }
    for expected in [(0x8a, vec![]), (0x8a, vec![]), (0x88, vec![3, 0xf0])] {
        let (kind, mut payload) = socket.frame().await.expect("a frame");
        payload.truncate(2);
        assert_eq!((kind, payload), expected);
    }
}
