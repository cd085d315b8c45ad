//! A polling payload from any text, against a plain split: the same packets up to the first error, and none after it.

use gatewire_proto::engineio::{Limits, Packet, payload};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let body = crate::text(input);
    let limits = Limits { max_packets: 16 };
    let mut packets = payload::decode(body, &limits);
    let mut out = Vec::new();
    for (index, text) in body.split('\u{1e}').enumerate() {
        match packets.next().expect("a packet or an error for each part") {
            Ok(packet) => {
                assert!(index < limits.max_packets);
                assert_eq!(Packet::decode(text).as_ref(), Ok(&packet));
                match &packet {
                    Packet::Binary(bytes) => payload::push_binary(&mut out, bytes),
                    _ => payload::push_text(&mut out, text.as_bytes()),
                }
            }
            Err(_) => {
                assert!(index == limits.max_packets || Packet::decode(text).is_err());
                assert!(packets.next().is_none());
                return;
            }
        }
    }
    assert!(packets.next().is_none());
    let out = String::from_utf8(out).expect("a payload is text");
    let decoded = |body| {
        payload::decode(body, &limits)
            .map(Result::ok)
            .map(|packet| format!("{packet:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(decoded(&out), decoded(body));
}
