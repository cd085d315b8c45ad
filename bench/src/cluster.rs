//! Two nodes of a cluster over Redis, side by side with Node's: what a broadcast costs the node that publishes it and the
//! node that receives it, and how much later it arrives there. One client on each node; the first one's node is measured
//! alone, too, so that what publishing adds can be told.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, io, net};

use crate::cli::PacedOptions;
use crate::load::{Event, LoadError, Pool, Talk, misplaced};
use crate::peers::{self, Peer};
use crate::run::RunError;
use crate::stats::Summary;
use crate::system::affinity;
use crate::system::probe::{Probe, Sample};
use crate::system::server::{Cpus, Server, StartError};
use crate::wire::flavour::Flavour;

/// How long nodes may take to find each other, and messages to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one run of one server came to.
struct Figures {
    /// CPU µs of the publishing node a message, with Redis and without.
    clustered: f64,
    alone: f64,
    /// CPU µs of the other node a message.
    received: f64,
    /// Milliseconds from the client of the first node to that of the other: median, and 99 of 100.
    median: f64,
    p99: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "publish {:6.1} µs ({:.1} − {:.1} alone)  receive {:6.1} µs  later by {:.2} ms (p50), {:.2} ms (p99)",
            self.clustered - self.alone,
            self.clustered,
            self.alone,
            self.received,
            self.median,
            self.p99
        )
    }
}

/// Measures Gatewire and Node in turn.
pub(crate) fn run(options: &PacedOptions) -> Result<(), RunError> {
    if options.build {
        peers::build(&Peer::NODES)?;
    }
    affinity::pin(&[options.cpus.generator]).map_err(RunError::System)?;
    let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for round in 1..=options.rounds {
        for (peer, figures) in Peer::NODES.iter().zip(&mut all) {
            let measured = measure(*peer, options).map_err(RunError::Cluster)?;
            println!("round {round}  {peer:<10}{measured}");
            figures.push(measured);
        }
    }
    let [own, node] = all.map(|figures| {
        let of = |figure: fn(&Figures) -> f64| {
            Summary::of(figures.iter().map(figure)).map_or(f64::NAN, |summary| summary.median)
        };
        (of(|one| one.clustered - one.alone), of(|one| one.received))
    });
    println!(
        "Gatewire's share of Node's: {:.2} a published message, {:.2} a received one",
        own.0 / node.0,
        own.1 / node.1
    );
    Ok(())
}

