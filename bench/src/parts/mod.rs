//! The parts of a run: each starts servers afresh, loads them and adds what came out to the report. What fails is noted there,
//! too, and the others go on.

mod footprint;
mod growth;
mod latency;
mod side_by_side;

use std::str::FromStr;

use thiserror::Error;

use crate::cli::RunOptions;
use crate::load::{LoadError, Plan, Target};
use crate::peers::Peer;
use crate::report::{Failure, Report};
use crate::system::probe::Probe;
use crate::system::server::StartError;

/// A part of the run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Every server in every mode.
    Modes,
    /// One thread and two.
    Workers,
    /// Latency at given rates.
    Latency,
    /// More connections, rooms, namespaces.
    Growth,
    /// How long programs take to build, and how large they are.
    Footprint,
}

impl Part {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 5] = [
        Self::Modes,
        Self::Workers,
        Self::Latency,
        Self::Growth,
        Self::Footprint,
    ];

    /// The name on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Modes => "modes",
            Self::Workers => "workers",
            Self::Latency => "latency",
            Self::Growth => "growth",
            Self::Footprint => "footprint",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|part| part.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "unknown part \"{text}\": {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// A run that is under way.
pub(crate) struct Bench<'a> {
    /// What was asked for.
    pub(crate) options: &'a RunOptions,
    /// How long each measurement takes.
    pub(crate) plan: Plan,
    /// What came out so far.
    pub(crate) report: Report,
}

/// Why one measurement of one server came to nothing.
#[derive(Debug, Error)]
enum MeasureError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{error}\nthe server's last words:\n{words}")]
    Load { error: LoadError, words: String },
}

impl Bench<'_> {
    /// Runs one part.
    pub(crate) fn run(&mut self, part: Part) {
        match part {
            Part::Modes => self.modes(),
            Part::Workers => self.workers(),
            Part::Latency => self.latency(),
            Part::Growth => self.growth(),
            Part::Footprint => self.footprint(),
        }
    }

    /// Starts a server, measures something about it, and tells it in a line; a failure is told and noted.
    fn measure<T>(
        &mut self,
        round: usize,
        what: &str,
        peer: Peer,
        environment: &[(&str, &str)],
        load: impl FnOnce(Target, &Probe) -> Result<T, LoadError>,
        describe: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let started = format!("round {round}  {what:<18}{peer:<15}");
        match measured(peer, self.options, environment, load) {
            Ok(outcome) => {
                eprintln!("{started}{}", describe(&outcome));
                Some(outcome)
            }
            Err(error) => {
                eprintln!("{started}FAILED: {error}");
                self.report.fail(Failure {
                    peer: peer.name,
                    what: what.to_owned(),
                    round,
                    error: error.to_string(),
                });
                None
            }
        }
    }
}

fn measured<T>(
    peer: Peer,
    options: &RunOptions,
    environment: &[(&str, &str)],
    load: impl FnOnce(Target, &Probe) -> Result<T, LoadError>,
) -> Result<T, MeasureError> {
    let server = peer.start(options.cpus, environment)?;
    let probe = Probe {
        pid: Some(server.pid()),
    };
    load(peer.target(&server), &probe).map_err(|error| MeasureError::Load {
        error,
        words: server.last_words(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_names() {
        for part in Part::ALL {
            assert_eq!(part.as_str().parse(), Ok(part));
        }
        assert!("nonsense".parse::<Part>().is_err());
    }
}
