//! What holds for all messages and bytes, however they are cut into frames and reads.

use proptest::prelude::*;

use super::*;

/// One message and how a client cuts it into frames.
#[derive(Clone, Debug)]
struct Sent {
    seen: Seen,
    cuts: Vec<prop::sample::Index>,
    mask: [u8; 4],
}

impl Sent {
    fn write(&self, out: &mut Vec<u8>) {
        let close;
        let (opcode, payload): (_, &[u8]) = match &self.seen {
            Seen::Text(text) => (Opcode::Text, text.as_bytes()),
            Seen::Binary(data) => (Opcode::Binary, data),
            Seen::Ping(data) => (Opcode::Ping, data),
            Seen::Pong(data) => (Opcode::Pong, data),
            Seen::Close(frame) => {
                close = frame.as_ref().map_or_else(Vec::new, |(code, reason)| {
                    [&code.to_be_bytes(), reason.as_bytes()].concat()
                });
                (Opcode::Close, &close)
            }
        };
        if opcode.is_control() {
            return put_masked_frame(out, true, opcode, self.mask, payload);
        }
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        for (n, pair) in cuts.windows(2).enumerate() {
            let opcode = if n == 0 { opcode } else { Opcode::Continuation };
            let fin = n + 2 == cuts.len();
            put_masked_frame(out, fin, opcode, self.mask, &payload[pair[0]..pair[1]]);
            if !fin && n % 2 == 0 {
                put_masked_frame(out, true, Opcode::Pong, self.mask, &[]);
            }
        }
    }

    /// What the decoder makes of it: the message, after the pongs between its fragments.
    fn events(&self) -> impl Iterator<Item = Seen> {
        let is_control = matches!(self.seen, Seen::Ping(_) | Seen::Pong(_) | Seen::Close(_));
        let pongs = if is_control {
            0
        } else {
            self.cuts.len().div_ceil(2)
        };
        std::iter::repeat_n(Seen::Pong(vec![]), pongs).chain([self.seen.clone()])
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = |max| prop::collection::vec(any::<u8>(), 0..max);
    let seen = prop_oneof![
        4 => ".{0,60}".prop_map(Seen::Text),
        2 => data(300).prop_map(Seen::Binary),
        1 => (65_000..66_000_usize, any::<u8>()).prop_map(|(len, byte)| Seen::Binary(vec![byte; len])),
        1 => (0..3_000_usize).prop_map(|len| Seen::Text("añ€𐍈".repeat(len))),
        1 => data(126).prop_map(Seen::Ping),
        1 => data(126).prop_map(Seen::Pong),
    ];
    (
        seen,
        prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        any::<[u8; 4]>(),
    )
        .prop_map(|(seen, cuts, mask)| Sent { seen, cuts, mask })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        messages in prop::collection::vec(sent(), 0..6),
        close in prop::option::of((3000..5000_u16, ".{0,30}")),
        reads in prop::collection::vec(1..40_000_usize, 1..20),
        small_reads: bool,
    ) {
        let close = Sent { seen: Seen::Close(close), cuts: vec![], mask: MASK };
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for message in messages.iter().chain([&close]) {
            message.write(&mut bytes);
            expected.extend(message.events());
        }
        let mut rest = &bytes[..];
        let reads = reads.iter().cycle().map(|&len| {
            let (read, after) = rest.split_at((if small_reads { len % 50 + 1 } else { len }).min(rest.len()));
            rest = after;
            read
        });
        let seen = decode_reads(LIMITS, reads.take_while(|read| !read.is_empty()));
        prop_assert_eq!(seen, (expected, None));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_every_cut_agrees(
        bytes in near_frames(),
        at: prop::sample::Index,
        max_message in 0..300_usize,
        max_fragments in 0..5_usize,
    ) {
        let limits = Limits { max_message, max_fragments };
        let whole = decode(limits, &bytes);
        let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
        prop_assert_eq!(&decode_reads(limits, [first, second]), &whole);
        prop_assert_eq!(&decode_reads(limits, bytes.chunks(1)), &whole);
    }
}

/// Bytes that look like frames often enough to come further than the first header.
fn near_frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..20),
        6 => (any::<bool>(), 0..11_u8, any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 0..140)).prop_map(
            |(fin, opcode, mask, payload)| {
                let mut out = Vec::new();
                put_masked_frame(&mut out, fin, Opcode::Text, mask, &payload);
                out[0] = out[0] & 0x80 | opcode;
                out
            }
        ),
        3 => (any::<bool>(), any::<[u8; 4]>(), ".{0,20}").prop_map(|(first, mask, text)| {
            let mut out = Vec::new();
            let opcode = if first { Opcode::Text } else { Opcode::Continuation };
            put_masked_frame(&mut out, !first, opcode, mask, text.as_bytes());
            out
        }),
    ];
    prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}
