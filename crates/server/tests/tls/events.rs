//! Streams of events behind TLS: on a connection that is taken out of hyper, and on a stream of HTTP/2.

use std::sync::Arc;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::sse::SseEvent;
use gatewire_server::Tls;
use gatewire_server::rustls::ALL_VERSIONS;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Server, read_head};

async fn start() -> (Server, Authority) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    (
        Server::start(Tls::from_pem(certificate, key).unwrap()).await,
        authority,
    )
}

#[tokio::test]
async fn events_are_encrypted_by_who_sends_them() {
    let (mut server, authority) = start().await;
    let client = Arc::new(authority.client(ALL_VERSIONS));
    let mut stream = server.connect(&client).await.unwrap();
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    // Said only where the connection is taken.
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    let connection = server.subscribed().await;
    for number in 0..100 {
        connection.send_event(&SseEvent::data(format!("event {number}")));
    }
    connection.close();
    let mut events = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut events))
        .await
        .expect("an end")
        .unwrap();
    let seen: Vec<&str> = events.lines().filter(|line| line.starts_with("data: ")).collect();
    let sent: Vec<String> = (0..100).map(|number| format!("data: event {number}")).collect();
    assert_eq!(seen, sent);
    assert!(events.ends_with("0\r\n\r\n"));
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
}

#[tokio::test]
async fn events_go_by_a_stream_of_http2() {
    let (mut server, authority) = start().await;
    let mut config = authority.client(ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = server.connect(&Arc::new(config)).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/events").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let response = timeout(PATIENCE, response).await.expect("an answer").unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(!response.headers().contains_key("connection"));
    let mut body = response.into_body();
    let connection = server.subscribed().await;
    let mut seen = Vec::new();
    for number in 0..100 {
        let event = format!("event {number}");
        connection.send_event(&SseEvent::data(event.clone()));
        while !seen.ends_with(format!("data: {event}\n\n").as_bytes()) {
            let data = timeout(PATIENCE, body.data()).await.expect("an event");
            let data = data.unwrap().unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            seen.extend_from_slice(&data);
        }
    }
    drop((body, requests));
    assert_eq!(server.closed().await, CloseReason::TransportClose);
}
