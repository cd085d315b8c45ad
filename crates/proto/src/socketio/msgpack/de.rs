//! From MessagePack to types. It follows `serde_json` in everything but bytes: what a handler's type takes from JSON, it
//! takes from MessagePack, too.

use std::borrow::Cow;
use std::fmt;

use rmp::Marker;
use serde::de::value::MapDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use thiserror::Error;

use super::date::iso_string;
use super::read::{DecodeError, Reader, Token};
use super::{MAX_DEPTH, RAW_VALUE, transcode_to_json};

/// Reads a `T` from one MessagePack value, an argument for instance. Strings and bytes may be borrowed.
///
/// Where `T` asks serde for bytes (`bytes::Bytes`, `serde_bytes`) it gets them; a string or an array of numbers is taken
/// for bytes, too, as in JSON. `undefined` is null, a date its ISO string, and a key may be read as a number.
/// `serde_json::Value` has no place for bytes; neither has a raw value, which otherwise gets the JSON of what is there.
///
/// # Errors
/// If the bytes are not exactly one value that [`decode`](super::decode) would accept, or not one that `T` takes.
pub fn from_msgpack<'de, T: Deserialize<'de>>(value: &'de [u8]) -> Result<T, ValueError> {
    let mut value = Value {
        reader: Reader::new(value),
        depth: 0,
    };
    let read = T::deserialize(&mut value)?;
    if value.reader.is_at_end() {
        Ok(read)
    } else {
        let offset = value.reader.position();
        Err(DecodeError::Trailing { offset }.into())
    }
}

/// Why a value was not read or written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// It is not MessagePack as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A key that cannot be one in JavaScript.
    #[error("a key of a map must be a string, an integer or a boolean")]
    Key,
    /// More than MessagePack can count.
    #[error("a string, bytes or a list is longer than 2^32 - 1")]
    TooLong,
    /// What the type itself said.
    #[error("{0}")]
    Message(String),
}

impl de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
}

/// The value that the reader stands before.
struct Value<'de> {
    reader: Reader<'de>,
    depth: usize,
}

impl<'de> Value<'de> {
    fn enter(&mut self) -> Result<(), ValueError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooDeep.into());
        }
        self.depth += 1;
        Ok(())
    }

    fn key(&mut self) -> Result<Key<'de>, ValueError> {
        let offset = self.reader.position();
        match self.reader.token()? {
            Token::Str(text) => Ok(Key(text.into())),
            Token::Unsigned(number) => Ok(Key(number.to_string().into())),
            Token::Signed(number) => Ok(Key(number.to_string().into())),
            _ => Err(DecodeError::Key { offset }.into()),
        }
    }

    /// Whether the value is null in JavaScript's JSON: nil, `undefined`, or a date that it cannot count.
    fn is_nil(&self) -> bool {
        match self.reader.peek() {
            Some(Marker::Null) => true,
            Some(Marker::FixExt1 | Marker::FixExt8 | Marker::Ext8 | Marker::Ext16 | Marker::Ext32) => {
                match self.reader.clone().token() {
                    Ok(Token::Nil) => true,
                    Ok(Token::Date(ms)) => iso_string(ms).is_none(),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

impl<'de> Deserializer<'de> for &mut Value<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.reader.token()? {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Signed(number) => visitor.visit_i64(number),
            Token::Float(number) => visitor.visit_f64(number),
            Token::Str(text) => visitor.visit_borrowed_str(text),
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Date(ms) => match iso_string(ms) {
                Some(text) => visitor.visit_string(text),
                None => visitor.visit_unit(),
            },
            Token::Array(len) => {
                self.enter()?;
                let mut elements = Elements {
                    value: &mut *self,
                    left: len,
                };
                let read = visitor.visit_seq(&mut elements)?;
                check_all_read(len, elements.left)?;
                self.depth -= 1;
                Ok(read)
            }
            Token::Map(len) => {
                self.enter()?;
                let mut elements = Elements {
                    value: &mut *self,
                    left: len,
                };
                let read = visitor.visit_map(&mut elements)?;
                check_all_read(len, elements.left)?;
                self.depth -= 1;
                Ok(read)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.is_nil() {
            self.reader.token()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.reader.peek() {
            // A string would take bytes that happen to be UTF-8; in JSON it never gets them.
            Some(Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => {
                Err(de::Error::custom("bytes stand where a string is expected"))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.reader.peek() {
            Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) => {
                match self.reader.token()? {
                    Token::Str(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
                    _ => Err(ValueError::Key),
                }
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name != RAW_VALUE {
            return visitor.visit_newtype_struct(self);
        }
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        let raw = self.reader.raw(MAX_DEPTH)?;
        transcode_to_json(raw, &mut json, &mut attachments, 0).map_err(<ValueError as de::Error>::custom)?;
        let json = String::from_utf8(json).map_err(<ValueError as de::Error>::custom)?;
        visitor.visit_map(MapDeserializer::new([(RAW_VALUE, json)].into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.reader.token()? {
            Token::Str(name) => visitor.visit_enum(name.into_deserializer()),
            Token::Map(1) => {
                self.enter()?;
                let read = visitor.visit_enum(&mut *self)?;
                self.depth -= 1;
                Ok(read)
            }
            _ => Err(de::Error::custom(
                "an enum must be a string or a map with one key",
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.reader.raw(MAX_DEPTH - self.depth)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct seq tuple tuple_struct map
        struct identifier
    }
}

fn check_all_read(len: usize, left: usize) -> Result<(), ValueError> {
    match left {
        0 => Ok(()),
        _ => Err(de::Error::invalid_length(len, &"fewer elements")),
    }
}

/// What is left of a container.
struct Elements<'a, 'de> {
    value: &'a mut Value<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = ValueError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.value).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = ValueError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ValueError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(self.value.key()?).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ValueError> {
        seed.deserialize(&mut *self.value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Stands in the map with one key that is an enum's variant.
impl<'de> EnumAccess<'de> for &mut Value<'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ValueError> {
        let name = seed.deserialize(self.key()?)?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Value<'de> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ValueError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_any(visitor)
    }
}

/// A key: text, which may be read as a number.
struct Key<'de>(Cow<'de, str>);

macro_rules! parsed {
    ($($method:ident => $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    parsed! {
        deserialize_bool => visit_bool;
        deserialize_i8 => visit_i8;
        deserialize_i16 => visit_i16;
        deserialize_i32 => visit_i32;
        deserialize_i64 => visit_i64;
        deserialize_i128 => visit_i128;
        deserialize_u8 => visit_u8;
        deserialize_u16 => visit_u16;
        deserialize_u32 => visit_u32;
        deserialize_u64 => visit_u64;
        deserialize_u128 => visit_u128;
        deserialize_f32 => visit_f32;
        deserialize_f64 => visit_f64;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum((&*self.0).into_deserializer())
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
