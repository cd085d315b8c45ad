//! One frame (RFC 6455 §5.2): the header a client's frame begins with, and the writing of server frames, ready-made and
//! never fragmented. Rules that concern more than one frame are the decoder's.

use super::{Violation, mask};

/// The longest header of a server frame, in bytes: no mask, a 64-bit length.
pub const MAX_HEADER: usize = 10;

/// The longest header of a client frame, in bytes: one with a mask.
pub(super) const MAX_CLIENT_HEADER: usize = 14;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// The first reserved bit: with permessage-deflate, the message is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The begin, or the answer, of the close handshake.
    Close = 0x8,
    /// To be answered with a pong of the same payload.
    Ping = 0x9,
    /// The answer of a ping, or a sign of life nobody asked for.
    Pong = 0xa,
}

impl Opcode {
    /// Whether this is a control frame: never fragmented, at most 125 bytes, allowed between fragments.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }
}

/// The header of one unfragmented server frame, to be sent before its payload.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader([u8; MAX_HEADER], u8);

impl AsRef<[u8]> for FrameHeader {
    fn as_ref(&self) -> &[u8] {
        &self.0[..usize::from(self.1)]
    }
}

/// The header of an unfragmented server frame with a payload of `len` bytes: 2, 4 or 10 bytes long.
///
/// A control frame of more than 125 bytes is against the protocol; whoever sends one sees to it.
pub const fn header(opcode: Opcode, len: usize) -> FrameHeader {
    let first = FIN | opcode as u8;
    let mut bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let size = if len <= 125 {
        bytes[1] = len as u8;
        2
    } else if len <= 0xffff {
        let [high, low] = (len as u16).to_be_bytes();
        (bytes[1], bytes[2], bytes[3]) = (126, high, low);
        4
    } else {
        let [a, b, c, d, e, f, g, h] = (len as u64).to_be_bytes();
        bytes = [first, 127, a, b, c, d, e, f, g, h];
        10
    };
    FrameHeader(bytes, size)
}

/// Appends a whole server frame.
pub fn put_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let header = header(opcode, payload.len());
    let header = header.as_ref();
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(header);
    out.extend_from_slice(payload);
}

/// Appends a whole server frame with a compressed payload.
pub(super) fn put_compressed_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let start = out.len();
    put_frame(out, opcode, payload);
    out[start] |= RSV1;
}

/// Makes a server frame of a payload that was written behind [`MAX_HEADER`] bytes of room: the header is put right
/// before the payload, and the returned index is where the frame starts, so `buf[index..]` is to be sent.
///
/// # Panics
///
/// If `buf` is shorter than [`MAX_HEADER`].
#[inline]
pub fn seal(buf: &mut [u8], opcode: Opcode) -> usize {
    let (room, payload) = buf.split_at_mut(MAX_HEADER);
    if payload.len() <= MAX_CONTROL {
        // As the general way has it, without a copy of unknown length.
        room[MAX_HEADER - 2] = FIN | opcode as u8;
        room[MAX_HEADER - 1] = payload.len() as u8;
        return MAX_HEADER - 2;
    }
    let header = header(opcode, payload.len());
    let header = header.as_ref();
    let start = MAX_HEADER - header.len();
    room[start..].copy_from_slice(header);
    start
}

/// Appends a client frame, masked with `mask`: for clients in tests and load generators. Nothing is checked, so that
/// wrong frames can be made as well.
pub fn put_masked_frame(out: &mut Vec<u8>, fin: bool, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(header(opcode, payload.len()).as_ref());
    if !fin {
        out[start] &= !FIN;
    }
    out[start + 1] |= MASKED;
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut out[start..], mask);
}

/// The header of a frame from a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ClientHeader {
    pub(super) fin: bool,
    /// The frame begins a compressed message.
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Of the payload, in bytes.
    pub(super) len: u64,
    /// Of the header itself, in bytes.
    pub(super) size: usize,
}

impl ClientHeader {
    /// How long the header of a frame with at most 125 bytes is.
    pub(super) const SHORT: usize = 6;

    /// The opcode, mask and length of an unfragmented text or binary message of at most 125 bytes that lies whole at
    /// the begin of `input`: what most messages are, told with few branches. `None` for everything else.
    #[inline]
    pub(super) fn decode_short(input: &[u8]) -> Option<(Opcode, [u8; 4], usize)> {
        let &[first, second, a, b, c, d] = input.first_chunk()?;
        let opcode = match first {
            0x81 => Opcode::Text,
            0x82 => Opcode::Binary,
            _ => return None,
        };
        let len = usize::from(second ^ MASKED);
        (len <= MAX_CONTROL && len <= input.len() - Self::SHORT).then_some((opcode, [a, b, c, d], len))
    }

