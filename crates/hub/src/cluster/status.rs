//! How a node of a cluster is, for those who watch it.

use std::time::Duration;

/// The state of one node, as far as its adapter knows it. Counts only grow, and are those of what carries the messages: the
/// servers of one process that share it tell the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// Whether messages can be sent at present: false while the broker is out of reach.
    pub is_connected: bool,
    /// How often it was out of reach.
    pub outages: u64,
    /// Nodes that are known, this one included; `None` if the adapter does not keep count.
    pub nodes: Option<usize>,
    /// The other nodes by their names, and how long ago each was heard; the longest silence first. A node that has nothing to
    /// say may be silent for long, and one of which nothing was heard for ten minutes is not told of. Empty if the adapter
    /// does not keep that.
    pub heard: Vec<(Box<str>, Duration)>,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// How long the oldest message of the last batch took, from when it was to be sent to when the broker had taken it; `None`
    /// if there was none, or there is no broker.
    pub lag: Option<Duration>,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that came.
    pub received: u64,
    /// Messages that were to be sent and were not.
    pub lost: u64,
    /// Messages that came and could not be read.
    pub malformed: u64,
}

impl Default for ClusterStatus {
    /// Connected; nothing else is known.
    fn default() -> Self {
        Self {
            is_connected: true,
            outages: 0,
            nodes: None,
            heard: Vec::new(),
            queued: 0,
            lag: None,
            sent: 0,
            received: 0,
            lost: 0,
            malformed: 0,
        }
    }
}
