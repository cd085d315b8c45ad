//! What a scrape tells after traffic of every kind.

use std::net::SocketAddr;
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::TestApp;
use gatewire_metrics::Metrics;
use http::Method;
use tokio::time::{sleep, timeout};

#[websocket_gateway]
struct EventsGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl EventsGateway {
    #[subscribe_message("echo")]
    fn echo(&self, MessageBody(text): MessageBody<String>) -> String {
        text
    }

    #[subscribe_message("slow")]
    async fn slow(&self) -> &'static str {
        sleep(Duration::from_millis(15)).await;
        "done"
    }

    #[subscribe_message("secret")]
    #[use_guards(Nobody)]
    fn secret(&self) {}

    #[subscribe_message("ask")]
    async fn ask(&self, socket: ConnectedSocket) -> bool {
        let asked = socket
            .emit_with_ack("question", &1)
            .timeout(Duration::from_millis(5));
        asked.await.is_ok()
    }

    #[subscribe_message("tell")]
    fn tell(&self) {
        self.server.emit("news", &"x");
    }
}

#[injectable]
struct Nobody;

impl Guard for Nobody {
    async fn can_activate(&self, _: &ExecutionContext) -> Result<bool, Exception> {
        Ok(false)
    }
}

#[controller("/feed")]
struct FeedController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl FeedController {
    #[sse("/")]
    fn listen(&self) -> Feed {
        Feed::of(&self.server)
    }

    #[get("/hello")]
    fn hello(&self) -> &'static str {
        metrics::counter!("hellos_total").increment(1);
        "hello"
    }
}

#[module(controllers = [FeedController], providers = [EventsGateway, Nobody])]
struct AppModule;

async fn app() -> TestApp {
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    app.use_metrics(Metrics::prometheus("/metrics"));
    TestApp::on_free_port(app).await.unwrap()
}

async fn scrape(app: &TestApp) -> String {
    let response = app.fetch("/metrics").await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    response.text().to_owned()
}

/// The value of one line.
fn value(text: &str, line: &str) -> Option<f64> {
    let rest = text.lines().find_map(|other| other.strip_prefix(line))?;
    rest.trim().parse().ok()
}

