//! The WebSocket decoder on any bytes, cut into reads of any size: never a panic, always progress, and the events and
//! the violation do not depend on the cuts. The first byte of the input chooses the cuts and the limits.

use gatewire_proto::websocket::{Decoder, Event, Limits, Violation};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let limits = Limits {
        max_message: if choice & 0x80 == 0 { 1 << 20 } else { 150 },
        max_fragments: if choice & 0x40 == 0 { 1000 } else { 3 },
    };
    let whole = decode(limits, [bytes]);
    assert_eq!(decode(limits, bytes.chunks(1)), whole);
    assert_eq!(
        decode(limits, bytes.chunks(usize::from(choice & 0x3f) + 2)),
        whole
    );
}

/// The events in their debug form, and what ended them.
fn decode<'a>(limits: Limits, reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Violation>) {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    let mut closed = false;
    for read in reads {
        let mut read = read.to_vec();
        let mut at = 0;
        loop {
            let rest = read.len() - at;
            let received = match decoder.receive(&mut read[at..]) {
                Ok(received) => received,
                Err(violation) => return (events, Some(violation)),
            };
            let Some(event) = received.event else {
                assert_eq!(received.consumed, rest);
                break;
            };
            assert!(!closed, "an event after the close frame");
            assert!(0 < received.consumed && received.consumed <= rest);
            at += received.consumed;
            let len = match event {
                Event::Text(text) => text.len(),
                Event::Binary(data) => data.len(),
                Event::Ping(data) | Event::Pong(data) => {
                    assert!(data.len() <= 125);
                    0
                }
                Event::Close(_) => {
                    closed = true;
                    0
                }
            };
            assert!(len <= limits.max_message);
            events.push(format!("{event:?}"));
        }
    }
    (events, None)
}
