//! Pinning to CPUs, and the limit of open files. A child inherits both from the thread that starts it.

use std::io;

/// Confines the calling thread, and what it starts from now on, to these CPUs.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpus: &[usize]) -> io::Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;

    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Pinning needs Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: &[usize]) -> io::Result<()> {
    Ok(())
}

/// Raises the limit of open files as far as it goes and returns it.
#[cfg(target_os = "linux")]
pub(crate) fn raise_open_files() -> io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Left as it is: the system says itself when it is too low.
#[cfg(not(target_os = "linux"))]
pub(crate) fn raise_open_files() -> io::Result<u64> {
    Ok(u64::MAX)
}
