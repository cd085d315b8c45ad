//! The command line.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::prelude::{Long, Short, Value, ValueExt};
use lexopt::{Error, Parser};

use crate::load::{Mode, Plan, Shape, Target};
use crate::parts::Part;
use crate::peers::{BASE, Peer};
use crate::soak;
use crate::system::server::Cpus;
use crate::wire::binary::BinaryForm;
use crate::wire::flavour::Flavour;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage:
  gatewire-bench run [options]     start every server in turn, load it, and report
      --only A,B       only these parts (modes, workers, latency, growth, footprint)
      --peers A,B      only these (gatewire, gatewire-ws, socketioxide, socketio, nest-socketio, axum, axum-queue,
                       nest-ws, ws, floor); by name also gatewire-tls, gatewire-low-level, gatewire-bound,
                       gatewire-metrics, axum-plain
      --modes A,B      of the part modes, which is then the only one unless --only names others: only these (echo, pipelined,
                       fanout, fanout4, churn, polling, binary64k, binary1m, fanout-deflate, idle, idle-deflate,
                       idle-polling; by name also crossfire)
      --rounds N       how often each is measured, from 1 (3); idle is measured once, latency and growth at most twice
      --quick          one short round: a first look, no result to keep
      --base PEER      whose figure is 1.00 in the ratios (socketioxide)
      --out FOLDER     where the results go (bench/results for a complete run, else artefacts/bench)
      --server-cpu N   the servers' CPU (0)
      --load-cpu N     the generator's CPU (1)
      --no-build       do not build or install the servers first
  gatewire-bench load --address HOST:PORT [options]     load one server that already runs
      --protocol P     socketio, socketio-recovery (of a server that keeps what it sends), ws or sse (socketio)
      --binary FORM    how ws takes bytes: raw or msgpack (raw)
      --tls            over TLS, whatever the certificate
      --mode M         as above (echo)
      --connections N  how many connections (the mode's own)
      --depth N        how much in flight (the mode's own)
      --seconds S      how long to measure (3)
      --pid PID        the server's process, to read its CPU time and memory
  gatewire-bench cluster [options]     two nodes over Redis, Gatewire's and Node's in turn: CPU time of a broadcast that is
                       published and received, and how much later it arrives at the other node
      --rate N         broadcasts a second (1000)
      --seconds S      how long to measure (5)
      --rounds N, --server-cpu N, --load-cpu N, --no-build     as above; Redis is on the generator's CPU
  gatewire-bench slow [options]        how late broadcasts come to 900 clients, alone and beside 100 that read nothing
      --rate N         broadcasts a second (40)
      --seconds S, --rounds N, --server-cpu N, --load-cpu N, --no-build     as above
";

/// What is to be done.
pub(crate) enum Command {
    /// Print the help.
    Help,
    /// Measure the peers.
    Run(RunOptions),
    /// Load one server.
    Load(LoadOptions),
    /// Measure nodes of a cluster.
    Cluster(PacedOptions),
    /// Measure how late broadcasts come beside slow receivers.
    Slow(PacedOptions),
    /// Load one server for long, and look for what it leaves behind.
    Soak(soak::Options),
}

/// Options of `run`.
pub(crate) struct RunOptions {
    /// The command line, for the report.
    pub(crate) command: String,
    /// Which parts.
    pub(crate) parts: Vec<Part>,
    /// Which servers.
    pub(crate) peers: Vec<Peer>,
    /// Which modes.
    pub(crate) modes: Vec<Mode>,
    /// How often.
    pub(crate) rounds: usize,
    /// Whether the short plan was asked for.
    pub(crate) quick: bool,
    /// Whose figure is 1.00.
    pub(crate) base: Peer,
    /// Where the results go, if not where they belong.
    pub(crate) out: Option<PathBuf>,
    /// Who runs where.
    pub(crate) cpus: Cpus,
    /// Whether to build first.
    pub(crate) build: bool,
}

impl RunOptions {
    /// Whether the results are worth keeping: all parts, all peers, all modes, the full plan.
    pub(crate) fn is_complete(&self) -> bool {
        !self.quick
            && self.parts.len() == Part::ALL.len()
            && self.peers.len() == Peer::ALL.len()
            && self.modes.len() == Mode::ALL.len()
    }
}

/// Options of `load`.
pub(crate) struct LoadOptions {
    /// The server.
    pub(crate) target: Target,
    /// What is done to it.
    pub(crate) mode: Mode,
    /// How much.
    pub(crate) shape: Shape,
    /// How long.
    pub(crate) plan: Plan,
    /// Its process.
    pub(crate) pid: Option<u32>,
}

/// Options of `cluster` and `slow`, which send at a fixed rate.
pub(crate) struct PacedOptions {
    /// How often.
    pub(crate) rounds: usize,
    /// Broadcasts a second.
    pub(crate) rate: u32,
    /// How long.
    pub(crate) seconds: f64,
    /// Who runs where.
    pub(crate) cpus: Cpus,
    /// Whether to build first.
    pub(crate) build: bool,
}

/// Reads this program's arguments.
pub(crate) fn parse() -> Result<Command, Error> {
    parse_from(std::env::args_os())
}

fn parse_from<I: IntoIterator<Item: Into<OsString>, IntoIter: 'static>>(
    arguments: I,
) -> Result<Command, Error> {
    let mut parser = Parser::from_iter(arguments);
    match parser.next()? {
        None | Some(Short('h') | Long("help")) => Ok(Command::Help),
        Some(Value(name)) if name == "run" => run_options(&mut parser),
        Some(Value(name)) if name == "load" => load_options(&mut parser),
        Some(Value(name)) if name == "cluster" => paced_options(&mut parser, 1_000, Command::Cluster),
        Some(Value(name)) if name == "slow" => paced_options(&mut parser, 40, Command::Slow),
        Some(Value(name)) if name == "soak" => {
            let options = soak::Options::parse(&mut parser)?;
            Ok(options.map_or(Command::Help, Command::Soak))
        }
        Some(other) => Err(other.unexpected()),
    }
}

fn run_options(parser: &mut Parser) -> Result<Command, Error> {
    let mut options = RunOptions {
        command: "cargo xtask bench".to_owned(),
        parts: Part::ALL.to_vec(),
        peers: Peer::ALL.to_vec(),
        modes: Mode::ALL.to_vec(),
        rounds: 0,
        quick: false,
        base: BASE.parse()?,
        out: None,
        cpus: Cpus::default(),
        build: true,
    };
    let (mut has_modes, mut parts) = (false, None);
    for argument in parser.try_raw_args().iter().flat_map(|rest| rest.as_slice()) {
        options.command += &format!(" {}", argument.to_string_lossy());
    }
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("only") => parts = Some(list(&parser.value()?.string()?)?),
            Long("peers") => options.peers = list(&parser.value()?.string()?)?,
            Long("modes") => {
                options.modes = list(&parser.value()?.string()?)?;
                has_modes = true;
            }
            Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Long("quick") => options.quick = true,
            Long("base") => options.base = parser.value()?.parse()?,
            Long("out") => options.out = Some(parser.value()?.into()),
            Long("server-cpu") => options.cpus.server = parser.value()?.parse()?,
            Long("load-cpu") => options.cpus.generator = parser.value()?.parse()?,
            Long("no-build") => options.build = false,
            other => return Err(other.unexpected()),
        }
    }
    options.parts = match parts {
        Some(parts) => parts,
        None if has_modes => vec![Part::Modes],
        None => options.parts,
    };
    if options.rounds == 0 {
        options.rounds = if options.quick { 1 } else { 3 };
    }
    Ok(Command::Run(options))
}

