//! Health: alive, ready, checks, and what is told to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gatewire::cluster::{
    BroadcastOptions, Cluster, ClusterAdapter, ClusterStatus, FoundSockets, Local, RemoteAcks,
};
use gatewire::prelude::*;
use gatewire::testing::TestApp;
use gatewire::watch::{HealthData, HealthError};
use gatewire_hub::{BoxFuture, Prepared, Room, Selection};
use http::{Method, StatusCode};
use serde_json::{Value, json};

#[websocket_gateway]
struct EventsGateway;

#[subscriptions]
impl EventsGateway {}

#[module(providers = [EventsGateway])]
struct AppModule;

async fn app() -> App {
    App::create::<AppModule>().without_logger().await.unwrap()
}

async fn ask(app: &TestApp, path: &str) -> (StatusCode, Value) {
    let response = app.fetch(path).await.unwrap();
    (response.status, response.json())
}

#[tokio::test]
async fn an_application_that_is_well() {
    let mut app = app().await;
    app.use_health(Health::at("/health").check("db", async || Ok::<_, String>(())));
    let app = TestApp::on_free_port(app).await.unwrap();
    let up = json!({ "db": { "status": "up" }, "gateway": { "status": "up" } });
    let well = json!({ "status": "ok", "info": up, "error": {}, "details": up });
    for path in ["/health", "/health/ready"] {
        assert_eq!(ask(&app, path).await, (StatusCode::OK, well.clone()));
    }
    let alive = json!({ "status": "ok", "info": {}, "error": {}, "details": {} });
    assert_eq!(ask(&app, "/health/live").await, (StatusCode::OK, alive));
    assert_eq!(app.fetch("/health/other").await.unwrap().status, 404);
    let response = app.fetch("/health").await.unwrap();
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let response = app.request(Method::HEAD, "/health").send().await.unwrap();
    assert_eq!(response.status, 200);
}

struct Queue;

impl HealthIndicator for Queue {
    async fn check(&self) -> Result<HealthData, HealthError> {
        Err(HealthError::new("too long").with(HealthData::new().with("length", &1_200)))
    }
}

#[tokio::test]
async fn an_application_that_is_not() {
    let mut app = app().await;
    let health = Health::at("/health")
        .indicator("queue", Arc::new(Queue))
        .check("late", async || {
            std::future::pending::<Result<(), String>>().await
        })
        .check("panics", || async { panic!("on purpose") as Result<(), String> })
        .check("well", async || Ok::<_, String>(()))
        .timeout(Duration::from_millis(20));
    app.use_health(health);
    let app = TestApp::on_free_port(app).await.unwrap();
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["status"], "error");
    assert_eq!(
        body["error"],
        json!({
            "queue": { "status": "down", "message": "too long", "length": 1_200 },
            "late": { "status": "down", "message": "no answer within 20ms" },
            "panics": { "status": "down", "message": "the check panicked" },
        })
    );
    assert_eq!(body["info"]["well"], json!({ "status": "up" }));
    assert_eq!(ask(&app, "/health/live").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_stranger_is_told_the_status_alone() {
    let mut app = app().await;
    app.use_health(Health::at("/health").check("db", async || Err::<(), _>("the password is wrong")));
    let app = TestApp::on_free_port(app).await.unwrap();
    let request = app.request(Method::GET, "/health");
    let response = request
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(response.json::<Value>(), json!({ "status": "error" }));
}

#[tokio::test]
async fn paths_of_choice_and_a_life_that_depends() {
    let mut app = app().await;
    let health = Health::at("/h")
        .live_at("/healthz")
        .ready_at("/readyz")
        .live_indicator("queue", Queue);
    app.use_health(health);
    let app = TestApp::on_free_port(app).await.unwrap();
    assert_eq!(ask(&app, "/healthz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&app, "/readyz").await.0, StatusCode::OK);
    assert_eq!(app.fetch("/h/live").await.unwrap().status, 404);
}

#[tokio::test]
async fn many_who_ask_make_one_look() {
    let mut app = app().await;
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let check = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, String>(()) }
    };
    app.use_health(
        Health::at("/health")
            .check("db", check)
            .fresh_for(Duration::from_secs(60)),
    );
    let app = TestApp::on_free_port(app).await.unwrap();
    for _ in 0..5 {
        assert_eq!(ask(&app, "/health").await.0, StatusCode::OK);
    }
    assert_eq!(looks.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_application_that_ends_is_not_ready_and_goes_on_for_a_while() {
    let mut app = app().await;
    app.use_health(Health::at("/health").notice(Duration::from_secs(20)));
    let app = TestApp::on_free_port(app).await.unwrap();
    let handle = app.handle();
    let ending = tokio::spawn(async move { handle.close().await });
    loop {
        let (status, body) = ask(&app, "/health").await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(body["status"], "shutting_down");
            assert_eq!(body["error"]["gateway"]["status"], "down");
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&app, "/health/live").await.0, StatusCode::OK);
    // Who comes nevertheless is taken.
    drop(app.connect("/").await.unwrap());
    ending.abort();
}

/// A cluster of one node that may be out of reach.
struct Unsteady(Arc<AtomicBool>);

impl Cluster for Unsteady {
    fn join(&self) -> Arc<dyn ClusterAdapter> {
        Arc::new(UnsteadyNode(Arc::clone(&self.0)))
    }
}

struct UnsteadyNode(Arc<AtomicBool>);

impl ClusterAdapter for UnsteadyNode {
    fn status(&self) -> ClusterStatus {
        let mut status = ClusterStatus::default();
        status.is_connected = self.0.load(Ordering::Relaxed);
        status
    }

    fn open(&self, _: &Server) {}

    fn broadcast(&self, _: &str, _: &Prepared, _: &Selection, _: BroadcastOptions) {}

    fn broadcast_with_ack(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Local.broadcast_with_ack(namespace, message, selection, options, timeout)
    }

    fn sockets_join(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn sockets_leave(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn disconnect_sockets(&self, _: &str, _: &Selection, _: bool) {}

    fn fetch_sockets(
        &self,
        namespace: &str,
        selection: &Selection,
        timeout: Duration,
    ) -> BoxFuture<'static, FoundSockets> {
        Local.fetch_sockets(namespace, selection, timeout)
    }

    fn server_side_emit(&self, _: &str, _: &str, _: &Payload) {}

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Local.server_side_emit_with_ack(namespace, event, payload, timeout)
    }

    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize> {
        Local.server_count(namespace)
    }
}

#[tokio::test]
async fn a_cluster_out_of_reach() {
    let mut app = app().await;
    let is_connected = Arc::new(AtomicBool::new(true));
    app.use_cluster(Unsteady(Arc::clone(&is_connected)));
    app.use_health(Health::at("/health"));
    let app = TestApp::on_free_port(app).await.unwrap();
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["info"]["cluster"]["status"], "up");
    is_connected.store(false, Ordering::Relaxed);
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["error"]["cluster"]["status"], "down");
}
