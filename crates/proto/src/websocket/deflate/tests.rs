//! Compressed messages through the decoder: the examples of the RFC, every cut into reads, bombs, history, and the way
//! there and back.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::super::{Decoder, Event, Limits, Opcode, Received, Violation, put_masked_frame};
use super::*;

const LIMITS: Limits = Limits {
    max_message: 300_000,
    max_fragments: 1_000,
};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

type Transcript = (Vec<Vec<u8>>, Option<Violation>);

fn agreed(offer: &'static str, client_context_takeover: bool) -> Option<Deflate> {
    let mut headers = HeaderMap::new();
    headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer));
    let options = DeflateOptions {
        client_context_takeover,
        ..DeflateOptions::default()
    };
    let deflate = Deflate::negotiate(&headers, &options).unwrap();
    assert!(deflate.is_some(), "{offer}");
    deflate
}

fn fresh() -> Option<Deflate> {
    agreed("permessage-deflate", false)
}

fn takeover() -> Option<Deflate> {
    agreed("permessage-deflate", true)
}

/// Masked frames of compressed messages; RSV1 is set on the first frame of each.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    fn frame(mut self, rsv1: bool, fin: bool, opcode: Opcode, payload: &[u8]) -> Self {
        let start = self.0.len();
        put_masked_frame(&mut self.0, fin, opcode, MASK, payload);
        if rsv1 {
            self.0[start] |= 0x40;
        }
        self
    }

    fn message(self, opcode: Opcode, payload: &[u8]) -> Self {
        self.frame(true, true, opcode, payload)
    }

    fn text(self, payload: &[u8]) -> Self {
        self.message(Opcode::Text, payload)
    }
}

fn frames() -> Frames {
    Frames::default()
}

/// The messages in `reads`, and what ended them. Pings and pongs count as messages here.
fn decode_reads<'a>(
    limits: Limits,
    deflate: Option<Deflate>,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> Transcript {
    let mut decoder = Decoder::new(limits).with_deflate(deflate);
    let mut seen = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut at = 0;
        loop {
            let Received { consumed, event } = match decoder.receive(&mut read[at..]) {
                Ok(received) => received,
                Err(violation) => return (seen, Some(violation)),
            };
            at += consumed;
            match event {
                None => break,
                Some(Event::Text(text)) => seen.push(text.as_bytes().to_vec()),
                Some(Event::Binary(data) | Event::Ping(data) | Event::Pong(data)) => seen.push(data.to_vec()),
                Some(Event::Close(_)) => return (seen, None),
            }
        }
    }
    (seen, None)
}

/// What `bytes` give in one read, in every two reads, and byte by byte.
fn decode(limits: Limits, deflate: Option<Deflate>, bytes: &[u8]) -> Transcript {
    let whole = decode_reads(limits, deflate, [bytes]);
    for at in (0..bytes.len()).step_by(bytes.len().div_ceil(200).max(1)) {
        let (first, second) = bytes.split_at(at);
        assert_eq!(
            decode_reads(limits, deflate, [first, second]),
            whole,
            "cut at {at}"
        );
    }
    assert_eq!(decode_reads(limits, deflate, bytes.chunks(1)), whole);
    whole
}

fn hello(times: usize) -> Transcript {
    (vec![b"Hello".to_vec(); times], None)
}

/// A client's compressor, which remembers.
struct Client(Compress);

impl Client {
    fn new(window_bits: u8) -> Self {
        Self(Compress::new_with_window_bits(
            Compression::new(6),
            false,
            window_bits,
        ))
    }

    fn deflate(&mut self, message: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + message.len() / 8 + 64);
        self.0.compress_vec(message, &mut out, flush).unwrap();
        out
    }

    fn message(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            // zlib flushes nothing twice (RFC 7692 §7.2.3.6).
            return vec![0];
        }
        let mut out = self.deflate(message, FlushCompress::Sync);
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }
}

fn deflate(message: &[u8]) -> Vec<u8> {
    Client::new(15).message(message)
}

