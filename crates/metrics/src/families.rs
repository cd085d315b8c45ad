//! What the figures are called: each metric with its name, its help and its kind, and the samples of all of them. A server or
//! namespace that there is several times with the same labels has one sample.

use gatewire::watch::{AppStats, ClusterStatus, HandlerStats, HubStats, ServerKind, ServerStats, TimesStats};
use metrics::Unit;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric with its samples.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) definition: &'static Definition,
    pub(crate) samples: Vec<(Labels, Value)>,
}

pub(crate) type Labels = Vec<(&'static str, String)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Count(u64),
    Level(f64),
    Times(TimesStats),
}

impl Definition {
    /// As the name says.
    pub(crate) fn unit(&self) -> Option<Unit> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        if name.ends_with("_seconds") {
            Some(Unit::Seconds)
        } else if name.contains("_bytes") {
            Some(Unit::Bytes)
        } else {
            None
        }
    }
}

macro_rules! definitions {
    ($($constant:ident: $kind:ident $name:literal, $help:literal;)*) => {
        $(pub(crate) const $constant: Definition = Definition { name: $name, help: $help, kind: Kind::$kind };)*
        /// All metrics, in the order in which they are written.
        pub(crate) const DEFINITIONS: &[Definition] = &[$($constant),*];
    };
}

definitions! {
    ACCEPTING: Gauge "gatewire_accepting", "Whether the application takes clients.";
    CONNECTIONS: Gauge "gatewire_connections", "Connections that are open.";
    OPENED: Counter "gatewire_connections_opened_total", "Connections that were opened.";
    CLOSED: Counter "gatewire_connections_closed_total", "Connections that have ended, by the reason.";
    UPGRADES: Counter "gatewire_upgrades_total", "Connections that went over from polling to a WebSocket.";
    RECEIVED: Counter "gatewire_messages_received_total", "Messages that came from clients.";
    SENT: Counter "gatewire_messages_sent_total", "Messages that were handed to connections.";
    RECEIVED_BYTES: Counter "gatewire_received_bytes_total", "Bytes of the messages that came, uncompressed and without frames.";
    SENT_BYTES: Counter "gatewire_sent_bytes_total", "Bytes of the messages that were handed to connections, uncompressed and without frames.";
    OUTBOX_BYTES: Gauge "gatewire_outbox_bytes", "Bytes that wait for clients to take them.";
    OUTBOX_BYTES_MAX: Gauge "gatewire_outbox_bytes_max", "Bytes that wait for the client for which most wait.";
    DROPPED: Counter "gatewire_dropped_messages_total", "Messages that a receiver did not get, by the reason.";
    DROPPED_BYTES: Counter "gatewire_dropped_bytes_total", "Bytes that waited for clients whose connection was closed, since they took too little.";
    REFUSED: Counter "gatewire_refused_total", "Requests and clients that were not let in, by where and why.";
    FAULTS: Counter "gatewire_faults_total", "What clients did wrong, by kind.";
    QUEUE_SECONDS: Histogram "gatewire_queue_seconds", "How long events waited for their handler, and connections for their client to read.";
    HANDLER_SECONDS: Histogram "gatewire_handler_seconds", "How long the handlers of gateways took.";
    GUARDED: Counter "gatewire_guarded_total", "Events that a guard kept from their handler.";
    UNKNOWN_EVENTS: Counter "gatewire_unknown_events_total", "Events that no handler is subscribed to.";
    HTTP_HANDLER_SECONDS: Histogram "gatewire_http_handler_seconds", "How long the handlers of controllers took.";
    HTTP_GUARDED: Counter "gatewire_http_guarded_total", "Requests that a guard kept from their handler.";
    NAMESPACES: Gauge "gatewire_namespaces", "Namespaces that there are.";
    SOCKETS: Gauge "gatewire_sockets", "Sockets in the namespaces.";
    ROOMS: Gauge "gatewire_rooms", "Rooms in the namespaces.";
    ACKS_ASKED: Counter "gatewire_acks_asked_total", "Acknowledgements that clients were asked for.";
    ACKS_TIMED_OUT: Counter "gatewire_acks_timed_out_total", "Acknowledgements that did not come in time.";
    ACKS_PENDING: Gauge "gatewire_acks_pending", "Acknowledgements that are awaited.";
    CLUSTER_CONNECTED: Gauge "gatewire_cluster_connected", "Whether the cluster is within reach.";
    CLUSTER_OUTAGES: Counter "gatewire_cluster_outages_total", "How often the cluster was out of reach.";
    CLUSTER_NODES: Gauge "gatewire_cluster_nodes", "Nodes of the cluster, this one included.";
    CLUSTER_SILENCE: Gauge "gatewire_cluster_silence_seconds", "How long ago the node was heard that has been silent for the longest time.";
    CLUSTER_LAG: Gauge "gatewire_cluster_lag_seconds", "How long a message took lately from when it was to be sent to when the broker had taken it.";
    CLUSTER_QUEUE: Gauge "gatewire_cluster_queue", "Messages to the cluster that wait to be sent.";
    CLUSTER_SENT: Counter "gatewire_cluster_sent_total", "Messages that were sent to the cluster.";
    CLUSTER_RECEIVED: Counter "gatewire_cluster_received_total", "Messages that came from the cluster.";
    CLUSTER_LOST: Counter "gatewire_cluster_lost_total", "Messages to the cluster that were not sent.";
    CLUSTER_MALFORMED: Counter "gatewire_cluster_malformed_total", "Messages from the cluster that could not be read.";
}

