//! The application on real sockets: addresses, options, other routes, embedding, own ports and the end.

use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use gatewire::gateway::GatewayOptions;
use gatewire::prelude::*;
use gatewire::{Error, ListenerConfig, module};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

#[websocket_gateway(ping_interval = 7000, cors)]
struct Main;

/// Free when it was asked for; the gateway takes it again.
static PORT: LazyLock<u16> = LazyLock::new(|| {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
});

#[websocket_gateway(port = *PORT, path = "/own")]
struct Own;

#[module(providers = [Main])]
struct MainModule;

#[module(imports = [MainModule], providers = [Own])]
struct BothModule;

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

/// Status line and body of one request.
async fn fetch(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

async fn create<M: module::Module>() -> App {
    App::create::<M>().without_logger().await.unwrap()
}

#[tokio::test]
async fn bounds_of_connections_are_options() {
    let mut app = create::<MainModule>().await;
    app.listener_config(ListenerConfig {
        max_head: 8 << 10,
        ..ListenerConfig::default()
    });
    let bound = app.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr();
    let served = tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
    let long = format!("/nothing?{}", "x".repeat(40 << 10));
    assert_eq!(
        fetch(address, &long).await.0,
        "HTTP/1.1 431 Request Header Fields Too Large"
    );
    assert_eq!(fetch(address, "/nothing").await.0, "HTTP/1.1 404 Not Found");
    served.abort();
}

#[tokio::test]
async fn gateways_and_routes_share_a_port() {
    let routes = Router::new().route(
        "/health",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
    );
    let mut app = create::<BothModule>().await.merge(routes);
    app.use_websocket_adapter(
        SocketIoAdapter::new()
            .ping_interval(Duration::from_secs(1))
            .ping_timeout(Duration::from_secs(3)),
    );
    let bound = app.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr();
    let (end, ended) = oneshot::channel::<()>();
    let served = tokio::spawn(
        bound
            .drain_timeout(Duration::from_millis(100))
            .serve_with_shutdown(async { ended.await.unwrap_or_default() }),
    );

    let (status, body) = fetch(address, OPEN).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        body.contains(r#""pingInterval":7000,"pingTimeout":3000,"maxPayload":1000000"#),
        "{body}"
    );

    assert_eq!(
        fetch(address, "/health").await,
        ("HTTP/1.1 200 OK".to_owned(), "127.0.0.1".to_owned())
    );
    assert_eq!(
        fetch(address, "/own/?EIO=4&transport=polling").await.0,
        "HTTP/1.1 404 Not Found"
    );

    let own = SocketAddr::new(address.ip(), *PORT);
    let (_, body) = fetch(own, "/own/?EIO=4&transport=polling").await;
    assert!(body.contains(r#""pingInterval":1000"#), "{body}");
    let (status, body) = fetch(own, "/health").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert_eq!(
        body,
        r#"{"error":"Not Found","message":"Cannot GET /health","statusCode":404}"#
    );

    end.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served)
        .await
        .expect("the end takes too long")
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_axum_application_embeds_the_gateways() {
    let router = create::<MainModule>().await.into_router().unwrap();
    let router = Router::new().route("/", get(|| async { "mine" })).merge(router);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(fetch(address, "/").await.1, "mine");
    let (_, body) = fetch(address, OPEN).await;
    assert!(body.starts_with(r#"0{"sid":""#), "{body}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(9).any(|window| window == br#"0{"sid":""#) {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}

#[tokio::test]
async fn what_cannot_be_bound_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = create::<MainModule>().await.listen(address).await.unwrap_err();
    let Error::Listen {
        address: named, kind, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (named, *kind),
        (&address.to_string(), std::io::ErrorKind::AddrInUse)
    );
    assert_eq!(format!("{error:?}"), error.to_string(), "main shows Debug");

    let error = create::<MainModule>()
        .await
        .listen("localhost")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"cannot listen on the address that was given (host and port, such as "127.0.0.1:3000"): invalid socket address"#
    );
}

#[tokio::test]
async fn a_gateway_with_the_applications_own_port_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    SAME_PORT.store(port, std::sync::atomic::Ordering::SeqCst);
    let error = create::<SamePortModule>()
        .await
        .bind_on(listener)
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "the server :{port}/socket.io cannot be set up: the application itself listens on this port: \
             leave `port` out to share it"
        )
    );
}

static SAME_PORT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);

fn same_port() -> GatewayOptions {
    GatewayOptions::new().port(SAME_PORT.load(std::sync::atomic::Ordering::SeqCst))
}

#[websocket_gateway(options = same_port)]
struct SamePort;

#[module(providers = [SamePort])]
struct SamePortModule;

#[websocket_gateway(path = "/other")]
struct Elsewhere;

#[websocket_gateway(namespace = "/:name")]
struct AnyName;

#[websocket_gateway(namespace = "/b", path = "/a")]
struct Below;

#[websocket_gateway(path = "/a/b")]
struct Deeper;

#[module(providers = [Main, Elsewhere])]
struct TwoPaths;

#[module(providers = [Below, Deeper])]
struct TwoWays;

#[module(providers = [Below])]
struct BelowModule;

#[module(providers = [AnyName])]
struct ManyNames;

/// Why the application cannot be served with this adapter.
async fn refused<M: module::Module>(adapter: impl Into<gatewire::adapter::Adapter>) -> String {
    let mut app = create::<M>().await;
    app.use_websocket_adapter(adapter);
    let refused = app.bind("127.0.0.1:0").await.err();
    refused.map_or_else(String::new, |error| error.to_string())
}

#[tokio::test]
async fn paths_where_nobody_comes_are_told() {
    let of_another =
        "the plain WebSockets of another server, whose gateways have another path is asked first";
    let both = (SocketIoAdapter::new(), WsAdapter::at("/ws"));
    for (error, at, by) in [
        (refused::<TwoPaths>(WsAdapter::at("/ws")).await, "/ws", of_another),
        (refused::<TwoPaths>(both).await, "/ws", of_another),
        (refused::<TwoWays>(WsAdapter::new()).await, "/a/b", of_another),
        (
            refused::<BelowModule>((SocketIoAdapter::new(), WsAdapter::at("/a"))).await,
            "/a/b",
            "Socket.IO at /a",
        ),
    ] {
        assert!(
            error.contains(&format!("its plain WebSockets at {at} are never reached: {by}")),
            "{error}"
        );
    }
    assert_eq!(refused::<TwoPaths>(WsAdapter::new()).await, "");
    assert_eq!(refused::<TwoWays>(SocketIoAdapter::new()).await, "");
    assert_eq!(
        refused::<ManyNames>((SocketIoAdapter::new(), WsAdapter::new())).await,
        ""
    );
}
