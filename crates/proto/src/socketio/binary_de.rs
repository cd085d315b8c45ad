//! From JSON and the bytes beside it to types. The deserializer is `serde_json`'s; the wrappers here follow it into
//! every value and act only where the type asks for bytes.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::attachments::{NUM, PLACEHOLDER, placeholder_num};
use super::text_de::Start;

/// Reads a `T` from one JSON value whose `{"_placeholder":true,"num":n}` objects stand for `attachments`.
///
/// Wherever `T` asks serde for bytes (`bytes::Bytes`, `serde_bytes`), at any depth, the placeholder there gives the
/// attachment's bytes, copied. A type that takes whatever comes (`serde_json::Value`, and what serde buffers through
/// such a value: untagged and internally tagged enums, flattened fields) sees the placeholder as the object that it is.
/// Without attachments this is plain `serde_json`.
///
/// # Errors
/// As `serde_json::from_str`, and if a placeholder that is asked for bytes has a number out of range.
pub fn from_json<'de, T: Deserialize<'de>>(
    json: &'de str,
    attachments: &[Bytes],
) -> Result<T, serde_json::Error> {
    if attachments.is_empty() {
        return T::deserialize(Start(json));
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Binary {
        inner: &mut deserializer,
        attachments,
    })?;
    deserializer.end()?;
    Ok(value)
}

/// As [`from_json`], for a type that borrows nothing: [`Bytes`] alone, which are a whole attachment, share it rather than
/// copy it.
///
/// # Errors
/// As [`from_json`].
pub fn from_json_owned<T: DeserializeOwned + 'static>(
    json: &str,
    attachments: &[Bytes],
) -> Result<T, serde_json::Error> {
    if attachments.is_empty() {
        return T::deserialize(Start(json));
    }
    let mut whole: Option<T> = None;
    if let Some(bytes) = (&mut whole as &mut dyn Any).downcast_mut::<Option<Bytes>>() {
        *bytes = placeholder_num(json)
            .and_then(|num| attachments.get(num))
            .cloned();
    }
    whole.map_or_else(|| from_json(json, attachments), Ok)
}

/// A deserializer, seed or access of serde that keeps the attachments at hand on the way down.
struct Binary<'a, T> {
    inner: T,
    attachments: &'a [Bytes],
}

impl<'a, T> Binary<'a, T> {
    fn wrap<U>(&self, inner: U) -> Binary<'a, U> {
        Binary {
            inner,
            attachments: self.attachments,
        }
    }
}

/// Deserializer methods that ask the inner one the same thing with a visitor that follows.
macro_rules! follow {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = Follow(self.wrap(visitor));
            self.inner.$method($($arg,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Binary<'_, D> {
    type Error = D::Error;

    follow! {
        deserialize_any();
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
        deserialize_str();
        deserialize_string();
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
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = TakeBytes {
            to: self.wrap(visitor),
            owned: false,
        };
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = TakeBytes {
            to: self.wrap(visitor),
            owned: true,
        };
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Gives the type's visitor what comes, and follows it where that is made of values itself.
struct Follow<'a, V>(Binary<'a, V>);

macro_rules! pass {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.0.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Follow<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.inner.expecting(f)
    }

    pass! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.0.wrap(deserializer);
        self.0.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.0.wrap(deserializer);
        self.0.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        let seq = self.0.wrap(seq);
        self.0.inner.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let map = self.0.wrap(map);
        self.0.inner.visit_map(map)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.0.wrap(data);
        self.0.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Binary<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Binary<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Binary<'_, A> {
    type Error = A::Error;

    /// A key is a string: there is nothing to follow.
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Binary<'a, A> {
    type Error = A::Error;
    type Variant = Binary<'a, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((
            value,
            Binary {
                inner: variant,
                attachments: self.attachments,
            },
        ))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Binary<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = Follow(self.wrap(visitor));
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = Follow(self.wrap(visitor));
        self.inner.struct_variant(fields, visitor)
    }
}

