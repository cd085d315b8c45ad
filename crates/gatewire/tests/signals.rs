//! A signal ends a served application in order. A process of its own: a signal is for all of it.

#![cfg(unix)]

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use gatewire::prelude::*;

#[injectable]
struct Pool(#[inject(default)] Mutex<Vec<Option<ShutdownSignal>>>);

impl OnApplicationShutdown for Pool {
    async fn on_application_shutdown(&self, signal: Option<ShutdownSignal>) {
        self.0.lock().unwrap().push(signal);
    }
}

#[injectable]
struct Stuck(#[inject(default)] tokio::sync::Notify);

impl BeforeApplicationShutdown for Stuck {
    async fn before_application_shutdown(&self, _signal: Option<ShutdownSignal>) {
        self.0.notify_one();
        std::future::pending::<()>().await;
    }
}

#[module(providers = [Pool])]
struct AppModule;

#[module(providers = [Stuck])]
struct StuckModule;

fn signal(name: &str) {
    let own = std::process::id().to_string();
    let status = Command::new("kill").args(["-s", name, &own]).status().unwrap();
    assert!(status.success());
}

/// Waits until `bound` serves: it hears of signals then.
async fn is_served(address: std::net::SocketAddr) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_ne!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

async fn ends(served: tokio::task::JoinHandle<()>) {
    let ended = tokio::time::timeout(Duration::from_secs(10), served).await;
    ended.expect("the application does not end").unwrap();
}

#[tokio::test]
async fn a_signal_ends_an_application_and_a_second_one_at_once() {
    for (name, heard) in [
        ("TERM", ShutdownSignal::Terminate),
        ("INT", ShutdownSignal::Interrupt),
    ] {
        let app = App::create::<AppModule>().without_logger().await.unwrap();
        let pool = app.get::<Pool>();
        let bound = app.bind("127.0.0.1:0").await.unwrap();
        let address = bound.local_addr();
        let served = tokio::spawn(bound.serve());
        is_served(address).await;
        signal(name);
        ends(served).await;
        assert_eq!(*pool.0.lock().unwrap(), [Some(heard)]);
    }

    let app = App::create::<StuckModule>().without_logger().await.unwrap();
    let stuck = app.get::<Stuck>();
    let bound = app.bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr();
    let served = tokio::spawn(bound.serve());
    is_served(address).await;
    signal("TERM");
    stuck.0.notified().await;
    assert!(!served.is_finished(), "a hook is awaited");
    signal("TERM");
    ends(served).await;
}
