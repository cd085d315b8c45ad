//! Ending the sessions of a server one after the other.

use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;

use gatewire_proto::engineio::CloseReason;
use gatewire_server::{Session, SseConfig, SseServer};
use tokio::time::Instant;

/// Notes when it is told of its end.
struct Noting(Arc<Mutex<Vec<Duration>>>, Instant);

impl Session for Noting {
    fn poll(&mut self, _: &mut Context<'_>) {}

    fn close(&mut self, reason: CloseReason) {
        assert_eq!(reason, CloseReason::ServerShuttingDown);
        self.0.lock().unwrap().push(self.1.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_told_evenly_and_those_that_come_meanwhile_last() {
    let server = SseServer::new(SseConfig::default()).unwrap();
    let told = Arc::default();
    let start = Instant::now();
    let open = || {
        server
            .open(|_| Box::new(Noting(Arc::clone(&told), start)))
            .unwrap()
    };
    let mut streams: Vec<_> = (0..4).map(|_| open()).collect();
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        streams.push(open());
    };
    tokio::join!(server.drain_over(Duration::from_secs(1)), meanwhile);
    assert!(
        server.open(|_| Box::new(Noting(Arc::default(), start))).is_err(),
        "afterwards nobody is let in"
    );
    tokio::task::yield_now().await;
    let told: Vec<_> = told.lock().unwrap().iter().map(Duration::as_millis).collect();
    assert_eq!(told, [0, 250, 500, 750, 1_000]);
}

#[tokio::test(start_paused = true)]
async fn without_a_window_all_are_told_at_once() {
    let server = SseServer::new(SseConfig::default()).unwrap();
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let start = Instant::now();
    let open = |_| {
        server
            .open(|_| Box::new(Noting(Arc::clone(&told), start)))
            .unwrap()
    };
    let _streams: Vec<_> = (0..4).map(open).collect();
    server.drain_over(Duration::ZERO).await;
    tokio::task::yield_now().await;
    assert_eq!(*told.lock().unwrap(), [Duration::ZERO; 4]);
}
