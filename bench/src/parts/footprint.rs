//! How long a small application takes to build when all that it depends on is built, and how large it is: the example `events`
//! and the socketioxide peer, both of which have an echo and a broadcast.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};
use std::{env, io};

use super::Bench;
use crate::peers;
use crate::report::Failure;
use crate::report::footprint::{Footprint, Program};

/// A program to build.
struct Subject {
    name: &'static str,
    title: &'static str,
    source: PathBuf,
    profile: &'static str,
    binary: &'static str,
    folder: PathBuf,
    target: PathBuf,
    arguments: &'static [&'static str],
}

impl Bench<'_> {
    pub(super) fn footprint(&mut self) {
        let root = peers::root();
        let subjects = [
            Subject {
                name: "gatewire",
                title: "the example `events`",
                source: root.join("examples/events.rs"),
                profile: peers::PROFILE,
                binary: "examples/events",
                folder: root.clone(),
                target: peers::own_target(),
                arguments: &["--package", "gatewire-examples", "--example", "events"],
            },
            Subject {
                name: "socketioxide",
                title: "the peer of this benchmark",
                source: root.join("bench/peers/rust/src/bin/socketioxide_peer.rs"),
                profile: "release",
                binary: "socketioxide_peer",
                folder: root.join("bench/peers/rust"),
                target: peers::peers_target(),
                arguments: &["--bin", "socketioxide_peer"],
            },
        ];
        let mut footprint = Footprint::default();
        for subject in subjects {
            match subject.measure() {
                Ok(program) => {
                    eprintln!("footprint  {:<15}{}", subject.name, program.describe());
                    footprint.programs.push(program);
                }
                Err(error) => {
                    eprintln!("footprint  {:<15}FAILED: {error}", subject.name);
                    self.report.fail(Failure {
                        peer: subject.name,
                        what: "footprint".to_owned(),
                        round: 1,
                        error: error.to_string(),
                    });
                }
            }
        }
        self.report.footprint = Some(footprint);
    }
}

impl Subject {
    fn measure(&self) -> io::Result<Program> {
        // First with all that it depends on, then alone.
        self.build()?;
        touch(&self.source)?;
        let seconds = self.build()?;
        let binary = self.target.join(self.profile).join(self.binary);
        Ok(Program {
            name: self.name,
            title: self.title,
            seconds,
            bytes: fs::metadata(&binary)?.len(),
            stripped: stripped(&binary)?,
        })
    }

    /// Builds it and returns how long that took, in seconds.
    fn build(&self) -> io::Result<f64> {
        let started = Instant::now();
        let status = Command::new("cargo")
            .args(["build", "--profile", self.profile, "--locked", "--target-dir"])
            .arg(&self.target)
            .args(self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .status()?;
        if status.success() {
            Ok(started.elapsed().as_secs_f64())
        } else {
            Err(io::Error::other(format!("{} cannot be built", self.name)))
        }
    }
}

fn touch(file: &Path) -> io::Result<()> {
    fs::File::options()
        .append(true)
        .open(file)?
        .set_modified(SystemTime::now())
}

/// How large a program is without symbols, if `strip` is there to tell.
fn stripped(binary: &Path) -> io::Result<Option<u64>> {
    let copy = env::temp_dir().join(format!("gatewire-bench-{}.stripped", std::process::id()));
    let done = Command::new("strip").arg("-o").arg(&copy).arg(binary).status();
    let len = match done {
        Ok(status) if status.success() => Some(fs::metadata(&copy)?.len()),
        _ => None,
    };
    let _ = fs::remove_file(&copy);
    Ok(len)
}
