//! Waiting on a machine that may be busy: for what comes over sockets, or of another node.

use std::time::Duration;

use tokio::time::Instant;

use super::Peer;

/// How long a test waits for what should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long until it looks again.
const SOON: Duration = Duration::from_millis(5);

/// Waits until it is so.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(SOON).await;
    }
}

/// Waits for so many packets.
pub async fn receive(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let end = Instant::now() + PATIENCE;
    loop {
        peer.run();
        lines.extend(peer.sent());
        if lines.len() >= count {
            return lines;
        }
        assert!(
            Instant::now() < end,
            "{} packets instead of {count}: {:?}",
            lines.len(),
            lines.last()
        );
        tokio::time::sleep(SOON).await;
    }
}