/// The figures by their names.
pub(crate) fn families(stats: &AppStats) -> Vec<Family> {
    let mut families = Families(DEFINITIONS.iter().map(Family::new).collect());
    families.level(&ACCEPTING, &[], f64::from(u8::from(stats.is_accepting)));
    for (served, server) in &stats.servers {
        families.add_server(*served, server);
    }
    for hub in &stats.hubs {
        families.add_hub(hub);
    }
    for handler in &stats.handlers {
        families.add_handler(handler);
    }
    for (reason, count) in [
        ("guard", stats.refused_by_guard),
        ("handle_connection", stats.refused_by_hook),
        ("connect_limit", stats.refused_late),
    ] {
        families.count(&REFUSED, &[("at", "gateway"), ("reason", reason)], count);
    }
    families.count(&UNKNOWN_EVENTS, &[], stats.unknown_events);
    // The servers of a process share what connects them.
    if let Some(cluster) = stats.hubs.iter().find_map(|hub| hub.cluster.as_ref()) {
        families.add_cluster(cluster);
    }
    families.0
}

struct Families(Vec<Family>);

impl Family {
    fn new(definition: &'static Definition) -> Self {
        Self {
            definition,
            samples: Vec::new(),
        }
    }
}

impl Families {
    fn add_server(&mut self, served: ServerKind, stats: &ServerStats) {
        let server = ("server", served.as_str());
        for figures in &stats.transports {
            if !has(served, figures.transport.as_str()) {
                continue;
            }
            let labels = &[server, ("transport", figures.transport.as_str())];
            self.level(&CONNECTIONS, labels, level(figures.open));
            self.count(&OPENED, labels, figures.opened);
            for (reason, count) in figures.closed {
                self.count(
                    &CLOSED,
                    &[labels[0], labels[1], ("reason", reason.as_str())],
                    count,
                );
            }
            self.count(&RECEIVED, labels, figures.messages_in);
            self.count(&SENT, labels, figures.messages_out);
            self.count(&RECEIVED_BYTES, labels, figures.bytes_in);
            self.count(&SENT_BYTES, labels, figures.bytes_out);
            self.level(&OUTBOX_BYTES, labels, level(figures.outbox_bytes));
            self.most(&OUTBOX_BYTES_MAX, labels, level(figures.outbox_bytes_max));
        }
        if served == ServerKind::SocketIo {
            self.count(&UPGRADES, &[server], stats.upgrades);
        }
        self.count(&DROPPED_BYTES, &[server], stats.dropped_bytes);
        for (refusal, count) in stats.refused {
            self.count(
                &REFUSED,
                &[("at", served.as_str()), ("reason", refusal.as_str())],
                count,
            );
        }
        for (fault, count) in stats.faults {
            self.count(&FAULTS, &[server, ("kind", fault.as_str())], count);
        }
        self.times(&QUEUE_SECONDS, &[("queue", "outbox")], &stats.outbox_wait);
    }

    fn add_hub(&mut self, stats: &HubStats) {
        for namespace in &stats.namespaces {
            let labels = &[("namespace", &*namespace.name)];
            self.level(&NAMESPACES, labels, level(namespace.namespaces as u64));
            self.level(&SOCKETS, labels, level(namespace.sockets as u64));
            self.level(&ROOMS, labels, level(namespace.rooms as u64));
        }
        self.count(&DROPPED, &[("reason", "volatile")], stats.dropped_volatile);
        self.count(&DROPPED, &[("reason", "max_held")], stats.dropped_held);
        self.count(&DROPPED, &[("reason", "max_fanout_queue")], stats.dropped_fanout);
        self.count(&ACKS_ASKED, &[], stats.acks_asked);
        self.count(&ACKS_TIMED_OUT, &[], stats.acks_timed_out);
        self.level(&ACKS_PENDING, &[], level(stats.acks_pending as u64));
        self.times(&QUEUE_SECONDS, &[("queue", "mailbox")], &stats.mailbox_wait);
    }

