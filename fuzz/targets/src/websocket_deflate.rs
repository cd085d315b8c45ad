//! Compressed messages with any payload, with and without history: never a panic, never more than the limit, and the
//! events and the violation do not depend on the cuts. What is taken comes back the same after it was deflated by the
//! server's own compressor. The header of the negotiation is tried with the same bytes. The first byte of the input
//! chooses.

use gatewire_proto::websocket::{
    Decoder, Deflate, DeflateOptions, Event, Limits, Opcode, Violation, put_deflated_frame, put_masked_frame,
};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let options = DeflateOptions {
        client_context_takeover: choice & 0x80 != 0,
        ..DeflateOptions::default()
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
        if let Ok(Some(deflate)) = Deflate::negotiate(&headers, &options) {
            let answer = HeaderValue::from_str(&deflate.to_string()).unwrap();
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, answer);
            assert!(Deflate::negotiate(&headers, &options).unwrap().is_some());
        }
    }

    headers.insert(
        SEC_WEBSOCKET_EXTENSIONS,
        HeaderValue::from_static("permessage-deflate"),
    );
    let deflate = Deflate::negotiate(&headers, &options).unwrap();
    let limits = Limits {
        max_message: if choice & 0x40 == 0 { 1 << 16 } else { 150 },
        max_fragments: 10,
    };
    // Messages are divided by a byte that is as good as any.
    let mut frames = Vec::new();
    for payload in bytes.split(|&byte| byte == 0xa5) {
        let start = frames.len();
        put_masked_frame(&mut frames, true, Opcode::Binary, [1, 2, 3, 4], payload);
        frames[start] |= 0x40;
    }
    let (messages, violation) = decode(limits, deflate, [&frames[..]]);
    let cuts = usize::from(choice & 0x3f) + 1;
    assert_eq!(
        decode(limits, deflate, frames.chunks(cuts)),
        (messages.clone(), violation)
    );
    for message in messages {
        assert!(message.len() <= limits.max_message);
        let mut frame = Vec::new();
        if put_deflated_frame(
            &mut frame,
            Opcode::Binary,
            &message,
            9 + choice % 7,
            1 + choice % 9,
        ) {
            let head = if frame[1] < 126 { 2 } else { 4 };
            let mut back = Vec::new();
            put_masked_frame(&mut back, true, Opcode::Binary, [0; 4], &frame[head..]);
            back[0] |= 0x40;
            assert_eq!(decode(limits, deflate, [&back[..]]), (vec![message], None));
        }
    }
}

fn decode<'a>(
    limits: Limits,
    deflate: Option<Deflate>,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Option<Violation>) {
    let mut decoder = Decoder::new(limits).with_deflate(deflate);
    let mut messages = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut at = 0;
        loop {
            let received = match decoder.receive(&mut read[at..]) {
                Ok(received) => received,
                Err(violation) => return (messages, Some(violation)),
            };
            let Some(event) = received.event else { break };
            at += received.consumed;
            if let Event::Binary(data) = event {
                messages.push(data.to_vec());
            }
        }
    }
    (messages, None)
}
