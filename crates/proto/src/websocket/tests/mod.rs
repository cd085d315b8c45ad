//! The decoder against transcripts: what a client sends, in every way it can be cut into reads, and what comes out.

mod large;
mod properties;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const LIMITS: Limits = Limits {
    max_message: 200_000,
    max_fragments: 1_000,
};

/// An [`Event`] that owns its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(data) => Self::Binary(data.to_vec()),
            Event::Ping(data) => Self::Ping(data.to_vec()),
            Event::Pong(data) => Self::Pong(data.to_vec()),
            Event::Close(frame) => {
                Self::Close(frame.map(|frame| (frame.code.get(), frame.reason.to_owned())))
            }
        }
    }
}

type Transcript = (Vec<Seen>, Option<Violation>);

/// Feeds one read, and checks what every call promises.
fn feed(decoder: &mut Decoder, read: &[u8], seen: &mut Vec<Seen>) -> Result<(), Violation> {
    let mut read = read.to_vec();
    let mut rest = &mut read[..];
    loop {
        let len = rest.len();
        let Received { consumed, event } = decoder.receive(rest)?;
        match event {
            Some(event) => seen.push(event.into()),
            None => {
                assert_eq!(consumed, len, "no event means that all input is consumed");
                return Ok(());
            }
        }
        assert!(
            0 < consumed && consumed <= len,
            "an event takes at least a byte of the input"
        );
        rest = &mut rest[consumed..];
    }
}

fn decode_reads<'a>(limits: Limits, reads: impl IntoIterator<Item = &'a [u8]>) -> Transcript {
    let mut decoder = Decoder::new(limits);
    let mut seen = Vec::new();
    for read in reads {
        if let Err(violation) = feed(&mut decoder, read, &mut seen) {
            let before = seen.len();
            assert_eq!(feed(&mut decoder, b"\x81\x80\x00\x00\x00\x00", &mut seen), Ok(()));
            assert_eq!(seen.len(), before, "nothing is decoded after a violation");
            return (seen, Some(violation));
        }
    }
    (seen, None)
}

fn decode(limits: Limits, bytes: &[u8]) -> Transcript {
    decode_reads(limits, [bytes])
}

/// The transcript of `bytes` in one read, after a check that every cut into two reads, and single bytes, give the same.
fn decode_all_ways(limits: Limits, bytes: &[u8]) -> Transcript {
    let whole = decode(limits, bytes);
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(
            decode_reads(limits, [first, second]),
            whole,
            "cut at {at} of {bytes:x?}"
        );
    }
    assert_eq!(
        decode_reads(limits, bytes.chunks(1)),
        whole,
        "byte by byte: {bytes:x?}"
    );
    whole
}