fn load_options(parser: &mut Parser) -> Result<Command, Error> {
    let mut address = None;
    let mut flavour = Flavour::SocketIo;
    let mut tls = false;
    let mut form = BinaryForm::Raw;
    let mut mode = Mode::Echo;
    let (mut connections, mut depth, mut pid) = (None, None, None);
    let mut plan = Plan::FULL;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("address") => address = Some(resolve(&parser.value()?.string()?)?),
            Long("protocol") => flavour = parser.value()?.parse()?,
            Long("tls") => tls = true,
            Long("binary") => {
                form = match &*parser.value()?.string()? {
                    "raw" => BinaryForm::Raw,
                    "msgpack" => BinaryForm::Msgpack,
                    other => return Err(format!("unknown form \"{other}\": raw or msgpack").into()),
                }
            }
            Long("mode") => mode = parser.value()?.parse()?,
            Long("connections") => connections = Some(parser.value()?.parse::<usize>()?.max(1)),
            Long("depth") => depth = Some(parser.value()?.parse::<usize>()?.max(1)),
            Long("seconds") => {
                let length = parser.value()?.parse::<f64>()?.clamp(0.1, 3_600.0);
                plan = Plan {
                    measure: length,
                    hold: length,
                    ..plan
                };
            }
            Long("pid") => pid = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    let own = mode.shape();
    Ok(Command::Load(LoadOptions {
        target: Target {
            address: address.ok_or("load needs --address HOST:PORT")?,
            flavour,
            is_encrypted: tls,
            binary: match flavour {
                Flavour::SocketIo => Some(BinaryForm::Attachment),
                Flavour::Ws => Some(form),
                Flavour::Recovery | Flavour::Sse => None,
            },
        },
        mode,
        shape: Shape {
            connections: connections.unwrap_or(own.connections),
            depth: depth.unwrap_or(own.depth),
        },
        plan,
        pid,
    }))
}

