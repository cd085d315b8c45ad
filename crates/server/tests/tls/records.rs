//! Open connections: many writers, slow readers, and ends of every kind.

use std::sync::Arc;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::Opcode;
use gatewire_server::rustls::{self, ALL_VERSIONS};
use gatewire_server::{Limits, ListenerConfig, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Server, Socket, read_head};

async fn start(limits: Limits) -> (Server, Arc<rustls::ClientConfig>) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let tls = Tls::from_pem(certificate, key).unwrap();
    let server = Server::with(tls, ListenerConfig::default(), limits).await;
    (server, Arc::new(authority.client(ALL_VERSIONS)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_threads_send_arrives_whole_and_in_order() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let (mut server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let connection = server.opened().await.connection;
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let connection = connection.clone();
            std::thread::spawn(move || {
                for number in 0..EACH {
                    // Now and then more than a record.
                    let padding = if number % 50 == 7 { 40_000 } else { number % 100 };
                    connection.send_text(&format!("{thread} {number} {}", "x".repeat(padding)));
                }
            })
        })
        .collect();
    let mut seen = [0; THREADS];
    for _ in 0..THREADS * EACH {
        let text = socket.receive_text().await;
        let mut words = text.split(' ');
        let mut number = || words.next().unwrap().parse::<usize>().unwrap();
        let (thread, number) = (number(), number());
        assert_eq!(number, seen[thread]);
        seen[thread] += 1;
        let padding = if number % 50 == 7 { 40_000 } else { number % 100 };
        assert_eq!(words.next().unwrap().len(), padding);
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

#[tokio::test]
async fn big_messages_come_and_go_whole() {
    let (server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let message: Vec<u8> = (0..999_999u32).map(|number| (number % 251) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(socket.0);
    let sent = message.clone();
    let sending = tokio::spawn(async move {
        let mut frame = Vec::new();
        for _ in 0..3 {
            gatewire_proto::websocket::put_masked_frame(
                &mut frame,
                true,
                Opcode::Binary,
                [9, 8, 7, 6],
                &sent,
            );
        }
        writer.write_all(&frame).await.unwrap();
        writer.flush().await.unwrap();
        writer
    });
    for _ in 0..3 {
        let mut head = [0; 10];
        timeout(PATIENCE, reader.read_exact(&mut head))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((head[0], head[1]), (0x82, 127));
        let mut echoed = vec![0; message.len()];
        timeout(PATIENCE, reader.read_exact(&mut echoed))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(echoed, message);
    }
    let writer = sending.await.unwrap();
    socket = Socket(reader.unsplit(writer));
    socket.text("and after").await;
    assert_eq!(socket.receive_text().await, "and after");
}

#[tokio::test]
async fn a_slow_reader_meets_the_same_bound() {
    let limits = Limits {
        max_outbox: 1 << 20,
        ..Limits::default()
    };
    let (mut server, client) = start(limits).await;
    let _socket = server.websocket(&client).await;
    let connection = server.opened().await.connection;
    let message = "x".repeat(100_000);
    // What the kernel's buffers take, and the bound, is far below.
    for _ in 0..1000 {
        connection.send_text(&message);
    }
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn what_a_slow_reader_was_sent_is_there_when_it_reads() {
    let (mut server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let connection = server.opened().await.connection;
    for number in 0..200 {
        connection.send_text(&format!("{number} {}", "x".repeat(99_999)));
    }
    for number in 0..200 {
        let text = socket.receive_text().await;
        assert!(text.starts_with(&format!("{number} ")));
        assert_eq!(text.trim_end_matches('x').len() + 99_999, text.len());
    }
}

#[tokio::test]
async fn keys_may_change_under_way() {
    let (server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    for round in 0..3 {
        socket.0.get_mut().1.refresh_traffic_keys().unwrap();
        let text = format!("round {round}");
        socket.text(&text).await;
        assert_eq!(socket.receive_text().await, text);
    }
}

#[tokio::test]
async fn a_client_that_closes_its_side_has_left() {
    let (mut server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let _opened = server.opened().await;
    socket.text("last").await;
    assert_eq!(socket.receive_text().await, "last");
    // A close notification, and the end of the TCP stream.
    socket.0.shutdown().await.unwrap();
    assert_eq!(server.closed().await, CloseReason::TransportClose);

    // Without the notification: the end of TCP alone.
    let socket = server.websocket(&client).await;
    let _opened = server.opened().await;
    drop(socket.0.into_inner().0);
    assert_eq!(server.closed().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn the_servers_end_is_a_close_frame_and_a_notification() {
    let (mut server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let connection = server.opened().await.connection;
    connection.close();
    assert_eq!(socket.receive().await, (0x88, vec![0x03, 0xe8]));
    socket.send(Opcode::Close, &[0x03, 0xe8]).await;
    // rustls tells an end without a notification as an error.
    let mut rest = Vec::new();
    timeout(PATIENCE, socket.0.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.is_empty());
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
}

#[tokio::test]
async fn records_that_are_no_records_end_the_connection() {
    let (mut server, client) = start(Limits::default()).await;
    let socket = server.websocket(&client).await;
    let _opened = server.opened().await;
    let (mut tcp, _) = socket.0.into_inner();
    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[7; 32]).await.unwrap();
    assert_eq!(server.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn records_may_come_byte_by_byte() {
    let (mut server, client) = start(Limits::default()).await;
    let mut socket = server.websocket(&client).await;
    let _opened = server.opened().await;
    let (tcp, session) = socket.0.get_mut();
    let mut frame = Vec::new();
    gatewire_proto::websocket::put_masked_frame(&mut frame, true, Opcode::Text, [1, 2, 3, 4], b"slowly");
    std::io::Write::write_all(&mut session.writer(), &frame).unwrap();
    let mut records = Vec::new();
    session.write_tls(&mut records).unwrap();
    for byte in records {
        tcp.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.receive_text().await, "slowly");
}

#[tokio::test]
async fn polling_goes_on_the_same_connection() {
    let (mut server, client) = start(Limits::default()).await;
    let mut stream = server.connect(&client).await.unwrap();
    let get = |query: &str| {
        format!("GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    };
    stream.write_all(get("").as_bytes()).await.unwrap();
    let body = body(&mut stream).await;
    assert!(server.opened().await.handshake.is_secure());
    let sid = body.split('"').nth(3).unwrap();
    let post = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n4hello"
    );
    stream.write_all(post.as_bytes()).await.unwrap();
    assert_eq!(self::body(&mut stream).await, "ok");
    stream
        .write_all(get(&format!("&sid={sid}")).as_bytes())
        .await
        .unwrap();
    assert_eq!(self::body(&mut stream).await, "4hello");
}

async fn body(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let head = read_head(stream).await.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split('\r').next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}