/// Scrapes until the line has the value: what a connection does at its end it does by itself.
async fn until(app: &TestApp, line: &str, wanted: f64) {
    let scraped = async {
        loop {
            let text = scrape(app).await;
            if value(&text, line) == Some(wanted) {
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    if timeout(Duration::from_secs(10), scraped).await.is_err() {
        panic!("{line} is not {wanted}:\n{}", scrape(app).await);
    }
}

#[track_caller]
fn assert_lines(text: &str, lines: &[(&str, f64)]) {
    for (line, wanted) in lines {
        assert_eq!(value(text, line), Some(*wanted), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn traffic_of_every_kind() {
    let app = app().await;

    let mut socket = app.connect("/").await.unwrap();
    for _ in 0..3 {
        let echoed: String = socket.emit_with_ack("echo", "hi").await.unwrap();
        assert_eq!(echoed, "hi");
    }
    let done: String = socket.emit_with_ack("slow", &()).await.unwrap();
    assert_eq!(done, "done");
    let answered: bool = socket.emit_with_ack("ask", &()).await.unwrap();
    assert!(!answered, "the question is left alone");
    socket.emit("nobody handles this", &1).await.unwrap();
    socket.emit("secret", &1).await.unwrap();
    socket.next_event::<serde_json::Value>("exception").await.unwrap();

    let mut plain = app.connect_ws("/ws").await.unwrap();
    let echoed: String = plain.emit_with_ack("echo", "ws").await.unwrap();
    assert_eq!(echoed, "ws");
    let mut events = app.events("/feed").await.unwrap();
    socket.emit("tell", &()).await.unwrap();
    assert_eq!(events.message().await.unwrap().event, "news");

    let (status, sid) = polling(&app, Method::GET, "", "").await;
    assert_eq!(status, 200, "{sid}");
    let sid = sid.split('"').nth(3).unwrap().to_owned();
    let of_session = format!("&sid={sid}");
    polling(&app, Method::POST, &of_session, "40").await;
    polling(&app, Method::GET, &of_session, "").await;
    polling(&app, Method::POST, &of_session, "420[\"echo\",\"poll\"]").await;
    let (_, answer) = polling(&app, Method::GET, &of_session, "").await;
    assert_eq!(answer, "430[\"poll\"]");
    assert_eq!(polling(&app, Method::GET, "&sid=nobodys", "").await.0, 400);
    app.fetch("/feed/hello").await.unwrap();

    let text = scrape(&app).await;
    let socketio = "server=\"socketio\",transport=\"websocket\"";
    assert_lines(
        &text,
        &[
            ("gatewire_accepting", 1.0),
            (&format!("gatewire_connections{{{socketio}}}"), 1.0),
            (
                "gatewire_connections{server=\"socketio\",transport=\"polling\"}",
                1.0,
            ),
            ("gatewire_connections{server=\"ws\",transport=\"websocket\"}", 1.0),
            ("gatewire_connections{server=\"sse\",transport=\"sse\"}", 1.0),
            (&format!("gatewire_connections_opened_total{{{socketio}}}"), 1.0),
            // CONNECT, five events with an answer and three without.
            (&format!("gatewire_messages_received_total{{{socketio}}}"), 9.0),
            // CONNECT, five answers, a question, an exception, the news.
            (&format!("gatewire_messages_sent_total{{{socketio}}}"), 9.0),
            (
                "gatewire_messages_received_total{server=\"socketio\",transport=\"polling\"}",
                2.0,
            ),
            (
                "gatewire_messages_received_total{server=\"ws\",transport=\"websocket\"}",
                1.0,
            ),
            // The news.
            (
                "gatewire_messages_sent_total{server=\"sse\",transport=\"sse\"}",
                1.0,
            ),
            (
                "gatewire_handler_seconds_count{gateway=\"EventsGateway\",handler=\"echo\",event=\"echo\"}",
                5.0,
            ),
            (
                "gatewire_handler_seconds_bucket{gateway=\"EventsGateway\",handler=\"slow\",event=\"slow\",le=\"0.01\"}",
                0.0,
            ),
            (
                "gatewire_handler_seconds_count{gateway=\"EventsGateway\",handler=\"slow\",event=\"slow\"}",
                1.0,
            ),
            (
                "gatewire_guarded_total{gateway=\"EventsGateway\",handler=\"secret\",event=\"secret\"}",
                1.0,
            ),
            (
                "gatewire_http_handler_seconds_count{controller=\"FeedController\",handler=\"hello\",method=\"GET\",path=\"/feed/hello\"}",
                1.0,
            ),
            ("gatewire_unknown_events_total", 1.0),
            (
                "gatewire_refused_total{at=\"socketio\",reason=\"unknown session\"}",
                1.0,
            ),
            ("gatewire_faults_total{server=\"socketio\",kind=\"request\"}", 1.0),
            ("gatewire_sockets{namespace=\"/\"}", 4.0),
            ("gatewire_acks_asked_total", 1.0),
            ("gatewire_acks_timed_out_total", 1.0),
            ("gatewire_acks_pending", 0.0),
            // What the application counts by itself.
            ("hellos_total", 1.0),
        ],
    );
    assert!(value(&text, &format!("gatewire_received_bytes_total{{{socketio}}}")).unwrap() > 50.0);
    assert!(value(&text, &format!("gatewire_sent_bytes_total{{{socketio}}}")).unwrap() > 50.0);
    assert!(!text.contains("gatewire_cluster"), "there is none");

    socket.close().await;
    until(
        &app,
        &format!("gatewire_connections_closed_total{{{socketio},reason=\"transport close\"}}"),
        1.0,
    )
    .await;
    until(&app, &format!("gatewire_connections{{{socketio}}}"), 0.0).await;
    until(&app, "gatewire_sockets{namespace=\"/\"}", 3.0).await;
}

/// A request of a client on polling; the status and the body.
async fn polling(app: &TestApp, method: Method, more: &str, body: &str) -> (u16, String) {
    let target = format!("/socket.io/?EIO=4&transport=polling{more}");
    let request = app.request(method, &target).body(body);
    let response = request
        .header("content-type", "text/plain;charset=UTF-8")
        .send()
        .await
        .unwrap();
    (response.status.as_u16(), response.text().to_owned())
}

#[tokio::test]
async fn events_that_wait() {
    // In memory both come at once; nobody has an address there.
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    app.use_metrics(Metrics::prometheus("/metrics").public());
    let app = TestApp::in_memory(app).unwrap();
    let mut socket = app.connect("/").await.unwrap();
    socket.emit("slow", &()).await.unwrap();
    let _: String = socket.emit_with_ack("echo", "behind").await.unwrap();
    let text = scrape(&app).await;
    assert_lines(&text, &[("gatewire_queue_seconds_count{queue=\"mailbox\"}", 1.0)]);
    assert!(value(&text, "gatewire_queue_seconds_sum{queue=\"mailbox\"}").unwrap() > 0.005);
}

#[tokio::test]
async fn strangers_are_told_that_there_is_nothing() {
    let app = app().await;
    let request = app.request(Method::GET, "/metrics");
    let response = request
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status, 404);
    let response = app.request(Method::POST, "/metrics").send().await.unwrap();
    assert_eq!(response.status, 405);

    let mut open = App::create::<AppModule>().without_logger().await.unwrap();
    open.use_metrics(Metrics::prometheus("/metrics").public());
    let open = TestApp::on_free_port(open).await.unwrap();
    let request = open.request(Method::GET, "/metrics");
    let response = request
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn an_address_of_its_own() {
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
    app.use_metrics(Metrics::prometheus("/metrics").on(own));
    app.use_health(Health::at("/health").on(own));
    let bound = app.bind("127.0.0.1:0").await.unwrap();
    let [public, own] = bound.local_addrs()[..] else {
        panic!("two addresses: {:?}", bound.local_addrs());
    };
    let handle = bound.handle();
    let served = tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
    assert_eq!(get(public, "/metrics").await, 404);
    assert_eq!(get(public, "/health").await, 404);
    assert_eq!(get(own, "/metrics").await, 200);
    assert_eq!(get(own, "/health/ready").await, 200);
    assert_eq!(get(own, "/").await, 404);
    handle.close().await;
    served.await.unwrap();
}

/// The status of the answer to a GET.
async fn get(address: SocketAddr, path: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].parse().unwrap()
}
