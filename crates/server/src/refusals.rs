//! Who was not let in, counted by the reason. Each refusal is answered, and is in the log at the level "debug" where it is
//! made.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a request did not become a session, or was not one of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A page of another origin, which `cors` does not name.
    Origin,
    /// The application's [`allow_request`](crate::Hooks::allow_request) said no.
    AllowRequest,
    /// As many sessions are open as may be ([`max_sessions`](crate::Limits::max_sessions)).
    Full,
    /// The server is shutting down.
    Ending,
    /// It is no handshake: of Engine.IO, or of WebSocket.
    Handshake,
    /// A version of Engine.IO that is not served.
    Version,
    /// It names a session that there is not.
    UnknownSession,
    /// Its address has as many sessions as it may, or they come too fast ([`ClientLimits`](crate::ClientLimits)).
    TooMany,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Origin,
        Self::AllowRequest,
        Self::Full,
        Self::Ending,
        Self::Handshake,
        Self::Version,
        Self::UnknownSession,
        Self::TooMany,
    ];

    /// The reason in words, as for the label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::AllowRequest => "allow_request",
            Self::Full => "full",
            Self::Ending => "ending",
            Self::Handshake => "handshake",
            Self::Version => "version",
            Self::UnknownSession => "unknown session",
            Self::TooMany => "too many",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each reason was given.
#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; Refusal::ALL.len()]);

impl Refusals {
    pub(crate) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let refusals = Refusals::default();
        for refusal in Refusal::ALL {
            refusals.count(refusal);
        }
        assert!(Refusal::ALL.iter().all(|refusal| refusals.get(*refusal) == 1));
    }
}