/// Masked frames, written one after the other.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    fn frame(mut self, fin: bool, opcode: Opcode, payload: impl AsRef<[u8]>) -> Self {
        put_masked_frame(&mut self.0, fin, opcode, MASK, payload.as_ref());
        self
    }

    fn fin(self, opcode: Opcode, payload: impl AsRef<[u8]>) -> Self {
        self.frame(true, opcode, payload)
    }

    fn open(self, opcode: Opcode, payload: impl AsRef<[u8]>) -> Self {
        self.frame(false, opcode, payload)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

fn frames() -> Frames {
    Frames::default()
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

#[test]
fn is_small_while_idle() {
    assert!(size_of::<Decoder>() <= 32, "{}", size_of::<Decoder>());
    let mut decoder = Decoder::new(LIMITS);
    let bytes = frames().open(Opcode::Text, "a").fin(Opcode::Continuation, "b").0;
    feed(&mut decoder, &bytes, &mut Vec::new()).unwrap();
    assert!(!decoder.holds_buffer());
    feed(&mut decoder, &bytes[..3], &mut Vec::new()).unwrap();
    assert!(decoder.holds_buffer());
}

#[test]
fn the_examples_of_the_rfc() {
    let single = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(decode_all_ways(LIMITS, single), (vec![text("Hello")], None));
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(
        decode_all_ways(LIMITS, pong),
        (vec![Seen::Pong(b"Hello".to_vec())], None)
    );
    // The other examples are server frames: the same, masked.
    let fragmented = frames()
        .open(Opcode::Text, "Hel")
        .fin(Opcode::Continuation, "lo")
        .0;
    assert_eq!(decode_all_ways(LIMITS, &fragmented), (vec![text("Hello")], None));
    for len in [256, 65536] {
        let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let bytes = frames().fin(Opcode::Binary, &data).0;
        assert_eq!(decode(LIMITS, &bytes), (vec![Seen::Binary(data.clone())], None));
        assert_eq!(
            decode_reads(LIMITS, bytes.chunks(1000)),
            (vec![Seen::Binary(data)], None)
        );
    }
}

#[test]
fn events_in_order_in_every_cut() {
    let long = "x".repeat(130);
    let cases: &[(Frames, Vec<Seen>)] = &[
        (frames(), vec![]),
        (frames().fin(Opcode::Text, ""), vec![text("")]),
        (frames().fin(Opcode::Binary, ""), vec![Seen::Binary(vec![])]),
        (frames().fin(Opcode::Text, &long), vec![text(&long)]),
        (
            frames().fin(Opcode::Text, "a").fin(Opcode::Text, "b"),
            vec![text("a"), text("b")],
        ),
        (
            frames().fin(Opcode::Ping, "").fin(Opcode::Pong, ""),
            vec![Seen::Ping(vec![]), Seen::Pong(vec![])],
        ),
        (
            frames().fin(Opcode::Ping, [9; 125]),
            vec![Seen::Ping(vec![9; 125])],
        ),
        (
            frames()
                .open(Opcode::Text, "Gate")
                .fin(Opcode::Ping, "1")
                .open(Opcode::Continuation, "")
                .fin(Opcode::Pong, "2")
                .fin(Opcode::Continuation, "wire")
                .fin(Opcode::Binary, [1, 2]),
            vec![
                Seen::Ping(b"1".to_vec()),
                Seen::Pong(b"2".to_vec()),
                text("Gatewire"),
                Seen::Binary(vec![1, 2]),
            ],
        ),
        (
            frames()
                .open(Opcode::Binary, "")
                .open(Opcode::Continuation, "")
                .fin(Opcode::Continuation, ""),
            vec![Seen::Binary(vec![])],
        ),
        (
            frames()
                .open(Opcode::Text, "κ\u{1f79}")
                .fin(Opcode::Continuation, "σμε")
                .fin(Opcode::Text, "€"),
            vec![text("κ\u{1f79}σμε"), text("€")],
        ),
        // A close frame, also between fragments, ends everything: what comes after it is not even looked at.
        (
            frames().fin(Opcode::Close, "").raw(&[0xff; 9]),
            vec![Seen::Close(None)],
        ),
        (
            frames()
                .open(Opcode::Text, "a")
                .fin(Opcode::Close, b"\x03\xe8bye")
                .fin(Opcode::Continuation, "b"),
            vec![Seen::Close(Some((1000, "bye".to_owned())))],
        ),
    ];
    for (frames, expected) in cases {
        assert_eq!(decode_all_ways(LIMITS, &frames.0), (expected.clone(), None));
    }
}

#[test]
fn violations_and_their_close_codes() {
    use Violation as V;
    let mask = [0; 4];
    let raw = |bytes: &[u8]| frames().raw(bytes).raw(&mask);
    let cases: Vec<(Frames, Violation, u16)> = vec![
        // Reserved bits, also on control frames; RSV1 because no compression is negotiated.
        (raw(b"\xc1\x80"), V::ReservedBits(0x40), 1002),
        (raw(b"\xa1\x80"), V::ReservedBits(0x20), 1002),
        (raw(b"\x91\x80"), V::ReservedBits(0x10), 1002),
        (raw(b"\xf9\x80"), V::ReservedBits(0x70), 1002),
        (raw(b"\x83\x80"), V::UnknownOpcode(3), 1002),
        (raw(b"\x87\x80"), V::UnknownOpcode(7), 1002),
        (raw(b"\x8b\x80"), V::UnknownOpcode(0xb), 1002),
        (raw(b"\x8f\x80"), V::UnknownOpcode(0xf), 1002),
        (raw(b"\x81\x05Hello"), V::Unmasked, 1002),
        (raw(b"\x88\x00"), V::Unmasked, 1002),
        (raw(b"\x81\x7e\x01\x00"), V::Unmasked, 1002),
        (raw(b"\x09\x80"), V::FragmentedControl(Opcode::Ping), 1002),
        (raw(b"\x0a\x80"), V::FragmentedControl(Opcode::Pong), 1002),
        (raw(b"\x08\x80"), V::FragmentedControl(Opcode::Close), 1002),
        (raw(b"\x89\xfe\x00\x7e"), V::ControlTooLong(Opcode::Ping), 1002),
        (
            raw(b"\x8a\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
            V::ControlTooLong(Opcode::Pong),
            1002,
        ),
        (
            frames().fin(Opcode::Close, [0; 126]),
            V::ControlTooLong(Opcode::Close),
            1002,
        ),
        (raw(b"\x82\xfe\x00\x00"), V::LengthNotMinimal(0), 1002),
        (raw(b"\x82\xfe\x00\x7d"), V::LengthNotMinimal(125), 1002),
        (
            raw(b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d"),
            V::LengthNotMinimal(125),
            1002,
        ),
        (
            raw(b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"),
            V::LengthNotMinimal(0xffff),
            1002,
        ),
        (
            raw(b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"),
            V::LengthTopBit,
            1002,
        ),
        (
            raw(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            V::LengthTopBit,
            1002,
        ),
        (
            frames().fin(Opcode::Continuation, "x"),
            V::UnexpectedContinuation,
            1002,
        ),
        (
            frames().open(Opcode::Continuation, ""),
            V::UnexpectedContinuation,
            1002,
        ),
        (
            frames().open(Opcode::Text, "a").fin(Opcode::Text, "b"),
            V::InterruptedMessage,
            1002,
        ),
        (
            frames().open(Opcode::Text, "a").open(Opcode::Binary, "b"),
            V::InterruptedMessage,
            1002,
        ),
        (frames().fin(Opcode::Close, "x"), V::CloseBodyTooShort, 1002),
        (frames().fin(Opcode::Close, b"\x03\xed"), V::CloseCode(1005), 1002),
        (frames().fin(Opcode::Close, b"\x03\xe8\xff"), V::InvalidUtf8, 1007),
        (frames().fin(Opcode::Text, b"\xff"), V::InvalidUtf8, 1007),
        (frames().fin(Opcode::Text, b"\xe2\x82"), V::InvalidUtf8, 1007),
        (
            frames()
                .open(Opcode::Text, b"\xe2\x82")
                .fin(Opcode::Continuation, ""),
            V::InvalidUtf8,
            1007,
        ),
        (
            frames()
                .open(Opcode::Text, b"\xe2\x82")
                .fin(Opcode::Continuation, "a"),
            V::InvalidUtf8,
            1007,
        ),
    ];
    for (frames, violation, code) in cases {
        assert_eq!(decode_all_ways(LIMITS, &frames.0), (vec![], Some(violation)));
        assert_eq!(violation.close_code().get(), code, "{violation}");
    }
}

#[test]
fn what_came_before_a_violation_is_seen() {
    let bytes = frames()
        .fin(Opcode::Text, "fine")
        .fin(Opcode::Ping, "p")
        .raw(b"\x83\x80")
        .0;
    let seen = vec![text("fine"), Seen::Ping(b"p".to_vec())];
    assert_eq!(
        decode_all_ways(LIMITS, &bytes),
        (seen, Some(Violation::UnknownOpcode(3)))
    );
}

#[test]
fn size_limit() {
    let limits = Limits {
        max_message: 10,
        max_fragments: 10,
    };
    let too_big = |len| Some(Violation::MessageTooBig { len, limit: 10 });
    assert_eq!(
        decode_all_ways(limits, &frames().fin(Opcode::Text, "0123456789").0).1,
        None
    );
    assert_eq!(
        decode_all_ways(limits, &frames().fin(Opcode::Text, "0123456789a").0).1,
        too_big(11)
    );
    // The header alone is enough, however much it announces.
    let header = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(decode_all_ways(limits, header).1, too_big(u64::MAX >> 1));
    // Fragments are added up; control frames do not count, and are not limited by it.
    let fits = frames()
        .open(Opcode::Text, "01234")
        .fin(Opcode::Ping, [7; 100])
        .fin(Opcode::Continuation, "56789");
    assert_eq!(
        decode_all_ways(limits, &fits.0).0,
        [Seen::Ping(vec![7; 100]), text("0123456789")]
    );
    let exceeds = frames()
        .open(Opcode::Text, "01234")
        .open(Opcode::Continuation, "567890");
    assert_eq!(decode_all_ways(limits, &exceeds.0).1, too_big(11));
    // Nor are the bytes of an unfinished character forgotten.
    let exceeds = frames()
        .open(Opcode::Text, b"01234567\xe2\x82")
        .fin(Opcode::Continuation, b"\xac");
    assert_eq!(decode_all_ways(limits, &exceeds.0).1, too_big(11));
    let header = frames()
        .open(Opcode::Binary, "1")
        .raw(b"\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0");
    assert_eq!(decode_all_ways(limits, &header.0).1, too_big((u64::MAX >> 1) + 1));
}

#[test]
fn fragment_limit() {
    let limits = Limits {
        max_message: 10,
        max_fragments: 3,
    };
    let three = || {
        frames()
            .open(Opcode::Text, "")
            .open(Opcode::Continuation, "")
            .fin(Opcode::Continuation, "")
    };
    // Counted for each message.
    let twice = three().raw(&three().0);
    assert_eq!(
        decode_all_ways(limits, &twice.0),
        (vec![text(""), text("")], None)
    );
    let four = frames()
        .open(Opcode::Text, "")
        .open(Opcode::Continuation, "")
        .open(Opcode::Continuation, "")
        .fin(Opcode::Continuation, "");
    let violation = Violation::TooManyFragments { limit: 3 };
    assert_eq!(decode_all_ways(limits, &four.0), (vec![], Some(violation)));
    assert_eq!(violation.close_code(), CloseCode::POLICY);
}

#[test]
fn an_announced_length_costs_no_memory() {
    let limits = Limits {
        max_message: usize::MAX,
        max_fragments: usize::MAX,
    };
    let mut decoder = Decoder::new(limits);
    let mut input = *b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0some of it";
    // An allocation of that size would abort.
    let received = decoder.receive(&mut input).unwrap();
    assert_eq!(
        received,
        Received {
            consumed: 24,
            event: None
        }
    );
}

/// Text that no continuation can make valid is refused with the byte that shows it, wherever the frames and the reads
/// are cut (Autobahn 6.4).
#[test]
fn invalid_text_is_refused_at_the_first_hopeless_byte() {
    let start = "κ\u{1f79}σμε".as_bytes();
    // U+110000: four bytes, hopeless with the second.
    let hopeless = b"\xf4\x90";
    let rest = b"\x80\x80edited";
    let seen = (vec![], Some(Violation::InvalidUtf8));
    // In one message of three frames: refused before the last one comes.
    let bytes = frames()
        .open(Opcode::Text, start)
        .open(Opcode::Continuation, hopeless)
        .0;
    assert_eq!(decode_all_ways(LIMITS, &bytes), seen);
    // In one frame: refused before the payload has come whole.
    let whole = frames().fin(Opcode::Text, [start, hopeless, rest].concat()).0;
    let cut = 6 + start.len() + hopeless.len();
    assert_eq!(decode(LIMITS, &whole[..cut - 1]), (vec![], None));
    assert_eq!(decode_all_ways(LIMITS, &whole[..cut]), seen);
    assert_eq!(decode_all_ways(LIMITS, &whole), seen);
}

#[test]
fn a_character_may_span_frames() {
    let euro = "€".as_bytes();
    let bytes = frames()
        .open(Opcode::Text, &euro[..1])
        .fin(Opcode::Ping, "")
        .open(Opcode::Continuation, &euro[1..2])
        .fin(Opcode::Continuation, &euro[2..])
        .0;
    assert_eq!(
        decode_all_ways(LIMITS, &bytes),
        (vec![Seen::Ping(vec![]), text("€")], None)
    );
}

#[test]
fn a_message_whole_in_the_input_is_a_slice_of_it() {
    let mut input = frames().fin(Opcode::Text, "here").0;
    let range = input.as_ptr_range();
    let mut decoder = Decoder::new(LIMITS);
    let Some(Event::Text(text)) = decoder.receive(&mut input).unwrap().event else {
        panic!("no text")
    };
    assert!(range.contains(&text.as_ptr()));
    // Also if the cut was inside the header.
    let mut input = frames().fin(Opcode::Binary, "there").0;
    let (header, payload) = input.split_at_mut(5);
    let range = payload.as_ptr_range();
    assert_eq!(decoder.receive(header).unwrap().event, None);
    let Some(Event::Binary(data)) = decoder.receive(payload).unwrap().event else {
        panic!("no binary")
    };
    assert!(range.contains(&data.as_ptr()));
}
