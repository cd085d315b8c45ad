//! Latency at given rates.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::lines::{self, Line, Panel};
use super::svg::{self, line_colour};
use crate::load::latency::Latencies;
use crate::peers::Peer;
use crate::stats::Summary;

/// What is shown of a distribution: these of a hundred are as quick or quicker.
const PERCENTILES: [(f64, &str); 5] = [
    (50.0, "50 %"),
    (90.0, "90 %"),
    (99.0, "99 %"),
    (99.9, "99.9 %"),
    (99.99, "99.99 %"),
];

/// Later than this, the generator is to blame for some of the 99th percentile, in nanoseconds.
const LATE: u64 = 50_000;

/// The latency of every server.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    connections: usize,
    peers: Vec<PeerLatency>,
}

/// The latency of one server.
#[derive(Debug, Serialize)]
pub(crate) struct PeerLatency {
    #[serde(serialize_with = "name")]
    peer: Peer,
    /// Requests a second with one in flight on each connection, in each round.
    peaks: Vec<f64>,
    loads: Vec<Load>,
}

/// The latency at one rate.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    /// Of the peak.
    share: f64,
    /// Requests a second, in each round.
    rates: Vec<f64>,
    #[serde(serialize_with = "microseconds")]
    latency: Histogram<u64>,
    /// By how much requests left too late.
    #[serde(serialize_with = "microseconds")]
    late: Histogram<u64>,
}

impl Latency {
    /// Nothing measured yet.
    pub(crate) fn new(peers: &[Peer], connections: usize) -> Self {
        Self {
            connections,
            peers: peers
                .iter()
                .map(|peer| PeerLatency {
                    peer: *peer,
                    peaks: Vec::new(),
                    loads: Vec::new(),
                })
                .collect(),
        }
    }

    /// Adds a round of one server.
    pub(crate) fn add(&mut self, measured: PeerLatency) {
        let Some(known) = self.peers.iter_mut().find(|known| known.peer == measured.peer) else {
            return;
        };
        known.peaks.extend(measured.peaks);
        if known.loads.is_empty() {
            known.loads = measured.loads;
            return;
        }
        for (known, load) in known.loads.iter_mut().zip(measured.loads) {
            known.rates.extend(load.rates);
            // Of the same range, so nothing can be outside of it.
            let _ = known.latency.add(load.latency);
            let _ = known.late.add(load.late);
        }
    }

    pub(super) fn put_markdown(&self, text: &mut String) {
        let _ = write!(
            text,
            "Requests on {} connections, sent when they are due at 20, 50 and 80 % of the server's own peak, which is what it \
             answers with one in flight on each connection. From the moment at which a request was due to its answer: half of the \
             answers come within p50, all but one of a thousand within p99.9; in µs.\n\n",
            self.connections
        );
        *text += "| | peak a second |";
        for share in ["20 %", "50 %", "80 %"] {
            let _ = write!(text, " {share}: p50 | p99 | p99.9 |");
        }
        let _ = writeln!(text, "\n|---|---:|{}", "---:|".repeat(9));
        for peer in &self.peers {
            let peak = Summary::of(peer.peaks.iter().copied()).map_or(f64::NAN, |peaks| peaks.median);
            let _ = write!(text, "| {} | {peak:.0} |", peer.peer.name);
            for load in &peer.loads {
                let mark = if load.is_late() { " †" } else { "" };
                let of = |percentile| load.microseconds(percentile);
                let _ = write!(
                    text,
                    " {:.0} | {:.0} | {:.0}{mark} |",
                    of(50.0),
                    of(99.0),
                    of(99.9)
                );
            }
            text.push('\n');
        }
        if self.peers.iter().flat_map(|peer| &peer.loads).any(Load::is_late) {
            let _ = writeln!(
                text,
                "\n† One request of a hundred left the generator more than {} µs too late, which counts as latency here.",
                LATE / 1_000
            );
        }
    }