fn paced_options(
    parser: &mut Parser,
    rate: u32,
    command: fn(PacedOptions) -> Command,
) -> Result<Command, Error> {
    let mut options = PacedOptions {
        rounds: 3,
        rate,
        seconds: 5.0,
        cpus: Cpus::default(),
        build: true,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("rounds") => options.rounds = parser.value()?.parse::<usize>()?.max(1),
            Long("rate") => options.rate = parser.value()?.parse::<u32>()?.clamp(1, 1_000_000),
            Long("seconds") => options.seconds = parser.value()?.parse::<f64>()?.clamp(0.1, 600.0),
            Long("server-cpu") => options.cpus.server = parser.value()?.parse()?,
            Long("load-cpu") => options.cpus.generator = parser.value()?.parse()?,
            Long("no-build") => options.build = false,
            other => return Err(other.unexpected()),
        }
    }
    Ok(command(options))
}

fn list<T: FromStr<Err = String> + PartialEq>(text: &str) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    for name in text.split(',') {
        let item = name.trim().parse().map_err(|error: String| Error::from(error))?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

fn resolve(text: &str) -> Result<SocketAddr, Error> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| format!("\"{text}\" is no address of the form HOST:PORT").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Error> {
        parse_from(
            std::iter::once("gatewire-bench".to_owned()).chain(
                line.split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            ),
        )
    }

    #[test]
    fn a_run_without_options_is_complete() {
        let Ok(Command::Run(options)) = parse("run") else {
            panic!("no run")
        };
        assert!(options.is_complete());
        assert_eq!((options.rounds, options.base.name), (3, BASE));
    }

    #[test]
    fn a_run_can_be_cut_down() {
        let Ok(Command::Run(options)) =
            parse("run --peers axum,gatewire,axum --modes=echo --quick --no-build")
        else {
            panic!("no run")
        };
        assert_eq!(
            options.peers.iter().map(|peer| peer.name).collect::<Vec<_>>(),
            ["axum", "gatewire"]
        );
        assert_eq!(
            (options.modes, options.parts, options.rounds, options.build),
            (vec![Mode::Echo], vec![Part::Modes], 1, false)
        );
        assert_eq!(
            options.command,
            "cargo xtask bench --peers axum,gatewire,axum --modes=echo --quick --no-build"
        );
    }

    #[test]
    fn a_load_keeps_the_shape_of_its_mode() {
        let Ok(Command::Load(options)) = parse("load --address 127.0.0.1:3000 --mode pipelined --depth 8")
        else {
            panic!("no load")
        };
        assert_eq!(
            options.shape,
            Shape {
                connections: 50,
                depth: 8
            }
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("walk", "walk"),
            ("run --peers nobody", "nobody"),
            ("run --modes sleep", "sleep"),
            ("run --only parts", "parts"),
            ("run --rounds many", "many"),
            ("load", "--address"),
            ("load --address here", "HOST:PORT"),
            ("load --address 127.0.0.1:1 --protocol smtp", "smtp"),
            ("load --address 127.0.0.1:1 --binary json", "json"),
        ] {
            let Err(error) = parse(line) else {
                panic!("{line} was taken")
            };
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
