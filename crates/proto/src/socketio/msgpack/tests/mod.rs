//! Recorded messages, what is refused, and the one form against the other.

mod packets;
mod properties;
mod values;

use bytes::Bytes;
use serde::Serialize;

use super::super::{self as socketio, Limits, PacketKind};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn decoded(message: &[u8]) -> Result<Packet<'_>, DecodeError> {
    decode(message, &Limits::default())
}

fn written<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    to_msgpack(&mut out, value).unwrap();
    out
}

/// The packet in the text form, and its attachments.
fn as_text(packet: &Packet<'_>) -> Result<(String, Vec<Bytes>), TranscodeError> {
    let (data, attachments) = packet.data.to_json(&Limits::default())?;
    let kind = match packet.kind {
        PacketKind::Event if !attachments.is_empty() => PacketKind::BinaryEvent,
        PacketKind::Ack if !attachments.is_empty() => PacketKind::BinaryAck,
        kind => kind,
    };
    let mut text = Vec::new();
    socketio::put_head(&mut text, kind, packet.namespace, packet.id, attachments.len());
    text.extend_from_slice(data.as_bytes());
    Ok((String::from_utf8(text).unwrap(), attachments))
}

fn from_text(text: &str, attachments: &[Bytes]) -> Vec<u8> {
    let packet = socketio::decode(text, &Limits::default()).unwrap();
    let mut out = Vec::new();
    encode(&packet, attachments, &mut out).unwrap();
    out
}

fn to_json(message: &[u8]) -> Result<String, TranscodeError> {
    let mut out = Vec::new();
    transcode_to_json(message, &mut out, &mut Vec::new(), 10)?;
    Ok(String::from_utf8(out).unwrap())
}

fn from_json(json: &str) -> Result<Vec<u8>, TranscodeError> {
    let mut out = Vec::new();
    transcode_from_json(json, &[], &mut out)?;
    Ok(out)
}
