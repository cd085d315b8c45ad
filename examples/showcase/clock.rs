//! What time it is, as browsers count it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, with their fraction.
pub(crate) fn millis() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64() * 1000.0
}
