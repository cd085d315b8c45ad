//! Values: types from and to MessagePack, and JSON from and to it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Newtype(Bytes);

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Unit;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
enum Colour {
    Red,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Choice {
    Unit,
    Newtype(Bytes),
    Tuple(u8, Bytes),
    Struct { body: Option<Bytes> },
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Text { text: String },
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Everything {
    flag: bool,
    number: i64,
    small: i8,
    big: u64,
    huge: u128,
    float: f64,
    single: f32,
    letter: char,
    text: String,
    unit: (),
    nothing: Unit,
    body: Bytes,
    some: Option<Bytes>,
    none: Option<Bytes>,
    list: Vec<Bytes>,
    map: HashMap<String, Bytes>,
    keys: HashMap<u16, Newtype>,
    signs: BTreeMap<i8, bool>,
    truths: BTreeMap<bool, u8>,
    colours: BTreeMap<Colour, Colour>,
    choices: Vec<Choice>,
    untagged: Vec<Untagged>,
    pair: (Bytes, [Bytes; 2]),
    array: Vec<u8>,
    value: Value,
    raw: Box<RawValue>,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

fn everything() -> String {
    json!({
        "flag": true, "number": -5_000_000_000i64, "small": -100, "big": u64::MAX, "huge": 7, "float": 1.5,
        "single": 0.1, "letter": "é", "text": "te\"xt\u{1}", "unit": null, "nothing": null, "body": [1, 2],
        "some": "b", "none": null, "list": [[3], [], [4]], "map": {"k": [5]}, "keys": {"7": [6]},
        "signs": {"-1": true, "2": false}, "truths": {"true": 1}, "colours": {"Red": "Red"},
        "choices": ["Unit", {"Newtype": [7]}, {"Tuple": [1, [8]]}, {"Struct": {"body": [9]}}, {"Struct": {"body": null}}],
        "untagged": [3, {"text": "x"}], "pair": [[1], [[2], [3]]], "array": [1, 2, 3],
        "value": {"a": [1, -2, 1.25, "x", null, {"b": {}}]}, "raw": [1, {"a": "b"}], "more": 1, "still": 2,
    })
    .to_string()
}

#[test]
fn every_kind_of_type_survives() {
    let everything: Everything = serde_json::from_str(&everything()).unwrap();
    let bytes = written(&everything);
    let again: Everything = from_msgpack(&bytes).unwrap();
    assert_eq!(written(&again), bytes);
    assert_eq!(again.raw.get(), everything.raw.get());
    assert_eq!(again.body, Bytes::from_static(&[1, 2]));
    assert_eq!(again.choices, everything.choices);
    assert_eq!(again.single, 0.1);

    // Bytes are what they are, and everything else is what it is in JSON.
    let (mut json, mut attachments) = (Vec::new(), Vec::new());
    socketio::to_json(&mut json, &everything, &mut attachments).unwrap();
    let mut transcoded = Vec::new();
    transcode_from_json(std::str::from_utf8(&json).unwrap(), &attachments, &mut transcoded).unwrap();
    assert_eq!(transcoded, bytes);
    let (mut back, mut again) = (Vec::new(), Vec::new());
    transcode_to_json(&bytes, &mut back, &mut again, 100).unwrap();
    assert_eq!((back, again), (json, attachments));
}

#[test]
fn numbers_are_written_as_javascript_writes_them() {
    let table = [
        (written(&1.0), "01"),
        (written(&-1.0), "ff"),
        (written(&-0.0), "00"),
        (written(&1_099_511_627_776.0), "cf0000010000000000"),
        (written(&1.5f32), "cb3ff8000000000000"),
        (written(&0.1f32), "cb3fb999999999999a"),
        (written(&f64::NAN), "cb7ff8000000000000"),
        (written(&1e300), "cb7e37e43c8800759c"),
        (written(&200u64), "ccc8"),
        (written(&-129i64), "d1ff7f"),
        (written(&i128::MAX), "cb47e0000000000000"),
        (written(&u128::from(u64::MAX)), "cfffffffffffffffff"),
        (written(&i128::from(i64::MIN)), "d38000000000000000"),
        (from_json("1.0").unwrap(), "01"),
        (from_json("-0").unwrap(), "00"),
        (from_json("1e2").unwrap(), "64"),
        (from_json("-1.5").unwrap(), "cbbff8000000000000"),
        (from_json("1e999").unwrap(), "cb7ff0000000000000"),
        (from_json("-1e999").unwrap(), "cbfff0000000000000"),
        (from_json("18446744073709551615").unwrap(), "cfffffffffffffffff"),
        (from_json("18446744073709551616").unwrap(), "cb43f0000000000000"),
        (from_json("-9223372036854775809").unwrap(), "cbc3e0000000000000"),
    ];
    for (bytes, expected) in table {
        assert_eq!(bytes, hex(expected), "{expected}");
    }
    let table = [
        ("cb3ff0000000000000", "1"),
        ("cb3ff8000000000000", "1.5"),
        ("ca3fc00000", "1.5"),
        ("cb7ff8000000000000", "null"),
        ("cb7ff0000000000000", "null"),
        ("cfffffffffffffffff", "18446744073709551615"),
        ("d0ff", "-1"),
        ("d005", "5"),
        ("d3ffffffffffffffff", "-1"),
    ];
    for (bytes, json) in table {
        assert_eq!(to_json(&hex(bytes)).unwrap(), json);
    }
    assert_eq!(from_msgpack::<f64>(&[1]), Ok(1.0));
    assert_eq!(from_msgpack::<f32>(&hex("cb3fb999999999999a")), Ok(0.1));
}

#[test]
fn containers_of_every_size() {
    for len in [0, 1, 15, 16, 17, 65_535, 65_536, 70_000] {
        let list = vec![7u8; len];
        let known = written(&list);
        let mut unknown = Vec::new();
        let iterator = std::cell::RefCell::new(list.iter().filter(|_| true));
        // A sequence that does not say its length.
        struct Unsized<'a, I>(&'a std::cell::RefCell<I>);
        impl<'b, I: Iterator<Item = &'b u8>> Serialize for Unsized<'_, I> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq;
                let mut seq = serializer.serialize_seq(None)?;
                for element in &mut *self.0.borrow_mut() {
                    seq.serialize_element(element)?;
                }
                seq.end()
            }
        }
        unknown.push(0x99);
        to_msgpack(&mut unknown, &Unsized(&iterator)).unwrap();
        assert_eq!(unknown[1..], known);
        assert_eq!(known, rmp_serde::to_vec(&list).unwrap());
        assert_eq!(from_msgpack::<Vec<u8>>(&known).unwrap(), list);
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(from_json(&json).unwrap(), known);
        assert_eq!(to_json(&known).unwrap(), json);

        let map: BTreeMap<String, u8> = (0..len).map(|key| (format!("{key:05}"), 1)).collect();
        let bytes = written(&map);
        assert_eq!(bytes, rmp_serde::to_vec(&map).unwrap());
        assert_eq!(from_json(&serde_json::to_string(&map).unwrap()).unwrap(), bytes);
        assert_eq!(from_msgpack::<BTreeMap<String, u8>>(&bytes).unwrap(), map);
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let mut out = vec![1];
    let keys = HashMap::from([((1, 2), 3)]);
    assert_eq!(to_msgpack(&mut out, &("x", keys)), Err(ValueError::Key));
    let keys = HashMap::from([(None::<u8>, 3)]);
    assert_eq!(to_msgpack(&mut out, &keys), Err(ValueError::Key));
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    assert_eq!(
        to_msgpack(&mut out, &[Refuses]),
        Err(ValueError::Message("no".to_owned()))
    );
    assert_eq!(out, [1]);
}

#[test]
fn types_take_what_they_take_from_json() {
    let text = written("ab");
    assert_eq!(from_msgpack::<&str>(&text), Ok("ab"));
    assert_eq!(from_msgpack::<Bytes>(&text).unwrap(), "ab");
    assert_eq!(from_msgpack::<Bytes>(&hex("926162")).unwrap(), "ab");
    assert_eq!(from_msgpack::<Bytes>(&hex("c4026162")).unwrap(), "ab");
    assert_eq!(from_msgpack::<&[u8]>(&hex("c4026162")), Ok(&b"ab"[..]));
    assert_eq!(
        from_msgpack::<HashMap<u8, u8>>(&hex("810102")),
        Ok(HashMap::from([(1, 2)]))
    );
    assert_eq!(
        from_msgpack::<HashMap<String, u8>>(&hex("81ff02")),
        Ok(HashMap::from([("-1".to_owned(), 2)]))
    );
    assert_eq!(from_msgpack::<Option<Option<u8>>>(&[5]), Ok(Some(Some(5))));
    let pair: (Box<RawValue>, u8) = from_msgpack(&hex("9281a16101 02")).unwrap();
    assert_eq!((pair.0.get(), pair.1), ("{\"a\":1}", 2));

    let refused = [
        from_msgpack::<u8>(&hex("cd0100")).map(drop),
        from_msgpack::<u8>(&hex("cb3ff0000000000000")).map(drop),
        from_msgpack::<u8>(&text).map(drop),
        from_msgpack::<Vec<u8>>(&hex("c4026162")).map(drop),
        from_msgpack::<String>(&hex("c4026162")).map(drop),
        from_msgpack::<(u8, u8)>(&hex("93010203")).map(drop),
        from_msgpack::<(u8, u8)>(&hex("9101")).map(drop),
        from_msgpack::<Colour>(&hex("a3526565")).map(drop),
        from_msgpack::<Choice>(&hex("82a155c0a156c0")).map(drop),
        from_msgpack::<Choice>(&[5]).map(drop),
        from_msgpack::<HashMap<u8, u8>>(&hex("81a17802")).map(drop),
        from_msgpack::<u8>(&hex("0102")).map(drop),
        from_msgpack::<u8>(&[]).map(drop),
        from_msgpack::<Value>(&hex("c4026162")).map(drop),
        from_msgpack::<Box<RawValue>>(&hex("91c4026162")).map(drop),
        from_msgpack::<Bytes>(&hex("80")).map(drop),
    ];
    for (index, result) in refused.iter().enumerate() {
        assert!(result.is_err(), "{index}");
    }
    assert_eq!(
        from_msgpack::<u8>(&hex("0102")),
        Err(DecodeError::Trailing { offset: 1 }.into())
    );
}

#[test]
fn bytes_become_placeholders_and_back() {
    let value = hex("93c40101 82a162c4020203a163c400 c403ffffff");
    let (mut json, mut attachments) = (b"[".to_vec(), vec![Bytes::from_static(b"before")]);
    transcode_to_json(&value, &mut json, &mut attachments, 5).unwrap();
    let p = |num: u8| format!("{{\"_placeholder\":true,\"num\":{num}}}");
    let expected = format!("[[{},{{\"b\":{},\"c\":{}}},{}]", p(1), p(2), p(3), p(4));
    assert_eq!(String::from_utf8(json.clone()).unwrap(), expected);
    assert_eq!(attachments, [&b"before"[..], &[1], &[2, 3], &[], &[255; 3]]);
    let mut again = Vec::new();
    transcode_from_json(&expected[1..], &attachments, &mut again).unwrap();
    assert_eq!(again, value);

    let (before, count) = (json.clone(), attachments.len());
    assert_eq!(
        transcode_to_json(&value, &mut json, &mut attachments, 8),
        Err(TranscodeError::TooManyAttachments { max: 8 })
    );
    assert_eq!((json, attachments.len()), (before, count));
}

#[test]
fn false_placeholders() {
    let attachments = [Bytes::from_static(b"x")];
    // Without attachments, or if it is none, it is an object like others.
    for (json, attachments) in [
        (r#"{"_placeholder":true,"num":0}"#, &[][..]),
        (r#"{"_placeholder":false,"num":0}"#, &attachments),
        (r#"{"_placeholder":1,"num":5}"#, &attachments),
        (r#"{"num":5}"#, &attachments),
    ] {
        let mut out = Vec::new();
        transcode_from_json(json, attachments, &mut out).unwrap();
        assert_eq!(
            from_msgpack::<Value>(&out).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
    }
    for num in ["1", "-1", "0.5", "\"0\"", "null", "{}", "true"] {
        let json = format!(r#"[{{"num":{num},"_placeholder":true}}]"#);
        let mut out = vec![9];
        let result = transcode_from_json(&json, &attachments, &mut out);
        assert_eq!(result, Err(TranscodeError::Placeholder), "{json}");
        assert_eq!(out, [9]);
    }
    let mut out = Vec::new();
    let result = transcode_from_json(r#"{"_placeholder":true}"#, &attachments, &mut out);
    assert_eq!(result, Err(TranscodeError::Placeholder));

    // From MessagePack, where bytes are bytes, nobody needs one.
    let forged = written(&json!({"_placeholder": true, "num": 7}));
    assert_eq!(to_json(&forged), Err(TranscodeError::Placeholder));
    assert!(to_json(&written(&json!({"_placeholder": false}))).is_ok());
}

#[test]
fn json_that_is_none_or_strange() {
    for json in [
        "",
        " ",
        "[",
        "]",
        "{",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "01",
        "nul",
        "\"",
        "\"\\x\"",
        "[\"a\n\"]",
        "'a'",
        "1,2",
    ] {
        let result = from_json(json);
        assert!(
            matches!(result, Err(TranscodeError::Json { .. })),
            "{json}: {result:?}"
        );
    }
    let table = [
        (" [ 1 , { \"a\" : [ ] } ] ", "920181a16190"),
        ("\"\\ud83d\\ude00\\u0041\\n\"", "a6f09f9880410a"),
        ("\"a\\ud800b\"", "ab61efbfbdefbfbdefbfbd62"),
        ("{\"\\u0061\":1,\"a\":2}", "82a16101a16102"),
    ];
    for (json, bytes) in table {
        assert_eq!(from_json(json).unwrap(), hex(bytes), "{json}");
    }
}
