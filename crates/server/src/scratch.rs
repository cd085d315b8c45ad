//! The read buffer of a thread. A connection borrows it for the moment in which it reads and decodes, so an idle
//! connection holds no buffer at all.

use std::cell::Cell;

/// Bytes a connection takes from the kernel at a time.
pub(crate) const SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends this thread's buffer to `work`. A nested call gets a fresh one.
pub(crate) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let result = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    result
}
