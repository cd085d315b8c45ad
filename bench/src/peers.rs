//! The servers that are measured: how each is built and started, and which protocol it speaks.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use thiserror::Error;

use crate::load::{Mode, Target};
use crate::system::server::{Cpus, Server, StartError};
use crate::wire::binary::BinaryForm;
use crate::wire::flavour::Flavour;

/// A server to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Peer {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is, for a reader.
    pub(crate) title: &'static str,
    /// What it speaks.
    pub(crate) flavour: Flavour,
    /// What it can do beyond echo and broadcast.
    abilities: &'static [Ability],
    /// The form in which its clients send bytes and get them back, if it has the event for it.
    pub(crate) binary: Option<BinaryForm>,
    /// How many threads serve; with more than one they have the generator's CPU, too, and so has the one thread that is
    /// compared with them.
    workers: Workers,
    program: Program,
}

/// What not every server can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ability {
    /// Connections come and go, and are held: a server that closes as its protocol demands.
    Lifecycle,
    /// Connections are held, with heartbeats, by a server that can do little else.
    Held,
    /// Messages are compressed if `DEFLATE` is 1 in its environment.
    Deflate,
    /// Engine.IO's long-polling.
    Polling,
    /// The events `join` and `room`, and the namespaces `/n0` and so on, as many as `NAMESPACES` in its environment says.
    Spaces,
}

