//! Slow receivers: how late broadcasts come to those who read, with and without clients in the room that read nothing. Broadcasts
//! leave at a fixed rate; a delivery's time counts from the moment at which its broadcast was due.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cli::PacedOptions;
use crate::load::{Event, LoadError, Pool, Talk, misplaced};
use crate::peers::{self, Peer};
use crate::run::RunError;
use crate::stats::Summary;
use crate::system::affinity;
use crate::system::server::StartError;

const READERS: usize = 900;

/// Clients that read nothing.
const SLOW: usize = 100;

/// Broadcasts of 4 KiB each before the measurement: more than the kernel keeps for a client that does not read, so that
/// what follows waits in the server.
const FILLING: u32 = 1_200;

/// Longer than any latency here can be, in nanoseconds.
const HIGHEST: u64 = 60_000_000_000;

/// How long nothing may come while deliveries are due.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why it was not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlowError {
    /// The server.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The load.
    #[error("{0}")]
    Load(#[from] LoadError),
}

/// Milliseconds from a broadcast to its delivery.
struct Latency {
    median: f64,
    p99: f64,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", self.median, self.p99)
    }
}

/// Measures without slow receivers and with them, in turn.
pub(crate) fn run(options: &PacedOptions) -> Result<(), RunError> {
    let peer: Peer = "gatewire".parse().map_err(RunError::Peer)?;
    if options.build {
        peers::build(&[peer])?;
    }
    affinity::raise_open_files().map_err(RunError::System)?;
    affinity::pin(&[options.cpus.generator]).map_err(RunError::System)?;
    let (mut medians, mut p99s) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let alone = measure(peer, 0, options).map_err(RunError::Slow)?;
        println!("round {round}  {READERS} readers                        {alone}");
        let beside = measure(peer, SLOW, options).map_err(RunError::Slow)?;
        println!("round {round}  {READERS} readers, {SLOW} that do not read  {beside}");
        medians.push(beside.median / alone.median);
        p99s.push(beside.p99 / alone.p99);
    }
    let of = |ratios: Vec<f64>| Summary::of(ratios).map_or(f64::NAN, |summary| summary.median);
    println!(
        "With slow receivers beside them: {:.2} of p50, {:.2} of p99",
        of(medians),
        of(p99s)
    );
    Ok(())
}

fn measure(peer: Peer, slow: usize, options: &PacedOptions) -> Result<Latency, SlowError> {
    let server = peer.start(options.cpus, &[])?;
    let mut pool = open(server.address(), peer, READERS)?;
    // Held, and not read.
    let _slow = open(server.address(), peer, slow)?.into_streams()?;
    let mut broadcasts = Broadcasts::default();
    broadcasts.run(&mut pool, FILLING, None)?;
    let total = (f64::from(options.rate) * options.seconds) as u32;
    let interval = Duration::from_secs(1) / options.rate;
    let histogram = broadcasts.run(&mut pool, total.max(1), Some(interval))?;
    let milliseconds = |share: f64| histogram.value_at_quantile(share) as f64 / 1e6;
    Ok(Latency {
        median: milliseconds(0.5),
        p99: milliseconds(0.99),
    })
}

fn open(address: SocketAddr, peer: Peer, connections: usize) -> Result<Pool, LoadError> {
    let talk = Talk {
        is_long: true,
        ..Talk::new(peer.flavour)
    };
    let mut pool = Pool::new(address, talk, connections).map_err(LoadError::Poll)?;
    pool.open_all(0..connections)?;
    Ok(pool)
}

/// Broadcasts of the first connection, by number.
#[derive(Default)]
struct Broadcasts {
    next: u32,
}

impl Broadcasts {
    /// Sends so many and waits for all deliveries; one at each `interval`, or the next when all have the last.
    fn run(
        &mut self,
        pool: &mut Pool,
        count: u32,
        interval: Option<Duration>,
    ) -> Result<Histogram<u64>, LoadError> {
        let mut histogram =
            Histogram::new_with_max(HIGHEST, 3).map_err(|error| LoadError::Histogram(error.to_string()))?;
        let (first, last) = (self.next, self.next + count);
        let receivers = pool.len() as u64;
        let (start, mut heard, mut delivered) = (Instant::now(), Instant::now(), 0);
        let due = |number: u32| interval.map(|interval| start + interval * (number - first));
        while delivered < u64::from(count) * receivers {
            let now = Instant::now();
            let is_due = match due(self.next) {
                Some(due) => due <= now,
                None => delivered == u64::from(self.next - first) * receivers,
            };
            if self.next < last && is_due {
                pool.send(0, |outgoing| outgoing.broadcast(self.next))?;
                self.next += 1;
            }
            let sent = self.next;
            let events = pool.turn(Duration::ZERO, |connection, event, _| match event {
                Event::Message(number) if (first..sent).contains(&number) => {
                    delivered += 1;
                    if let Some(due) = due(number) {
                        let late = Instant::now().saturating_duration_since(due);
                        histogram.saturating_record(late.as_nanos() as u64);
                    }
                    Ok(())
                }
                other => Err(misplaced(connection, other)),
            })?;
            if events > 0 {
                heard = now;
            } else if now - heard > PATIENCE {
                return Err(LoadError::Stalled {
                    missing: format!(
                        "{} deliveries were due",
                        u64::from(sent - first) * receivers - delivered
                    ),
                });
            }
        }
        Ok(histogram)
    }
}
