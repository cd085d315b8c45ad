//! Official clients beside the others, in a process of Node.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use super::tally::{Account, Tally};

/// The process.
pub(super) struct Official(Child);

/// A line that it prints.
#[derive(Deserialize)]
struct Line {
    life: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    account: Account,
    /// What went wrong.
    fault: Option<String>,
}

impl Official {
    /// Whether there is all that it needs.
    pub(super) fn is_there(root: &Path) -> bool {
        root.join("interop/node_modules/socket.io-client").is_dir()
            && Command::new("node")
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
    }

    /// Starts the clients; `round` keeps their names apart.
    pub(super) fn start(
        root: &Path,
        address: SocketAddr,
        seed: u64,
        seconds: u64,
        round: &str,
    ) -> io::Result<Self> {
        let child = Command::new("node")
            .arg(root.join("bench/soak.mjs"))
            .arg(format!("http://{address}"))
            .args([seed.to_string(), seconds.to_string(), round.to_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    /// Waits for its end, and takes over what it tells.
    pub(super) fn finish(mut self, tally: &Tally) -> io::Result<()> {
        let mut output = String::new();
        if let Some(stdout) = &mut self.0.stdout {
            stdout.read_to_string(&mut output)?;
        }
        for line in output.lines() {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => {
                    if let Some(fault) = line.fault {
                        tally.fault(&line.life, &*line.kind, fault);
                    }
                    tally.ended(&line.life, &line.kind, line.account);
                }
                Err(error) => tally.fault("official", "output", format!("{error}: {line:?}")),
            }
        }
        let status = self.0.wait()?;
        if !status.success() {
            tally.fault("official", "process", status.to_string());
        }
        Ok(())
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
