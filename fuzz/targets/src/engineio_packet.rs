//! One Engine.IO packet from any text: never a panic, and what is decoded is encoded to the same packet again. The
//! same bytes as a query string never panic either.

use gatewire_proto::engineio::{Packet, Query};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let text = crate::text(input);
    let _ = Query::parse(text);
    let Ok(packet) = Packet::decode(text) else { return };
    let mut out = Vec::new();
    packet.encode(&mut out);
    let again = std::str::from_utf8(&out).expect("a text packet is text");
    assert_eq!(Packet::decode(again), Ok(packet.clone()));
    // Base64 has more than one spelling (padding), everything else has one.
    if !matches!(packet, Packet::Binary(_)) {
        assert_eq!(again, text);
    }
}
