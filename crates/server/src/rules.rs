//! What one session goes by, whichever server has opened it: the part of the server's options that its driver, its outbox
//! and its requests look at.

use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

use gatewire_proto::engineio::Timing;
use gatewire_proto::websocket::{self, Decoder, Deflate, DeflateOptions};

use crate::config::{EngineConfig, Limits};
use crate::faults::Faults;
use crate::refusals::Refusals;
use crate::slow_consumer::Budget;
use crate::sse::SseConfig;
use crate::stats::Meter;
use crate::websocket::WebSocketConfig;

/// The options of a session; one copy for all sessions of a server.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Heartbeat and upgrade.
    pub(crate) timing: Timing,
    pub(crate) connect_timeout: Duration,
    /// How long a client of a plain WebSocket may be silent.
    pub(crate) idle_timeout: Option<Duration>,
    /// What a plain WebSocket may be agreed on to carry.
    pub(crate) protocols: Vec<String>,
    /// When the clients of streams of events are told to come back at the end.
    pub(crate) retry: Option<RangeInclusive<Duration>>,
    /// Bytes of one message, and of one POST.
    pub(crate) max_payload: usize,
    /// Bytes from which a polling response is compressed.
    pub(crate) http_compression: Option<usize>,
    pub(crate) per_message_deflate: Option<DeflateOptions>,
    pub(crate) limits: Limits,
    /// No rules: how often clients broke one, or were not let in by one; what else is counted, once somebody wants figures.
    pub(crate) faults: Faults,
    pub(crate) refusals: Refusals,
    pub(crate) meter: OnceLock<Meter>,
    /// Nor is this: what all sessions may keep for their clients together.
    pub(crate) budget: Budget,
}

impl From<&EngineConfig> for Rules {
    fn from(config: &EngineConfig) -> Self {
        Self {
            timing: Timing {
                ping_interval: config.ping_interval,
                ping_timeout: config.ping_timeout,
                upgrade_timeout: config.upgrade_timeout,
            },
            connect_timeout: config.connect_timeout,
            idle_timeout: None,
            protocols: Vec::new(),
            retry: None,
            max_payload: config.max_payload,
            http_compression: config.http_compression,
            per_message_deflate: config.per_message_deflate.clone(),
            limits: config.limits.clone(),
            faults: Faults::default(),
            refusals: Refusals::default(),
            meter: OnceLock::new(),
            budget: Budget::default(),
        }
    }
}

impl From<&WebSocketConfig> for Rules {
    fn from(config: &WebSocketConfig) -> Self {
        let engine = EngineConfig {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: config.max_message,
            per_message_deflate: config.per_message_deflate.clone(),
            limits: config.limits.clone(),
            ..EngineConfig::default()
        };
        Self {
            idle_timeout: config.idle_timeout,
            protocols: config.protocols.clone(),
            ..Self::from(&engine)
        }
    }
}

impl From<&SseConfig> for Rules {
    fn from(config: &SseConfig) -> Self {
        let engine = EngineConfig {
            ping_interval: config.heartbeat,
            limits: Limits::from(config),
            ..EngineConfig::default()
        };
        Self {
            retry: config.retry_at_shutdown.clone(),
            ..Self::from(&engine)
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::from(&EngineConfig::default())
    }
}

impl Rules {
    /// A decoder for a WebSocket of such a session.
    pub(crate) fn decoder(&self, deflate: Option<Deflate>) -> Decoder {
        Decoder::new(websocket::Limits {
            max_message: self.max_payload,
            max_fragments: self.limits.max_fragments,
        })
        .with_deflate(deflate)
    }
}
