//! What is done with JSON by hand: strings are written for the few places that build it (packet heads, open packets), and
//! a [`scanner`] finds where values end. Neither is a serialiser: values of users go through `serde_json`.

pub(crate) mod scanner;

use crate::large;

/// Appends `s` to `out` as a JSON string with its quotes, escaped as JavaScript's `JSON.stringify` does.
pub fn put_json_string(out: &mut Vec<u8>, s: &str) {
    let (plain, special) = s.as_bytes().split_at(scanner::plain_len(s.as_bytes()));
    large::reserve(out, s.len() + 2);
    out.push(b'"');
    out.extend_from_slice(plain);
    if !special.is_empty() {
        put_with_escapes(out, special);
    }
    out.push(b'"');
}

/// Apart, for most texts have no escape.
#[cold]
fn put_with_escapes(out: &mut Vec<u8>, mut rest: &[u8]) {
    while let Some((&byte, behind)) = rest.split_first() {
        put_escape(out, byte);
        let (plain, special) = behind.split_at(scanner::plain_len(behind));
        out.extend_from_slice(plain);
        rest = special;
    }
}

/// A quote, a backslash or a control character.
fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn writes_what_serde_json_writes(s in any::<String>()) {
            let mut out = Vec::new();
            put_json_string(&mut out, &s);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&s).unwrap());
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        for code in 0..0x80u8 {
            let s = char::from(code).to_string();
            let mut out = Vec::new();
            put_json_string(&mut out, &s);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                serde_json::to_string(&s).unwrap(),
                "{code:#x}"
            );
        }
    }
}
