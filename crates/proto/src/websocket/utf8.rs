//! A text message that arrives in pieces: every byte is checked once, as it comes, and a piece that no continuation can
//! make valid is refused at once (RFC 6455 §8.1), not at the end of the message.

/// The bytes are not UTF-8, and no byte that may follow changes that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct InvalidUtf8;

/// The valid text so far, and up to three bytes of a character that is not complete.
#[derive(Debug, Default)]
pub(super) struct PartialText {
    text: String,
    /// Invariant: `tail[..tail_len]` is a proper prefix of at least one valid character.
    tail: [u8; 4],
    tail_len: u8,
}

impl PartialText {
    /// Whether there is no room for anything yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.text.capacity() == 0
    }

    /// Takes an empty buffer for what comes.
    pub(super) fn set_buffer(&mut self, buffer: Vec<u8>) {
        self.text = String::from_utf8(buffer).unwrap_or_default();
    }

    /// How many bytes have come so far.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_len)
    }

    /// How many more bytes fit without a new allocation.
    pub(super) fn spare(&self) -> usize {
        (self.text.capacity() - self.text.len()).saturating_sub(usize::from(self.tail_len))
    }

    /// Makes room for `additional` more bytes.
    pub(super) fn reserve_exact(&mut self, additional: usize) {
        self.text.reserve_exact(usize::from(self.tail_len) + additional);
    }

    /// Appends the next bytes of the message.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.tail_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.push_to_tail(byte)?;
        }
        let (whole, open) = piece.split_at(complete_len(piece));
        self.text
            .push_str(std::str::from_utf8(whole).map_err(|_| InvalidUtf8)?);
        for &byte in open {
            self.push_to_tail(byte)?;
        }
        Ok(())
    }

    /// The message is over, and this is it: a character left open is an error.
    pub(super) fn finish(self) -> Result<String, InvalidUtf8> {
        if self.tail_len == 0 {
            Ok(self.text)
        } else {
            Err(InvalidUtf8)
        }
    }

    fn push_to_tail(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let len = usize::from(self.tail_len);
        // A prefix of a character has at most three bytes, so the fourth always completes or refutes it.
        let Some(slot) = self.tail.get_mut(len) else {
            return Err(InvalidUtf8);
        };
        *slot = byte;
        match std::str::from_utf8(&self.tail[..=len]) {
            Ok(character) => {
                self.text.push_str(character);
                self.tail_len = 0;
            }
            Err(error) if error.error_len().is_none() => self.tail_len += 1,
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(())
    }
}

/// Where `bytes` must be cut so that it does not end inside a character, judged by the last lead byte alone: whether
/// the two parts are valid is for the caller to find out.
fn complete_len(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0x80..=0xbf => continue,
            0xf0..=0xff => 4,
            0xe0..=0xef => 3,
            0xc0..=0xdf => 2,
            0x00..=0x7f => 1,
        };
        let have = back + 1;
        return if needed > have {
            bytes.len() - have
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push_bytewise(bytes: &[u8]) -> Result<String, usize> {
        let mut partial = PartialText::default();
        for (at, byte) in bytes.iter().enumerate() {
            partial.push(&[*byte]).map_err(|_| at)?;
        }
        assert_eq!(partial.len(), bytes.len());
        partial.finish().map_err(|_| bytes.len())
    }

    #[test]
    fn a_wrong_byte_is_refused_when_it_comes() {
        let cases: &[(&[u8], usize)] = &[
            (
                b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
                12,
            ), // above U+10FFFF
            (b"\xf4\x90", 1),
            (b"\xf5", 0),
            (b"\xff", 0),
            (b"\x80", 0),
            (b"a\xbf", 1),
            (b"\xc0\x80", 0), // overlong NUL
            (b"\xc1\xbf", 0),
            (b"\xe0\x80\x80", 1), // overlong
            (b"\xe0\x9f\xbf", 1),
            (b"\xf0\x80\x80\x80", 1),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xed\xa0\x80", 1), // surrogates
            (b"\xed\xbf\xbf", 1),
            (b"\xf8\x88\x80\x80\x80", 0), // five and six byte forms
            (b"\xfc\x84\x80\x80\x80\x80", 0),
            (b"\xc3(", 1),
            (b"\xe2\x82(", 2),
            (b"\xf0\x9f\x98(", 3),
            (b"\xc3", 1), // cut off at the end
            (b"\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
        ];
        for (bytes, at) in cases {
            assert_eq!(push_bytewise(bytes), Err(*at), "{bytes:x?}");
        }
    }

    #[test]
    fn the_edges_of_every_range_are_accepted() {
        for text in [
            "",
            "\0",
            "\u{7f}",
            "\u{80}",
            "\u{7ff}",
            "\u{800}",
            "\u{d7ff}",
            "\u{e000}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{10000}",
            "\u{10ffff}",
            "κόσμε",
            "𐍈a€",
        ] {
            assert_eq!(push_bytewise(text.as_bytes()).as_deref(), Ok(text));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(bytes in near_utf8(), cuts: Vec<prop::sample::Index>) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut partial = PartialText::default();
            let mut result = Ok(());
            for pair in cuts.windows(2) {
                result = partial.push(&bytes[pair[0]..pair[1]]);
                // Fail fast: refused exactly when the standard library sees an error that more bytes cannot mend.
                let hopeless = std::str::from_utf8(&bytes[..pair[1]])
                    .is_err_and(|error| error.error_len().is_some());
                prop_assert_eq!(result.is_err(), hopeless);
                if hopeless {
                    break;
                }
            }
            let result = result.and_then(|()| partial.finish());
            prop_assert_eq!(result.as_deref().ok(), std::str::from_utf8(&bytes).ok());
        }
    }

    /// Text of all character widths, sometimes with one byte spoilt.
    fn near_utf8() -> impl Strategy<Value = Vec<u8>> {
        (".{0,40}", any::<Option<(prop::sample::Index, u8)>>()).prop_map(|(text, spoil)| {
            let mut bytes = text.into_bytes();
            if let (Some((at, byte)), false) = (spoil, bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }
}
