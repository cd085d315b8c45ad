//! Tasks with names, for those who look at a running program with tokio-console. Tokio keeps names only where it is compiled
//! with `--cfg tokio_unstable` and the feature `tokio-console` is on; elsewhere a task is spawned as ever, and costs nothing
//! more.

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Spawns a task of that name on the runtime that this is called in.
#[cfg(not(all(tokio_unstable, feature = "tokio-console")))]
#[inline]
pub fn spawn<F>(_name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(future)
}

/// Spawns a task of that name on the runtime that this is called in.
#[cfg(all(tokio_unstable, feature = "tokio-console"))]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    spawn_on(&Handle::current(), name, future)
}

/// Spawns a task of that name on this runtime.
#[cfg(not(all(tokio_unstable, feature = "tokio-console")))]
#[inline]
pub fn spawn_on<F>(runtime: &Handle, _name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    runtime.spawn(future)
}

/// Spawns a task of that name on this runtime.
#[cfg(all(tokio_unstable, feature = "tokio-console"))]
pub fn spawn_on<F>(runtime: &Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match tokio::task::Builder::new().name(name).spawn_on(future, runtime) {
        Ok(handle) => handle,
        // It never is, at present; without the future there is nothing else to do.
        Err(error) => panic!("the task {name:?} was not spawned: {error}"),
    }
}

/// Spawns a task of that name in the set, on the runtime that this is called in.
#[cfg(not(all(tokio_unstable, feature = "tokio-console")))]
#[inline]
pub fn spawn_in<T, F>(set: &mut JoinSet<T>, _name: &'static str, future: F) -> AbortHandle
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    set.spawn(future)
}

/// Spawns a task of that name in the set, on the runtime that this is called in.
#[cfg(all(tokio_unstable, feature = "tokio-console"))]
pub fn spawn_in<T, F>(set: &mut JoinSet<T>, name: &'static str, future: F) -> AbortHandle
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    match set.build_task().name(name).spawn(future) {
        Ok(handle) => handle,
        // As above.
        Err(error) => panic!("the task {name:?} was not spawned: {error}"),
    }
}