/// Bytes that do not repeat, so that only a reference into the past makes them short.
fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn the_examples_of_the_rfc() {
    // §7.2.3.1: one frame, and two fragments.
    let one = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(decode(LIMITS, fresh(), &frames().text(one).0), hello(1));
    let fragments = frames().frame(true, false, Opcode::Text, &one[..3]).frame(
        false,
        true,
        Opcode::Continuation,
        &one[3..],
    );
    assert_eq!(decode(LIMITS, fresh(), &fragments.0), hello(1));
    // §7.2.3.2: the second message refers to the first, if it may.
    let twice = frames().text(one).text(b"\xf2\x00\x11\x00\x00").0;
    assert_eq!(decode(LIMITS, takeover(), &twice), hello(2));
    assert_eq!(
        decode(LIMITS, fresh(), &twice),
        (vec![b"Hello".to_vec()], Some(Violation::Deflate))
    );
    // §7.2.3.3: a block without compression.
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    assert_eq!(decode(LIMITS, fresh(), &frames().text(stored).0), hello(1));
    // §7.2.3.4: a last block, with and without the empty one behind it.
    let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    assert_eq!(decode(LIMITS, fresh(), &frames().text(last).0), hello(1));
    assert_eq!(decode(LIMITS, fresh(), &frames().text(&last[..7]).0), hello(1));
    // §7.2.3.5: two blocks.
    let two = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_eq!(decode(LIMITS, fresh(), &frames().text(two).0), hello(1));
    // §7.2.3.6: the empty message, and one of no bytes at all.
    for empty in [&b"\x00"[..], b""] {
        let bytes = frames().text(empty).0;
        assert_eq!(decode(LIMITS, fresh(), &bytes), (vec![vec![]], None));
    }
}

#[test]
fn compressed_and_plain_messages_and_control_frames_mix() {
    let one = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let bytes = frames()
        .frame(false, true, Opcode::Text, b"plain")
        .text(one)
        .frame(true, false, Opcode::Binary, &one[..2])
        .frame(false, true, Opcode::Ping, b"ping")
        .frame(false, false, Opcode::Continuation, b"")
        .frame(false, true, Opcode::Continuation, &one[2..])
        .frame(false, false, Opcode::Text, b"frag")
        .frame(false, true, Opcode::Continuation, b"ments")
        .0;
    let seen = ["plain", "Hello", "ping", "Hello", "fragments"].map(|seen| seen.as_bytes().to_vec());
    for deflate in [fresh(), takeover()] {
        assert_eq!(decode(LIMITS, deflate, &bytes), (seen.to_vec(), None));
    }
}

#[test]
fn reserved_bits_are_for_the_first_frame_of_a_message() {
    let reserved = |bits| (vec![], Some(Violation::ReservedBits(bits)));
    let one = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(decode(LIMITS, None, &frames().text(one).0), reserved(0x40));
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let bytes = frames().message(opcode, b"").0;
        assert_eq!(decode(LIMITS, fresh(), &bytes), reserved(0x40), "{opcode:?}");
    }
    for first in [true, false] {
        let bytes = frames()
            .frame(first, false, Opcode::Binary, &one[..3])
            .frame(true, true, Opcode::Continuation, &one[3..])
            .0;
        assert_eq!(decode(LIMITS, fresh(), &bytes), reserved(0x40));
    }
    for (bits, first) in [(0x20, 0xa1), (0x10, 0x91), (0x60, 0xe1), (0x70, 0xf2)] {
        let mut bytes = frames().text(one).0;
        bytes[0] = first;
        assert_eq!(decode(LIMITS, fresh(), &bytes), reserved(bits));
    }
}

#[test]
fn what_is_no_deflate_is_refused() {
    let whole = deflate(b"some text, some text, and some more of it");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a block of the reserved type", b"\x06".to_vec()),
        (
            "a stored block whose lengths disagree",
            b"\x00\x05\x00\xfa\xfe".to_vec(),
        ),
        ("cut short", whole[..whole.len() - 2].to_vec()),
        ("the tail left on", [&whole[..], &TAIL].concat()),
        ("a reference before the begin", b"\xf2\x00\x11\x00\x00".to_vec()),
        (
            "garbage behind a last block",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x06".to_vec(),
        ),
        ("an endless row of last blocks", b"\x03\x00".repeat(20)),
    ];
    for (what, payload) in cases {
        for opcode in [Opcode::Text, Opcode::Binary] {
            let bytes = frames().message(opcode, &payload).0;
            let seen = decode(LIMITS, fresh(), &bytes);
            assert_eq!(seen, (vec![], Some(Violation::Deflate)), "{what}");
        }
    }
    assert_eq!(Violation::Deflate.close_code().get(), 1007);
    let few = frames().message(Opcode::Binary, &b"\x03\x00".repeat(10)).0;
    assert_eq!(decode(LIMITS, fresh(), &few), (vec![vec![]], None));
}

