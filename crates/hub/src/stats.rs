//! The figures of one server: who is in its namespaces, what was dropped, which answers are awaited, and how long events
//! waited for their turn.

use std::collections::BTreeMap;

use crate::cluster::ClusterStatus;
use crate::dynamic::Accepts;
use crate::meter::{Count, Lanes, Times, TimesStats};
use crate::{Io, Namespace};

/// The figures of one server, as [`Io::stats`] gives them. Counts are zero until [`Io::meter`] is called, and only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// The namespaces, by name.
    pub namespaces: Vec<NamespaceStats>,
    /// Volatile messages that a receiver did not get, since others waited for it; one for each receiver.
    pub dropped_volatile: u64,
    /// Messages for a socket whose CONNECT was not answered yet, above [`max_held`](crate::HubConfig::max_held).
    pub dropped_held: u64,
    /// Messages that were dropped, since [`max_fanout_queue`](crate::HubConfig::max_fanout_queue) others waited; one for each
    /// receiver.
    pub dropped_fanout: u64,
    /// Answers that clients were asked for, one for each receiver.
    pub acks_asked: u64,
    /// Those that are awaited at present.
    pub acks_pending: usize,
    /// Those that did not come in time.
    pub acks_timed_out: u64,
    /// How long events waited in their socket's mailbox, since a handler still ran or CONNECT was not answered. Events that
    /// did not have to wait are not among them.
    pub mailbox_wait: TimesStats,
    /// How the server's place in its cluster is; `None` if it has none.
    pub cluster: Option<ClusterStatus>,
}

/// Namespaces of one name, or all those of one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceStats {
    /// The name; for those that came into being by a pattern, the pattern (`/room-:id`), and `dynamic` for those that another
    /// parent let in. So there are not more of them than the program has named.
    pub name: Box<str>,
    /// How many there are.
    pub namespaces: usize,
    /// The sockets in them.
    pub sockets: usize,
    /// The rooms in them, the sockets' own not counted.
    pub rooms: usize,
}

/// What a server counts when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) lanes: Lanes<Counts>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dropped_volatile: Count,
    pub(crate) dropped_held: Count,
    pub(crate) dropped_fanout: Count,
    pub(crate) acks_asked: Count,
    pub(crate) acks_timed_out: Count,
    pub(crate) mailbox_wait: Times,
}

impl Meter {
    pub(crate) fn count(&self, count: impl FnOnce(&Counts) -> &Count, by: usize) {
        self.lanes.lane().add(count, by as u64);
    }
}

impl Io {
    /// From now on the server counts what [`stats`](Self::stats) gives.
    pub fn meter(&self) {
        self.set_meter();
    }

    /// The figures of the server. Each namespace and socket is locked for a moment: to be asked for now and then.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let mut stats = HubStats {
            namespaces: self.namespace_stats(),
            acks_pending: self.namespaces().iter().map(Namespace::pending_acks).sum(),
            cluster: self.cluster_status(),
            ..HubStats::default()
        };
        let Some(Meter { lanes }) = self.metered() else {
            return stats;
        };
        stats.dropped_volatile = lanes.sum(|counts| &counts.dropped_volatile);
        stats.dropped_held = lanes.sum(|counts| &counts.dropped_held);
        stats.dropped_fanout = lanes.sum(|counts| &counts.dropped_fanout);
        stats.acks_asked = lanes.sum(|counts| &counts.acks_asked);
        stats.acks_timed_out = lanes.sum(|counts| &counts.acks_timed_out);
        stats.mailbox_wait = lanes.iter().map(|counts| &counts.mailbox_wait).collect();
        stats
    }

    /// How the server's place in its cluster is; `None` if it has none.
    #[must_use]
    pub fn cluster_status(&self) -> Option<ClusterStatus> {
        self.cluster().map(|cluster| cluster.status())
    }

    fn namespace_stats(&self) -> Vec<NamespaceStats> {
        let mut by_name = BTreeMap::<String, NamespaceStats>::new();
        for namespace in self.namespaces() {
            let name = label(&namespace);
            let (sockets, rooms) = namespace.size();
            let stats = by_name.entry(name.clone()).or_insert_with(|| NamespaceStats {
                name: name.into(),
                namespaces: 0,
                sockets: 0,
                rooms: 0,
            });
            stats.namespaces += 1;
            stats.sockets += sockets;
            stats.rooms += rooms;
        }
        by_name.into_values().collect()
    }
}

/// Clients may choose the names of children.
fn label(namespace: &Namespace) -> String {
    match namespace.parent().map(|parent| &parent.accepts) {
        None => namespace.name().to_owned(),
        Some(Accepts::Pattern(pattern)) => pattern.to_string(),
        Some(_) => "dynamic".to_owned(),
    }
}
