//! From types to JSON whose bytes travel beside it. The serializer is `serde_json`'s own; only what it writes for
//! bytes is ours, and a value that is nothing but a text.

use std::fmt;
use std::io;

use bytes::Bytes;
use serde::ser::{Impossible, Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::json::put_json_string;
use crate::large;

/// Appends `value` as JSON to `out`. Every piece of it that is serialised as bytes (`bytes::Bytes`, `serde_bytes`)
/// becomes `{"_placeholder":true,"num":n}` and is pushed to `attachments`; `n` counts on from what is there already.
/// A plain `Vec<u8>` is an array of numbers to serde and stays one.
///
/// # Errors
/// If `value` refuses to be serialised, or cannot be JSON (a map with keys that are no strings). `out` and
/// `attachments` are then as they were.
pub fn to_json<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    attachments: &mut Vec<Bytes>,
) -> Result<(), serde_json::Error> {
    let (len, count) = (out.len(), attachments.len());
    let result = value.serialize(Start {
        out: &mut *out,
        attachments: &mut *attachments,
        json: &mut None,
    });
    if result.is_err() {
        out.truncate(len);
        attachments.truncate(count);
    }
    result
}

/// Whether `value` is `()` or a unit struct: nothing to send. `None` and `serde_json::Value::Null` are something, `null`;
/// so is a unit behind a pointer, which serde cannot tell from them.
pub fn is_unit<T: Serialize + ?Sized>(value: &T) -> bool {
    size_of_val(value) == 0 && value.serialize(UnitProbe).is_ok()
}

/// Compact JSON with bytes taken out.
struct Placeholders<'a> {
    attachments: &'a mut Vec<Bytes>,
}

impl Formatter for Placeholders<'_> {
    fn write_byte_array<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        let num = self.attachments.len();
        self.attachments.push(large::own(value));
        writer.write_all(b"{\"_placeholder\":true,\"num\":")?;
        writer.write_all(itoa::Buffer::new().format(num).as_bytes())?;
        writer.write_all(b"}")
    }
}

type Json<'a> = serde_json::Serializer<&'a mut Vec<u8>, Placeholders<'a>>;

/// The outermost value: a text is written here, for `serde_json` looks at its bytes one by one; anything else is its own.
struct Start<'s, 'a> {
    out: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Bytes>,
    /// Where that serializer lives, if it is needed.
    json: &'s mut Option<Json<'a>>,
}

impl<'s, 'a> Start<'s, 'a> {
    fn json(self) -> &'s mut Json<'a> {
        let formatter = Placeholders {
            attachments: self.attachments,
        };
        self.json.insert(Json::with_formatter(self.out, formatter))
    }
}

/// Serializer methods that are `serde_json`'s.
macro_rules! hand_on {
    ($($method:ident($($arg:ident: $ty:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($arg: $ty),*) -> Result<$ok, serde_json::Error> {
            self.json().$method($($arg),*)
        }
    )*};
}

impl<'s, 'a> Serializer for Start<'s, 'a> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = <&'s mut Json<'a> as Serializer>::SerializeSeq;
    type SerializeTuple = <&'s mut Json<'a> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <&'s mut Json<'a> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <&'s mut Json<'a> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'s mut Json<'a> as Serializer>::SerializeMap;
    type SerializeStruct = <&'s mut Json<'a> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'s mut Json<'a> as Serializer>::SerializeStructVariant;

    fn serialize_str(self, text: &str) -> Result<(), serde_json::Error> {
        put_json_string(self.out, text);
        Ok(())
    }

    hand_on! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(len: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), serde_json::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        self.json().serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), serde_json::Error> {
        self.json().collect_str(value)
    }
}

/// Succeeds on a unit and fails on everything else at once.
struct UnitProbe;

/// It was no unit.
#[derive(Debug)]
struct NotUnit;

impl fmt::Display for NotUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a unit")
    }
}

impl std::error::Error for NotUnit {}

impl serde::ser::Error for NotUnit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type No = Impossible<(), NotUnit>;

