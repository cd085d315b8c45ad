//! The report: what was measured, as tables to read, as JSON and as plots.

mod bars;
pub(crate) mod footprint;
mod goals;
pub(crate) mod growth;
pub(crate) mod latency;
mod lines;
pub(crate) mod side_by_side;
mod svg;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::cli::RunOptions;
use crate::load::Plan;
use crate::system::machine::Machine;
use footprint::Footprint;
use growth::Growth;
use latency::Latency;
use side_by_side::SideBySide;

/// One measurement that came to nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// Of which server.
    pub(crate) peer: &'static str,
    /// In which mode, or what else.
    pub(crate) what: String,
    /// In which round.
    pub(crate) round: usize,
    /// Why.
    pub(crate) error: String,
}

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    command: String,
    rounds: usize,
    quick: bool,
    plan: Plan,
    /// Every server in every mode.
    pub(crate) modes: Option<SideBySide>,
    /// One thread and two.
    pub(crate) workers: Option<SideBySide>,
    /// Latency at given rates.
    pub(crate) latency: Option<Latency>,
    /// More connections, rooms, namespaces.
    pub(crate) growth: Vec<Growth>,
    /// Build times and sizes.
    pub(crate) footprint: Option<Footprint>,
    failures: Vec<Failure>,
}

impl Report {
    /// Nothing measured yet.
    pub(crate) fn new(machine: Machine, options: &RunOptions, plan: Plan) -> Self {
        Self {
            machine,
            command: options.command.clone(),
            rounds: options.rounds,
            quick: options.quick,
            plan,
            modes: None,
            workers: None,
            latency: None,
            growth: Vec::new(),
            footprint: None,
            failures: Vec::new(),
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

    /// The whole report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# Benchmark\n\n{}.\n\n", self.circumstances());
        let _ = write!(text, "```sh\n{}\n```\n", self.command);
        for failure in &self.failures {
            let error = failure.error.lines().next().unwrap_or_default();
            let _ = write!(
                text,
                "\nFAILED in round {}: {} in {}: {error}\n",
                failure.round, failure.peer, failure.what
            );
        }
        goals::put_markdown(&mut text, self);
        if let Some(modes) = &self.modes {
            text += "\n## Cost\n\n";
            modes.put_markdown(&mut text);
        }
        if let Some(workers) = &self.workers {
            text += "\n## Two threads instead of one\n\nThe servers have both CPUs, and share one of them with the generator.\n\n";
            workers.put_markdown(&mut text);
        }
        if let Some(latency) = &self.latency {
            text += "\n## Latency\n\n";
            latency.put_markdown(&mut text);
        }
        if !self.growth.is_empty() {
            text += "\n## Growth\n";
            for growth in &self.growth {
                growth.put_markdown(&mut text);
            }
        }
        if let Some(footprint) = &self.footprint {
            text += "\n## Build time and size\n\n";
            footprint.put_markdown(&mut text);
        }
        text
    }
}

/// Writes `results.json`, `results.md` and the plots that there are figures for into a folder.
pub(crate) fn write(report: &Report, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    fs::write(folder.join("results.json"), json)?;
    fs::write(folder.join("results.md"), report.markdown())?;
    let circumstances = report.circumstances();
    if let Some(modes) = &report.modes {
        fs::write(folder.join("results.svg"), bars::plot(modes, &circumstances))?;
    }
    if let Some(latency) = &report.latency {
        fs::write(folder.join("latency.svg"), latency.plot(&circumstances))?;
    }
    if !report.growth.is_empty() {
        fs::write(
            folder.join("growth.svg"),
            growth::plot(&report.growth, &circumstances),
        )?;
    }
    Ok(())
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
mod tests {
    use super::*;

    fn sample() -> Report {
        Report {
            machine: Machine {
                date: "2026-01-02".to_owned(),
                processor: "A <fast> one & more".to_owned(),
                cpus: 2,
                memory: 1024,
                kernel: "Linux 6.1".to_owned(),
            },
            command: "cargo xtask bench".to_owned(),
            rounds: 3,
            quick: false,
            plan: Plan::FULL,
            modes: Some(side_by_side::tests::sample()),
            workers: None,
            latency: None,
            growth: Vec::new(),
            footprint: None,
            failures: vec![Failure {
                peer: "socketioxide",
                what: "idle".to_owned(),
                round: 1,
                error: "gone\nand more".to_owned(),
            }],
        }
    }

    #[test]
    fn the_report_says_where_and_how_and_what_failed() {
        let text = sample().markdown();
        for line in [
            "2026-01-02, A <fast> one & more, 2 CPUs, 1024 MiB, Linux 6.1; median of 3 rounds.",
            "cargo xtask bench",
            "FAILED in round 1: socketioxide in idle: gone",
            "## Cost",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nnot in\n{text}");
        }
        assert_eq!(sample().failures(), 1);
    }

    #[test]
    fn the_json_is_whole() {
        let value = serde_json::to_value(sample()).unwrap();
        let cell = &value["modes"]["modes"][0]["cells"][0];
        assert_eq!(cell["figure"]["median"], 4.0);
        assert_eq!(cell["rounds"].as_array().unwrap().len(), 3);
        assert_eq!(
            value["modes"]["modes"][1]["cells"][1]["figure"],
            serde_json::Value::Null
        );
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
