//! From one JSON value to a type, where that value is a text without escapes: it stands ready between its quotes. Most
//! bodies of short messages are such texts; everything else is read by `serde_json`.

use serde::de::{Deserializer, Error, Visitor};

use crate::json::scanner::plain_len;

/// The outermost value.
pub(super) struct Start<'de>(pub(super) &'de str);

impl<'de> Start<'de> {
    /// What is between the quotes, if the value is nothing but a text without escapes.
    #[inline]
    fn plain_text(&self) -> Option<&'de str> {
        let text = self.0.strip_prefix('"')?.strip_suffix('"')?;
        (plain_len(text.as_bytes()) == text.len()).then_some(text)
    }

    /// Gives it to the visitor. One that refuses it is told where, as `serde_json` does.
    #[inline]
    fn visit<V: Visitor<'de>>(&self, text: &'de str, visitor: V) -> Result<V::Value, serde_json::Error> {
        let refused = |error: serde_json::Error| {
            serde_json::Error::custom(format_args!("{error} at line 1 column {}", self.0.len()))
        };
        visitor.visit_borrowed_str(text).map_err(refused)
    }
}

/// Deserializer methods that ask `serde_json`.
macro_rules! hand_on {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, serde_json::Error> {
            let mut json = serde_json::Deserializer::from_str(self.0);
            let value = json.$method($($arg,)* visitor)?;
            json.end()?;
            Ok(value)
        }
    )*};
}

/// Those that may be given a text.
macro_rules! take_text {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
            if let Some(text) = self.plain_text() {
                return self.visit(text, visitor);
            }
            let mut json = serde_json::Deserializer::from_str(self.0);
            let value = json.$method(visitor)?;
            json.end()?;
            Ok(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Start<'de> {
    type Error = serde_json::Error;

    take_text! {
        deserialize_any
        deserialize_str
        deserialize_string
    }

    hand_on! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use serde::de::{Deserialize, DeserializeOwned};
    use serde_json::Value;

    use super::*;

    /// Reads it both ways; errors are told as they are read.
    fn both<T: DeserializeOwned>(json: &str) -> [Result<T, String>; 2] {
        [T::deserialize(Start(json)), serde_json::from_str(json)]
            .map(|read| read.map_err(|error| format!("{error} ({}:{})", error.line(), error.column())))
    }

    #[track_caller]
    fn compare(json: &str) {
        let [ours, theirs] = both::<String>(json);
        assert_eq!(ours, theirs, "{json}");
        let [ours, theirs] = both::<Value>(json);
        assert_eq!(ours, theirs, "{json}");
        let [ours, theirs] = both::<IpAddr>(json);
        assert_eq!(ours, theirs, "{json}");
        let [ours, theirs] = both::<(u8, Option<String>)>(json);
        assert_eq!(ours, theirs, "{json}");
        let [ours, theirs] = [
            <&str>::deserialize(Start(json)).ok(),
            serde_json::from_str(json).ok(),
        ];
        assert_eq!(ours, theirs, "{json}");
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for json in [
            "",
            "\"",
            "\"\"",
            "\"\"\"",
            "\"a\"",
            "\"a\" ",
            " \"a\"",
            "\"a\"b\"",
            "\"\\\"",
            "\"\\\"\"",
            "\"\\u00e9\"",
            "\"\\ud800\"",
            "\"\n\"",
            "\"é€😀\"",
            "\"127.0.0.1\"",
            "\"a\",\"b\"",
            "null",
            "17",
            "[1,\"a\"]",
            "[1,\"a\"]]",
            "[1]",
            "{\"a\":\"b\"}",
        ] {
            compare(json);
        }
    }

    proptest! {
        #[test]
        fn reads_any_text_as_serde_json_does(text: String) {
            compare(&format!("\"{text}\""));
            compare(&serde_json::to_string(&text).unwrap());
        }
    }
}