    pub(super) fn plot(&self, circumstances: &str) -> String {
        let loads = self.peers.iter().map(|peer| peer.loads.len()).max().unwrap_or(0);
        let mut svg = svg::start(
            "Latency under load: less is better",
            circumstances,
            loads * lines::HEIGHT,
        );
        for at in 0..loads {
            let share = self.peers.iter().find_map(|peer| Some(peer.loads.get(at)?.share));
            let panel = Panel {
                title: format!(
                    "At {:.0} % of each server's own peak, µs",
                    share.unwrap_or_default() * 100.0
                ),
                places: PERCENTILES.map(|(_, name)| name.to_owned()).to_vec(),
                places_title: "of the answers come within".to_owned(),
                lines: self
                    .peers
                    .iter()
                    .filter_map(|peer| {
                        let load = peer.loads.get(at)?;
                        Some(Line {
                            name: peer.peer.name.to_owned(),
                            colour: line_colour(peer.peer.name),
                            values: PERCENTILES
                                .iter()
                                .map(|(percentile, _)| Some(load.microseconds(*percentile)))
                                .collect(),
                        })
                    })
                    .collect(),
            };
            panel.draw(&mut svg, svg::HEAD + at * lines::HEIGHT);
        }
        svg::end(svg)
    }
}

impl PeerLatency {
    /// One round.
    pub(crate) fn new(peer: Peer, peak: f64, loads: Vec<Load>) -> Self {
        Self {
            peer,
            peaks: vec![peak],
            loads,
        }
    }

    /// One line about it.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!(
            "peak {:.0} per second",
            self.peaks.iter().sum::<f64>() / self.peaks.len() as f64
        );
        for load in &self.loads {
            let of = |percentile| load.microseconds(percentile);
            let _ = write!(
                text,
                "; {:.0} %: p50 {:.0}, p99 {:.0}, p99.9 {:.0} µs",
                load.share * 100.0,
                of(50.0),
                of(99.0),
                of(99.9)
            );
            if load.is_late() {
                let _ = write!(
                    text,
                    " (sent late by {:.0} µs)",
                    load.late.value_at_quantile(0.99) as f64 / 1e3
                );
            }
        }
        text
    }
}

impl Load {
    /// One round.
    pub(crate) fn new(share: f64, rate: f64, latencies: Latencies) -> Self {
        Self {
            share,
            rates: vec![rate],
            latency: latencies.histogram,
            late: latencies.late,
        }
    }

    fn microseconds(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    fn is_late(&self) -> bool {
        self.late.value_at_quantile(0.99) > LATE
    }
}

fn name<S: Serializer>(peer: &Peer, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(peer.name)
}

fn microseconds<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    let of =
        |(percentile, _): (f64, &str)| (percentile, histogram.value_at_percentile(percentile) as f64 / 1e3);
    let maximum = (100.0, histogram.max() as f64 / 1e3);
    let values: Vec<(f64, f64)> = PERCENTILES.into_iter().map(of).chain([maximum]).collect();
    values.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(values: std::ops::RangeInclusive<u64>) -> Load {
        let histogram = || Histogram::new_with_max(60_000_000_000, 3).unwrap();
        let mut latencies = Latencies {
            histogram: histogram(),
            late: histogram(),
        };
        for value in values {
            latencies.histogram.record(value * 1_000).unwrap();
            latencies.late.record(1).unwrap();
        }
        Load::new(0.5, 100.0, latencies)
    }

    #[test]
    fn rounds_are_put_together() {
        let peer: Peer = "gatewire".parse().unwrap();
        let mut latency = Latency::new(&[peer], 100);
        latency.add(PeerLatency::new(peer, 200.0, vec![load(1..=50)]));
        latency.add(PeerLatency::new(peer, 300.0, vec![load(51..=100)]));
        let mut text = String::new();
        latency.put_markdown(&mut text);
        assert!(text.contains("| gatewire | 250 | 50 | 99 | 100 |"), "{text}");
        assert!(!text.contains('†'));
        assert!(latency.plot("here").contains(">99.9 %</text>"));
        let json = serde_json::to_value(&latency).unwrap();
        assert_eq!(json["peers"][0]["peer"], "gatewire");
        assert_eq!(json["peers"][0]["loads"][0]["latency"][5][0], 100.0);
    }
}
