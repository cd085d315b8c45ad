//! What packets are written with: heads, names and numbers as the JavaScript libraries write them. Writing to a `Vec`
//! does not fail, so `rmp`'s results are dropped.

use rmp::encode as rmp;

use crate::socketio::PacketKind;

/// The largest integer up to which floats have all integers, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends what stands before the data of a packet: the head of its map, type, namespace, and the key of the data if
/// `has_data`. The caller appends the data as one value and then, with the same `id`, [`put_id`]. The binary types are
/// written as those that they are the binary form of.
pub fn put_head(out: &mut Vec<u8>, kind: PacketKind, namespace: &str, has_data: bool, id: Option<u64>) {
    put_map_head(out, 2 + usize::from(has_data) + usize::from(id.is_some()));
    put_str(out, "type");
    let kind = match kind {
        PacketKind::BinaryEvent => PacketKind::Event,
        PacketKind::BinaryAck => PacketKind::Ack,
        other => other,
    };
    put_unsigned(out, kind as u64);
    put_str(out, "nsp");
    put_str(out, namespace);
    if has_data {
        put_str(out, "data");
    }
}

/// Appends what stands behind the data of a packet: nothing, if there is no id.
pub fn put_id(out: &mut Vec<u8>, id: Option<u64>) {
    if let Some(id) = id {
        put_str(out, "id");
        put_unsigned(out, id);
    }
}

/// Appends the head of an array whose `len` values follow; above 2^32 − 1 there is none.
pub fn put_array_head(out: &mut Vec<u8>, len: usize) {
    let _ = rmp::write_array_len(out, clamp(len));
}

/// Appends a string of less than 2^32 bytes.
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    let _ = rmp::write_str(out, text);
}

/// Appends the head of a map of which `len` keys and values follow; above 2^32 − 1 there is none.
pub fn put_map_head(out: &mut Vec<u8>, len: usize) {
    let _ = rmp::write_map_len(out, clamp(len));
}

/// Appends nil.
pub fn put_nil(out: &mut Vec<u8>) {
    let _ = rmp::write_nil(out);
}

/// Appends a boolean.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    let _ = rmp::write_bool(out, value);
}

/// Appends an integer.
pub fn put_unsigned(out: &mut Vec<u8>, number: u64) {
    let _ = rmp::write_uint(out, number);
}

pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    let _ = rmp::write_sint(out, number);
}

/// An integral value as an integer, as JavaScript writes it.
pub(super) fn put_float(out: &mut Vec<u8>, number: f64) {
    match exact_integer(number) {
        Some(number) => put_signed(out, number),
        None => {
            let _ = rmp::write_f64(out, number);
        }
    }
}

pub(super) fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let _ = rmp::write_bin(out, bytes);
}

/// Appends what stands before so many bytes.
pub(super) fn put_bin_head(out: &mut Vec<u8>, len: usize) {
    let _ = rmp::write_bin_len(out, clamp(len));
}

/// Replaces the head of a container, which stands at `out[at..]` and says `announced`, if its number of elements has
/// become another one.
pub(super) fn correct_head(out: &mut Vec<u8>, at: usize, is_map: bool, announced: usize, count: usize) {
    if announced == count {
        return;
    }
    if announced < 16 && count < 16 {
        // Both heads are one byte with the number in its low bits.
        out[at] = out[at] & 0xf0 | count as u8;
        return;
    }
    let put = if is_map { put_map_head } else { put_array_head };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    put(&mut old, announced);
    put(&mut new, count);
    out.splice(at..at + old.len(), new);
}

/// The JSON text of a finite number, as JavaScript writes it where it is an integer.
pub(super) fn json_number(number: f64) -> String {
    match exact_integer(number) {
        Some(number) => number.to_string(),
        // What is not finite is null there.
        None => serde_json::to_string(&number).unwrap_or_default(),
    }
}

fn exact_integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn clamp(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
