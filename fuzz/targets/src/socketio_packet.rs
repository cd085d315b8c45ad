//! A Socket.IO packet from any text, through head, body and attachments: never a panic, the head that is written for
//! what was decoded decodes to the same packet, and data that was accepted is JSON to serde_json too.

use gatewire_proto::socketio::{
    Assembler, Limits, PacketKind, decode, from_json, put_head, scan_args, scan_event,
};
use serde_json::Value;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let text = crate::text(input);
    let limits = Limits::default();
    let Ok(packet) = decode(text, &limits) else { return };

    let mut again = Vec::new();
    put_head(
        &mut again,
        packet.kind,
        packet.namespace,
        packet.id,
        packet.attachments,
    );
    again.extend_from_slice(packet.data.as_bytes());
    let again = std::str::from_utf8(&again).expect("a packet is text");
    assert_eq!(decode(again, &limits), Ok(packet));

    let attachments: Vec<bytes::Bytes> = (0..packet.attachments)
        .map(|index| vec![index as u8; index].into())
        .collect();
    let args = match packet.kind {
        PacketKind::Event | PacketKind::BinaryEvent => {
            scan_event(packet.data, &limits).map(|event| event.args)
        }
        PacketKind::Ack | PacketKind::BinaryAck => scan_args(packet.data, &limits),
        _ => return assert!(packet.data.is_empty() || is_json(packet.data)),
    };
    if packet.kind.is_binary() {
        match Assembler::new(&packet, &limits) {
            Ok(mut assembler) => {
                assert!(args.is_ok());
                let mut assembled = None;
                for attachment in &attachments {
                    assert!(assembled.is_none());
                    assembled = assembler.push(attachment.clone()).expect("within the limits");
                }
                let (owned, received) = assembled.expect("all attachments are there");
                assert_eq!((owned.as_packet(), received), (packet, attachments.clone()));
            }
            Err(_) => return,
        }
    }
    for arg in args.into_iter().flatten() {
        let _ = from_json::<Value>(arg, &attachments);
        let _ = from_json::<bytes::Bytes>(arg, &attachments);
        let _ = from_json::<Vec<Option<bytes::Bytes>>>(arg, &attachments);
    }
}

fn is_json(data: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
}
