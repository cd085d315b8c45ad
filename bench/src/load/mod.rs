//! The load: what is done to a server in each mode, and what comes out of it. Everything here runs on one thread
//! and ends by itself: every wait has a deadline, every count a limit.

mod bulk;
mod churn;
mod crossfire;
mod echo;
mod fanout;
mod idle;
pub(crate) mod latency;
mod mode;
mod polling;
mod pool;
pub(crate) mod rooms;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use crate::system::probe::{Probe, Sample};
use crate::wire::binary::BinaryForm;
use crate::wire::flavour::Flavour;
use crate::wire::frame::FrameError;
use pool::Outgoing;

pub(crate) use mode::{Mode, Shape};
pub(crate) use pool::{Event, Pool, Talk};

/// How long a server may say nothing at all while answers are due.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long each part of a run takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Load before the measurement, in seconds.
    pub(crate) warm_up: f64,
    /// The measurement, in seconds; churn ends earlier when it has made all its connections.
    pub(crate) measure: f64,
    /// Idle: rest before the memory is read, in seconds.
    pub(crate) settle: f64,
    /// Idle: how long the connections are held while the CPU time is watched, in seconds.
    pub(crate) hold: f64,
}

impl Plan {
    /// Results to keep.
    pub(crate) const FULL: Self = Self {
        warm_up: 1.0,
        measure: 1.8,
        settle: 4.0,
        hold: 26.0,
    };
    /// A first look.
    pub(crate) const QUICK: Self = Self {
        warm_up: 0.7,
        measure: 1.0,
        settle: 2.0,
        hold: 0.0,
    };
}

/// What one run of one mode came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// The figure, in [`Mode::unit`]; `None` when the server's process was not named.
    pub(crate) figure: Option<f64>,
    /// How many messages, deliveries or connections were measured.
    pub(crate) count: u64,
    /// How many of them in a second.
    pub(crate) per_second: f64,
    /// The server's CPU time as share of the elapsed time.
    pub(crate) server_share: Option<f64>,
    /// The generator's own.
    pub(crate) generator_share: f64,
    /// The server's resident set at the end, in bytes.
    pub(crate) resident: Option<u64>,
    /// Broadcast messages that overtook another on their way to one receiver.
    pub(crate) overtaken: u64,
}

impl Outcome {
    /// From two samples and what was counted between them.
    fn between(start: &Sample, end: &Sample, count: u64) -> Self {
        let elapsed = (end.at - start.at).as_secs_f64();
        let server = end
            .server_cpu
            .zip(start.server_cpu)
            .map(|(end, start)| end.saturating_sub(start));
        Self {
            figure: server
                .filter(|_| count > 0)
                .map(|cpu| cpu.as_secs_f64() * 1e6 / count as f64),
            count,
            per_second: count as f64 / elapsed,
            server_share: server.map(|cpu| cpu.as_secs_f64() / elapsed),
            generator_share: end.own_cpu.saturating_sub(start.own_cpu).as_secs_f64() / elapsed,
            resident: end.resident,
            overtaken: 0,
        }
    }

    /// Whether the generator, not the server, set the pace.
    pub(crate) fn is_generator_bound(&self) -> bool {
        self.generator_share > 0.97 && self.server_share.is_none_or(|share| share < 0.9)
    }
}

