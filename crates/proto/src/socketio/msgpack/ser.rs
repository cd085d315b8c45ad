//! From types to MessagePack. It follows `serde_json` in everything but bytes, so that a value looks the same to a client
//! with either parser: structs are maps, enums are tagged the same way, keys are strings.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::de::ValueError;
use super::read::{Reader, Token};
use super::write::{
    correct_head, put_array_head, put_bin, put_bool, put_float, put_map_head, put_nil, put_signed, put_str,
    put_unsigned,
};
use super::{RAW_VALUE, transcode_from_json};

/// Appends `value` as one MessagePack value. What serde is given as bytes (`bytes::Bytes`, `serde_bytes`) becomes bytes;
/// a plain `Vec<u8>` is an array of numbers to serde and stays one. `serde_json`'s raw values are written as what they say.
///
/// # Errors
/// If `value` refuses to be serialised, or cannot be a JavaScript value (a map with keys that are no strings, integers
/// or booleans; 2^32 bytes and more in one string). `out` is then as it was.
pub fn to_msgpack<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), ValueError> {
    let len = out.len();
    let result = value.serialize(Writer { out });
    if result.is_err() {
        out.truncate(len);
    }
    result
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    fn array(self, len: usize) -> Container<'a> {
        let at = self.out.len();
        put_array_head(self.out, len);
        Container {
            out: self.out,
            at,
            announced: len,
            count: 0,
            kind: Kind::Array,
        }
    }

    fn map(self, len: usize) -> Container<'a> {
        let at = self.out.len();
        put_map_head(self.out, len);
        Container {
            out: self.out,
            at,
            announced: len,
            count: 0,
            kind: Kind::Map,
        }
    }

    /// The map around the one value of an enum's variant.
    fn variant(self, name: &str) -> Self {
        put_map_head(self.out, 1);
        put_str(self.out, name);
        self
    }
}

macro_rules! integers {
    ($($method:ident($ty:ty) => $put:ident;)*) => {$(
        fn $method(self, number: $ty) -> Result<(), ValueError> {
            $put(self.out, number.into());
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = ValueError;
    type SerializeSeq = Container<'a>;
    type SerializeTuple = Container<'a>;
    type SerializeTupleStruct = Container<'a>;
    type SerializeTupleVariant = Container<'a>;
    type SerializeMap = Container<'a>;
    type SerializeStruct = Container<'a>;
    type SerializeStructVariant = Container<'a>;

    integers! {
        serialize_i8(i8) => put_signed;
        serialize_i16(i16) => put_signed;
        serialize_i32(i32) => put_signed;
        serialize_i64(i64) => put_signed;
        serialize_u8(u8) => put_unsigned;
        serialize_u16(u16) => put_unsigned;
        serialize_u32(u32) => put_unsigned;
        serialize_u64(u64) => put_unsigned;
        serialize_f64(f64) => put_float;
    }

    fn serialize_i128(self, number: i128) -> Result<(), ValueError> {
        if let Ok(number) = i64::try_from(number) {
            put_signed(self.out, number);
        } else if let Ok(number) = u64::try_from(number) {
            put_unsigned(self.out, number);
        } else {
            put_float(self.out, number as f64);
        }
        Ok(())
    }

    fn serialize_u128(self, number: u128) -> Result<(), ValueError> {
        match u64::try_from(number) {
            Ok(number) => put_unsigned(self.out, number),
            Err(_) => put_float(self.out, number as f64),
        }
        Ok(())
    }

    /// By its shortest decimal, as JSON has it: 0.1 stays 0.1 in JavaScript.
    fn serialize_f32(self, number: f32) -> Result<(), ValueError> {
        let number = number.to_string().parse().unwrap_or_else(|_| f64::from(number));
        put_float(self.out, number);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), ValueError> {
        put_bool(self.out, value);
        Ok(())
    }

    fn serialize_char(self, letter: char) -> Result<(), ValueError> {
        put_str(self.out, letter.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), ValueError> {
        check_len(text.len())?;
        put_str(self.out, text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), ValueError> {
        check_len(bytes.len())?;
        put_bin(self.out, bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), ValueError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), ValueError> {
        put_nil(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), ValueError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), ValueError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        value.serialize(self.variant(variant))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Container<'a>, ValueError> {
        Ok(self.array(len.unwrap_or_default()))
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'a>, ValueError> {
        Ok(self.array(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Container<'a>, ValueError> {
        Ok(self.array(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'a>, ValueError> {
        Ok(self.variant(variant).array(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Container<'a>, ValueError> {
        Ok(self.map(len.unwrap_or_default()))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Container<'a>, ValueError> {
        if name == RAW_VALUE {
            let at = self.out.len();
            return Ok(Container {
                out: self.out,
                at,
                announced: 0,
                count: 0,
                kind: Kind::Raw,
            });
        }
        Ok(self.map(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'a>, ValueError> {
        Ok(self.variant(variant).map(len))
    }
}

/// A container whose elements are being written. Its head is corrected at the end if the type announced another number.
struct Container<'a> {
    out: &'a mut Vec<u8>,
    /// Where the head is.
    at: usize,
    announced: usize,
    count: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Map,
    /// The struct that stands for a raw JSON value.
    Raw,
}

impl Container<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.count += 1;
        value.serialize(Writer { out: self.out })
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        let at = self.out.len();
        key.serialize(Writer { out: self.out })?;
        let text = match Reader::new(&self.out[at..]).token()? {
            Token::Str(_) => return Ok(()),
            Token::Unsigned(number) => number.to_string(),
            Token::Signed(number) => number.to_string(),
            Token::Bool(value) => value.to_string(),
            _ => return Err(ValueError::Key),
        };
        self.out.truncate(at);
        put_str(self.out, &text);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), ValueError> {
        if self.kind == Kind::Raw {
            return self.raw(value);
        }
        put_str(self.out, name);
        self.element(value)
    }

    /// The value is a string that holds the JSON.
    fn raw<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let mut json = Vec::new();
        value.serialize(Writer { out: &mut json })?;
        match Reader::new(&json).token()? {
            Token::Str(json) => {
                transcode_from_json(json, &[], self.out).map_err(<ValueError as ser::Error>::custom)
            }
            _ => Err(ser::Error::custom("a raw JSON value must be a string")),
        }
    }

    fn finish(self) -> Result<(), ValueError> {
        check_len(self.count)?;
        let is_map = self.kind == Kind::Map;
        correct_head(self.out, self.at, is_map, self.announced, self.count);
        Ok(())
    }
}

macro_rules! elements {
    ($($name:ident::$method:ident;)*) => {$(
        impl ser::$name for Container<'_> {
            type Ok = ();
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.element(value)
            }

            fn end(self) -> Result<(), ValueError> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! fields {
    ($($name:ident)*) => {$(
        impl ser::$name for Container<'_> {
            type Ok = ();
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), ValueError> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Container<'_> {
    type Ok = ();
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.element(value)
    }

    fn end(self) -> Result<(), ValueError> {
        self.finish()
    }
}

impl ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }
}

fn check_len(len: usize) -> Result<(), ValueError> {
    match u32::try_from(len) {
        Ok(_) => Ok(()),
        Err(_) => Err(ValueError::TooLong),
    }
}
