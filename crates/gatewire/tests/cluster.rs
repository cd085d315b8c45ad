//! Applications that are nodes of a cluster: what `App::use_cluster` gives to their servers.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatewire::adapter::SharingConfig;
use gatewire::cluster::{Cluster, ClusterAdapter, Local, MemoryBus, SessionBus};
use gatewire::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[websocket_gateway]
struct ChatGateway;

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("say")]
    fn say(&self, MessageBody(text): MessageBody<String>) -> String {
        text.to_uppercase()
    }
}

#[websocket_gateway(path = "/other")]
struct OtherGateway;

#[module(providers = [ChatGateway, OtherGateway])]
struct ChatModule;

/// A cluster of nodes that share nothing but the sessions of their clients.
#[derive(Clone, Default)]
struct SharedSessions {
    bus: MemoryBus,
    joined: Arc<AtomicUsize>,
}

impl Cluster for SharedSessions {
    fn join(&self) -> Arc<dyn ClusterAdapter> {
        self.joined.fetch_add(1, Ordering::Relaxed);
        Arc::new(Local)
    }

    fn session_bus(&self) -> Option<Arc<dyn SessionBus>> {
        Some(Arc::new(self.bus.clone()))
    }
}

async fn request(node: SocketAddr, method: &str, target: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(node).await.unwrap();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

/// Serves an application until the test ends.
async fn serve(app: App) -> SocketAddr {
    let bound = app.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr();
    tokio::spawn(bound.serve_with_shutdown(pending()));
    address
}

/// Opens a session on one node and talks on it by way of another.
async fn talk(first: SocketAddr, second: SocketAddr) {
    let polling = "/socket.io/?EIO=4&transport=polling";
    let open = request(first, "GET", polling, "").await;
    let target = format!(
        "{polling}&sid={}",
        open.split('"').nth(3).expect("an open packet")
    );
    assert_eq!(request(second, "POST", &target, "40").await, "ok");
    assert!(request(second, "GET", &target, "").await.starts_with("40{"));
    assert_eq!(
        request(second, "POST", &target, r#"421["say","hello"]"#).await,
        "ok"
    );
    assert_eq!(request(second, "GET", &target, "").await, r#"431["HELLO"]"#);
    let elsewhere = target.replace("/socket.io/", "/other/");
    let refused = request(second, "GET", &elsewhere, "").await;
    assert_eq!(refused, r#"{"code":1,"message":"Session ID unknown"}"#);
}

#[tokio::test]
async fn a_cluster_with_a_bus_shares_sessions() {
    let cluster = SharedSessions::default();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let mut app = App::create::<ChatModule>().without_logger().await.unwrap();
        app.use_cluster(cluster.clone());
        nodes.push(serve(app).await);
    }
    assert_eq!(cluster.joined.load(Ordering::Relaxed), 4, "each server is a node");
    talk(nodes[0], nodes[1]).await;
}

#[tokio::test]
async fn sessions_are_shared_by_the_adapter_alone() {
    let bus = Arc::new(MemoryBus::new());
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let mut app = App::create::<ChatModule>().without_logger().await.unwrap();
        let sharing = SharingConfig {
            ask_timeout: Duration::from_millis(500),
            ..SharingConfig::default()
        };
        app.use_websocket_adapter(
            SocketIoAdapter::new()
                .share_sessions(bus.clone())
                .sharing(sharing),
        );
        nodes.push(serve(app).await);
    }
    talk(nodes[1], nodes[0]).await;
}
