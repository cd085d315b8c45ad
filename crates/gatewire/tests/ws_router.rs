//! Plain WebSockets where somebody else's HTTP server has the port: the gateways are where they would be on a port of their
//! own.

#[path = "support/plain.rs"]
mod plain;

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use gatewire::prelude::*;
use plain::Plain;
use serde_json::json;

#[websocket_gateway]
struct Root;

#[subscriptions]
impl Root {
    #[subscribe_message("where")]
    fn place(&self, server: Server) -> String {
        server.name().to_owned()
    }
}

#[websocket_gateway(namespace = "/chat")]
struct Chat;

#[subscriptions]
impl Chat {
    #[subscribe_message("where")]
    fn place(&self, server: Server) -> String {
        server.name().to_owned()
    }
}

#[websocket_gateway(namespace = "/a b/{c}")]
struct Odd;

#[subscriptions]
impl Odd {
    #[subscribe_message("where")]
    fn place(&self, server: Server) -> String {
        server.name().to_owned()
    }
}

#[module(providers = [Root, Chat, Odd])]
struct AppModule;

/// The gateways on a port of their own, and as a part of an axum application.
async fn both(adapter: WsAdapter) -> [SocketAddr; 2] {
    let embedded = embed(app(adapter.clone()).await).await;
    let bound = app(adapter).await.bind("127.0.0.1:0").await.unwrap();
    let own = bound.local_addr();
    tokio::spawn(bound.serve());
    [own, embedded]
}

async fn embed(app: App) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let router = app.into_router().unwrap();
    let router = Router::new()
        .route("/page", get(|| async { "mine" }))
        .merge(router);
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn app(adapter: WsAdapter) -> App {
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    app.use_websocket_adapter(adapter);
    app
}

#[tokio::test]
async fn a_router_has_the_gateways_where_a_port_has_them() {
    for (adapter, base) in [(WsAdapter::new(), ""), (WsAdapter::at("/ws"), "/ws")] {
        for address in both(adapter).await {
            for (path, namespace) in [
                ("/", "/"),
                ("/chat", "/chat"),
                ("/chat/", "/chat"),
                ("/a%20b/%7Bc%7D", "/a b/{c}"),
            ] {
                let mut client = Plain::open(address, &format!("{base}{path}")).await;
                let answer = client.call(json!({"event": "where", "id": 1})).await;
                assert_eq!(answer, namespace, "{base}{path}");
            }
            let refused = Plain::ask(address, &format!("{base}/nobody"), &[]).await;
            assert_eq!(refused.err().unwrap().0, 404);
        }
    }
}

#[tokio::test]
async fn the_end_is_told_to_who_came_by_a_router() {
    let app = app(WsAdapter::new()).await;
    let handle = app.handle();
    let address = embed(app).await;
    let mut client = Plain::open(address, "/chat").await;
    let ended = tokio::spawn(async move { handle.close().await });
    assert_eq!(client.closed().await.0, 1001);
    drop(client);
    ended.await.unwrap();
}
