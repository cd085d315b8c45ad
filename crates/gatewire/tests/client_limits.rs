//! What the clients of one address, and those of one user, may have and do.

use std::time::Duration;

use gatewire::pipeline::ConnectionLimit;
use gatewire::prelude::*;
use gatewire::testing::{Closed, TestApp, TestError};
use gatewire::{ClientLimits, Excess, Limit, Networks, Rate, TrustedProxies};
use http::Method;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

struct User(String);

#[injectable]
struct UserGuard;

impl Guard for UserGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if context.is_connection()
            && let Some(name) = context.data::<Value>()?["name"].as_str()
        {
            context.client().set(User(name.to_owned()));
        }
        Ok(true)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn name(user: &User) -> String {
    user.0.clone()
}

#[websocket_gateway]
#[use_guards(UserGuard, ConnectionLimit::per_user(2, name))]
struct Two;

#[subscriptions]
impl Two {
    #[subscribe_message("where")]
    fn whence(&self, client: Socket) -> (String, bool) {
        let handshake = client.handshake();
        (handshake.address(), handshake.is_secure())
    }

    #[subscribe_message("bytes")]
    #[use_guards(Throttle::per_user(100, MINUTE, name).in_bytes())]
    fn bytes(&self, MessageBody(text): MessageBody<String>) -> usize {
        text.len()
    }

    #[subscribe_message("once")]
    #[use_guards(Throttle::per_client(1, MINUTE).or_disconnect())]
    fn once(&self) -> u32 {
        1
    }
}

#[websocket_gateway(namespace = "/one")]
#[use_guards(UserGuard, ConnectionLimit::per_user(1, name).replacing_oldest())]
struct One;

#[subscriptions]
impl One {}

#[controller("/")]
struct Page;

#[routes]
impl Page {
    #[get("/whence")]
    #[use_guards(Throttle::per_address(2, MINUTE))]
    async fn whence(&self, client: axum::extract::ConnectInfo<std::net::SocketAddr>) -> String {
        client.0.ip().to_string()
    }

    #[sse("/events")]
    async fn events(&self) -> impl futures_util::Stream<Item = u32> + use<> {
        futures_util::stream::pending()
    }
}

#[module(providers = [UserGuard, Two, One], controllers = [Page])]
struct Module;

async fn app() -> Result<App, Failure> {
    Ok(App::create::<Module>().without_logger().await?)
}

