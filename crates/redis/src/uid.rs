//! The names by which nodes and requests of the classic adapter are known: as those of `uid2(6)`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Six random characters of 64.
pub(crate) fn uid() -> String {
    let random: [u8; 6] = rand::random();
    random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
        .collect()
}