impl Serializer for UnitProbe {
    type Ok = ();
    type Error = NotUnit;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    fn serialize_unit(self) -> Result<(), NotUnit> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotUnit> {
        Ok(())
    }

    fn serialize_bool(self, _: bool) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_i8(self, _: i8) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_i16(self, _: i16) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_i32(self, _: i32) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_i64(self, _: i64) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_i128(self, _: i128) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_u8(self, _: u8) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_u16(self, _: u16) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_u32(self, _: u32) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_u64(self, _: u64) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_u128(self, _: u128) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_f32(self, _: f32) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_f64(self, _: f64) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_char(self, _: char) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_str(self, _: &str) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_none(self) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotUnit> {
        Err(NotUnit)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_tuple(self, _: usize) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, NotUnit> {
        Err(NotUnit)
    }

    /// Overridden because the default would allocate the text only to refuse it.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), NotUnit> {
        Err(NotUnit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::ser::Error as _;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(serde::Serialize)]
    struct File {
        name: &'static str,
        body: Bytes,
        parts: Vec<Option<Bytes>>,
    }

    #[test]
    fn bytes_become_placeholders() {
        let file = File {
            name: "a",
            body: Bytes::from_static(b"12"),
            parts: vec![Some(Bytes::from_static(b"3")), None, Some(Bytes::new())],
        };
        let mut out = b"[\"e\",".to_vec();
        let mut attachments = vec![Bytes::from_static(b"earlier")];
        to_json(&mut out, &file, &mut attachments).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"["e",{"name":"a","body":{"_placeholder":true,"num":1},"#,
                r#""parts":[{"_placeholder":true,"num":2},null,{"_placeholder":true,"num":3}]}"#
            )
        );
        assert_eq!(attachments, [&b"earlier"[..], b"12", b"3", b""]);
    }

    #[test]
    fn everything_else_is_serde_json() {
        let raw = RawValue::from_string("{\"a\" : 1.0}".to_owned()).unwrap();
        let value = (
            json!({"a": [1, -2.5, "é\n", null, true]}),
            vec![1u8, 2],
            f64::NAN,
            'x',
            Some(()),
            raw,
        );
        let mut out = Vec::new();
        let mut attachments = Vec::new();
        to_json(&mut out, &value, &mut attachments).unwrap();
        assert_eq!(out, serde_json::to_vec(&value).unwrap());
        assert!(attachments.is_empty());
    }

    #[test]
    fn an_error_leaves_nothing_behind() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("no"))
            }
        }
        let mut out = b"x".to_vec();
        let mut attachments = vec![Bytes::new()];
        let error = to_json(
            &mut out,
            &(1, Bytes::from_static(b"2"), Refuses),
            &mut attachments,
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "no");
        assert_eq!((&out[..], attachments.len()), (&b"x"[..], 1));
        assert!(to_json(&mut out, &HashMap::from([(vec![1], 1)]), &mut attachments).is_err());
        assert_eq!(out, b"x");
    }

    #[test]
    fn units() {
        #[derive(serde::Serialize)]
        struct Unit;
        #[derive(serde::Serialize)]
        struct Empty {}
        #[derive(serde::Serialize)]
        struct Newtype(());
        #[derive(serde::Serialize)]
        enum Choice {
            Nothing,
        }
        assert!(is_unit(&()));
        assert!(is_unit(&Unit));
        assert!(!is_unit(&Empty {}));
        assert!(!is_unit(&Newtype(())));
        assert!(!is_unit(&Choice::Nothing));
        assert!(!is_unit(&None::<()>));
        assert!(!is_unit(&Some(())));
        assert!(!is_unit(&serde_json::Value::from(1)));
        assert!(!is_unit(""));
        assert!(!is_unit(&Vec::<()>::new()));
        assert!(!is_unit(&((), ())));
        assert!(!is_unit(&format_args!("{}", 1)));
        assert!(!is_unit(&serde_json::Value::Null));
        assert!(!is_unit(&[0u8; 0]));
        assert!(!is_unit(&Box::new(())));
    }
}