    /// Reads the header at the begin of `input`; `None` if more bytes are needed. What the bytes at hand show to be
    /// wrong is refused without waiting for the others, and with the same violation as if all had come. Messages may be
    /// compressed if `deflate`.
    #[inline]
    pub(super) fn decode(input: &[u8], deflate: bool) -> Result<Option<Self>, Violation> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        let reserved = first & RESERVED;
        if reserved != 0 && !(deflate && reserved == RSV1 && matches!(first & 0x0f, 0x1 | 0x2)) {
            return Err(Violation::ReservedBits(reserved));
        }
        let fin = first & FIN != 0;
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::UnknownOpcode(first & 0x0f))?;
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl(opcode));
        }
        let Some(&second) = input.get(1) else {
            return Ok(None);
        };
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(Violation::ControlTooLong(opcode));
        }
        let (len, size) = match short {
            126 => {
                let Some(bytes) = input[2..].first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from(u16::from_be_bytes(*bytes));
                if len <= 125 {
                    return Err(Violation::LengthNotMinimal(len));
                }
                (len, 4)
            }
            127 => {
                let Some(bytes) = input[2..].first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(*bytes);
                if len <= 0xffff {
                    return Err(Violation::LengthNotMinimal(len));
                }
                if len >> 63 != 0 {
                    return Err(Violation::LengthTopBit);
                }
                (len, 10)
            }
            short => (u64::from(short), 2),
        };
        let Some(&mask) = input[size..].first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            fin,
            compressed: reserved != 0,
            opcode,
            mask,
            len,
            size: size + 4,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let frame = |opcode, payload: &[u8]| {
            let mut out = Vec::new();
            put_frame(&mut out, opcode, payload);
            out
        };
        assert_eq!(frame(Opcode::Text, b"Hello"), b"\x81\x05Hello");
        assert_eq!(frame(Opcode::Ping, b"Hello"), b"\x89\x05Hello");
        assert_eq!(frame(Opcode::Binary, &[7; 256])[..5], *b"\x82\x7e\x01\x00\x07");
        assert_eq!(
            frame(Opcode::Binary, &[7; 65536])[..11],
            *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00\x07"
        );
        let mut masked = Vec::new();
        put_masked_frame(
            &mut masked,
            true,
            Opcode::Text,
            [0x37, 0xfa, 0x21, 0x3d],
            b"Hello",
        );
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn headers_are_as_short_as_they_can_be() {
        const SHORT: FrameHeader = header(Opcode::Pong, 125);
        assert_eq!(SHORT.as_ref(), b"\x8a\x7d");
        let cases: &[(usize, &[u8])] = &[
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (0xffff, b"\x81\x7e\xff\xff"),
            (0x1_0000, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
            (usize::MAX >> 1, b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ];
        for (len, expected) in cases {
            assert_eq!(header(Opcode::Text, *len).as_ref(), *expected, "{len}");
        }
    }

    #[test]
    fn sealing_equals_putting() {
        for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
            let mut buf = vec![0xaa; MAX_HEADER + len];
            let start = seal(&mut buf, Opcode::Binary);
            let mut frame = Vec::new();
            put_frame(&mut frame, Opcode::Binary, &vec![0xaa; len]);
            assert_eq!(buf[start..], frame, "{len}");
        }
    }

    proptest! {
        #[test]
        fn a_client_header_survives_the_wire(
            fin: bool,
            which in 0..6_usize,
            mask: [u8; 4],
            len in prop_oneof![0..300_usize, 65_500..65_600_usize],
        ) {
            let opcodes = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
            let opcode = opcodes[which];
            let (fin, len) = if opcode.is_control() { (true, len % 126) } else { (fin, len) };
            let mut frame = Vec::new();
            put_masked_frame(&mut frame, fin, opcode, mask, &vec![0; len]);
            let size = frame.len() - len;
            for short in 0..size {
                prop_assert_eq!(ClientHeader::decode(&frame[..short], false), Ok(None));
            }
            let expected = ClientHeader { fin, compressed: false, opcode, mask, len: len as u64, size };
            prop_assert_eq!(ClientHeader::decode(&frame, false), Ok(Some(expected)));
        }
    }
}