/// Why a run has no result.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The generator's own system calls.
    #[error("the event queue failed: {0}")]
    Poll(#[source] io::Error),
    /// Connecting, reading or writing.
    #[error("connection {connection} failed: {source}")]
    Io {
        /// Which one, from zero.
        connection: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The upgrade was refused.
    #[error("connection {connection} was not upgraded: {response}")]
    Handshake {
        /// Which one, from zero.
        connection: usize,
        /// The status line, or what is wrong with the response.
        response: String,
    },
    /// Not WebSocket.
    #[error("connection {connection}: {source}")]
    Frame {
        /// Which one, from zero.
        connection: usize,
        /// What is wrong.
        source: FrameError,
    },
    /// A wrong answer.
    #[error("connection {connection} received a wrong message: {text}")]
    Wrong {
        /// Which one, from zero.
        connection: usize,
        /// The message, shortened.
        text: String,
    },
    /// Closed by the server.
    #[error("connection {connection} was closed by the server")]
    Closed {
        /// Which one, from zero.
        connection: usize,
    },
    /// No answer.
    #[error("the server was silent for {} seconds while {missing}", PATIENCE.as_secs())]
    Stalled {
        /// What was waited for.
        missing: String,
    },
    /// The server's CPU time or memory could not be read.
    #[error("the server's process cannot be read: {0}")]
    Probe(#[source] io::Error),
    /// A mode that cannot be with this protocol.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// Latencies could not be counted.
    #[error("the histogram failed: {0}")]
    Histogram(String),
}

/// A server to load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it speaks.
    pub(crate) flavour: Flavour,
    /// Whether over TLS.
    pub(crate) is_encrypted: bool,
    /// How it takes bytes, if it does.
    pub(crate) binary: Option<BinaryForm>,
}

/// Runs one mode against a server.
pub(crate) fn run(
    mode: Mode,
    shape: Shape,
    target: Target,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let clients = shape.connections;
    if mode.is_polling() {
        if target.flavour != Flavour::SocketIo || target.is_encrypted {
            return Err(LoadError::Unsuitable("long-polling needs Socket.IO without TLS"));
        }
        return match mode {
            Mode::IdlePolling => polling::idle(target.address, clients, plan, probe),
            _ => polling::echo(target.address, clients, plan, probe),
        };
    }
    let talk = Talk {
        is_deflated: mode.is_deflated(),
        is_long: mode.is_deflated(),
        is_encrypted: target.is_encrypted,
        ..Talk::new(target.flavour)
    };
    let mut pool = Pool::new(target.address, talk, clients).map_err(LoadError::Poll)?;
    if let Some(size) = mode.binary() {
        let form = target.binary.filter(|_| !target.is_encrypted);
        let form = form.ok_or(LoadError::Unsuitable(
            "binary messages need Socket.IO or ws, without TLS",
        ))?;
        return bulk::run(pool, form, size, plan, probe);
    }
    match mode {
        Mode::Echo | Mode::Pipelined => echo::run(&mut pool, shape, clients, plan, probe),
        Mode::Fanout | Mode::Fanout4 | Mode::FanoutDeflate => fanout::run(&mut pool, shape, plan, probe),
        Mode::Crossfire => crossfire::run(&mut pool, shape, plan, probe),
        Mode::Churn => churn::run(&mut pool, plan, probe),
        _ => {
            let mut sockets = idle::Sockets {
                pool: &mut pool,
                is_told: mode.is_deflated(),
                told: 0,
            };
            idle::run(&mut sockets, clients, plan, probe)
        }
    }
}

/// Request and answer with one in flight on each of the first `active` connections of a pool, all of which are opened.
pub(crate) fn echo_among(
    pool: &mut Pool,
    active: usize,
    plan: &Plan,
    probe: &Probe,
) -> Result<Outcome, LoadError> {
    let shape = Shape {
        connections: pool.len(),
        depth: 1,
    };
    echo::run(pool, shape, active, plan, probe)
}

/// Keeps the pool going until `until`, or until `step` says that it is done.
///
/// `on` gets every event; `step` runs after each turn and may send.
fn drive<S>(
    pool: &mut Pool,
    state: &mut S,
    until: Instant,
    missing: &str,
    mut on: impl FnMut(&mut S, usize, Event, &mut Outgoing<'_>) -> Result<(), LoadError>,
    mut step: impl FnMut(&mut S, &mut Pool) -> Result<bool, LoadError>,
) -> Result<(), LoadError> {
    let mut heard = Instant::now();
    loop {
        let now = Instant::now();
        let Some(left) = until.checked_duration_since(now) else {
            return Ok(());
        };
        let events = pool.turn(left.min(Duration::from_secs(1)), |connection, event, outgoing| {
            on(state, connection, event, outgoing)
        })?;
        if events > 0 {
            heard = now;
        } else if now - heard > PATIENCE {
            return Err(LoadError::Stalled {
                missing: missing.to_owned(),
            });
        }
        if step(state, pool)? {
            return Ok(());
        }
    }
}

fn seconds(seconds: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(seconds)
}

/// A message that has no place where it came.
pub(crate) fn misplaced(connection: usize, event: Event) -> LoadError {
    LoadError::Wrong {
        connection,
        text: format!("{event:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_cpu_time_by_count() {
        let at = Instant::now();
        let sample = |ms: u64, server: u64, own: u64| Sample {
            at: at + Duration::from_millis(ms),
            server_cpu: Some(Duration::from_millis(server)),
            own_cpu: Duration::from_millis(own),
            resident: Some(5),
        };
        let outcome = Outcome::between(&sample(0, 10, 10), &sample(1000, 510, 260), 100_000);
        assert!((outcome.figure.unwrap() - 5.0).abs() < 1e-9);
        assert!((outcome.per_second - 100_000.0).abs() < 1e-6);
        assert!((outcome.server_share.unwrap() - 0.5).abs() < 1e-9);
        assert!((outcome.generator_share - 0.25).abs() < 1e-9);
        assert!(!outcome.is_generator_bound());
        assert!(Outcome::between(&sample(0, 0, 0), &sample(1000, 500, 990), 1).is_generator_bound());
        assert_eq!(
            Outcome::between(&sample(0, 0, 0), &sample(1000, 500, 0), 0).figure,
            None
        );
    }
}
