//! What Redis answers about streams, in either version of its protocol.

use redis::Value;

/// An entry of a stream: its id and its fields.
pub(super) struct RawEntry {
    pub(super) id: String,
    fields: Vec<String>,
}

impl RawEntry {
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1]))
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields()
            .find_map(|(field, value)| (field == name).then_some(value))
    }
}

/// The place of an entry; ids are in this order.
pub(super) type Place = (u64, u64);

/// The place that an id tells; `None` for what is no id.
pub(super) fn place(id: &str) -> Option<Place> {
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let (time, number) = id.split_once('-')?;
    Some((digits(time)?, digits(number)?))
}

/// The entries that XRANGE answers, without those that have other than texts in them.
pub(super) fn range(answer: Value) -> Vec<RawEntry> {
    let Value::Array(entries) = answer else {
        return Vec::new();
    };
    entries.into_iter().filter_map(entry).collect()
}

/// The entries that XREAD of one stream answers; none if nothing came in time.
pub(super) fn read(answer: Value) -> Vec<RawEntry> {
    let entries = match answer {
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        Value::Array(streams) => streams.into_iter().next().and_then(|stream| match stream {
            Value::Array(pair) => pair.into_iter().nth(1),
            _ => None,
        }),
        _ => None,
    };
    entries.map(range).unwrap_or_default()
}

/// An entry whose fields are not text has none here.
fn entry(value: Value) -> Option<RawEntry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let mut parts = parts.into_iter();
    let id = text(parts.next()?)?;
    let fields = match parts.next()? {
        Value::Array(fields) => fields.into_iter().map(text).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    Some(RawEntry {
        id,
        fields: fields.unwrap_or_default(),
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn entries() -> Value {
        let entry = |id, fields: &[&str]| {
            let fields = fields.iter().map(|text| bulk(text)).collect();
            Value::Array(vec![bulk(id), Value::Array(fields)])
        };
        let binary = Value::Array(vec![
            bulk("3-0"),
            Value::Array(vec![bulk("uid"), Value::BulkString(vec![0xff])]),
        ]);
        Value::Array(vec![
            entry("1-0", &["uid", "a", "nsp", "/"]),
            entry("2-7", &[]),
            binary,
        ])
    }

    #[test]
    fn both_protocols_are_read() {
        let of_one = vec![bulk("socket.io"), entries()];
        let answers = [
            read(Value::Map(vec![(bulk("socket.io"), entries())])),
            read(Value::Array(vec![Value::Array(of_one)])),
            range(entries()),
        ];
        for answer in answers {
            let ids: Vec<&str> = answer.iter().map(|entry| &*entry.id).collect();
            assert_eq!(ids, ["1-0", "2-7", "3-0"]);
            assert_eq!(answer[0].field("nsp"), Some("/"));
            assert_eq!(answer[0].fields().count(), 2);
            assert_eq!(answer[2].fields().count(), 0);
        }
        assert!(read(Value::Nil).is_empty());
        assert!(range(Value::Okay).is_empty());
    }

    #[test]
    fn ids_have_an_order() {
        assert_eq!(place("1700000000000-12"), Some((1_700_000_000_000, 12)));
        assert!(place("9-9") < place("10-0") && place("1-9") < place("1-10"));
        for text in [
            "",
            "1",
            "-",
            "1-",
            "+1-0",
            "1-0-0",
            "1-x",
            "99999999999999999999-0",
            "1 -0",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
