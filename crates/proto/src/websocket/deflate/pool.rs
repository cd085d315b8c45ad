//! The compressors and decompressors of a thread, lent for one message at a time. A handful a thread serves any number
//! of connections.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress};

/// Compressors kept by a thread: about 260 KiB each with the largest window.
const COMPRESSORS: usize = 2;

/// What a compressor's output buffer may keep between two messages, in bytes.
const KEPT_OUTPUT: usize = 64 * 1024;

thread_local! {
    static KEPT: RefCell<Vec<Compressor>> = const { RefCell::new(Vec::new()) };
    /// About 45 KiB.
    static DECOMPRESS: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// A compressor without a past, and a buffer for what it makes.
pub(super) struct Compressor {
    pub(super) compress: Compress,
    pub(super) output: Vec<u8>,
    window_bits: u8,
    level: u8,
}

/// Lends a compressor for these parameters to `work`.
pub(super) fn with_compressor<R>(window_bits: u8, level: u8, work: impl FnOnce(&mut Compressor) -> R) -> R {
    // The bounds of the crate, which would panic. With nine bits it reaches back 250 bytes at most, so a window of eight
    // bits is kept to, too.
    let window_bits = window_bits.clamp(9, super::MAX_WINDOW_BITS);
    let level = level.clamp(1, 9);
    let kept = KEPT.with_borrow_mut(|kept| {
        let at = kept
            .iter()
            .position(|one| (one.window_bits, one.level) == (window_bits, level))?;
        Some(kept.swap_remove(at))
    });
    let mut compressor = kept.unwrap_or_else(|| Compressor {
        compress: Compress::new_with_window_bits(Compression::new(level.into()), false, window_bits),
        output: Vec::new(),
        window_bits,
        level,
    });
    let result = work(&mut compressor);
    compressor.compress.reset();
    compressor.output.clear();
    compressor.output.shrink_to(KEPT_OUTPUT);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == COMPRESSORS {
            // The one that was used last is the last.
            kept.remove(0);
        }
        kept.push(compressor);
    });
    result
}

/// Lends a decompressor without a past to `work`.
pub(super) fn with_decompressor<R>(work: impl FnOnce(&mut Decompress) -> R) -> R {
    let mut decompress = DECOMPRESS.take().unwrap_or_else(|| Decompress::new(false));
    let result = work(&mut decompress);
    decompress.reset(false);
    DECOMPRESS.set(Some(decompress));
    result
}
