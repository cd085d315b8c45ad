//! Whose pages get in: what the application says, what an adapter and a gateway say instead, and what the routes beside
//! the gateways tell browsers.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use gatewire::adapter::Adapter;
use gatewire::gateway::Origin;
use gatewire::module::Module;
use gatewire::prelude::*;
use gatewire::testing::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[websocket_gateway]
struct Silent;

#[websocket_gateway(path = "/partners", cors(origin = ["https://partner.example"]))]
struct Partners;

#[module(providers = [Silent, Partners])]
struct AppModule;

#[module(providers = [Silent])]
struct SilentModule;

#[websocket_gateway(cors(origin = "*", credentials = true))]
struct Careless;

#[module(providers = [Careless])]
struct CarelessModule;

async fn serve<M: Module>(adapter: impl Into<Adapter>, cors: Option<Cors>) -> (TestApp, SocketAddr) {
    let routes = Router::new().route("/health", get(|| async { "well" }));
    let mut app = App::create::<M>().without_logger().await.unwrap().merge(routes);
    app.use_websocket_adapter(adapter);
    if let Some(cors) = cors {
        app.enable_cors(cors);
    }
    let app = TestApp::on_free_port(app).await.unwrap();
    let address = app.local_addr().unwrap();
    (app, address)
}

/// The head of the answer to one request.
async fn ask(address: SocketAddr, line: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{line} HTTP/1.1\r\nhost: app.example\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "no answer");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of a WebSocket handshake for a page of `origin`.
async fn upgrade(address: SocketAddr, target: &str, origin: &str) -> u16 {
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", origin),
    ];
    let head = ask(address, &format!("GET {target}"), &headers).await;
    head[9..12].parse().unwrap()
}

const OWN: &str = "https://app.example";
const FRIEND: &str = "https://friend.example";
const PARTNER: &str = "https://partner.example";
const SOCKET_IO: &str = "/?EIO=4&transport=websocket";

#[tokio::test]
async fn the_application_is_for_its_own_pages_unless_it_says_more() {
    let both = || (SocketIoAdapter::new(), WsAdapter::at("/ws"));
    for (cors, friend) in [(None, 403), (Some(Cors::origins([FRIEND])), 101)] {
        let (_app, address) = serve::<SilentModule>(both(), cors).await;
        for target in [&format!("/socket.io{SOCKET_IO}"), "/ws"] {
            assert_eq!(upgrade(address, target, OWN).await, 101, "{target}");
            assert_eq!(upgrade(address, target, FRIEND).await, friend, "{target}");
            assert_eq!(upgrade(address, target, PARTNER).await, 403, "{target}");
            assert_eq!(upgrade(address, target, "null").await, 403, "{target}");
        }
    }
}

#[tokio::test]
async fn a_gateway_goes_before_the_adapter_and_the_application() {
    let cors = Some(Cors::origins([FRIEND]));
    for (adapter, own_word) in [
        (Adapter::from(SocketIoAdapter::new()), false),
        (SocketIoAdapter::new().cors(Cors::any()).into(), true),
    ] {
        let (_app, address) = serve::<AppModule>(adapter, cors.clone()).await;
        let partners = &format!("/partners{SOCKET_IO}");
        assert_eq!(upgrade(address, partners, PARTNER).await, 101);
        assert_eq!(upgrade(address, partners, FRIEND).await, 403);
        let silent = &format!("/socket.io{SOCKET_IO}");
        assert_eq!(upgrade(address, silent, FRIEND).await, 101);
        let other = upgrade(address, silent, "https://other.example").await;
        assert_eq!(other, if own_word { 101 } else { 403 });
    }
    let (_app, address) = serve::<AppModule>(WsAdapter::new().cors(Cors::any()), cors).await;
    assert_eq!(upgrade(address, "/partners", PARTNER).await, 101);
    assert_eq!(upgrade(address, "/partners", FRIEND).await, 403);
    assert_eq!(upgrade(address, "/", "https://other.example").await, 101);
}

#[tokio::test]
async fn other_routes_tell_browsers_the_same() {
    let allowed = |head: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(name, _)| name.eq_ignore_ascii_case("access-control-allow-origin"))
            .map(|(_, value)| value.to_owned())
    };
    let reflect = Cors {
        origin: Origin::Reflect,
        ..Cors::default()
    };
    for (cors, origin, expected) in [
        (None, FRIEND, None),
        (Some(Cors::any()), FRIEND, Some("*")),
        (Some(Cors::any().with_credentials()), FRIEND, Some("*")),
        (Some(reflect), FRIEND, Some(FRIEND)),
        (Some(Cors::origins([FRIEND])), FRIEND, Some(FRIEND)),
        (Some(Cors::origins([FRIEND])), PARTNER, None),
    ] {
        let (_app, address) = serve::<AppModule>(SocketIoAdapter::new(), cors.clone()).await;
        let head = ask(address, "GET /health", &[("origin", origin)]).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(allowed(&head).as_deref(), expected, "{cors:?}");
    }
    let cors = Cors {
        max_age: Some(600),
        ..Cors::origins([FRIEND]).with_credentials()
    };
    let (_app, address) = serve::<AppModule>(SocketIoAdapter::new(), Some(cors)).await;
    let headers = [("origin", FRIEND), ("access-control-request-method", "PUT")];
    let head = ask(address, "OPTIONS /health", &headers)
        .await
        .to_ascii_lowercase();
    for line in [
        "access-control-allow-origin: https://friend.example",
        "access-control-allow-credentials: true",
        "access-control-allow-methods: get,head,put,patch,post,delete",
        "access-control-max-age: 600",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

/// Browsers do not send credentials there; the application starts all the same, and says so in its log.
#[tokio::test]
async fn every_origin_with_credentials_is_a_warning() {
    let (_app, address) = serve::<CarelessModule>(SocketIoAdapter::new(), None).await;
    assert_eq!(
        upgrade(address, &format!("/socket.io{SOCKET_IO}"), FRIEND).await,
        101
    );
}

#[tokio::test]
async fn what_is_no_origin_stops_the_start() {
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    app.enable_cors(Cors::origins(["app.example"]));
    let error = app.into_router().unwrap_err().to_string();
    assert_eq!(
        error,
        "the server /socket.io cannot be set up: `app.example` is no origin: write it as browsers do, scheme and host \
         with nothing behind, e.g. `https://app.example`"
    );
}
