//! A JSON checker that goes over a text once, without recursion and without memory: it finds where values end, and
//! that they are JSON (RFC 8259). It builds nothing; strings and numbers are not decoded.

/// Deepest nesting that fits the bit stack; `serde_json` would not read deeper either.
const MAX_DEPTH: usize = 127;

/// A position in a JSON text. The methods move it over what they recognise.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
    /// One bit for each open container, the innermost lowest: 1 is an object.
    objects: u128,
}

/// Why a text was not recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON, from this byte on.
    Syntax(usize),
    /// Nested deeper than allowed.
    TooDeep,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: usize) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            objects: 0,
        }
    }

    /// The position in bytes; always between two characters.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn fault(&self) -> Fault {
        Fault::Syntax(self.at)
    }

    #[inline]
    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Moves over `byte` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Opens a container around the values that follow, for the depth alone.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        self.push(false)
    }

    /// Moves over one whole value; stands on its first byte, ends behind its last.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<(), Fault> {
        // Nothing of what nests is looked at for a text.
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            _ => self.any_value(),
        }
    }

    fn any_value(&mut self) -> Result<(), Fault> {
        let base = self.depth;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                Some(b'[') => {
                    self.push(false)?;
                    self.at += 1;
                    self.skip_whitespace();
                    if !self.eat(b']') {
                        continue;
                    }
                    self.pop();
                }
                Some(b'{') => {
                    self.push(true)?;
                    self.at += 1;
                    self.skip_whitespace();
                    if !self.eat(b'}') {
                        self.key()?;
                        continue;
                    }
                    self.pop();
                }
                _ => return Err(self.fault()),
            }
            // A value is complete: close what it completes, or go on to the next one beside it.
            loop {
                if self.depth == base {
                    return Ok(());
                }
                self.skip_whitespace();
                let in_object = self.objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.skip_whitespace();
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b']') if !in_object => {}
                    Some(b'}') if in_object => {}
                    _ => return Err(self.fault()),
                }
                self.at += 1;
                self.pop();
            }
        }
    }

    /// Moves over a string, the opening quote being next; returns whether there are escapes in it.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<bool, Fault> {
        let mut escapes = false;
        self.at += 1;
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escapes);
                }
                Some(b'\\') => {
                    self.escape()?;
                    escapes = true;
                }
                // A control character, or the end of the text.
                _ => return Err(self.fault()),
            }
        }
    }

    /// Moves over a string without escapes; what is between its quotes. `None` if something else is next.
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<&'a str> {
        self.literal(b"\"").ok()?;
        let start = self.at;
        self.at += plain_len(&self.text.as_bytes()[start..]);
        let text = self.text.get(start..self.at);
        self.literal(b"\"").ok()?;
        text
    }

    /// As [`value`](Self::value); the text of it.
    #[inline]
    pub(crate) fn json(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.value()?;
        Ok(&self.text[start..self.at])
    }

    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth >= self.max_depth {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    /// Moves over `"key" :` and the spaces behind.
    fn key(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        self.string()?;
        self.skip_whitespace();
        if !self.eat(b':') {
            return Err(self.fault());
        }
        self.skip_whitespace();
        Ok(())
    }

    /// Moves over an escape. A `\u` half of a surrogate pair passes: whether it matters is known when the string is decoded.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.text.as_bytes().get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                    self.at += 6;
                    Ok(())
                }
                _ => Err(self.fault()),
            },
            _ => Err(self.fault()),
        }
    }

    /// Moves over a number, a minus or digit being next.
    pub(crate) fn number(&mut self) -> Result<(), Fault> {
        self.eat(b'-');
        if self.eat(b'0') {
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.fault());
            }
        } else {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(self.fault())
        } else {
            Ok(())
        }
    }

    /// Moves over `word`, which must be next.
    #[inline]
    pub(crate) fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if self.text.as_bytes()[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault())
        }
    }
}

/// How many bytes stand before the first quote, backslash or control character: many at a time, for strings are what
/// messages are made of.
#[inline]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        let special = bytes.iter().position(|&byte| is_special(byte));
        return special.unwrap_or(bytes.len());
    };
    // Names end here.
    if let Some(at) = special_in(first) {
        return at;
    }
    // The compiler makes vector instructions of this.
    let is_plain = |block: &&[u8; 16]| !block.iter().fold(false, |found, &byte| found | is_special(byte));
    let (blocks, _) = bytes.as_chunks();
    let plain = blocks.iter().take_while(is_plain).count() * 16;
    let (words, _) = bytes[plain..].as_chunks();
    for (index, word) in words.iter().enumerate() {
        if let Some(at) = special_in(word) {
            return plain + index * 8 + at;
        }
    }
    // What of the last eight was looked at before is plain.
    special_in(last).map_or(bytes.len(), |at| bytes.len() - 8 + at)
}