fn refusal(error: TestError) -> Value {
    match error {
        TestError::ConnectError { error, .. } => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_user_has_so_many_connections() -> Result<(), Failure> {
    let app = TestApp::in_memory(app().await?)?;
    let connect = |name: &str| app.client().auth(&json!({ "name": name })).connect("/");
    let ada = [connect("ada").await?, connect("ada").await?];
    let _bob = connect("bob").await?;
    let refused = refusal(connect("ada").await.err().ok_or("it is let in")?);
    let data = json!({ "status": "error", "message": "Too many connections", "limit": 2 });
    assert_eq!(
        refused,
        json!({ "message": "Too many connections", "data": data })
    );
    let [first, _second] = ada;
    first.close().await;
    let again = async {
        while connect("ada").await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(MINUTE, again).await?;
    // Who is nobody is not counted.
    for _ in 0..4 {
        app.client().connect("/").await?;
    }
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn a_newer_connection_takes_the_place_of_the_oldest() -> Result<(), Failure> {
    let app = TestApp::in_memory(app().await?)?;
    let connect = || app.client().auth(&json!({ "name": "ada" })).connect("/one");
    let mut oldest = connect().await?;
    for _ in 0..3 {
        let newest = connect().await?;
        let told: Value = oldest.next_event("exception").await?;
        assert_eq!(told["message"], "Replaced by a newer connection");
        assert_eq!(oldest.closed().await?, Closed::Namespace);
        oldest = newest;
    }
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn a_user_has_so_many_bytes_over_all_connections() -> Result<(), Failure> {
    let app = TestApp::in_memory(app().await?)?;
    let connect = || app.client().auth(&json!({ "name": "ada" })).connect("/");
    let (mut first, mut second) = (connect().await?, connect().await?);
    assert_eq!(
        first.emit_with_ack::<_, usize>("bytes", &"x".repeat(90)).await?,
        90
    );
    // Eight are left: what is bigger is let through, and owed.
    assert_eq!(
        second.emit_with_ack::<_, usize>("bytes", &"x".repeat(50)).await?,
        50
    );
    let refused: Value = first.emit_with_ack("bytes", "x").await?;
    assert_eq!(refused["message"], "Too many requests");
    assert!(
        refused["retryAfter"]
            .as_u64()
            .is_some_and(|millis| millis > 10_000),
        "{refused}"
    );
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn a_throttle_may_put_a_client_out() -> Result<(), Failure> {
    let app = TestApp::in_memory(app().await?)?;
    let mut client = app.connect("/").await?;
    assert_eq!(client.emit_with_ack::<_, u32>("once", &()).await?, 1);
    client.emit("once", &()).await?;
    let told: Value = client.next_event("exception").await?;
    assert_eq!(told["message"], "Too many requests");
    assert_eq!(client.closed().await?, Closed::Namespace);
    app.close().await;
    Ok(())
}

/// Two sessions an address, of which the loopback is one.
fn limits() -> ClientLimits {
    ClientLimits {
        max_connections: 2,
        exempt: Networks::default(),
        ..ClientLimits::default()
    }
}

#[tokio::test]
async fn an_application_limits_addresses_on_every_transport() -> Result<(), Failure> {
    let mut app = app().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    let limiter = app.limit_clients(limits());
    let app = TestApp::on_free_port(app).await?;
    let mut ws = app.connect_ws("/ws").await?;
    let events = app.events("/events").await?;
    assert_eq!(
        ws.emit_with_ack::<_, (String, bool)>("where", &()).await?,
        ("127.0.0.1".to_owned(), false)
    );
    for refused in [app.connect("/").await.err(), app.connect_ws("/ws").await.err()] {
        assert!(
            matches!(refused, Some(TestError::Refused { status: 429, .. })),
            "{refused:?}"
        );
    }
    let refused = app.request(Method::GET, "/events").send().await?;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    let body: Value = refused.json();
    assert_eq!(body["message"], "too many from this address: connections");
    assert_eq!(limiter.refused(Limit::Connections), 3);
    // It is no session.
    assert_eq!(app.fetch("/whence").await?.text(), "127.0.0.1");
    drop(events);
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn messages_of_an_address_are_limited_before_any_handler() -> Result<(), Failure> {
    let mut app = app().await?;
    app.limit_clients(ClientLimits {
        messages: Some(Rate::new(2, MINUTE)),
        excess: Excess::Drop,
        ..limits()
    });
    let app = TestApp::on_free_port(app).await?;
    let mut client = app.connect("/").await?;
    client.emit_with_ack::<_, (String, bool)>("where", &()).await?;
    let refused: Value = client.emit_with_ack("where", &()).await?;
    assert_eq!(refused["message"], "Too many requests");
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn handlers_guards_and_routes_see_the_client_behind_a_trusted_proxy() -> Result<(), Failure> {
    let mut app = app().await?;
    app.trust_proxies(TrustedProxies::new(["loopback"])?);
    let app = TestApp::on_free_port(app).await?;
    let mut client = app
        .client()
        .header("x-forwarded-for", "6.6.6.6, 203.0.113.7")
        .header("x-forwarded-proto", "https")
        .connect("/")
        .await?;
    let seen: (String, bool) = client.emit_with_ack("where", &()).await?;
    assert_eq!(seen, ("203.0.113.7".to_owned(), true));
    let fetch = |address: &str| {
        app.request(Method::GET, "/whence")
            .header("x-forwarded-for", address)
            .send()
    };
    for status in [200, 200, 429] {
        let response = fetch("203.0.113.7").await?;
        assert_eq!(response.status, status);
    }
    assert_eq!(fetch("203.0.113.8").await?.text(), "203.0.113.8");
    app.close().await;
    Ok(())
}

#[tokio::test]
async fn a_router_of_axum_receives_requests_in_the_same_way() -> Result<(), Failure> {
    let mut app = app().await?;
    app.trust_proxies(TrustedProxies::new(["loopback"])?);
    app.limit_clients(ClientLimits {
        requests: Some(Rate::new(2, MINUTE)),
        ..limits()
    });
    let handle = app.handle();
    let router = app
        .into_router()?
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, router).into_future());
    let fetch = async |client: &str| -> Result<String, Failure> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!(
            "GET /whence HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {client}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    for _ in 0..2 {
        let answer = fetch("203.0.113.7").await?;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("203.0.113.7"),
            "{answer}"
        );
    }
    let refused = fetch("203.0.113.7").await?;
    assert!(
        refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 30\r\n"),
        "{refused}"
    );
    assert!(fetch("203.0.113.8").await?.starts_with("HTTP/1.1 200"));
    handle.close().await;
    Ok(())
}
