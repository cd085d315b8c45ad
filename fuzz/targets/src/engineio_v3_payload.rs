//! A polling payload of protocol version 3, in the form that the first byte chooses, against a plain second
//! implementation: the same packets up to the first error; and what was decoded survives both forms.

use gatewire_proto::engineio::v3::payload::{Form, decode, decode_bytes};
use gatewire_proto::engineio::v3::{decode_binary, decode_text};
use gatewire_proto::engineio::{Limits, Packet};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let Some((form, body)) = input.split_first() else {
        return;
    };
    let limits = Limits { max_packets: 16 };
    let (packets, plain) = if *form & 1 == 0 {
        let Ok(body) = std::str::from_utf8(body) else {
            return;
        };
        (
            collect(decode(body, &limits)),
            plain_text(body, limits.max_packets),
        )
    } else {
        (
            collect(decode_bytes(body, &limits)),
            plain_bytes(body, limits.max_packets),
        )
    };
    let (packets, is_whole) = packets;
    let shown: Vec<_> = packets.iter().map(shown).collect();
    assert_eq!((shown, is_whole), plain);

    for form in [Form::Text, Form::Binary] {
        let mut body = Vec::new();
        for packet in &packets {
            form.push(&mut body, packet);
        }
        let again = match form {
            Form::Text if packets.is_empty() => continue,
            Form::Text => collect(decode(std::str::from_utf8(&body).expect("text"), &limits)),
            Form::Binary => collect(decode_bytes(&body, &limits)),
        };
        assert_eq!(again, (packets.clone(), true));
    }
}

/// The packets before the first error, and whether there was none.
fn collect<'a, E>(packets: impl Iterator<Item = Result<Packet<'a>, E>>) -> (Vec<Packet<'a>>, bool) {
    let mut all = Vec::new();
    for packet in packets {
        match packet {
            Ok(packet) => all.push(packet),
            Err(_) => return (all, false),
        }
    }
    (all, true)
}

fn plain_text(body: &str, max: usize) -> (Vec<String>, bool) {
    let mut units: Vec<u16> = body.encode_utf16().collect();
    let mut all = Vec::new();
    for _ in 0..max {
        let Some(colon) = units.iter().position(|&unit| unit == u16::from(b':')) else {
            return (all, false);
        };
        let length = String::from_utf16_lossy(&units[..colon]);
        let is_number = (1..=16).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
        let Some(length) = is_number.then(|| length.parse::<usize>().expect("digits")) else {
            return (all, false);
        };
        if length > units.len() - colon - 1 {
            return (all, false);
        }
        let Ok(text) = String::from_utf16(&units[colon + 1..colon + 1 + length]) else {
            return (all, false);
        };
        units.drain(..colon + 1 + length);
        if !text.is_empty() {
            match decode_text(&text) {
                Ok(packet) => all.push(shown(&packet)),
                Err(_) => return (all, false),
            }
        }
        if units.is_empty() {
            return (all, true);
        }
    }
    (all, false)
}

fn plain_bytes(mut body: &[u8], max: usize) -> (Vec<String>, bool) {
    let mut all = Vec::new();
    while !body.is_empty() {
        let end = body.iter().position(|&byte| byte == 0xff);
        let Some(end) = end.filter(|end| (2..=17).contains(end) && all.len() < max) else {
            return (all, false);
        };
        let mut length = 0;
        for &digit in &body[1..end] {
            if digit > 9 {
                return (all, false);
            }
            length = length * 10 + usize::from(digit);
        }
        if body[0] > 1 || length > body.len() - end - 1 {
            return (all, false);
        }
        let data = &body[end + 1..end + 1 + length];
        let packet = match body[0] {
            1 => decode_binary(data).ok().map(|packet| shown(&packet)),
            _ => std::str::from_utf8(data)
                .ok()
                .and_then(|text| decode_text(text).ok())
                .map(|packet| shown(&packet)),
        };
        let Some(packet) = packet else {
            return (all, false);
        };
        all.push(packet);
        body = &body[end + 1 + length..];
    }
    (all, true)
}

fn shown(packet: &Packet<'_>) -> String {
    format!("{packet:?}")
}
