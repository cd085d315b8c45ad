//! What ships for handlers that take too long and clients that send too much.

mod support;

use std::time::Duration;

use gatewire::pipeline::{Throttled, TimedOut};
use gatewire::prelude::*;
use support::{Peer, ask};

struct User(&'static str);

#[injectable]
struct LateFilter;

impl ExceptionFilter for LateFilter {
    type Error = TimedOut;

    async fn catch(&self, error: TimedOut, _: &ExecutionContext) -> Result<Answer, WsException> {
        Answer::value(&format!("not in {:?}", error.limit))
    }
}

#[injectable]
struct CalmFilter;

impl ExceptionFilter for CalmFilter {
    type Error = Throttled;

    async fn catch(&self, error: Throttled, _: &ExecutionContext) -> Result<Answer, WsException> {
        Answer::value(&format!("in {:?}", error.retry_after))
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[websocket_gateway]
#[use_interceptors(Timeout::after(Duration::from_millis(100)))]
struct Gateway {
    #[websocket_server]
    server: Server,
}

impl OnGatewayConnection for Gateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        if client.auth_json().contains("ada") {
            client.set(User("ada"));
        }
        Ok(())
    }
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("sleep")]
    async fn sleep(&self, MessageBody(millis): MessageBody<u64>) -> u64 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        millis
    }

    #[subscribe_message("sleep-ack")]
    async fn sleep_ack(&self, ack: Ack) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ack.send("too late");
    }

    #[subscribe_message("late")]
    #[use_filters(LateFilter)]
    async fn late(&self) {
        std::future::pending().await
    }

    #[subscribe_message("a")]
    #[use_guards(Throttle::per_client(2, SECOND))]
    fn a(&self) {}

    #[subscribe_message("b")]
    #[use_interceptors(Throttle::per_client(1, SECOND))]
    #[use_filters(CalmFilter)]
    fn b(&self) {}

    #[subscribe_message("user")]
    #[use_guards(Throttle::per_user(2, SECOND, |user: &User| user.0))]
    fn user(&self) {}
}

#[module(providers = [Gateway])]
struct Module;

async fn app() -> (App, Server) {
    let app = App::create::<Module>().without_logger().await.unwrap();
    let server = app.get::<Gateway>().server.clone();
    (app, server)
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_time() {
    let (_app, server) = app().await;
    let mut peer = Peer::joined(&server);
    assert_eq!(ask(&mut peer, r#"21["sleep",50]"#, 1).await, ["31[50]"]);
    let error = r#"{"status":"error","message":"Request timeout","cause":{"pattern":"sleep","data":200}}"#;
    assert_eq!(
        ask(&mut peer, r#"22["sleep",200]"#, 2).await,
        [format!(r#"2["exception",{error}]"#), format!("32[{error}]")]
    );
    let error = r#"{"status":"error","message":"Request timeout","cause":{"pattern":"sleep-ack"}}"#;
    assert_eq!(
        ask(&mut peer, r#"23["sleep-ack"]"#, 2).await,
        [format!(r#"2["exception",{error}]"#), format!("33[{error}]")]
    );
    assert_eq!(
        ask(&mut peer, r#"24["late"]"#, 1).await,
        [r#"34["not in 100ms"]"#]
    );
}

#[tokio::test(start_paused = true)]
async fn each_client_has_its_buckets() {
    let (_app, server) = app().await;
    let mut peer = Peer::joined(&server);
    for id in ["1", "2"] {
        assert_eq!(peer.ask(&format!(r#"2{id}["a"]"#)), [format!("3{id}[]")]);
    }
    let error = r#"{"message":"Too many requests","retryAfter":500,"status":"error"}"#;
    assert_eq!(
        peer.ask(r#"23["a"]"#),
        [format!(r#"2["exception",{error}]"#), format!("33[{error}]")]
    );
    assert_eq!(
        peer.ask(r#"24["b"]"#),
        ["34[]"],
        "another throttle is another bucket"
    );
    assert_eq!(peer.ask(r#"25["b"]"#), [r#"35["in 1s"]"#]);
    assert_eq!(
        Peer::joined(&server).ask(r#"21["a"]"#),
        ["31[]"],
        "and so is another client"
    );
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(peer.ask(r#"26["a"]"#), ["36[]"]);
    assert_eq!(peer.ask(r#"27["a"]"#).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_user_share_a_bucket() {
    let (_app, server) = app().await;
    let mut ada = [Peer::new(&server), Peer::new(&server)];
    for peer in &mut ada {
        peer.ask(r#"0{"name":"ada"}"#);
    }
    let [first, second] = &mut ada;
    assert_eq!(first.ask(r#"21["user"]"#), ["31[]"]);
    assert_eq!(second.ask(r#"21["user"]"#), ["31[]"]);
    assert_eq!(second.ask(r#"22["user"]"#).len(), 2);
    let mut nobody = Peer::joined(&server);
    assert_eq!(nobody.ask(r#"21["user"]"#), ["31[]"]);
}
