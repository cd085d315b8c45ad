//! The sending side: a message becomes one compressed frame, or stays as it is if that is not shorter.

use flate2::FlushCompress;

use super::{TAIL, pool};
use crate::websocket::Opcode;
use crate::websocket::frame::put_compressed_frame;

/// Appends the frame of a message that is compressed with a window of `window_bits` (the base-2 logarithm of its bytes,
/// 8 to 15) at `level` (1 to 9; what lies outside is brought in). It refers to no other message, so any client whose
/// window is as large can read it.
///
/// False, and nothing appended, if the message does not get shorter by it.
#[must_use]
pub fn put_deflated_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    message: &[u8],
    window_bits: u8,
    level: u8,
) -> bool {
    pool::with_compressor(window_bits, level, |compressor| {
        let output = &mut compressor.output;
        // With room for as much as would be of use, one call does it all or shows that it is not worth it.
        output.reserve_exact(message.len() + TAIL.len());
        let compress = &mut compressor.compress;
        if compress
            .compress_vec(message, output, FlushCompress::Sync)
            .is_err()
            || compress.total_in() != message.len() as u64
            || output.len() == output.capacity()
        {
            return false;
        }
        let Some(body) = output.strip_suffix(&TAIL) else {
            return false;
        };
        if body.len() >= message.len() {
            return false;
        }
        put_compressed_frame(out, opcode, body);
        true
    })
}