/// How many threads serve, and where they run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Workers {
    /// One, alone on its CPU.
    Pinned,
    /// So many, on the server's CPU and the generator's.
    Shared(&'static str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Program {
    /// A script in `bench/peers/node`.
    Node(&'static str),
    /// A binary of `bench/peers/rust`, with this in its environment.
    Rust(&'static str, Variables),
    /// An example of this workspace, with this in its environment.
    Example(&'static str, Variables),
}

type Variables = &'static [(&'static str, &'static str)];

/// The peer that ratios are taken to unless another is chosen.
pub(crate) const BASE: &str = "socketioxide";

/// The profile by which the examples are built: with link-time optimisation, as the Rust peers are.
pub(crate) const PROFILE: &str = "lto";

/// Has the example speak TLS.
const TLS: (&str, &str) = ("TLS", "1");

impl Peer {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 10] = [
        Self {
            name: "gatewire",
            title: "Gatewire, Socket.IO",
            flavour: Flavour::SocketIo,
            abilities: &[
                Ability::Lifecycle,
                Ability::Deflate,
                Ability::Polling,
                Ability::Spaces,
            ],
            binary: Some(BinaryForm::Attachment),
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[("ADAPTER", "socketio")]),
        },
        Self {
            name: "gatewire-ws",
            title: "Gatewire, ws adapter, bare WebSocket",
            flavour: Flavour::Ws,
            abilities: &[Ability::Lifecycle, Ability::Deflate],
            binary: Some(BinaryForm::Msgpack),
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[("ADAPTER", "ws")]),
        },
        Self {
            name: "socketioxide",
            title: "socketioxide 0.18 on axum",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Polling, Ability::Spaces],
            binary: Some(BinaryForm::Attachment),
            workers: Workers::Pinned,
            program: Program::Rust("socketioxide_peer", &[]),
        },
        Self {
            name: "socketio",
            title: "Node socket.io 4.8",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Deflate, Ability::Polling],
            binary: Some(BinaryForm::Attachment),
            workers: Workers::Pinned,
            program: Program::Node("socketio.js"),
        },
        Self {
            name: "nest-socketio",
            title: "NestJS 12, Socket.IO adapter",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Polling],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Node("nest-socketio.js"),
        },
        Self {
            name: "axum",
            title: "axum 0.8, hand-written with care, bare WebSocket",
            flavour: Flavour::Ws,
            abilities: &[Ability::Lifecycle],
            binary: Some(BinaryForm::Raw),
            workers: Workers::Pinned,
            program: Program::Rust("axum_peer", &[]),
        },
        Self {
            name: "axum-queue",
            title: "axum 0.8, hand-written with a queue for each connection, bare WebSocket",
            flavour: Flavour::Ws,
            abilities: &[],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Rust("axum_peer", &[("STYLE", "queue")]),
        },
        Self {
            name: "nest-ws",
            title: "NestJS 12, ws adapter, bare WebSocket",
            flavour: Flavour::Ws,
            abilities: &[Ability::Lifecycle],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Node("nest-ws.js"),
        },
        Self {
            name: "ws",
            title: "Node ws 8.23, hand-written, bare WebSocket",
            flavour: Flavour::Ws,
            abilities: &[Ability::Lifecycle, Ability::Deflate],
            binary: Some(BinaryForm::Raw),
            workers: Workers::Pinned,
            program: Program::Node("ws.js"),
        },
        Self {
            name: "floor",
            title: "a bare epoll loop that writes the same bytes",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Held],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Rust("floor_peer", &[]),
        },
    ];

    /// One thread and two threads of a server, both of which have two CPUs. The first is what ratios are taken to.
    pub(crate) const WORKERS: [Self; 4] = [
        Self::shared(
            "gatewire-1",
            "Gatewire, one thread on two CPUs",
            "1",
            Program::Example("bench_gateway", &[]),
        ),
        Self::shared(
            "gatewire-2",
            "Gatewire, two threads on two CPUs",
            "2",
            Program::Example("bench_gateway", &[]),
        ),
        Self::shared(
            "socketioxide-1",
            "socketioxide, one thread on two CPUs",
            "1",
            Program::Rust("socketioxide_peer", &[]),
        ),
        Self::shared(
            "socketioxide-2",
            "socketioxide, two threads on two CPUs",
            "2",
            Program::Rust("socketioxide_peer", &[]),
        ),
    ];

    const fn shared(
        name: &'static str,
        title: &'static str,
        workers: &'static str,
        program: Program,
    ) -> Self {
        Self {
            name,
            title,
            flavour: Flavour::SocketIo,
            abilities: &[],
            binary: None,
            workers: Workers::Shared(workers),
            program,
        }
    }

    /// Gatewire in other forms, to see what parts of it cost, and axum in its other forms: measured where they are
    /// named.
    pub(crate) const VARIANTS: [Self; 5] = [
        Self {
            name: "gatewire-tls",
            title: "Gatewire, Socket.IO over TLS",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Deflate],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[TLS]),
        },
        Self {
            name: "gatewire-low-level",
            title: "Gatewire without gateways",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[("LOW_LEVEL", "1")]),
        },
        Self {
            name: "gatewire-metrics",
            title: "Gatewire, everything counted and timed",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Deflate],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[("METRICS", "1")]),
        },
        Self {
            name: "gatewire-bound",
            title: "Gatewire, a guard and an interceptor",
            flavour: Flavour::SocketIo,
            abilities: &[Ability::Lifecycle, Ability::Deflate],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Example("bench_gateway", &[("BOUND", "1")]),
        },
        Self {
            name: "axum-plain",
            title: "axum 0.8 as documented: defaults, one send an answer",
            flavour: Flavour::Ws,
            abilities: &[Ability::Lifecycle],
            binary: Some(BinaryForm::Raw),
            workers: Workers::Pinned,
            program: Program::Rust("axum_peer", &[("STYLE", "plain")]),
        },
    ];

    /// The nodes of a cluster over Redis, if `REDIS_URL` is in their environment: Gatewire's, and Node's.
    pub(crate) const NODES: [Self; 2] = [
        Self {
            name: "gatewire",
            title: "Gatewire, a node of a cluster",
            flavour: Flavour::SocketIo,
            abilities: &[],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Example("cluster", &[]),
        },
        Self {
            name: "socketio",
            title: "Node socket.io 4.8 with @socket.io/redis-adapter 8.3",
            flavour: Flavour::SocketIo,
            abilities: &[],
            binary: None,
            workers: Workers::Pinned,
            program: Program::Node("socketio.js"),
        },
    ];

    /// Whether it speaks TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.program, Program::Example(_, variables) if variables.contains(&TLS))
    }

    /// Whether it can do this.
    pub(crate) fn has(&self, ability: Ability) -> bool {
        self.abilities.contains(&ability)
    }

    /// Whether what its heartbeats cost is of interest: NestJS's are those of Node's socket.io.
    pub(crate) fn has_heartbeats(&self) -> bool {
        matches!(
            self.name,
            "gatewire" | "gatewire-ws" | "socketioxide" | "socketio" | "floor"
        )
    }

    /// Whether it can be measured in a mode.
    pub(crate) fn does(&self, mode: Mode) -> bool {
        match mode {
            Mode::Echo | Mode::Pipelined | Mode::Fanout | Mode::Fanout4 | Mode::Crossfire => true,
            Mode::Churn => self.has(Ability::Lifecycle),
            Mode::Idle => self.has(Ability::Lifecycle) || self.has(Ability::Held),
            Mode::FanoutDeflate | Mode::IdleDeflate => self.has(Ability::Deflate),
            Mode::Polling | Mode::IdlePolling => self.has(Ability::Polling),
            Mode::Binary64k | Mode::Binary1m => self.binary.is_some(),
        }
    }

    /// It as something to load.
    pub(crate) fn target(&self, server: &Server) -> Target {
        Target {
            address: server.address(),
            flavour: self.flavour,
            is_encrypted: self.is_encrypted(),
            binary: self.binary,
        }
    }

    /// Starts it, with this in its environment.
    pub(crate) fn start(&self, cpus: Cpus, environment: &[(&str, &str)]) -> Result<Server, StartError> {
        let root = root();
        let (cpus, workers) = match self.workers {
            Workers::Pinned => (cpus, "1"),
            Workers::Shared(workers) => (cpus.shared(), workers),
        };
        let more = &[&[("WORKERS", workers)], environment].concat();
        match self.program {
            Program::Node(script) => {
                let folder = root.join("bench/peers/node");
                Server::start(Path::new("node"), &[script.into()], more, &folder, cpus)
            }
            Program::Rust(binary, variables) => Server::start(
                &peers_target().join("release").join(binary),
                &[],
                &[more, variables].concat(),
                &root,
                cpus,
            ),
            Program::Example(name, variables) => Server::start(
                &own_target().join(PROFILE).join("examples").join(name),
                &[],
                &[more, variables].concat(),
                &root,
                cpus,
            ),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(|peer| peer.name).join(", ");
        Self::ALL
            .into_iter()
            .chain(Self::VARIANTS)
            .chain(Self::WORKERS)
            .find(|peer| peer.name == text)
            .ok_or_else(|| format!("unknown peer \"{text}\": {names}"))
    }
}

