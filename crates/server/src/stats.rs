//! The figures of one server: its connections by transport, what goes over them, and what waits to be written. Faults and
//! refusals are always counted; the rest, which every message would pay for, only when somebody asks for it.

use gatewire_hub::meter::{Count, Lanes, Stamp, Times, TimesStats};
use gatewire_proto::engineio::{CloseReason, TransportKind};

use crate::faults::Fault;
use crate::outbox::Outbox;
use crate::refusals::Refusal;
use crate::registry::Registry;
use crate::rules::Rules;

/// The figures of one server. Counts are zero until its `meter` is called, and only grow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// By transport: polling, WebSocket, Server-Sent Events.
    pub transports: [TransportStats; 3],
    /// Sessions that went over from polling to a WebSocket.
    pub upgrades: u64,
    /// How long a connection could not be written to, since its client did not read: from the first byte that had to wait to
    /// when nothing waited any more.
    pub outbox_wait: TimesStats,
    /// Bytes that a client was never sent, since more than [`max_outbox`](crate::Limits::max_outbox) of them waited for it.
    pub dropped_bytes: u64,
    /// What clients did wrong.
    pub faults: [(Fault, u64); Fault::ALL.len()],
    /// Who was not let in.
    pub refused: [(Refusal, u64); Refusal::ALL.len()],
}

/// What goes over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Which.
    pub transport: TransportKind,
    /// Sessions that are on it at present.
    pub open: u64,
    /// Sessions that began on it.
    pub opened: u64,
    /// Sessions that ended on it, by the reason.
    pub closed: [(CloseReason, u64); REASONS.len()],
    /// Messages that came. A packet with attachments is several.
    pub messages_in: u64,
    /// Their bytes, uncompressed and without frames, Engine.IO's packet type included.
    pub bytes_in: u64,
    /// Messages that were handed to connections.
    pub messages_out: u64,
    /// Their bytes, counted as those that came.
    pub bytes_out: u64,
    /// Bytes that wait for clients to take them.
    pub outbox_bytes: u64,
    /// The most that wait for one of them.
    pub outbox_bytes_max: u64,
}

const KINDS: [TransportKind; 3] = [
    TransportKind::Polling,
    TransportKind::WebSocket,
    TransportKind::Sse,
];

const REASONS: [CloseReason; 6] = [
    CloseReason::PingTimeout,
    CloseReason::TransportClose,
    CloseReason::TransportError,
    CloseReason::ParseError,
    CloseReason::ForcedClose,
    CloseReason::ServerShuttingDown,
];

/// What a server counts when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Meter(Lanes<Counts>);

#[derive(Debug, Default)]
struct Counts {
    transports: [TransportCounts; KINDS.len()],
    upgrades: Count,
    outbox_wait: Times,
    dropped_bytes: Count,
}

#[derive(Debug, Default)]
struct TransportCounts {
    opened: Count,
    closed: [Count; REASONS.len()],
    messages_in: Count,
    bytes_in: Count,
    messages_out: Count,
    bytes_out: Count,
}

impl Meter {
    pub(crate) fn opened(&self, transport: TransportKind) {
        self.0
            .lane()
            .add(|counts| &counts.transports[transport as usize].opened, 1);
    }

    pub(crate) fn closed(&self, transport: TransportKind, reason: CloseReason) {
        let lane = self.0.lane();
        let lane = lane.part(|counts| &counts.transports[transport as usize]);
        lane.add(|counts| &counts.closed[reason as usize], 1);
    }

    pub(crate) fn upgraded(&self) {
        self.0.lane().add(|counts| &counts.upgrades, 1);
    }

    #[inline]
    pub(crate) fn received(&self, transport: TransportKind, bytes: usize) {
        let lane = self.0.lane();
        let lane = lane.part(|counts| &counts.transports[transport as usize]);
        lane.add(|counts| &counts.messages_in, 1);
        lane.add(|counts| &counts.bytes_in, bytes as u64);
    }

    #[inline]
    pub(crate) fn sent(&self, transport: TransportKind, messages: usize, bytes: usize) {
        let lane = self.0.lane();
        let lane = lane.part(|counts| &counts.transports[transport as usize]);
        lane.add(|counts| &counts.messages_out, messages as u64);
        lane.add(|counts| &counts.bytes_out, bytes as u64);
    }

    pub(crate) fn waited(&self, since: Stamp) {
        let lane = self.0.lane();
        lane.part(|counts| &counts.outbox_wait).note(since.elapsed());
    }

    pub(crate) fn dropped(&self, bytes: usize) {
        self.0.lane().add(|counts| &counts.dropped_bytes, bytes as u64);
    }
}

/// The figures of the server with these sessions. Each of them is locked for a moment.
pub(crate) fn of(rules: &Rules, registry: &Registry) -> ServerStats {
    let mut transports = KINDS.map(TransportStats::new);
    for outbox in registry.sessions.all() {
        let waiting = outbox.waiting() as u64;
        let stats = &mut transports[outbox.transport() as usize];
        stats.open += 1;
        stats.outbox_bytes += waiting;
        stats.outbox_bytes_max = stats.outbox_bytes_max.max(waiting);
    }
    let mut stats = ServerStats {
        transports,
        upgrades: 0,
        outbox_wait: TimesStats::default(),
        dropped_bytes: 0,
        faults: Fault::ALL.map(|fault| (fault, rules.faults.get(fault))),
        refused: Refusal::ALL.map(|refusal| (refusal, rules.refusals.get(refusal))),
    };
    let Some(Meter(lanes)) = rules.meter.get() else {
        return stats;
    };
    stats.upgrades = lanes.sum(|counts| &counts.upgrades);
    stats.outbox_wait = lanes.iter().map(|counts| &counts.outbox_wait).collect();
    stats.dropped_bytes = lanes.sum(|counts| &counts.dropped_bytes);
    for (at, stats) in stats.transports.iter_mut().enumerate() {
        let sum = |count: fn(&TransportCounts) -> &Count| lanes.sum(|counts| count(&counts.transports[at]));
        stats.opened = sum(|counts| &counts.opened);
        stats.messages_in = sum(|counts| &counts.messages_in);
        stats.bytes_in = sum(|counts| &counts.bytes_in);
        stats.messages_out = sum(|counts| &counts.messages_out);
        stats.bytes_out = sum(|counts| &counts.bytes_out);
        for (reason, closed) in stats.closed.iter_mut().enumerate() {
            closed.1 = lanes.sum(|counts| &counts.transports[at].closed[reason]);
        }
    }
    stats
}

impl TransportStats {
    fn new(transport: TransportKind) -> Self {
        Self {
            transport,
            open: 0,
            opened: 0,
            closed: REASONS.map(|reason| (reason, 0)),
            messages_in: 0,
            bytes_in: 0,
            messages_out: 0,
            bytes_out: 0,
            outbox_bytes: 0,
            outbox_bytes_max: 0,
        }
    }
}

impl Outbox {
    /// Notes a message that came, if anybody wants figures.
    #[inline]
    pub(crate) fn count_received(&self, bytes: usize) {
        if let Some(meter) = self.rules.meter.get() {
            let packet_type = usize::from(self.dialect.has_packets());
            meter.received(self.transport(), bytes + packet_type);
        }
    }

    /// Notes messages that are sent, if anybody wants figures.
    #[inline]
    pub(crate) fn count_sent(&self, messages: impl FnOnce() -> (usize, usize)) {
        if let Some(meter) = self.rules.meter.get() {
            let (messages, bytes) = messages();
            meter.sent(self.transport(), messages, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_reasons_stand_at_their_own_place() {
        for (at, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
        for (at, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
    }
}
