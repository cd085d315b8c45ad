//! The two commands: all servers in turn, and one server that already runs.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

use crate::cli::{LoadOptions, RunOptions};
use crate::cluster::ClusterError;
use crate::load::{self, LoadError, Mode, Outcome, Plan};
use crate::parts::Bench;
use crate::peers::{self, BuildError};
use crate::report::{self, Report};
use crate::slow::SlowError;
use crate::soak::SoakError;
use crate::system::affinity;
use crate::system::machine::Machine;
use crate::system::probe::Probe;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// Nothing to measure.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// The load itself.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Not enough descriptors.
    #[error("idle needs {needed} open files, the limit is {limit}: raise it with `ulimit -n {needed}`")]
    OpenFiles {
        /// How many.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The nodes of a cluster, or what is between them.
    #[error("{0}")]
    Cluster(#[source] ClusterError),
    /// Slow receivers.
    #[error("{0}")]
    Slow(#[source] SlowError),
    /// A peer that there is not.
    #[error("{0}")]
    Peer(String),
    /// A soak.
    #[error("{0}")]
    Soak(#[source] SoakError),
    /// Pinning or limits.
    #[error("the system refused CPU pinning or its limits: {0}")]
    System(#[source] io::Error),
    /// The results are lost.
    #[error("cannot write the results to {folder}: {source}")]
    Write {
        /// Where to.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// Some results are missing.
    #[error("{0} of the measurements failed, see above")]
    Incomplete(usize),
}

/// Measures the peers and writes the report, after each part, so that a run that is cut short leaves what it had.
pub(crate) fn run(options: &RunOptions) -> Result<(), RunError> {
    if options.build {
        peers::build(&options.peers)?;
    }
    check_open_files(&options.modes)?;
    // Before pinning: afterwards only one CPU is to be seen.
    let machine = Machine::here();
    affinity::pin(&[options.cpus.generator]).map_err(RunError::System)?;
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    let folder = options.out.clone().unwrap_or_else(|| default_folder(options));
    let started = Instant::now();
    let mut bench = Bench {
        options,
        plan,
        report: Report::new(machine, options, plan),
    };
    for part in &options.parts {
        bench.run(*part);
        report::write(&bench.report, &folder).map_err(|source| RunError::Write {
            folder: folder.display().to_string(),
            source,
        })?;
        let minutes = started.elapsed().as_secs_f64() / 60.0;
        eprintln!("{} done, {minutes:.1} minutes so far", part.as_str());
    }
    println!("{}", bench.report.markdown());
    eprintln!("written to {}", folder.display());
    match bench.report.failures() {
        0 => Ok(()),
        failures => Err(RunError::Incomplete(failures)),
    }
}

/// Loads one server.
pub(crate) fn load(options: &LoadOptions) -> Result<(), RunError> {
    affinity::raise_open_files().map_err(RunError::System)?;
    let probe = Probe { pid: options.pid };
    let LoadOptions {
        mode,
        shape,
        target,
        ref plan,
        ..
    } = *options;
    println!("{} ({})", mode.title(shape), target.flavour.as_str());
    let outcome = load::run(mode, shape, target, plan, &probe)?;
    println!("{}", describe(mode, &outcome));
    Ok(())
}

/// One line about one measurement.
pub(crate) fn describe(mode: Mode, outcome: &Outcome) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut text = outcome.figure.map_or_else(String::new, |figure| {
        format!("{} {}", report::number(figure), mode.unit())
    });
    if mode.is_idle() {
        if let Some(share) = outcome.server_share {
            text += &format!(", {:.2} ms CPU per second while held", share * 1_000.0);
        }
        return text;
    }
    if !text.is_empty() {
        text += ", ";
    }
    text += &format!("{:.0}{} per second", outcome.per_second, mode.rate());
    if let Some(share) = outcome.server_share {
        text += &format!(", server {}", percent(share));
    }
    text += &format!(", generator {}", percent(outcome.generator_share));
    if outcome.overtaken > 0 {
        text += &format!(", {} deliveries out of order", outcome.overtaken);
    }
    if outcome.is_generator_bound() {
        text += " (THE GENERATOR SET THE PACE)";
    }
    text
}

/// Both ends of every connection, and some room for the rest.
fn check_open_files(modes: &[Mode]) -> Result<(), RunError> {
    let limit = affinity::raise_open_files().map_err(RunError::System)?;
    let most = modes.iter().map(|mode| mode.connections()).max().unwrap_or(0);
    let needed = most as u64 + 200;
    if limit < needed {
        Err(RunError::OpenFiles { needed, limit })
    } else {
        Ok(())
    }
}

/// Only a complete run replaces the results that the repository keeps.
fn default_folder(options: &RunOptions) -> PathBuf {
    peers::root().join(if options.is_complete() {
        "bench/results"
    } else {
        "artefacts/bench"
    })
}
