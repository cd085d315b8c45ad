//! permessage-deflate (RFC 7692), the server side: which offer of a client is taken, the inflating of what comes (inside
//! the [`Decoder`](super::Decoder)), and the deflating of what goes out. When a message is worth it is the caller's
//! affair, and so is the sharing of a message that is compressed once for many.
//!
//! No connection holds a compressor or a decompressor: each thread keeps a few, and one is borrowed for the length of a
//! message. What the server sends never refers to an earlier message (`server_no_context_takeover`), so a compressed
//! message may go to any number of clients. A client may be let do so ([`DeflateOptions::client_context_takeover`]);
//! then its connection keeps the last bytes that the client sent, up to its window.

mod compress;
mod inflate;
mod negotiate;
mod pool;

#[cfg(test)]
mod tests;

pub use compress::put_deflated_frame;
pub use negotiate::{Deflate, DeflateOptions, MalformedExtensions};

pub(super) use inflate::{History, inflate, max_compressed};

/// What a compressor ends a message with, and the sender leaves out (RFC 7692 §7.2.1): the length of an empty block.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The largest window of DEFLATE, as the base-2 logarithm of its size in bytes.
const MAX_WINDOW_BITS: u8 = 15;
