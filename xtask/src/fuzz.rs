//! Each fuzz target for a while. It needs cargo-fuzz (`cargo install cargo-fuzz`) and says so when it is not there.

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
