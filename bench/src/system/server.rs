//! A server that was started to be measured: a child process pinned to its CPU, with its output in a file, killed
//! when it is dropped, and by the system when this program is killed.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::affinity;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);

/// Why a server does not run.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program's name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A system call for it failed.
    #[error("cannot prepare the server's start: {0}")]
    Prepare(#[from] io::Error),
    /// It ended.
    #[error("the server ended before it listened; its last words:\n{0}")]
    Ended(String),
    /// It said nothing.
    #[error("the server did not print \"listening on\" within {} seconds; its last words:\n{words}", START.as_secs())]
    Silent {
        /// The end of its output.
        words: String,
    },
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// Which CPUs are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// The server's.
    pub(crate) server: usize,
    /// The generator's.
    pub(crate) generator: usize,
    /// Whether the server may use the generator's, too.
    pub(crate) are_shared: bool,
}

impl Cpus {
    /// The same, and the server may use both.
    pub(crate) fn shared(self) -> Self {
        Self {
            are_shared: true,
            ..self
        }
    }

    fn of_server(self) -> Vec<usize> {
        let other = self.are_shared.then_some(self.generator);
        [self.server].into_iter().chain(other).collect()
    }
}

impl Default for Cpus {
    fn default() -> Self {
        Self {
            server: 0,
            generator: 1,
            are_shared: false,
        }
    }
}

impl Server {
    /// Starts `program` with `PORT`, `HOST`, `WORKERS=1` and `more` in its environment, and waits until it listens.
    pub(crate) fn start(
        program: &Path,
        arguments: &[PathBuf],
        more: &[(&str, &str)],
        folder: &Path,
        cpus: Cpus,
    ) -> Result<Self, StartError> {
        let port = free_port()?;
        let log = std::env::temp_dir().join(format!("gatewire-bench-{}-{port}.log", std::process::id()));
        let output = File::create(&log)?;
        let mut command = die_with_parent(program);
        command
            .args(arguments)
            .current_dir(folder)
            .env("PORT", port.to_string())
            .env("HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("WORKERS", "1")
            .env("NODE_ENV", "production")
            .env("RUST_LOG", "info")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        affinity::pin(&cpus.of_server())?;
        let spawned = command.spawn();
        affinity::pin(&[cpus.generator])?;
        let child = spawned.map_err(|source| StartError::Spawn {
            program: program.display().to_string(),
            source,
        })?;
        let mut server = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            log,
        };
        server.wait_until_listening()?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has printed, for a report of failure.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned();
        if text.is_empty() {
            "(none)".to_owned()
        } else {
            text
        }
    }

    fn wait_until_listening(&mut self) -> Result<(), StartError> {
        let deadline = Instant::now() + START;
        loop {
            if fs::read(&self.log)?
                .windows(12)
                .any(|window| window == b"listening on")
            {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                return Err(StartError::Ended(self.last_words()));
            }
            if Instant::now() > deadline {
                return Err(StartError::Silent {
                    words: self.last_words(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

/// Through util-linux's `setpriv` where it is installed: `Drop` does not run when this program itself is killed.
pub(crate) fn die_with_parent(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const CPUS: Cpus = Cpus {
        server: 0,
        generator: 0,
        are_shared: false,
    };

    fn shell(script: &str) -> Result<Server, StartError> {
        Server::start(
            Path::new("/bin/sh"),
            &["-c".into(), script.into()],
            &[],
            Path::new("/"),
            CPUS,
        )
    }

    #[test]
    fn a_server_is_started_and_killed() {
        let server = shell("echo \"listening on $HOST:$PORT\"; exec sleep 60").unwrap();
        assert!(server.last_words().contains(&server.address().to_string()));
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        let log = server.log.clone();
        drop(server);
        assert!(!process.exists());
        assert!(!log.exists());
    }

    #[test]
    fn a_server_that_ends_is_an_error_with_its_last_words() {
        let Err(StartError::Ended(words)) = shell("echo no such thing; exit 1") else {
            panic!("it started");
        };
        assert_eq!(words, "no such thing\n");
    }
}
