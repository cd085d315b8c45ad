//! The end of an application as its clients see it: what they are told, what is awaited, for how long, and in which
//! order. Time is paused where no socket is needed.

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::{Closed, TestApp, TestError};
use log::Log;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("work")]
    async fn work(&self, MessageBody(seconds): MessageBody<u64>) -> &'static str {
        self.log.note("begun");
        self.server.emit("begun", &());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.log.note("worked");
        "done"
    }
}

impl OnGatewayDisconnect for Gateway {
    async fn handle_disconnect(&self, _client: &Socket, reason: DisconnectReason) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.log.note(format!("left: {reason}"));
    }
}

impl BeforeApplicationShutdown for Gateway {
    async fn before_application_shutdown(&self, _signal: Option<ShutdownSignal>) {
        self.server.emit("goodbye", &self.server.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.log.note("before");
    }
}

impl OnApplicationShutdown for Gateway {
    async fn on_application_shutdown(&self, _signal: Option<ShutdownSignal>) {
        self.log.note(format!("end with {} clients", self.server.len()));
    }
}

#[module(providers = [Log, Gateway])]
struct AppModule;

#[tokio::test(start_paused = true)]
async fn handlers_and_hooks_are_awaited() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::create::<AppModule>().await?;
    let log = app.get::<Log>();
    let mut client = app.connect("/").await?;
    client.emit("work", &3).await?;
    client.next_event::<()>("begun").await?;
    let handle = app.handle();
    let ended = tokio::spawn(async move { handle.close().await });

    assert_eq!(client.next_event::<usize>("goodbye").await?, 1);
    let refused = app.connect("/").await;
    assert!(matches!(refused, Err(TestError::Refused { status: 503, .. })));
    assert_eq!(
        client.next_event::<String>("work").await?,
        "done",
        "what a handler answers still goes out"
    );
    assert_eq!(client.closed().await?, Closed::Frame(Some(1001)));
    ended.await?;
    assert_eq!(
        log.take(),
        [
            "begun",
            "before",
            "worked",
            "left: server shutting down",
            "end with 0 clients"
        ]
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_no_longer_than_its_deadline() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::create::<AppModule>().await?;
    let log = app.get::<Log>();
    let mut client = app.connect("/").await?;
    client.emit("work", &3600).await?;
    client.next_event::<()>("begun").await?;
    let started = Instant::now();
    app.handle().close().await;
    let lines = log.take();
    assert!(lines.iter().all(|line| line != "worked"), "{lines:?}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("end")),
        "{lines:?}"
    );
    // One second of `before_application_shutdown`, and the ten of the drain.
    assert_eq!(started.elapsed().as_secs(), 11);
    Ok(())
}

/// Sends one request, and gives the body of its answer.
async fn fetch(stream: &mut TcpStream, method: &str, target: &str, body: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "the connection was cut"
        );
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() == length {
            return body.to_owned();
        }
    }
}

#[tokio::test]
async fn a_client_between_two_polls_fetches_its_last_packets() {
    let app = App::create::<AppModule>().without_logger().await.unwrap();
    let app = TestApp::on_free_port(app).await.unwrap();
    let log = app.get::<Log>();
    let mut stream = TcpStream::connect(app.local_addr().unwrap()).await.unwrap();
    let target = "/socket.io/?EIO=4&transport=polling";
    let open = fetch(&mut stream, "GET", target, "").await;
    let sid = open.split('"').nth(3).unwrap();
    let target = format!("{target}&sid={sid}");
    assert_eq!(fetch(&mut stream, "POST", &target, "40").await, "ok");
    assert!(fetch(&mut stream, "GET", &target, "").await.starts_with("40"));

    // Nobody polls while the application begins to end.
    let handle = app.handle();
    let ended = tokio::spawn(async move { handle.close().await });
    let left = || async {
        while !log.0.lock().unwrap().iter().any(|line| line.starts_with("left")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left())
        .await
        .expect("the session does not end");
    assert_eq!(fetch(&mut stream, "GET", &target, "").await, "42[\"goodbye\",1]");
    assert_eq!(fetch(&mut stream, "GET", &target, "").await, "1");
    // The drain is ten seconds, the wait for the next poll five.
    tokio::time::timeout(Duration::from_secs(3), ended)
        .await
        .expect("the end waits for a client that is gone")
        .unwrap();
    assert_eq!(log.take().last().map(String::as_str), Some("end with 0 clients"));
}
