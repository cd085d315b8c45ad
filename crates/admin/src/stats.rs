//! The statistics: counters that every message adds to, worked off once a second and told every other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gatewire_hub::{
    ConnectionObserver, DisconnectReason, Io, ObservedConnection, TransportKind, WeakIo, task,
};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::date;

/// What has happened since the last look, and what is.
#[derive(Default)]
pub(crate) struct Counters {
    clients: AtomicI64,
    polling_clients: AtomicI64,
    connections: AtomicU64,
    packets_in: AtomicU64,
    packets_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// By reason. Few a second, beside the packets.
    disconnections: Mutex<BTreeMap<&'static str, u64>>,
}

impl ConnectionObserver for Counters {
    fn opened(&self, connection: &ObservedConnection) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.clients.fetch_add(1, Ordering::Relaxed);
        if connection.transport() == TransportKind::Polling {
            self.polling_clients.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn upgraded(&self, connection: &ObservedConnection) {
        if connection.transport() != TransportKind::Polling {
            self.polling_clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn received(&self, _: &ObservedConnection, bytes: usize) {
        self.packets_in.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn sent(&self, _: &ObservedConnection, bytes: usize) {
        self.packets_out.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn closed(&self, connection: &ObservedConnection, reason: DisconnectReason) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        if connection.transport() == TransportKind::Polling {
            self.polling_clients.fetch_sub(1, Ordering::Relaxed);
        }
        let mut disconnections = self.disconnections.lock().unwrap_or_else(PoisonError::into_inner);
        *disconnections.entry(reason.as_str()).or_default() += 1;
    }
}

/// What happened in one second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Aggregated {
    /// Its beginning, in milliseconds since 1970.
    timestamp: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_type: Option<&'static str>,
    count: u64,
}

impl Counters {
    /// Moves what was counted in the second that began at `timestamp` to `events`.
    fn drain(&self, timestamp: u64, events: &mut Vec<Aggregated>) {
        let counters = [
            ("rawConnection", &self.connections),
            ("packetsIn", &self.packets_in),
            ("bytesIn", &self.bytes_in),
            ("packetsOut", &self.packets_out),
            ("bytesOut", &self.bytes_out),
        ];
        let mut push = |kind, sub_type, count| {
            events.push(Aggregated {
                timestamp,
                kind,
                sub_type,
                count,
            });
        };
        for (kind, counter) in counters {
            let count = counter.swap(0, Ordering::Relaxed);
            if count > 0 {
                push(kind, None, count);
            }
        }
        let disconnections =
            std::mem::take(&mut *self.disconnections.lock().unwrap_or_else(PoisonError::into_inner));
        for (reason, count) in disconnections {
            push("rawDisconnection", Some(reason), count);
        }
    }
}

/// `server_stats`, as admins get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerStats<'a> {
    server_id: &'a str,
    hostname: &'a str,
    pid: u32,
    /// Seconds since the server was instrumented.
    uptime: f64,
    clients_count: i64,
    polling_clients_count: i64,
    aggregated_events: Vec<Aggregated>,
    namespaces: Vec<NamespaceStats>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceStats {
    name: String,
    sockets_count: usize,
}

/// Tells the statistics for as long as there is the server.
pub(crate) struct Teller {
    pub(crate) io: WeakIo,
    pub(crate) admin: Arc<str>,
    pub(crate) server_id: Option<String>,
    pub(crate) counters: Arc<Counters>,
}

/// How often counters are worked off; the statistics are told every second time.
const TICK: Duration = Duration::from_secs(1);

impl Teller {
    pub(crate) fn start(self, runtime: &Handle) {
        task::spawn_on(runtime, "gatewire admin statistics", self.run());
    }

    async fn run(self) {
        let hostname = gethostname::gethostname().to_string_lossy().into_owned();
        let pid = std::process::id();
        let is_clustered = self.io.upgrade().is_some_and(|io| io.is_clustered());
        let server_id = self.server_id.clone().unwrap_or_else(|| {
            if is_clustered {
                format!("{hostname}#{pid}")
            } else {
                hostname.clone()
            }
        });
        let started = Instant::now();
        let mut second = second_of(date::now_ms());
        let into_second = Duration::from_millis(date::now_ms() - second);
        let mut ticks = interval_at(started + TICK.saturating_sub(into_second), TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut events = Vec::new();
        let mut is_due = false;
        loop {
            ticks.tick().await;
            let Some(io) = self.io.upgrade() else {
                return;
            };
            self.counters.drain(second, &mut events);
            second = second_of(date::now_ms());
            is_due = !is_due;
            if !is_due {
                continue;
            }
            let Some(admin) = io.get(&self.admin) else {
                return;
            };
            let stats = ServerStats {
                server_id: &server_id,
                hostname: &hostname,
                pid,
                uptime: started.elapsed().as_secs_f64(),
                clients_count: self.counters.clients.load(Ordering::Relaxed),
                polling_clients_count: self.counters.polling_clients.load(Ordering::Relaxed),
                aggregated_events: std::mem::take(&mut events),
                namespaces: namespaces(&io),
            };
            admin.emit("server_stats", &stats);
        }
    }
}

fn second_of(ms: u64) -> u64 {
    ms - ms % 1_000
}

fn namespaces(io: &Io) -> Vec<NamespaceStats> {
    let mut namespaces: Vec<_> = io
        .namespaces()
        .iter()
        .map(|namespace| NamespaceStats {
            name: namespace.name().to_owned(),
            sockets_count: namespace.len(),
        })
        .collect();
    namespaces.sort_by(|one, other| one.name.cmp(&other.name));
    namespaces
}