    fn add_handler(&mut self, stats: &HandlerStats) {
        let HandlerStats {
            owner,
            handler,
            pattern,
            ..
        } = stats;
        if let Some(method) = &stats.method {
            let labels = &[
                ("controller", *owner),
                ("handler", *handler),
                ("method", method),
                ("path", pattern),
            ];
            self.times(&HTTP_HANDLER_SECONDS, labels, &stats.times);
            self.count(&HTTP_GUARDED, labels, stats.guarded);
        } else {
            let labels = &[("gateway", *owner), ("handler", *handler), ("event", pattern)];
            self.times(&HANDLER_SECONDS, labels, &stats.times);
            self.count(&GUARDED, labels, stats.guarded);
        }
    }

    fn add_cluster(&mut self, status: &ClusterStatus) {
        self.level(&CLUSTER_CONNECTED, &[], f64::from(u8::from(status.is_connected)));
        self.count(&CLUSTER_OUTAGES, &[], status.outages);
        if let Some(nodes) = status.nodes {
            self.level(&CLUSTER_NODES, &[], level(nodes as u64));
        }
        if let Some((_, silence)) = status.heard.first() {
            self.level(&CLUSTER_SILENCE, &[], silence.as_secs_f64());
        }
        if let Some(lag) = status.lag {
            self.level(&CLUSTER_LAG, &[], lag.as_secs_f64());
        }
        self.level(&CLUSTER_QUEUE, &[], level(status.queued as u64));
        self.count(&CLUSTER_SENT, &[], status.sent);
        self.count(&CLUSTER_RECEIVED, &[], status.received);
        self.count(&CLUSTER_LOST, &[], status.lost);
        self.count(&CLUSTER_MALFORMED, &[], status.malformed);
    }

    fn count(&mut self, definition: &Definition, labels: &[(&'static str, &str)], count: u64) {
        self.sample(definition, labels, Value::Count(count), |value| {
            if let Value::Count(sum) = value {
                *sum += count;
            }
        });
    }

    fn level(&mut self, definition: &Definition, labels: &[(&'static str, &str)], level: f64) {
        self.sample(definition, labels, Value::Level(level), |value| {
            if let Value::Level(sum) = value {
                *sum += level;
            }
        });
    }

    fn most(&mut self, definition: &Definition, labels: &[(&'static str, &str)], level: f64) {
        self.sample(definition, labels, Value::Level(level), |value| {
            if let Value::Level(most) = value {
                *most = most.max(level);
            }
        });
    }

    fn times(&mut self, definition: &Definition, labels: &[(&'static str, &str)], times: &TimesStats) {
        self.sample(definition, labels, Value::Times(times.clone()), |value| {
            if let Value::Times(sum) = value {
                *sum = [std::mem::take(sum), times.clone()].into_iter().collect();
            }
        });
    }

    /// Adds a sample, or `merge`s it with the one that has the same labels.
    fn sample(
        &mut self,
        definition: &Definition,
        labels: &[(&'static str, &str)],
        value: Value,
        merge: impl FnOnce(&mut Value),
    ) {
        let families = &mut self.0;
        let Some(family) = families.iter_mut().find(|family| family.definition == definition) else {
            return;
        };
        let is_same = |other: &Labels| {
            other
                .iter()
                .map(|(label, value)| (*label, &**value))
                .eq(labels.iter().copied())
        };
        match family.samples.iter_mut().find(|(other, _)| is_same(other)) {
            Some((_, sum)) => merge(sum),
            None => {
                let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned()));
                family.samples.push((labels.collect(), value));
            }
        }
    }
}

/// Whether a server of that kind has the transport.
fn has(served: ServerKind, transport: &str) -> bool {
    match served {
        ServerKind::SocketIo => transport != "sse",
        ServerKind::Ws => transport == "websocket",
        _ => transport == "sse",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody has more than 2^53 of anything here"
)]
fn level(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_once_and_is_in_the_guide() {
        let guide = include_str!("../../../docs/observability.md");
        for (at, definition) in DEFINITIONS.iter().enumerate() {
            let name = definition.name;
            assert!(
                guide.contains(&format!("| `{name}` |")),
                "{name} is not in the guide"
            );
            assert!(DEFINITIONS[..at].iter().all(|other| other.name != name), "{name}");
            assert_eq!(
                definition.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_there_is_several_times_is_added_up() {
        let mut stats = AppStats::default();
        stats.hubs = vec![HubStats::default(), HubStats::default()];
        stats.hubs[0].acks_asked = 3;
        stats.hubs[1].acks_asked = 4;
        stats.hubs[0].mailbox_wait.ranges[1] = 1;
        stats.hubs[1].mailbox_wait.ranges[1] = 2;
        let families = families(&stats);
        let find = |definition: &Definition| {
            let family = families.iter().find(|family| family.definition == definition);
            family.map(|family| &*family.samples).unwrap_or_default()
        };
        assert_eq!(find(&ACKS_ASKED), [(vec![], Value::Count(7))]);
        let [(_, Value::Times(wait))] = find(&QUEUE_SECONDS) else {
            panic!("one sample");
        };
        assert_eq!(wait.ranges[1], 3);
    }
}
