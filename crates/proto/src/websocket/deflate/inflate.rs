//! The receiving side: the whole compressed payload of a message in, the message out, stopped at the limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::{TAIL, pool};
use crate::websocket::Violation;

/// A last empty block behind the tail. It ends the stream if, and only if, the payload ends where a block does: one that
/// was cut short is not taken for whole.
const END: [u8; 2] = [0x03, 0x00];

/// The most that lies in front of the data in a window, in bytes.
const MAX_WINDOW: usize = 1 << super::MAX_WINDOW_BITS;

/// Last blocks (BFINAL) before the end of a message. Beginning anew behind one costs as much as a window, for the two
/// bytes of an empty block, so there is a bound.
const MAX_FINAL_BLOCKS: usize = 16;

/// The longest payload that is taken for a compressed message of at most `max_message` bytes: what the worst compressor
/// (fixed codes of nine bits, and a flush now and then) makes of bytes at random.
pub(in crate::websocket) fn max_compressed(max_message: usize) -> usize {
    max_message.saturating_add(max_message / 8).saturating_add(64)
}

/// The end of what a client has sent, which its next message may refer to.
#[derive(Debug, Default)]
pub(in crate::websocket) struct History {
    /// Invariant: at most a window long.
    bytes: Vec<u8>,
}

impl History {
    pub(in crate::websocket) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a message, and forgets what lies further back than `window` bytes.
    fn push(&mut self, message: &[u8], window: usize) {
        let message = &message[message.len().saturating_sub(window)..];
        let surplus = (self.bytes.len() + message.len()).saturating_sub(window);
        self.bytes.drain(..surplus);
        if self.bytes.capacity() < self.bytes.len() + message.len() {
            // Doubled, as a vector does by itself, but never beyond the window.
            let room = message.len().max(self.bytes.len()).min(window - self.bytes.len());
            self.bytes.reserve_exact(room);
        }
        self.bytes.extend_from_slice(message);
    }
}

/// Inflates the payload of a message that may become `limit` bytes long. `history` is what the client's compressor
/// remembers, and how many bits its window has; the message is added to it.
///
/// # Errors
///
/// [`Violation::MessageTooBig`] at the first byte above the limit, [`Violation::Deflate`] if the payload is not whole
/// blocks of DEFLATE.
pub(in crate::websocket) fn inflate(
    payload: &[u8],
    limit: usize,
    history: Option<(&mut History, u8)>,
) -> Result<Vec<u8>, Violation> {
    let past = history.as_ref().map_or(&[][..], |(history, _)| &history.bytes);
    let message = pool::with_decompressor(|decompress| {
        let mut inflating = Inflating {
            decompress,
            past,
            message: Vec::new(),
            limit,
        };
        inflating.run(payload)?;
        Ok::<_, Violation>(inflating.message)
    })?;
    if let Some((history, bits)) = history {
        history.push(&message, 1 << bits);
    }
    Ok(message)
}

struct Inflating<'a> {
    decompress: &'a mut Decompress,
    /// What came before the message.
    past: &'a [u8],
    message: Vec<u8>,
    limit: usize,
}

impl Inflating<'_> {
    fn run(&mut self, payload: &[u8]) -> Result<(), Violation> {
        // Not even the empty block of an empty message: strictly too short, but what it means is plain.
        if payload.is_empty() {
            return Ok(());
        }
        self.reserve(payload.len().saturating_mul(3).max(64));
        self.remember()?;
        let mut rest = payload;
        let mut final_blocks = 0;
        while self.feed(&mut rest)? {
            if rest.is_empty() {
                return Ok(());
            }
            // A last block that is not the last (RFC 7692 §7.2.3.5): the decompressor would read no further.
            final_blocks += 1;
            if final_blocks > MAX_FINAL_BLOCKS {
                return Err(Violation::Deflate);
            }
            self.decompress.reset(false);
            self.remember()?;
        }
        let mut end = &[TAIL.as_slice(), &END].concat()[..];
        if self.feed(&mut end)? && end.is_empty() {
            Ok(())
        } else {
            Err(Violation::Deflate)
        }
    }

    /// Puts what came last into the window of the decompressor, which has just been reset.
    fn remember(&mut self) -> Result<(), Violation> {
        let own = &self.message[self.message.len().saturating_sub(MAX_WINDOW)..];
        let past = &self.past[self.past.len().saturating_sub(MAX_WINDOW - own.len())..];
        for part in [past, own] {
            if !part.is_empty() {
                self.decompress
                    .set_dictionary(part)
                    .map_err(|_| Violation::Deflate)?;
            }
        }
        Ok(())
    }

    /// Inflates `input` until it is used up, or its last block is over: then true.
    fn feed(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        loop {
            if self.message.len() == self.message.capacity() {
                self.reserve(self.message.len().max(64));
            }
            let before = self.decompress.total_in();
            let status = self
                .decompress
                .decompress_vec(input, &mut self.message, FlushDecompress::None)
                .map_err(|_| Violation::Deflate)?;
            let used = usize::try_from(self.decompress.total_in() - before).unwrap_or(input.len());
            *input = &input[used..];
            if self.message.len() > self.limit {
                return Err(Violation::MessageTooBig {
                    len: self.limit as u64 + 1,
                    limit: self.limit,
                });
            }
            if status == Status::StreamEnd {
                return Ok(true);
            }
            // With room left, it has nothing more to give.
            if self.message.len() < self.message.capacity() {
                return Ok(false);
            }
        }
    }

    /// Makes room for `additional` bytes, but for one more than the limit at most: it shows that the message is too big.
    fn reserve(&mut self, additional: usize) {
        let most = self.limit.saturating_add(1).saturating_sub(self.message.len());
        self.message.reserve_exact(additional.min(most));
    }
}
