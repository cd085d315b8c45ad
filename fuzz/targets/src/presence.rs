//! What another node says about who is in which room, as events between servers: any JSON, in an order of any kind. Never a
//! panic, and nobody is in a room twice.

use std::time::Duration;

use gatewire_hub::cluster::{Cluster, InProcess};
use gatewire_hub::{HubConfig, Io};
use serde_json::value::RawValue;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let text = crate::text(input);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let cluster = InProcess::new();
        let [here, there] = [(); 2].map(|()| Io::with_cluster(HubConfig::default(), cluster.join()));
        let namespace = here.of("/");
        let _ = there.of("/");
        let presence = namespace.presence("red");
        presence.on_change(|_| ());
        tokio::time::sleep(Duration::from_millis(10)).await;
        for line in text.lines().take(32) {
            let Ok(message) = serde_json::from_str::<&RawValue>(line) else {
                continue;
            };
            let told = there.of("/").server_side_emit("gatewire:presence", message);
            assert!(told.is_ok(), "{line}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let known = presence.known();
            for (at, socket) in known.iter().enumerate() {
                assert!(
                    known[..at].iter().all(|other| other.id() != socket.id()),
                    "{line}"
                );
            }
        }
        // Who says nothing more is forgotten.
        for _ in 0..60 {
            if presence.known().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        panic!("{:?} are still there", presence.known());
    });
}
