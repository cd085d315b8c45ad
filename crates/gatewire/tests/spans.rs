//! Spans: one a connection and one a message, only where somebody wants them, and never with what a message holds.

use std::io;
use std::sync::{Mutex, PoisonError};

use gatewire::prelude::*;
use gatewire::testing::TestApp;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

#[websocket_gateway]
struct EventsGateway;

#[subscriptions]
impl EventsGateway {
    #[subscribe_message("say")]
    async fn say(&self, MessageBody(_): MessageBody<String>) -> bool {
        tracing::info!("before");
        tokio::task::yield_now().await;
        tracing::info!("after");
        true
    }
}

#[module(providers = [EventsGateway])]
struct AppModule;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The handler's two lines, with the spans that they are in.
async fn said(filter: &str) -> [String; 2] {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let app = TestApp::create::<AppModule>().await.unwrap();
    let mut client = app.connect("/").await.unwrap();
    let _: bool = client.emit_with_ack("say", "secret words").await.unwrap();
    let lines = log.lines();
    assert!(
        !lines.iter().any(|line| line.contains("secret words")),
        "{lines:?}"
    );
    let find = |word: &str| {
        let line = lines.iter().find(|line| line.ends_with(word));
        line.unwrap_or_else(|| panic!("{word} in {lines:?}")).clone()
    };
    [find("before"), find("after")]
}

#[tokio::test]
async fn a_message_within_its_connection() {
    let lines = said("info,gatewire::connection=debug,gatewire::message=trace").await;
    for line in lines {
        assert!(
            line.contains(r#"connection{sid="#) && line.contains(r#" transport="websocket"}"#),
            "{line}"
        );
        assert!(line.contains("}:message{socket="), "{line}");
        assert!(
            line.contains(r#" namespace="/" event="say" handler=EventsGateway::say}"#),
            "{line}"
        );
    }
}

#[tokio::test]
async fn nobody_wants_them() {
    for line in said("info").await {
        assert!(
            !line.contains("connection{") && !line.contains("message{"),
            "{line}"
        );
    }
}
