//! WebSocket framing (RFC 6455 section 5) from the client's side: masked frames out, unmasked frames in. It knows no
//! fragments, because no server here sends any, and of extensions only that a message may be compressed, where that was
//! agreed on; anything else is reported as an error.

use std::ops::Range;

use thiserror::Error;

/// The largest payload that is accepted, in bytes: a longer length is taken for garbage.
const MAX_PAYLOAD: u64 = 16 << 20;

/// The mask of every frame. Fixed, so that the generator spends nothing on random numbers, and not zero, so that
/// no server can skip its work.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x1e, 0x97];

/// What a frame is (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opcode {
    /// A whole text message.
    Text,
    /// A whole binary message.
    Binary,
    /// The close handshake.
    Close,
    /// A ping of the WebSocket layer.
    Ping,
    /// The answer to one.
    Pong,
}

impl Opcode {
    fn bits(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// One frame found in a buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    /// What it is.
    pub(crate) opcode: Opcode,
    /// Where its payload lies, in bytes from the start of the buffer.
    pub(crate) payload: Range<usize>,
    /// Whether it is compressed (RFC 7692 section 6).
    pub(crate) is_compressed: bool,
}

/// Why bytes from a server are no frame.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum FrameError {
    /// RFC 6455 section 5.1: a server must not mask.
    #[error("the server sent a masked frame")]
    Masked,
    /// No extension was offered that uses it.
    #[error("the server set a reserved bit, but no extension was negotiated")]
    Reserved,
    /// Not known to this parser.
    #[error("the server sent a fragment, which this client does not put together")]
    Fragment,
    /// RFC 6455 section 5.2.
    #[error("the server sent the unknown opcode {0}")]
    Opcode(u8),
    /// See [`MAX_PAYLOAD`].
    #[error("the server announced a frame of {0} bytes")]
    TooLong(u64),
}

/// Finds the frame at the start of `input`, which may be compressed if `is_deflated`; `None` while it is unfinished.
pub(crate) fn parse(input: &[u8], is_deflated: bool) -> Result<Option<Frame>, FrameError> {
    let [first, second, rest @ ..] = input else {
        return Ok(None);
    };
    let is_compressed = first & 0x70 == 0x40 && is_deflated;
    if first & 0x70 != 0 && !is_compressed {
        return Err(FrameError::Reserved);
    }
    if first & 0x80 == 0 || first & 0x0f == 0 {
        return Err(FrameError::Fragment);
    }
    let bits = first & 0x0f;
    let opcode = Opcode::from_bits(bits).ok_or(FrameError::Opcode(bits))?;
    if second & 0x80 != 0 {
        return Err(FrameError::Masked);
    }
    let (head, len) = match second & 0x7f {
        126 => match rest {
            [a, b, ..] => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            _ => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (10, u64::from_be_bytes(*bytes)),
            None => return Ok(None),
        },
        len => (2, u64::from(len)),
    };
    if len > MAX_PAYLOAD {
        return Err(FrameError::TooLong(len));
    }
    // Fits: not above MAX_PAYLOAD.
    let end = head + len as usize;
    Ok((input.len() >= end).then_some(Frame {
        opcode,
        payload: head..end,
        is_compressed,
    }))
}

/// Appends one masked frame; `fill` writes its payload.
pub(crate) fn put(out: &mut Vec<u8>, opcode: Opcode, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // The short header is by far the commonest; a longer one is made room for afterwards.
    out.extend_from_slice(&[0x80 | opcode.bits(), 0x80]);
    out.extend_from_slice(&MASK);
    let body = out.len();
    fill(out);
    let len = out.len() - body;
    mask(&mut out[body..]);
    match len {
        0..126 => out[start + 1] |= len as u8,
        126..0x1_0000 => {
            out[start + 1] |= 126;
            out.splice(start + 2..start + 2, (len as u16).to_be_bytes());
        }
        _ => {
            out[start + 1] |= 127;
            out.splice(start + 2..start + 2, (len as u64).to_be_bytes());
        }
    }
}

/// Appends one frame as a server sends it, to compare with what came.
pub(crate) fn put_unmasked(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.push(0x80 | opcode.bits());
    match payload.len() {
        len @ 0..126 => out.push(len as u8),
        len @ 126..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

fn mask(payload: &mut [u8]) {
    // In words, which the compiler makes wide ones of; byte by byte it does not.
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(MASK)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(MASK) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmask(frame: &[u8], head: usize) -> Vec<u8> {
        let key = &frame[head - 4..head];
        frame[head..]
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    fn server_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        put_unmasked(&mut frame, opcode, payload);
        frame
    }

    #[test]
    fn a_frame_is_found_only_when_it_is_whole() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let frame = server_frame(Opcode::Text, &vec![b'x'; len]);
            for cut in [0, 1, 2, 3, 9, frame.len().saturating_sub(1)] {
                if cut < frame.len() {
                    assert_eq!(parse(&frame[..cut], false), Ok(None), "{len} bytes cut at {cut}");
                }
            }
            let range = frame.len() - len..frame.len();
            let expected = Some(Frame {
                opcode: Opcode::Text,
                payload: range,
                is_compressed: false,
            });
            assert_eq!(parse(&frame, false), Ok(expected.clone()), "{len} bytes");
            let mut longer = frame;
            longer.extend_from_slice(&[0x81, 0]);
            assert_eq!(
                parse(&longer, false),
                Ok(expected),
                "{len} bytes and the next frame"
            );
        }
    }

    #[test]
    fn every_opcode_is_recognised() {
        for opcode in [
            Opcode::Text,
            Opcode::Binary,
            Opcode::Close,
            Opcode::Ping,
            Opcode::Pong,
        ] {
            let frame = server_frame(opcode, b"ab");
            assert_eq!(
                parse(&frame, false),
                Ok(Some(Frame {
                    opcode,
                    payload: 2..4,
                    is_compressed: false,
                }))
            );
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        let table: [(&[u8], FrameError); 6] = [
            (&[0x81, 0x80], FrameError::Masked),
            (&[0xc1, 0x00], FrameError::Reserved),
            (&[0x01, 0x00], FrameError::Fragment),
            (&[0x80, 0x00], FrameError::Fragment),
            (&[0x83, 0x00], FrameError::Opcode(3)),
            (&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], FrameError::TooLong(1 << 32)),
        ];
        for (bytes, error) in table {
            assert_eq!(parse(bytes, false), Err(error), "{bytes:?}");
        }
        let compressed = parse(&[0xc1, 0x00], true).unwrap().unwrap();
        assert!(compressed.is_compressed);
        for reserved in [0xa1, 0xe1] {
            assert_eq!(parse(&[reserved, 0x00], true), Err(FrameError::Reserved));
        }
    }

    #[test]
    fn a_written_frame_unmasks_to_its_payload() {
        for (len, head) in [(0, 6), (5, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut out = b"before".to_vec();
            put(&mut out, Opcode::Binary, |out| out.extend_from_slice(&payload));
            let frame = &out[6..];
            assert_eq!(frame[0], 0x82);
            assert_eq!(frame[1] & 0x80, 0x80, "a client masks");
            assert_eq!(frame.len(), head + len, "{len} bytes");
            assert_eq!(unmask(frame, head), payload, "{len} bytes");
        }
    }
}
