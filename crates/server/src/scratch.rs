//! The buffers of a thread. A connection borrows one for the moment in which it reads and decodes, or encrypts, so an idle
//! connection holds no buffer at all.

use std::cell::RefCell;

/// Bytes a connection takes from the kernel at a time: 64 KiB and what stands before them in their message, so that one of that
/// size, which many are, comes with one read.
pub(crate) const SIZE: usize = 64 * 1024 + 512;

/// Buffers that a thread keeps: one for a reader, one for the records that it decrypts.
const KEPT: usize = 2;

thread_local! {
    static SCRATCH: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of this thread to `work`. A nested call gets another one.
pub(crate) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let kept = SCRATCH.with_borrow_mut(Vec::pop);
    let mut buffer = kept.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let result = work(&mut buffer);
    SCRATCH.with_borrow_mut(|kept| {
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
    result
}