#[test]
fn text_is_checked_after_it_was_inflated() {
    let bytes = frames().text(&deflate("κόσμε".as_bytes())).0;
    assert_eq!(decode(LIMITS, fresh(), &bytes).0, ["κόσμε".as_bytes()]);
    for invalid in [&b"\xff"[..], b"abc\xe2\x82"] {
        let bytes = frames().text(&deflate(invalid)).0;
        assert_eq!(
            decode(LIMITS, fresh(), &bytes),
            (vec![], Some(Violation::InvalidUtf8))
        );
        let bytes = frames().message(Opcode::Binary, &deflate(invalid)).0;
        assert_eq!(decode(LIMITS, fresh(), &bytes).0, [invalid]);
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let limits = Limits {
        max_message: 10_000,
        max_fragments: 10,
    };
    let too_big = |len, limit| (vec![], Some(Violation::MessageTooBig { len, limit }));
    let bomb = deflate(&vec![0; 50_000_000]);
    assert!(bomb.len() < 60_000);
    let exact = frames().message(Opcode::Binary, &deflate(&[7; 10_000])).0;
    assert_eq!(decode(limits, fresh(), &exact).0, [vec![7; 10_000]]);
    let above = frames().message(Opcode::Binary, &deflate(&[7; 10_001])).0;
    assert_eq!(decode(limits, fresh(), &above), too_big(10_001, 10_000));
    let wide = Limits {
        max_message: 1_000_000,
        ..limits
    };
    let bytes = frames().message(Opcode::Binary, &bomb).0;
    assert_eq!(
        decode_reads(wide, fresh(), [&bytes[..]]),
        too_big(1_000_001, 1_000_000)
    );
    // What inflates to nothing has an end, too, and it shows in the header.
    let nothing = frames()
        .message(Opcode::Binary, &b"\x00\x00\x00\xff\xff".repeat(3_000))
        .0;
    assert_eq!(decode(limits, fresh(), &nothing), too_big(15_000, 11_314));
    let bytes = frames()
        .frame(true, false, Opcode::Binary, &[0; 6_000])
        .frame(false, true, Opcode::Continuation, &[0; 6_000])
        .0;
    assert_eq!(
        decode_reads(limits, fresh(), [&bytes[..]]),
        too_big(12_000, 11_314)
    );
    let zero = Limits {
        max_message: 0,
        max_fragments: 1,
    };
    assert_eq!(
        decode(zero, fresh(), &frames().text(b"\x00").0),
        (vec![vec![]], None)
    );
    assert_eq!(
        decode(zero, fresh(), &frames().text(&deflate(b"a")).0),
        too_big(1, 0)
    );
}

#[test]
fn the_history_is_the_window_that_was_agreed_on() {
    let nine = agreed("permessage-deflate; client_max_window_bits=9", true);
    for (bits, deflate) in [(9, nine), (15, takeover())] {
        let mut client = Client::new(bits);
        let mut bytes = frames();
        let mut sent = Vec::new();
        for round in 0..20 {
            for len in [1, 100, 700, 40_000] {
                let message = noise(len, if round % 3 == 0 { round } else { 7 });
                bytes = bytes.message(Opcode::Binary, &client.message(&message));
                // A message that is not compressed is not remembered.
                bytes = bytes.frame(false, true, Opcode::Pong, b"plain");
                sent.extend([message, b"plain".to_vec()]);
            }
        }
        let seen = decode_reads(LIMITS, deflate, bytes.0.chunks(1_000));
        assert_eq!(seen, (sent, None), "{bits} bits");
    }
}

#[test]
fn nothing_is_kept_between_messages_but_the_history() {
    let bytes = frames().text(b"\xf2\x48\xcd\xc9\xc9\x07\x00").0;
    for (deflate, kept) in [(fresh(), false), (takeover(), true)] {
        let mut decoder = Decoder::new(LIMITS).with_deflate(deflate);
        let mut bytes = bytes.clone();
        let consumed = decoder.receive(&mut bytes).unwrap().consumed;
        assert_eq!(consumed, bytes.len());
        assert_eq!(decoder.receive(&mut []).unwrap().event, None);
        assert_eq!(decoder.holds_buffer(), kept);
    }
}

/// The window survives a last block in the middle of a message.
#[test]
fn a_message_goes_on_behind_a_last_block() {
    let start = noise(40_000, 3);
    let mut first = Compress::new(Compression::new(6), false);
    let mut payload = Vec::with_capacity(50_000);
    first
        .compress_vec(&start, &mut payload, FlushCompress::Finish)
        .unwrap();
    let mut second = Client::new(15);
    second.0.set_dictionary(&start[start.len() - 32_768..]).unwrap();
    let again = &start[start.len() - 20_000..];
    let rest = second.message(again);
    assert!(rest.len() < 1_000, "it refers to what lies before the last block");
    payload.extend(rest);
    let bytes = frames().message(Opcode::Binary, &payload).0;
    let expected = [&start[..], again].concat();
    assert_eq!(
        decode_reads(LIMITS, takeover(), [&bytes[..]]),
        (vec![expected], None)
    );
}

/// Inflates a server's frame as a client whose window has `bits`: a small output buffer makes every reference that
/// leaves the window an error.
fn client_reads(frame: &[u8], opcode: Opcode, bits: u8) -> Vec<u8> {
    let head = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    assert_eq!(frame[0], 0xc0 | opcode as u8);
    let mut input = &[&frame[head..], &TAIL].concat()[..];
    let mut inflate = Decompress::new_with_window_bits(false, bits.max(9));
    let mut message = Vec::new();
    loop {
        let mut piece = [0; 61];
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(input, &mut piece, FlushDecompress::None)
            .unwrap();
        assert_ne!(status, Status::StreamEnd);
        input = &input[(inflate.total_in() - before_in) as usize..];
        let made = (inflate.total_out() - before_out) as usize;
        message.extend_from_slice(&piece[..made]);
        if made < piece.len() && input.is_empty() {
            return message;
        }
    }
}

#[test]
fn what_does_not_get_shorter_is_left_alone() {
    let mut out = b"before".to_vec();
    for message in [
        vec![],
        b"a".to_vec(),
        noise(10, 1),
        noise(5_000, 1),
        noise(200_000, 1),
    ] {
        assert!(!put_deflated_frame(&mut out, Opcode::Binary, &message, 15, 6));
        assert_eq!(out, b"before");
    }
    assert!(put_deflated_frame(&mut out, Opcode::Text, &[b'a'; 100], 15, 6));
    assert!(out.starts_with(b"before\xc1"));
}

/// A message as applications send them: words that come again, near and far.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "{\"event\":",
            "\"message\"",
            ",\"data\":[",
            "]}",
            "añ€𐍈",
            " "
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
        (1..400_usize, 0..8_u32).prop_map(|(len, seed)| noise(len, seed)),
        (1..3_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_the_server_deflates_a_client_can_read(
        messages in prop::collection::vec(message(), 1..4),
        bits in 8..=15_u8,
        level in 0..=10_u8,
    ) {
        for message in messages {
            let mut out = Vec::new();
            if put_deflated_frame(&mut out, Opcode::Binary, &message, bits, level) {
                prop_assert!(out.len() < message.len() + 10);
                prop_assert_eq!(client_reads(&out, Opcode::Binary, bits), message);
            }
        }
    }

    #[test]
    fn what_a_client_deflates_the_server_can_read(
        messages in prop::collection::vec(message(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        reads in 1..5_000_usize,
        bits in 9..=15_u8,
    ) {
        let mut client = Client::new(bits);
        let mut bytes = frames();
        for message in &messages {
            let payload = client.message(message);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.extend([0, payload.len()]);
            cuts.sort_unstable();
            for (n, pair) in cuts.windows(2).enumerate() {
                let opcode = if n == 0 { Opcode::Binary } else { Opcode::Continuation };
                bytes = bytes.frame(n == 0, n + 2 == cuts.len(), opcode, &payload[pair[0]..pair[1]]);
            }
        }
        let seen = decode_reads(LIMITS, takeover(), bytes.0.chunks(reads));
        prop_assert_eq!(seen, (messages, None));
    }

    #[test]
    fn arbitrary_payloads_never_panic_and_every_cut_agrees(
        payloads in prop::collection::vec(near_deflate(), 1..4),
        reads in 1..200_usize,
        max_message in 0..5_000_usize,
        takes_over: bool,
    ) {
        let limits = Limits { max_message, max_fragments: 4 };
        let deflate = if takes_over { takeover() } else { fresh() };
        let bytes = payloads.iter().fold(frames(), |frames, payload| frames.message(Opcode::Binary, payload));
        let whole = decode_reads(limits, deflate, [&bytes.0[..]]);
        prop_assert!(whole.0.iter().all(|message| message.len() <= max_message));
        prop_assert_eq!(decode_reads(limits, deflate, bytes.0.chunks(reads)), whole);
    }
}

/// Compressed messages with a byte spoilt here and there, and bytes at random.
fn near_deflate() -> impl Strategy<Value = Vec<u8>> {
    let spoilt = (message(), any::<Option<(prop::sample::Index, u8)>>()).prop_map(|(message, spoil)| {
        let mut payload = deflate(&message);
        if let Some((at, byte)) = spoil {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        payload
    });
    prop_oneof![3 => spoilt, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}
