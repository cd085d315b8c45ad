//! What an accept loop does about its errors: who gave up while waiting is nobody's loss, and a lack of file descriptors or
//! memory is waited out, with a line in the log when it begins and when it is over. It accepts nothing itself.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Wait after the first failure; doubled up to [`LONGEST`]. Connections wait in the kernel's queue meanwhile.
const SHORTEST: Duration = Duration::from_millis(20);

const LONGEST: Duration = Duration::from_secs(1);

/// Between two lines in the log about failures.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// `ENFILE` and `EMFILE`, alike on all that is a Unix.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];

/// The failures of one accept loop.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pause: Duration,
    /// Failures that the log does not know of.
    untold: u64,
    told: Option<Instant>,
    /// The log's last word is that it fails.
    is_told: bool,
}

impl Failures {
    /// Notes that `accept` failed; how long to wait before it is called again.
    pub(crate) fn failed(&mut self, error: &io::Error, now: Instant) -> Duration {
        if is_of_one_connection(error) {
            tracing::debug!(%error, "a client has gone before it was accepted");
            return Duration::ZERO;
        }
        self.untold += 1;
        if self.told.is_none_or(|told| now - told >= BETWEEN_LINES) {
            let failures = std::mem::take(&mut self.untold);
            if error
                .raw_os_error()
                .is_some_and(|code| NO_DESCRIPTOR.contains(&code))
            {
                tracing::warn!(%error, failures, "no file descriptor is left: new connections wait until others end. Raise the limit (ulimit -n), or lower max_connections and max_sessions");
            } else {
                tracing::warn!(%error, failures, "new connections cannot be accepted: they wait");
            }
            (self.told, self.is_told) = (Some(now), true);
        }
        self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
        self.pause
    }

    /// Notes that it did not fail.
    pub(crate) fn succeeded(&mut self) {
        if self.pause.is_zero() {
            return;
        }
        self.pause = Duration::ZERO;
        if std::mem::take(&mut self.is_told) {
            tracing::info!("new connections are accepted again");
        }
    }
}

/// Errors that are those of the connection in the queue, which is gone with them (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::PermissionDenied
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_waited_out() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let full = io::Error::from_raw_os_error(24);
        let pauses: Vec<_> = (0..8).map(|_| failures.failed(&full, now)).collect();
        let millis: Vec<_> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        assert!(failures.is_told);
        assert_eq!(failures.untold, 7, "one line is enough");
        failures.succeeded();
        assert!(!failures.is_told);
        assert_eq!(failures.failed(&full, now), SHORTEST);
        assert!(
            !failures.is_told,
            "nor a line for each time that it goes up and down"
        );
        failures.failed(&full, now + BETWEEN_LINES);
        assert!(failures.is_told);
    }

    #[test]
    fn a_client_that_has_gone_holds_nobody_up() {
        let mut failures = Failures::default();
        for kind in [ErrorKind::ConnectionAborted, ErrorKind::PermissionDenied] {
            assert_eq!(failures.failed(&kind.into(), Instant::now()), Duration::ZERO);
        }
        assert_eq!(failures.told, None);
    }
}
