//! What the tests need beyond Rust: the npm packages of `interop/`, Chromium, curl, Python, Redis, nginx, HAProxy and
//! libfaketime. It installs nothing that is there already, and system packages only where apt can be used without a question.

use std::fs;
use std::path::Path;

use crate::process::{Failure, command, find, in_ci, root, run};

/// Debian's browser, and a font for its pages.
const BROWSER: [&str; 2] = ["chromium", "fonts-dejavu-core"];

/// Installs what is missing; what cannot be installed is a failure in CI and a printed note elsewhere.
pub(crate) fn setup() -> Result<(), Failure> {
    chromium()?;
    curl()?;
    python()?;
    redis()?;
    balancers()?;
    clock()?;
    npm_packages()
}

fn chromium() -> Result<(), Failure> {
    let wanted = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let is_there = || Path::new(&wanted).is_file();
    if is_there() || (install(&BROWSER)? && is_there()) {
        return Ok(());
    }
    missing(&format!(
        "no browser at {wanted}: install Chromium, or set CHROMIUM to its path; its tests are skipped"
    ))
}

fn curl() -> Result<(), Failure> {
    let is_there = || find("curl").is_some();
    if is_there() || (install(&["curl"])? && is_there()) {
        return Ok(());
    }
    missing("no curl on the PATH: install it; the test with it is skipped")
}

fn python() -> Result<(), Failure> {
    // Debian has the modules that make environments in a package of their own.
    let is_there = || {
        find("python3").is_some()
            && command("python3")
                .args(["-c", "import venv, ensurepip"])
                .output()
                .is_ok_and(|output| output.status.success())
    };
    if is_there() || (install(&["python3", "python3-venv"])? && is_there()) {
        return Ok(());
    }
    missing("no python3 that can make environments (venv): install it; the suites in Python are skipped")
}

fn redis() -> Result<(), Failure> {
    let is_there = || find("redis-server").is_some();
    if is_there() || (install(&["redis-server"])? && is_there()) {
        return Ok(());
    }
    missing("no redis-server on the PATH: install Redis 7; the tests with it are skipped")
}

fn balancers() -> Result<(), Failure> {
    // Debian has them where only root's PATH leads.
    let is_there = |name: &str| find(name).is_some() || Path::new("/usr/sbin").join(name).is_file();
    let are_there = || is_there("nginx") && is_there("haproxy");
    if are_there() || (install(&["nginx-light", "haproxy"])? && are_there()) {
        return Ok(());
    }
    missing("no nginx or no haproxy on the PATH: install them; the tests of balancers are skipped")
}

fn clock() -> Result<(), Failure> {
    let is_there = || find("faketime").is_some();
    if is_there() || (install(&["faketime"])? && is_there()) {
        return Ok(());
    }
    missing("no faketime on the PATH: install it; the tests of clocks that jump are skipped")
}

/// False if it is not for this program to install packages.
fn install(packages: &[&str]) -> Result<bool, Failure> {
    if find("apt-get").is_none() || !is_root() {
        return Ok(false);
    }
    let apt = |args: &[&str]| {
        run(command("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Services are not started: each test starts its own.
            .env("RUNLEVEL", "1")
            .args(args))
    };
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"][..], packages].concat())?;
    Ok(true)
}

fn npm_packages() -> Result<(), Failure> {
    if find("node").is_none() || find("npm").is_none() {
        return missing("no node and npm on the PATH: the interop suites need Node.js 20 or newer");
    }
    let interop = root().join("interop");
    let installed = interop.join("node_modules/.package-lock.json");
    if is_newer(&installed, &interop.join("package-lock.json")) {
        return Ok(());
    }
    run(command("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(interop))
}

fn missing(what: &str) -> Result<(), Failure> {
    if in_ci() {
        return Err(Failure::new(what));
    }
    eprintln!("note: {what}");
    Ok(())
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    matches!((time(made), time(source)), (Some(made), Some(source)) if made >= source)
}

fn is_root() -> bool {
    command("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
