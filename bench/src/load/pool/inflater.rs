//! Compressed messages.

use flate2::{Decompress, FlushDecompress};

/// Reads compressed messages, each of which stands for itself.
pub(super) struct Inflater {
    inflate: Decompress,
    /// Room for a message; away while one is handled.
    pub(super) message: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            message: Vec::with_capacity(64 << 10),
        }
    }
}

impl Inflater {
    /// False if it is not compressed, or longer than any message here.
    pub(super) fn inflate(&mut self, payload: &[u8], message: &mut Vec<u8>) -> bool {
        message.clear();
        self.inflate.reset(false);
        // What the sender leaves out (RFC 7692 section 7.2.2).
        let inputs = [payload, &[0, 0, 0xff, 0xff]];
        inputs.into_iter().all(|input| {
            let before = self.inflate.total_in();
            let result = self.inflate.decompress_vec(input, message, FlushDecompress::Sync);
            result.is_ok() && self.inflate.total_in() - before == input.len() as u64
        })
    }
}
