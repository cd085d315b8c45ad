//! What the decoders make of texts, for the comparison with those of the official packages in
//! `interop/test/parsers.test.js`. It reads lines, each a JSON array of a kind and a text, and writes a line for each: what was
//! understood as JSON, or `null` where the text is refused.

use std::io::{self, BufRead, Write};

use gatewire_proto::engineio::{self, payload};
use gatewire_proto::socketio::{self, Assembler, AttachmentError, PacketKind};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let (kind, text): (String, String) = serde_json::from_str(&line?)?;
        let understood = match &*kind {
            "socketio" => socketio_packet(&text),
            "engineio" => engineio::Packet::decode(&text)
                .ok()
                .map(|packet| engineio_packet(&packet).to_string()),
            "payload" => engineio_payload(&text).map(|packets| packets.to_string()),
            _ => return Err(io::Error::other("unknown kind")),
        };
        writeln!(out, "{}", understood.as_deref().unwrap_or("null"))?;
    }
    out.flush()
}

/// What stands before the data, and the data.
fn socketio_packet(text: &str) -> Option<String> {
    let limits = socketio::Limits::default();
    let packet = socketio::decode(text, &limits).ok()?;
    match packet.kind {
        PacketKind::Event => drop(socketio::scan_event(packet.data, &limits).ok()?),
        PacketKind::Ack => drop(socketio::scan_args(packet.data, &limits).ok()?),
        PacketKind::BinaryEvent | PacketKind::BinaryAck => match Assembler::new(&packet, &limits) {
            // That a placeholder stands for nothing, the official parser finds out with the last attachment.
            Ok(_) | Err(AttachmentError::Placeholder { .. }) => {}
            Err(_) => return None,
        },
        _ => {}
    }
    // As it stands there: a number may be larger than any type of ours.
    let data = if packet.data.is_empty() {
        "null"
    } else {
        packet.data
    };
    let head = json!({
        "type": packet.kind as u8,
        "nsp": packet.namespace,
        "id": packet.id,
        "attachments": packet.attachments,
    });
    Some(format!("[{head},{data}]"))
}

fn engineio_packet(packet: &engineio::Packet<'_>) -> Value {
    use engineio::Packet;
    let (kind, data) = match packet {
        Packet::Open(data) => ("open", json!(data)),
        Packet::Close => ("close", json!("")),
        Packet::Ping(data) => ("ping", json!(data)),
        Packet::Pong(data) => ("pong", json!(data)),
        Packet::Message(data) => ("message", json!(data)),
        Packet::Upgrade => ("upgrade", json!("")),
        Packet::Noop => ("noop", json!("")),
        Packet::Binary(bytes) => ("message", json!(&**bytes)),
    };
    json!({ "type": kind, "data": data })
}

fn engineio_payload(text: &str) -> Option<Value> {
    let limits = engineio::Limits::default();
    let packets =
        payload::decode(text, &limits).map(|packet| packet.ok().map(|packet| engineio_packet(&packet)));
    packets.collect::<Option<Vec<_>>>().map(Value::from)
}
