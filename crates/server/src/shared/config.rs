//! How patient the nodes of a cluster are with each other, and how much they take on.

use std::time::Duration;

use gatewire_proto::relay::Timing;

use crate::config::ConfigError;

/// How sessions are shared; see [`Engine::share_sessions`](crate::Engine::share_sessions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharingConfig {
    /// How long the others are waited for when a session is not known here; then the client is told that there is none.
    /// Default 1 s.
    pub ask_timeout: Duration,
    /// A node that has been silent for so long, while something is relayed, is asked whether it is there. Default 2.5 s.
    pub keepalive: Duration,
    /// A node that has not answered that for so long is taken for dead: what was relayed to or from it ends. Default 5 s.
    pub peer_timeout: Duration,
    /// Questions for sessions that may be open at a time; further requests for unknown sessions are answered with 503.
    /// Default 1,000.
    pub max_asks: usize,
    /// Requests and WebSockets that may be relayed at a time, in each direction; further ones are answered with 503, or as
    /// those of an unknown session if it is the session's node that has too many. Each keeps 256 KiB at most in either
    /// direction. Default 20,000.
    pub max_relayed: usize,
    /// Sessions of other nodes whose node is remembered, so that the next request needs no question. Default 50,000.
    pub max_remembered: usize,
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self {
            ask_timeout: Duration::from_secs(1),
            keepalive: Duration::from_millis(2_500),
            peer_timeout: Duration::from_secs(5),
            max_asks: 1_000,
            max_relayed: 20_000,
            max_remembered: 50_000,
        }
    }
}

impl SharingConfig {
    /// Checks what the types cannot say.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let zero = [
            ("ask_timeout", self.ask_timeout.is_zero()),
            ("keepalive", self.keepalive.is_zero()),
            ("peer_timeout", self.peer_timeout.is_zero()),
            ("max_asks", self.max_asks == 0),
            ("max_relayed", self.max_relayed == 0),
        ];
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((option, _)) => Err(ConfigError::Zero { option }),
            None => Ok(()),
        }
    }

    pub(super) fn timing(&self) -> Timing {
        Timing {
            keepalive: self.keepalive,
            patience: self.peer_timeout,
            idle: IDLE.max(self.keepalive * 4),
        }
    }
}

/// How long a link without streams is kept.
const IDLE: Duration = Duration::from_secs(30);
