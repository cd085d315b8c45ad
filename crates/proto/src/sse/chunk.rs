//! The chunks that a body without a known length has in HTTP/1.1 (RFC 9112 §7.1). An event is one chunk, so that it can be
//! written to every connection as it is.

use std::io::Write;

use bytes::Bytes;

/// Room for the size before a chunk: sixteen digits and the line's end.
pub const CHUNK_ROOM: usize = 18;

/// What ends a body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Makes a chunk of what was written behind [`CHUNK_ROOM`] bytes of room: its size is put right before it, its end behind,
/// and the returned index is where the chunk starts.
///
/// # Panics
/// If `buffer` is shorter than that room.
pub fn seal_chunk(buffer: &mut Vec<u8>) -> usize {
    let mut size = [0; CHUNK_ROOM];
    let mut rest = &mut size[..];
    // It has room for the largest number.
    let _ = write!(rest, "{:x}\r\n", buffer.len() - CHUNK_ROOM);
    let written = CHUNK_ROOM - rest.len();
    let start = CHUNK_ROOM - written;
    buffer[start..CHUNK_ROOM].copy_from_slice(&size[..written]);
    buffer.extend_from_slice(b"\r\n");
    start
}

/// Appends `data` as a chunk; nothing if it is empty, for an empty chunk is the end.
pub fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        // Writing into a vector does not fail.
        let _ = write!(out, "{:x}\r\n", data.len());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

/// What one whole chunk holds, for who frames it otherwise.
#[must_use]
pub fn unchunk(chunk: &Bytes) -> Bytes {
    let start = memchr::memchr(b'\n', chunk).map_or(0, |end| end + 1);
    chunk.slice(start..chunk.len().saturating_sub(2).max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_what_was_put_in() {
        for len in [1, 15, 16, 255, 256, 70_000] {
            let data = vec![b'\n'; len];
            let mut out = Vec::new();
            put_chunk(&mut out, &data);
            assert!(out.starts_with(format!("{len:x}\r\n").as_bytes()));
            let mut sealed = vec![0; CHUNK_ROOM];
            sealed.extend_from_slice(&data);
            let start = seal_chunk(&mut sealed);
            assert_eq!(sealed[start..], out);
            assert_eq!(unchunk(&out.into()), data);
        }
        let mut out = Vec::new();
        put_chunk(&mut out, b"");
        assert!(out.is_empty());
    }
}
