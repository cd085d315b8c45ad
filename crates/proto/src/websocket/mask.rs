//! The masking of client frames (RFC 6455 §5.3): XOR with a four byte key, its own inverse. Safe code in a shape that
//! the compiler turns into vector instructions.

/// XORs `data` with the repeated `key`, beginning with the key's first byte.
#[inline]
pub(super) fn apply(data: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let double = u64::from(word) << 32 | u64::from(word);
    let (blocks, rest) = data.as_chunks_mut::<32>();
    for block in blocks {
        for lane in block.as_chunks_mut::<8>().0 {
            *lane = (u64::from_ne_bytes(*lane) ^ double).to_ne_bytes();
        }
    }
    let (lanes, rest) = rest.as_chunks_mut::<8>();
    for lane in lanes {
        *lane = (u64::from_ne_bytes(*lane) ^ double).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(double.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// The key for what follows after `taken` bytes of a payload: the same four bytes, begun where the payload goes on.
#[inline]
pub(super) fn rotate(mut key: [u8; 4], taken: usize) -> [u8; 4] {
    key.rotate_left(taken & 3);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_length_and_offset_equals_the_definition() {
        let key = [0x11, 0x82, 0x03, 0xf4];
        for len in 0..130 {
            for offset in 0..len.min(9) {
                let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let expected: Vec<u8> = data[offset..]
                    .iter()
                    .enumerate()
                    .map(|(i, byte)| byte ^ key[i % 4])
                    .collect();
                let mut masked = data.clone();
                apply(&mut masked[offset..], key);
                assert_eq!(masked[offset..], expected, "length {len}, offset {offset}");
                assert_eq!(
                    masked[..offset],
                    data[..offset],
                    "bytes before the slice are untouched"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn twice_is_the_identity(data: Vec<u8>, key: [u8; 4]) {
            let mut masked = data.clone();
            apply(&mut masked, key);
            apply(&mut masked, key);
            prop_assert_eq!(masked, data);
        }

        #[test]
        fn in_pieces_equals_at_once(data: Vec<u8>, key: [u8; 4], at: prop::sample::Index) {
            let at = at.index(data.len() + 1);
            let mut whole = data.clone();
            apply(&mut whole, key);
            let mut pieces = data;
            let (first, second) = pieces.split_at_mut(at);
            apply(first, key);
            apply(second, rotate(key, at));
            prop_assert_eq!(pieces, whole);
        }
    }
}