/// Stands where a type asks for bytes. A placeholder gives those of its attachment; a string and an array of numbers
/// are what they are to `serde_json` there: bytes too.
struct TakeBytes<'a, V> {
    to: Binary<'a, V>,
    owned: bool,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for TakeBytes<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let (mut placeholder, mut num) = (false, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                PLACEHOLDER => placeholder = map.next_value()?,
                NUM => num = Some(map.next_value::<usize>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let bytes = match num {
            Some(num) if placeholder => self.to.attachments.get(num).ok_or_else(|| {
                let there = self.to.attachments.len();
                A::Error::custom(format_args!(
                    "no attachment has the number {num}: there are {there}"
                ))
            })?,
            _ => return Err(A::Error::custom("an object stands where bytes are expected")),
        };
        if self.owned {
            self.to.inner.visit_byte_buf(bytes.to_vec())
        } else {
            self.to.inner.visit_bytes(bytes)
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.to.inner.visit_seq(seq)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.to.inner.visit_bytes(value.as_bytes())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.to.inner.visit_borrowed_bytes(value.as_bytes())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.to.inner.visit_byte_buf(value.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::super::to_json;
    use super::*;

    const ZERO: &str = r#"{"_placeholder":true,"num":0}"#;

    fn two() -> [Bytes; 2] {
        [Bytes::from_static(b"zero"), Bytes::from_static(b"one")]
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Newtype(Bytes);

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    enum Choice {
        Unit,
        Newtype(Bytes),
        Tuple(u8, Bytes),
        Struct { body: Option<Bytes> },
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Everything {
        flag: bool,
        number: i64,
        big: u128,
        float: f64,
        letter: char,
        text: String,
        unit: (),
        body: Bytes,
        some: Option<Bytes>,
        none: Option<Bytes>,
        list: Vec<Bytes>,
        map: HashMap<String, Bytes>,
        keys: HashMap<u16, Newtype>,
        boxed: Box<Newtype>,
        choices: Vec<Choice>,
        pair: (Bytes, [Bytes; 2]),
        array: Vec<u8>,
    }

    #[test]
    fn bytes_at_any_depth_survive() {
        let b = |text: &'static str| Bytes::from_static(text.as_bytes());
        let everything = Everything {
            flag: true,
            number: -5,
            big: u128::MAX,
            float: 1.5,
            letter: 'é',
            text: "te\"xt".to_owned(),
            unit: (),
            body: b("a"),
            some: Some(b("b")),
            none: None,
            list: vec![b("c"), b(""), b("d")],
            map: HashMap::from([("k".to_owned(), b("e"))]),
            keys: HashMap::from([(7, Newtype(b("f")))]),
            boxed: Box::new(Newtype(b("g"))),
            choices: vec![
                Choice::Unit,
                Choice::Newtype(b("h")),
                Choice::Tuple(1, b("i")),
                Choice::Struct { body: Some(b("j")) },
                Choice::Struct { body: None },
            ],
            pair: (b("k"), [b("l"), b("m")]),
            array: vec![1, 2, 3],
        };
        let mut out = Vec::new();
        let mut attachments = Vec::new();
        to_json(&mut out, &everything, &mut attachments).unwrap();
        assert_eq!(attachments.len(), 14);
        let json = String::from_utf8(out).unwrap();
        assert_eq!(from_json::<Everything>(&json, &attachments).unwrap(), everything);
    }

    #[test]
    fn a_value_keeps_the_placeholder() {
        let value: Value = from_json(ZERO, &two()).unwrap();
        assert_eq!(value, json!({"_placeholder": true, "num": 0}));
        let raw: Box<RawValue> = from_json(ZERO, &two()).unwrap();
        assert_eq!(raw.get(), ZERO);
        let pair: (&RawValue, Bytes) =
            from_json(r#"[ {"a" : 1 } ,{"_placeholder":true,"num":1}]"#, &two()).unwrap();
        assert_eq!((pair.0.get(), &pair.1[..]), (r#"{"a" : 1 }"#, &b"one"[..]));
    }

    #[test]
    fn borrowed_text_stays_borrowed() {
        let json = format!(r#"["text",{ZERO}]"#);
        let (text, bytes): (&str, Bytes) = from_json(&json, &two()).unwrap();
        assert_eq!((text, &bytes[..]), ("text", &b"zero"[..]));
    }

    #[test]
    fn a_whole_attachment_is_shared() {
        let attachments = two();
        let whole: Bytes = from_json_owned(r#"{"_placeholder":true,"num":1}"#, &attachments).unwrap();
        assert_eq!(
            (whole.as_ptr(), &whole[..]),
            (attachments[1].as_ptr(), &b"one"[..])
        );
        let spaced: Bytes = from_json_owned(r#"{"num":1, "_placeholder":true}"#, &attachments).unwrap();
        assert_eq!(spaced, whole);
        let newtype: Newtype = from_json_owned(ZERO, &attachments).unwrap();
        assert_eq!(newtype.0, "zero");
        let missing = from_json_owned::<Bytes>(r#"{"_placeholder":true,"num":2}"#, &attachments);
        assert!(missing.is_err());
        assert_eq!(from_json_owned::<Bytes>("\"ab\"", &[]).unwrap(), "ab");
    }

    #[test]
    fn bytes_may_come_as_text_or_numbers() {
        for attachments in [&two()[..], &[]] {
            assert_eq!(from_json::<Bytes>("\"ab\"", attachments).unwrap(), "ab");
            assert_eq!(from_json::<Bytes>("\"a\\n\"", attachments).unwrap(), "a\n");
            assert_eq!(from_json::<Bytes>("[97,98]", attachments).unwrap(), "ab");
            assert_eq!(from_json::<Vec<u8>>("[97,98]", attachments).unwrap(), b"ab");
        }
    }

    #[test]
    fn refused() {
        let table = [
            (
                r#"{"_placeholder":true,"num":2}"#,
                "no attachment has the number 2: there are 2",
            ),
            (
                r#"{"_placeholder":true,"num":-1}"#,
                "invalid value: integer `-1`, expected usize",
            ),
            (
                r#"{"_placeholder":true,"num":"splice"}"#,
                "invalid type: string \"splice\", expected usize",
            ),
            (
                r#"{"_placeholder":true,"num":0.5}"#,
                "invalid type: floating point `0.5`, expected usize",
            ),
            (
                r#"{"_placeholder":true}"#,
                "an object stands where bytes are expected",
            ),
            (
                r#"{"_placeholder":false,"num":0}"#,
                "an object stands where bytes are expected",
            ),
            (r#"{"num":0}"#, "an object stands where bytes are expected"),
            ("{}", "an object stands where bytes are expected"),
            ("1", "invalid type: integer `1`, expected byte array"),
            ("null", "invalid type: null, expected byte array"),
            (r#"{"_placeholder":true,"num":0} x"#, "trailing characters"),
            (r#"{"_placeholder":true,"num":0"#, "EOF while parsing an object"),
        ];
        for (json, message) in table {
            let error = from_json::<Bytes>(json, &two()).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
        let error = from_json::<Bytes>(ZERO, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("invalid type: map"),
            "without attachments it is serde_json: {error}"
        );
        assert!(from_json::<String>(ZERO, &two()).is_err());
    }

    #[test]
    fn the_order_of_keys_and_other_keys_do_not_matter() {
        let json = r#"{"num":1,"x":[{}],"_placeholder":true}"#;
        assert_eq!(from_json::<Bytes>(json, &two()).unwrap(), "one");
        assert_eq!(
            from_json::<Bytes>("{\"\\u005fplaceholder\" : true, \"num\" : 1 }", &two()).unwrap(),
            "one"
        );
    }

    #[test]
    fn a_deep_text_is_an_error() {
        let json = "[".repeat(100_000);
        assert!(from_json::<Value>(&json, &two()).is_err());
        assert!(from_json::<Bytes>(&json, &two()).is_err());
    }

    proptest! {
        #[test]
        fn the_wrapper_changes_nothing_without_placeholders(text in "[\\[\\]{}\",:\\\\a0-9.e\\- truenl]{0,24}") {
            let wrapped = from_json::<Value>(&text, &two());
            let plain = serde_json::from_str::<Value>(&text);
            prop_assert_eq!(wrapped.map_err(|error| error.to_string()), plain.map_err(|error| error.to_string()));
            let wrapped = from_json::<(Option<String>, Vec<f32>)>(&text, &two());
            let plain = serde_json::from_str(&text);
            prop_assert_eq!(wrapped.map_err(|error| error.to_string()), plain.map_err(|error| error.to_string()));
        }
    }
}