/// A server could not be built.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    /// The tool is not there.
    #[error("cannot run {tool}: {source}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The tool failed, and has said why.
    #[error("{tool} {arguments} failed")]
    Failed {
        /// Its name.
        tool: &'static str,
        /// What it was told.
        arguments: String,
    },
}

/// Builds or installs what `peers` need and is not up to date.
pub(crate) fn build(peers: &[Peer]) -> Result<(), BuildError> {
    let root = root();
    let wants = |kind: fn(&Program) -> bool| peers.iter().any(|peer| kind(&peer.program));
    if wants(|program| matches!(program, Program::Node(_))) {
        let folder = root.join("bench/peers/node");
        if !is_installed(&folder) {
            run("npm", &["ci"], &folder)?;
        }
    }
    if wants(|program| matches!(program, Program::Rust(..))) {
        let target = peers_target();
        let folder = root.join("bench/peers/rust");
        run(
            "cargo",
            &[
                "build",
                "--release",
                "--locked",
                "--target-dir",
                &target.to_string_lossy(),
            ],
            &folder,
        )?;
    }
    for peer in peers {
        if let Program::Example(name, _) = peer.program {
            let target = own_target();
            run(
                "cargo",
                &[
                    "build",
                    "--profile",
                    PROFILE,
                    "--package",
                    "gatewire-examples",
                    "--example",
                    name,
                    "--target-dir",
                    &target.to_string_lossy(),
                ],
                &root,
            )?;
        }
    }
    Ok(())
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench).to_owned()
}

/// npm writes the hidden lock file last.
fn is_installed(folder: &Path) -> bool {
    let changed = |file: &str| folder.join(file).metadata().and_then(|data| data.modified()).ok();
    match (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) {
        (Some(installed), Some(wanted)) => installed >= wanted,
        _ => false,
    }
}

/// Where the Rust peers are built: a folder of its own, since the lock file and so the dependencies differ.
pub(crate) fn peers_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("bench/peers/rust/target"),
        |folder| absolute(folder.into()).join("peers"),
    )
}

/// Where the examples are built.
pub(crate) fn own_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| absolute(folder.into()))
}

/// The builds run in other folders than this program does.
fn absolute(folder: PathBuf) -> PathBuf {
    std::path::absolute(&folder).unwrap_or(folder)
}

fn run(tool: &'static str, arguments: &[&str], folder: &Path) -> Result<(), BuildError> {
    eprintln!(
        "building: {tool} {}",
        arguments.first().copied().unwrap_or_default()
    );
    let status = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .status()
        .map_err(|source| BuildError::Tool { tool, source })?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        tool,
        arguments: arguments.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_have_names() {
        for peer in Peer::ALL.into_iter().chain(Peer::VARIANTS).chain(Peer::WORKERS) {
            assert_eq!(peer.name.parse(), Ok(peer));
        }
        assert!(BASE.parse::<Peer>().is_ok());
        assert!("nonsense".parse::<Peer>().is_err());
    }

    #[test]
    fn the_peers_sources_are_where_they_are_looked_for() {
        for peer in Peer::ALL {
            let files = match peer.program {
                Program::Node(script) => vec![format!("bench/peers/node/{script}")],
                Program::Rust(binary, _) => ["", "/main"]
                    .map(|end| format!("bench/peers/rust/src/bin/{binary}{end}.rs"))
                    .into(),
                Program::Example(name, _) => vec![format!("examples/{name}.rs")],
            };
            assert!(files.iter().any(|file| root().join(file).exists()), "{files:?}");
        }
    }
}
