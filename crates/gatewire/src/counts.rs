//! What an application holds for its clients at one moment, counted. It measures nothing over time.

use crate::running::Running;

/// What an application holds for its clients, as [`AppHandle::counts`](crate::AppHandle::counts) tells: all of it is zero, but for
/// the namespaces, when the last client has left and nothing was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Sessions that are open, on every transport, streams of controllers included.
    pub sessions: usize,
    /// Sessions whose deadlines are looked after; one that has ended is among them until its next deadline would be.
    pub timers: usize,
    /// Namespaces that there are.
    pub namespaces: usize,
    /// Sockets: a client is one in each namespace that it has joined.
    pub sockets: usize,
    /// Rooms with somebody in them, without the sockets' own.
    pub rooms: usize,
    /// Answers that clients owe.
    pub pending_acks: usize,
}

impl Counts {
    pub(crate) fn of(running: &Running) -> Self {
        let served = running.served();
        let mut counts = Self {
            sessions: served.clients_count(),
            timers: served.timers_count(),
            ..Self::default()
        };
        for hub in running.hub_stats() {
            counts.pending_acks += hub.acks_pending;
            for namespace in hub.namespaces {
                counts.namespaces += namespace.namespaces;
                counts.sockets += namespace.sockets;
                counts.rooms += namespace.rooms;
            }
        }
        counts
    }
}