/// Where the first of them is in a word.
#[inline]
fn special_in(word: &[u8; 8]) -> Option<usize> {
    let special = special_bytes(u64::from_le_bytes(*word));
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

#[inline]
const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The highest bit of each byte that is `"`, `\` or below 0x20. A borrow may also mark bytes above a marked one, never
/// one below it: only the lowest mark counts.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below = quotes.wrapping_sub(ONES) | backslashes.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20);
    // Of a byte that is not ASCII the highest bit says nothing.
    below & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn scan(text: &str, max_depth: usize) -> Result<(), Fault> {
        let mut scanner = Scanner::new(text, max_depth);
        scanner.skip_whitespace();
        scanner.value()?;
        scanner.skip_whitespace();
        if scanner.is_at_end() {
            Ok(())
        } else {
            Err(scanner.fault())
        }
    }

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn agrees_with_serde_json() {
        let table = [
            "",
            " ",
            "null",
            "nul",
            "nulll",
            "true",
            "tru",
            "false",
            "fals",
            "TRUE",
            "0",
            "-0",
            "-",
            "00",
            "01",
            "-01",
            "1.",
            "1.0",
            ".5",
            "1e",
            "1e5",
            "1E+5",
            "1e-5",
            "1e+",
            "1.5e3",
            "+1",
            "0x1",
            "1_000",
            "Infinity",
            "NaN",
            "1e999",
            "--1",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b",
            "'a'",
            "\"\\\"\"",
            "\"\\\\\"",
            "\"\\\\\\\"\"",
            "\"\\x\"",
            "\"\\u00e9\"",
            "\"\\u00g0\"",
            "\"\\u00e\"",
            "\"\\ud800\"",
            "\"\\",
            "\"\\u",
            "\"\t\"",
            "\"\n\"",
            "\"\u{7f}\"",
            "\"é€😀\"",
            "[]",
            "[ ]",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2]",
            " [ 1 , 2 ] ",
            "[1}",
            "{}",
            "{ }",
            "{",
            "}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "{a:1}",
            "{1:1}",
            "{\"a\" : 1 , \"b\" : [ ] }",
            "{,}",
            "{]",
            "[{\"a\":[{}]}]",
            "[[[]],[[]]]",
            "1 1",
            "[] []",
            "\u{feff}[]",
            "[\u{a0}]",
            "// x\n1",
            "[1]x",
            "{\"a\":1]",
            "[\"a\":1]",
        ];
        for text in table {
            assert_eq!(scan(text, 127).is_ok(), is_json(text), "{text:?}");
        }
    }

    #[test]
    fn depth() {
        for depth in 1..=127usize {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            assert_eq!(scan(&text, depth), Ok(()));
            assert_eq!(scan(&text, depth - 1), Err(Fault::TooDeep));
            let text = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
            assert_eq!(scan(&text, depth), Ok(()));
            assert_eq!(scan(&text, depth - 1), Err(Fault::TooDeep));
        }
        assert_eq!(scan(&"[".repeat(128), usize::MAX), Err(Fault::TooDeep));
        assert_eq!(scan("1", 0), Ok(()));
    }

    #[test]
    fn every_byte_at_every_place_of_a_string() {
        for len in 0..40 {
            for at in 0..len {
                for byte in 0..0x80u8 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(
                        plain_len(&text),
                        if special { at } else { len },
                        "{byte:#x} at {at} of {len}"
                    );
                }
            }
        }
        assert_eq!(plain_len("ééééééééééé\"".as_bytes()), 22);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_anything(text in "[\\[\\]{}\",:\\\\a0-9.eEu+\\- \ntrnlfé\u{1}]{0,24}") {
            prop_assert_eq!(scan(&text, 127).is_ok(), is_json(&text));
        }

        #[test]
        fn agrees_with_serde_json_on_strings(text in any::<String>()) {
            let text = format!("\"{text}\"");
            prop_assert_eq!(scan(&text, 127).is_ok(), is_json(&text));
        }

        #[test]
        fn the_first_special_byte_is_found(bytes in any::<Vec<u8>>()) {
            let naive = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(plain_len(&bytes), naive.unwrap_or(bytes.len()));
        }
    }
}
