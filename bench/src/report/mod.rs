//! The report: what was measured, gathered by server and mode, as a table to read, as JSON and as a plot.

pub(crate) mod svg;
pub(crate) mod table;

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::cli::RunOptions;
use crate::load::{Mode, Outcome, Plan, Shape};
use crate::peers::Peer;
use crate::stats::Summary;
use crate::system::machine::Machine;

/// One measurement.
pub(crate) struct Measured {
    /// Of which server.
    pub(crate) peer: Peer,
    /// In which mode.
    pub(crate) mode: Mode,
    /// What came out.
    pub(crate) outcome: Outcome,
}

/// One measurement that came to nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// Of which server.
    pub(crate) peer: &'static str,
    /// In which mode.
    pub(crate) mode: &'static str,
    /// In which round.
    pub(crate) round: usize,
    /// Why.
    pub(crate) error: String,
}

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    rounds: usize,
    quick: bool,
    plan: Plan,
    base: &'static str,
    peers: Vec<PeerLine>,
    modes: Vec<ModeTable>,
    failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
struct PeerLine {
    name: &'static str,
    title: &'static str,
    protocol: &'static str,
}

/// All servers in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct ModeTable {
    name: &'static str,
    title: String,
    unit: &'static str,
    shape: Shape,
    cells: Vec<Cell>,
    #[serde(skip)]
    mode: Mode,
}

/// One server in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    peer: &'static str,
    figure: Option<Summary>,
    rounds: Vec<Outcome>,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new(machine: Machine, options: &RunOptions, plan: Plan) -> Self {
        let cells = || {
            let cell = |peer: &Peer| Cell {
                peer: peer.name,
                figure: None,
                rounds: Vec::new(),
            };
            options.peers.iter().map(cell).collect()
        };
        Self {
            machine,
            rounds: options.rounds,
            quick: options.quick,
            plan,
            base: options.base.name,
            peers: options
                .peers
                .iter()
                .map(|peer| PeerLine {
                    name: peer.name,
                    title: peer.title,
                    protocol: peer.flavour.as_str(),
                })
                .collect(),
            modes: options
                .modes
                .iter()
                .map(|&mode| ModeTable {
                    name: mode.as_str(),
                    title: mode.title(mode.shape()),
                    unit: mode.unit(),
                    shape: mode.shape(),
                    cells: cells(),
                    mode,
                })
                .collect(),
            failures: Vec::new(),
        }
    }

    /// Adds a measurement.
    pub(crate) fn add(&mut self, measured: Measured) {
        let cell = self
            .modes
            .iter_mut()
            .filter(|table| table.mode == measured.mode)
            .flat_map(|table| &mut table.cells)
            .find(|cell| cell.peer == measured.peer.name);
        if let Some(cell) = cell {
            cell.rounds.push(measured.outcome);
            cell.figure = Summary::of(cell.rounds.iter().filter_map(|outcome| outcome.figure));
        }
    }

    /// Adds a failure.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// How many measurements failed.
    pub(crate) fn failures(&self) -> usize {
        self.failures.len()
    }

    /// One line on where, when and how.
    fn circumstances(&self) -> String {
        let Machine {
            date,
            processor,
            cpus,
            memory,
            kernel,
        } = &self.machine;
        let rounds = match self.rounds {
            1 => "one round".to_owned(),
            rounds => format!("median of {rounds} rounds"),
        };
        let quick = if self.quick { ", quick" } else { "" };
        format!("{date}, {processor}, {cpus} CPUs, {memory} MiB, {kernel}; {rounds}{quick}")
    }
}

impl ModeTable {
    fn median(&self, peer: &str) -> Option<f64> {
        Some(self.cells.iter().find(|cell| cell.peer == peer)?.figure?.median)
    }

    fn ratio(&self, peer: &str, base: &str) -> Option<f64> {
        let base = self.median(base).filter(|base| *base > 0.0)?;
        Some(self.median(peer)? / base)
    }
}

impl Cell {
    fn middle(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        Some(Summary::of(self.rounds.iter().filter_map(of))?.median)
    }
}

/// Writes `results.json`, `results.md` and `results.svg` into a folder.
pub(crate) fn write(results: &Results, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut json = serde_json::to_string_pretty(results)?;
    json.push('\n');
    fs::write(folder.join("results.json"), json)?;
    fs::write(folder.join("results.md"), table::markdown(results))?;
    fs::write(folder.join("results.svg"), svg::plot(results))
}

/// A figure with about three digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::system::server::Cpus;

    /// A run of two peers in two modes, the second mode without a result for the base.
    pub(crate) fn sample() -> Results {
        let peer = |name: &str| name.parse::<Peer>().unwrap();
        let options = RunOptions {
            peers: vec![peer("gatewire"), peer("socketioxide")],
            modes: vec![Mode::Echo, Mode::Idle],
            rounds: 3,
            quick: false,
            base: peer("socketioxide"),
            out: None,
            cpus: Cpus {
                server: 0,
                generator: 1,
            },
            build: false,
        };
        let machine = Machine {
            date: "2026-01-02".to_owned(),
            processor: "A <fast> one & more".to_owned(),
            cpus: 2,
            memory: 1024,
            kernel: "Linux 6.1".to_owned(),
        };
        let mut results = Results::new(machine, &options, Plan::FULL);
        let outcome = |figure| Outcome {
            figure: Some(figure),
            count: 10,
            per_second: 1_000.0,
            server_share: Some(0.99),
            generator_share: 0.5,
            resident: Some(1 << 20),
            overtaken: 0,
        };
        for (name, mode, figure) in [
            ("gatewire", Mode::Echo, 4.0),
            ("gatewire", Mode::Echo, 9.0),
            ("gatewire", Mode::Echo, 3.0),
            ("socketioxide", Mode::Echo, 8.0),
            ("gatewire", Mode::Idle, 2_000.0),
        ] {
            results.add(Measured {
                peer: peer(name),
                mode,
                outcome: outcome(figure),
            });
        }
        results.fail(Failure {
            peer: "socketioxide",
            mode: "idle",
            round: 1,
            error: "gone\nand more".to_owned(),
        });
        results
    }

    #[test]
    fn the_figure_is_the_median_and_the_ratio_is_to_the_base() {
        let results = sample();
        assert_eq!(results.modes[0].median("gatewire"), Some(4.0));
        assert_eq!(results.modes[0].ratio("gatewire", "socketioxide"), Some(0.5));
        assert_eq!(results.modes[0].ratio("socketioxide", "socketioxide"), Some(1.0));
        assert_eq!(
            results.modes[1].ratio("gatewire", "socketioxide"),
            None,
            "the base has no result"
        );
        assert_eq!(results.failures(), 1);
    }

    #[test]
    fn the_json_is_whole() {
        let value = serde_json::to_value(sample()).unwrap();
        assert_eq!(value["modes"][0]["cells"][0]["figure"]["median"], 4.0);
        assert_eq!(
            value["modes"][0]["cells"][0]["rounds"].as_array().unwrap().len(),
            3
        );
        assert_eq!(value["modes"][1]["cells"][1]["figure"], serde_json::Value::Null);
        assert_eq!(value["base"], "socketioxide");
        assert_eq!(value["failures"][0]["peer"], "socketioxide");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.4567, "0.46"),
            (9.99, "9.99"),
            (12.34, "12.3"),
            (137_000.4, "137000"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