/// Why a cluster was not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Redis.
    #[error("redis-server cannot be started: {0}")]
    Redis(#[source] io::Error),
    /// A node.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The load.
    #[error("{0}")]
    Load(#[from] LoadError),
}

fn measure(peer: Peer, options: &PacedOptions) -> Result<Figures, ClusterError> {
    let redis = Redis::start().map_err(ClusterError::Redis)?;
    let alone = Pair::start(peer, options.cpus, None)?.load(options)?;
    let both = Pair::start(peer, options.cpus, Some(&redis.url()))?.load(options)?;
    let mut later = both.later;
    later.sort_unstable();
    let at = |share: f64| {
        let index = (later.len() as f64 * share) as usize;
        later
            .get(index)
            .map_or(f64::NAN, |later| later.as_secs_f64() * 1e3)
    };
    Ok(Figures {
        clustered: both.near,
        alone: alone.near,
        received: both.far,
        median: at(0.5),
        p99: at(0.99),
    })
}

/// The first node and its client, and the other ones.
struct Pair {
    near: (Server, Pool),
    far: Option<(Server, Pool)>,
}

/// CPU µs a message, and how much later each message came to the other node's client.
struct Load {
    near: f64,
    far: f64,
    later: Vec<Duration>,
}

impl Pair {
    fn start(peer: Peer, cpus: Cpus, redis: Option<&str>) -> Result<Self, ClusterError> {
        let node = || -> Result<(Server, Pool), ClusterError> {
            let variables: Vec<(&str, &str)> = redis.iter().map(|url| ("REDIS_URL", *url)).collect();
            let server = peer.start(cpus, &variables)?;
            let pool = client(server.address())?;
            Ok((server, pool))
        };
        let mut pair = Self {
            near: node()?,
            far: redis.is_some().then(node).transpose()?,
        };
        pair.meet()?;
        Ok(pair)
    }

    /// Until what the one sends comes to the other: numbers that are not used later.
    fn meet(&mut self) -> Result<(), ClusterError> {
        let end = Instant::now() + PATIENCE;
        let mut number = u32::MAX;
        let mut is_quiet = 0;
        let mut has_come = false;
        // They have met when one has come, and all of them when none comes any more.
        while is_quiet < 20 {
            if !has_come {
                self.near.1.send(0, |outgoing| outgoing.broadcast(number))?;
                number -= 1;
            }
            let mut heard = turn(&mut self.near.1, Duration::from_millis(5), |_| {})?;
            let far = match &mut self.far {
                Some((_, pool)) => turn(pool, Duration::from_millis(5), |_| {})?,
                None => heard,
            };
            has_come |= far > 0;
            heard += far;
            is_quiet = if has_come && heard == 0 { is_quiet + 1 } else { 0 };
            if Instant::now() > end {
                return Err(stalled("the nodes had not met").into());
            }
        }
        Ok(())
    }

    fn sample(&self) -> Result<(Sample, Option<Sample>), LoadError> {
        let of = |server: &Server| {
            Probe {
                pid: Some(server.pid()),
            }
            .sample()
        };
        let far = self.far.as_ref().map(|(server, _)| of(server)).transpose()?;
        Ok((of(&self.near.0)?, far))
    }

    /// So many messages a second, one at a time.
    fn load(mut self, options: &PacedOptions) -> Result<Load, ClusterError> {
        let interval = Duration::from_secs_f64(1.0 / f64::from(options.rate));
        let count = (options.seconds * f64::from(options.rate)) as usize;
        let (mut near, mut far): (Vec<Option<Instant>>, Vec<Option<Instant>>) =
            (vec![None; count], vec![None; count]);
        let before = self.sample()?;
        let start = Instant::now();
        let end = start + interval * u32::try_from(count).unwrap_or(u32::MAX) + PATIENCE;
        let (mut sent, mut missing) = (0, count * (1 + usize::from(self.far.is_some())));
        while missing > 0 {
            let now = Instant::now();
            if now > end {
                return Err(stalled(&format!("{missing} deliveries were due")).into());
            }
            while sent < count && start + interval * sent as u32 <= now {
                self.near.1.send(0, |outgoing| outgoing.broadcast(sent as u32))?;
                sent += 1;
            }
            // Without waiting, so that each arrival is noted at once; Redis has the same CPU.
            std::thread::yield_now();
            let note = |at: &mut Vec<Option<Instant>>, number: u32| {
                if let Some(slot @ None) = at.get_mut(number as usize) {
                    *slot = Some(Instant::now());
                    1
                } else {
                    0
                }
            };
            turn(&mut self.near.1, Duration::ZERO, |number| {
                missing -= note(&mut near, number)
            })?;
            if let Some((_, pool)) = &mut self.far {
                turn(pool, Duration::ZERO, |number| missing -= note(&mut far, number))?;
            }
        }
        let after = self.sample()?;
        let cost = |before: &Sample, after: &Sample| {
            let used = after.server_cpu.zip(before.server_cpu);
            used.map_or(f64::NAN, |(after, before)| {
                (after - before).as_secs_f64() * 1e6 / count as f64
            })
        };
        let arrivals = near.into_iter().zip(far);
        Ok(Load {
            near: cost(&before.0, &after.0),
            far: before
                .1
                .zip(after.1)
                .map_or(f64::NAN, |(before, after)| cost(&before, &after)),
            later: arrivals
                .filter_map(|(near, far)| Some(far?.saturating_duration_since(near?)))
                .collect(),
        })
    }
}

fn client(address: SocketAddr) -> Result<Pool, LoadError> {
    let talk = Talk::new(Flavour::SocketIo);
    let mut pool = Pool::new(address, talk, 1).map_err(LoadError::Poll)?;
    pool.open_all(0..1)?;
    Ok(pool)
}

/// Hands over the numbers of the messages that came, and counts them.
fn turn(pool: &mut Pool, wait: Duration, mut on: impl FnMut(u32)) -> Result<usize, LoadError> {
    let mut count = 0;
    pool.turn(wait, |connection, event, _| match event {
        Event::Message(number) => {
            on(number);
            count += 1;
            Ok(())
        }
        other => Err(misplaced(connection, other)),
    })?;
    Ok(count)
}

fn stalled(missing: &str) -> LoadError {
    LoadError::Stalled {
        missing: missing.to_owned(),
    }
}

/// A Redis of the run's own, beside the generator.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> io::Result<Self> {
        let port = net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let redis = Self { child, port };
        let end = Instant::now() + PATIENCE;
        while net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > end {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
