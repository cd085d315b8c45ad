//! The one clock of this crate: tokio's, so that a test which pauses tokio's time has heartbeats and deadlines in its
//! hand. Without that it is the system's.

use std::time::Instant;

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
