//! Each fuzz target for a while. It needs cargo-fuzz (`cargo install cargo-fuzz`) and says so when it is not there. And the
//! lock file of the targets, which are a workspace of their own.

use std::fs;

use crate::process::{Failure, cargo, find, root, run};

/// Runs every target of `fuzz/fuzz_targets` for `seconds` (text from the command line; 60 if absent).
pub(crate) fn fuzz(seconds: Option<&str>) -> Result<(), Failure> {
    let seconds: u32 = seconds.unwrap_or("60").parse().map_err(|error| {
        Failure(format!(
            "usage: cargo xtask fuzz [seconds], each a whole number: {error}"
        ))
    })?;
    if find("cargo-fuzz").is_none() {
        return Err(Failure::new("cargo-fuzz is missing: cargo install cargo-fuzz"));
    }
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    let mut targets: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    targets.sort();
    let limit = format!("-max_total_time={seconds}");
    for target in &targets {
        // The sanitizer's flags are unstable; this lets the stable compiler of the repository take them.
        run(cargo(["fuzz", "run"])
            .arg(target)
            .args(["--", &limit])
            .env("RUSTC_BOOTSTRAP", "1"))?;
    }
    println!("{} targets, no crash", targets.len());
    Ok(())
}

/// A failure if the crates have come to need what `fuzz/Cargo.lock` does not know: no build of the main workspace looks there.
/// Where cargo cannot tell, without packages and a network, it is none.
pub(crate) fn check_lock() -> Result<(), Failure> {
    let output = cargo(["tree", "--locked", "--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_HTTP_TIMEOUT", "10")
        .env("CARGO_NET_RETRY", "0")
        .output()
        .map_err(|error| Failure(format!("cargo tree: {error}")))?;
    let message = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else if message.contains("because --locked was passed") {
        Err(Failure::new(
            "fuzz/Cargo.lock does not know what the crates have come to need. This writes it, to be committed:\n\
             cargo metadata --format-version 1 --manifest-path fuzz/Cargo.toml > /dev/null",
        ))
    } else {
        println!("skipped: whether fuzz/Cargo.lock is complete, which cargo cannot tell here:\n{message}");
        Ok(())
    }
}
