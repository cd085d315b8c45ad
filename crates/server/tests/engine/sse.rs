//! Streams of events: the response's head and chunks, heartbeats, the end from either side, and slow readers; over a
//! connection that is taken out of hyper, and in a body that hyper carries.

use std::net::SocketAddr;
use std::task::Context;
use std::time::Duration;

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::sse::{Decoder, Item, Message, SseEvent};
use gatewire_server::{Connection, Listener, Session, SseBody, SseConfig, SseServer};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::read_head;

const PATIENCE: Duration = Duration::from_secs(10);

/// Hands its connection to the test, and says how it ended.
struct Listening(UnboundedSender<CloseReason>);

impl Session for Listening {
    fn close(&mut self, reason: CloseReason) {
        let _ = self.0.send(reason);
    }

    fn poll(&mut self, _: &mut Context<'_>) {}
}

struct Server {
    address: SocketAddr,
    sse: SseServer,
    connections: UnboundedReceiver<Connection>,
    closed: UnboundedReceiver<CloseReason>,
    stop: Option<oneshot::Sender<()>>,
}

async fn start(config: SseConfig) -> Server {
    let sse = SseServer::new(config).unwrap();
    let (opened, connections) = unbounded_channel();
    let (ended, closed) = unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = sse.clone();
    let handler = move |request: Request<_>, _| {
        let response = open(&served, &opened, &ended);
        async move {
            // Whoever reads the body is asked for it first.
            let _ = BodyExt::collect(request.into_body()).await;
            response
        }
    };
    tokio::spawn(listener.serve(handler, async {
        let _ = stopped.await;
    }));
    Server {
        address,
        sse,
        connections,
        closed,
        stop: Some(stop),
    }
}

fn open(
    sse: &SseServer,
    opened: &UnboundedSender<Connection>,
    ended: &UnboundedSender<CloseReason>,
) -> Response<SseBody> {
    sse.open(|connection| {
        opened.send(connection).unwrap();
        Box::new(Listening(ended.clone()))
    })
    .unwrap()
}

impl Server {
    async fn get(&mut self) -> (Client, Connection) {
        self.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await
    }

    async fn ask(&mut self, request: &str) -> (Client, Connection) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        let client = Client {
            head,
            stream,
            unread: Vec::new(),
            decoder: Decoder::default(),
        };
        (client, self.connections.recv().await.unwrap())
    }

    async fn closed(&mut self) -> CloseReason {
        timeout(PATIENCE, self.closed.recv())
            .await
            .expect("an end")
            .unwrap()
    }
}

struct Client {
    head: String,
    stream: TcpStream,
    unread: Vec<u8>,
    decoder: Decoder,
}

impl Client {
    /// The next chunk; `None` for the last one.
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.read_chunk()).await.expect("a chunk")
    }

    async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let size = std::str::from_utf8(&self.unread[..end]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                if self.unread.len() >= end + 2 + size + 2 {
                    let rest = self.unread.split_off(end + 2 + size + 2);
                    let chunk = std::mem::replace(&mut self.unread, rest);
                    return (size > 0).then(|| chunk[end + 2..end + 2 + size].to_vec());
                }
            }
            let read = self.stream.read_buf(&mut self.unread).await.unwrap();
            assert!(read > 0, "the stream ended within a chunk: {:?}", self.unread);
        }
    }

    /// Reads the head of the next answer.
    async fn next_head(&mut self) {
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            let reading = self.stream.read_buf(&mut self.unread);
            assert!(timeout(PATIENCE, reading).await.expect("a head").unwrap() > 0);
        }
        let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n");
        self.unread.drain(..end.unwrap() + 4);
    }

    async fn item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.decoder.poll_item() {
                return Some(item);
            }
            let chunk = self.chunk().await?;
            self.decoder.receive(&chunk).unwrap();
        }
    }
}

fn message(data: &str) -> Option<Item> {
    Some(Item::Message(Message {
        event: "message".to_owned(),
        data: data.to_owned(),
        id: String::new(),
    }))
}

#[tokio::test]
async fn a_stream_is_taken_out_of_hyper_and_is_a_whole_response() {
    let mut server = start(SseConfig::default()).await;
    let (mut client, connection) = server.get().await;
    let head = client.head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    for line in [
        "content-type: text/event-stream",
        "cache-control: private, no-cache, no-store, must-revalidate, max-age=0, no-transform",
        "pragma: no-cache",
        "expires: 0",
        "x-accel-buffering: no",
        "transfer-encoding: chunked",
        "connection: close",
        "date: ",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} in {head}");
    }
    assert_eq!(client.chunk().await.unwrap(), b"\n");
    connection.send_event(&SseEvent::data("a").event("tick").id("1"));
    assert_eq!(client.chunk().await.unwrap(), b"event: tick\nid: 1\ndata: a\n\n");
    assert_eq!(server.sse.clients_count(), 1);
    connection.close();
    assert_eq!(client.chunk().await, None);
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
    timeout(PATIENCE, server.sse.drained()).await.unwrap();
    assert_eq!(server.sse.clients_count(), 0);
}

