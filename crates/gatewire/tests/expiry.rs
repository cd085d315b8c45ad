//! The end of an identity: the client is told and put out, or asked about again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::{Closed, TestApp};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Auth {
    kind: String,
}

/// How often sessions were asked for.
#[injectable]
struct Sessions(#[inject(default)] AtomicU32);

#[injectable]
struct SessionGuard {
    sessions: Arc<Sessions>,
}

impl Guard for SessionGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if !context.is_connection() {
            return Ok(true);
        }
        let kind = context.data::<Auth>()?.kind;
        let sessions = Arc::clone(&self.sessions);
        let expiry = Expiry::after(Duration::from_secs(60));
        let expiry = match &*kind {
            "plain" => expiry,
            "coded" => expiry.reason("Token expired").close_code(4401),
            _ => expiry.recheck(move |client| {
                let (sessions, kind) = (Arc::clone(&sessions), kind.clone());
                async move {
                    assert!(client.connected());
                    match (sessions.0.fetch_add(1, Ordering::SeqCst), &*kind) {
                        (_, "panic") => panic!("secret"),
                        (0..3, _) => Ok(Duration::from_secs(10)),
                        (_, "zero") => Ok(Duration::ZERO),
                        _ => Err("logged out".into()),
                    }
                }
            }),
        };
        expiry.set(context.client());
        Ok(true)
    }
}

#[websocket_gateway]
#[use_guards(SessionGuard)]
struct Gateway;

#[subscriptions]
impl Gateway {
    #[subscribe_message("extend")]
    fn extend(&self, client: Socket) {
        Expiry::after(Duration::from_secs(600)).set(&client);
    }
}

#[module(providers = [Sessions, Gateway])]
struct AppModule;

async fn app() -> Result<TestApp, Failure> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(TestApp::in_memory(app)?)
}

const PATIENCE: Duration = Duration::from_secs(3600);

/// When the client is put out, in seconds, and what it is told.
async fn put_out(app: &TestApp, kind: &str) -> Result<(u64, String), Failure> {
    let start = Instant::now();
    let client = app.client().auth(&serde_json::json!({ "kind": kind }));
    let mut client = client.connect("/").await?.patience(PATIENCE);
    let exception: Value = client.next_event("exception").await?;
    assert_eq!(client.closed().await?, Closed::Namespace);
    let message = exception["message"].as_str().unwrap_or_default();
    Ok((start.elapsed().as_secs(), message.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_identity_ends_is_told_and_put_out() -> Result<(), Failure> {
    let app = app().await?;
    assert_eq!(put_out(&app, "plain").await?, (60, "Identity expired".to_owned()));
    for (kind, message, code) in [
        ("plain", "Identity expired", 1008),
        ("coded", "Token expired", 4401),
    ] {
        let path = format!("/ws?kind={kind}");
        let mut client = app.connect_ws(&path).await?.patience(PATIENCE);
        assert_eq!(client.next_event::<Value>("exception").await?["message"], message);
        assert_eq!(client.closed().await?, Closed::Frame(Some(code)), "{kind}");
    }
    let mut client = app.connect_ws("/ws?kind=plain").await?.patience(PATIENCE);
    let start = Instant::now();
    client.emit_with_ack::<_, ()>("extend", &()).await?;
    client.closed().await?;
    assert_eq!(start.elapsed().as_secs(), 600);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_identity_is_asked_about_again() -> Result<(), Failure> {
    for (kind, message) in [("session", "logged out"), ("zero", "Identity expired")] {
        let app = app().await?;
        assert_eq!(put_out(&app, kind).await?, (90, message.to_owned()));
        assert_eq!(app.get::<Sessions>().0.load(Ordering::SeqCst), 4);
    }
    let app = app().await?;
    assert_eq!(
        put_out(&app, "panic").await?,
        (60, "Internal server error".to_owned())
    );
    Ok(())
}