#[tokio::test]
async fn a_request_with_a_body_is_answered_by_hyper() {
    let mut server = start(SseConfig::default()).await;
    let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}";
    let (mut client, connection) = server.ask(request).await;
    assert!(!client.head.contains("connection: close"), "{}", client.head);
    for text in ["a", "b\nc"] {
        connection.send_event(&SseEvent::data(text));
        assert_eq!(client.item().await, message(text));
    }
    connection.close();
    assert_eq!(client.item().await, None);
    // The connection goes on.
    client
        .stream
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .unwrap();
    client.next_head().await;
    server
        .connections
        .recv()
        .await
        .unwrap()
        .send_event(&SseEvent::data("again"));
    assert_eq!(client.item().await, message("again"));
}

#[tokio::test]
async fn the_session_ends_at_once_when_the_client_leaves() {
    let mut server = start(SseConfig::default()).await;
    let taken = server.get().await;
    let carried = server
        .ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    for (mut client, _connection) in [taken, carried] {
        assert_eq!(client.chunk().await.unwrap(), b"\n");
        drop(client);
        assert_eq!(server.closed().await, CloseReason::TransportClose);
    }
    timeout(PATIENCE, server.sse.drained()).await.unwrap();
}

#[tokio::test]
async fn a_silent_stream_has_heartbeats() {
    let mut server = start(SseConfig {
        heartbeat: Duration::from_millis(30),
        ..SseConfig::default()
    })
    .await;
    let taken = server.get().await;
    let carried = server
        .ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    for (mut client, _connection) in [taken, carried] {
        for _ in 0..3 {
            assert_eq!(client.item().await, Some(Item::Comment(String::new())));
        }
    }
}

#[tokio::test]
async fn a_shutdown_tells_when_to_come_back() {
    let hint = Duration::from_secs(2)..=Duration::from_secs(3);
    let mut server = start(SseConfig {
        retry_at_shutdown: Some(hint.clone()),
        ..SseConfig::default()
    })
    .await;
    let taken = server.get().await;
    let carried = server
        .ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    server.sse.drain();
    for (mut client, _connection) in [taken, carried] {
        let Some(Item::Retry(wait)) = client.item().await else {
            panic!("no hint")
        };
        assert!(hint.contains(&wait), "{wait:?}");
        assert_eq!(client.item().await, None);
        assert_eq!(server.closed().await, CloseReason::ServerShuttingDown);
    }
    timeout(PATIENCE, server.sse.drained()).await.unwrap();
    let (sender, _receiver) = unbounded_channel();
    let refused = server.sse.open(|_| Box::new(Listening(sender)));
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_by_bytes() {
    let mut server = start(SseConfig {
        max_pending: 100_000,
        ..SseConfig::default()
    })
    .await;
    let taken = server.get().await;
    let carried = server
        .ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    let big = SseEvent::data("x".repeat(50_000));
    for (client, connection) in [taken, carried] {
        let mut sent = 0;
        while connection.has_room() {
            connection.send_event(&big);
            sent += 1;
            assert!(sent < 1000, "nobody reads");
            tokio::task::yield_now().await;
        }
        for _ in 0..1000 {
            connection.send_event(&big);
        }
        assert_eq!(server.closed().await, CloseReason::TransportError);
        drop(client);
    }
}

#[tokio::test]
async fn a_stream_that_ends_at_once_is_whole() {
    let sse = SseServer::new(SseConfig::default()).unwrap();
    let (sender, _closed) = unbounded_channel();
    let response = sse
        .open(|connection| {
            connection.send_event(&SseEvent::data("only"));
            connection.close();
            Box::new(Listening(sender))
        })
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "\ndata: only\n\n");
    timeout(PATIENCE, sse.drained()).await.unwrap();
}

#[tokio::test]
async fn pipelined_answers_before_a_stream_are_not_lost() {
    let mut server = start(SseConfig::default()).await;
    let request =
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let (mut first, connection) = server.ask(request).await;
    connection.send_event(&SseEvent::data("first"));
    connection.close();
    assert_eq!(first.item().await, message("first"));
    assert_eq!(first.item().await, None);
    first.next_head().await;
    let second = server.connections.recv().await.unwrap();
    second.send_event(&SseEvent::data("second"));
    assert_eq!(first.item().await, message("second"));
}

#[tokio::test]
async fn a_stopped_listener_does_not_wait_for_streams() {
    let mut server = start(SseConfig::default()).await;
    let (mut client, connection) = server.get().await;
    drop(server.stop.take());
    connection.send_event(&SseEvent::data("still"));
    assert_eq!(client.item().await, message("still"));
}
