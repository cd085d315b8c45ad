//! What is different for a client of Socket.IO 2: it is let into `/` without asking, sends a query where others send
//! `auth`, and is refused with a bare value. Its packets are otherwise those of Socket.IO 5.

use serde_json::{Map, Value};

use crate::ConnectError;

/// A namespace and the query that follows it in a CONNECT (`/chat?token=x`).
pub(crate) fn split_query(namespace: &str) -> (&str, &str) {
    namespace.split_once('?').unwrap_or((namespace, ""))
}

/// The query as the JSON object that `auth` is: strings, and an array of them for a name that comes several times.
pub(crate) fn auth(query: &str) -> String {
    let mut object = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = Value::from(value);
        match object.get_mut(&*name) {
            None => {
                object.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::from(object).to_string()
}

/// What a refused client gets: the error's data if it has some, its message else.
pub(crate) fn refusal(error: &ConnectError) -> Value {
    match &error.data {
        None | Some(Value::Null) => Value::from(&*error.message),
        Some(data) => data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_become_objects() {
        let cases = [
            ("", "{}"),
            ("token=x", r#"{"token":"x"}"#),
            ("a=%26%C3%A9+f&b", r#"{"a":"&é f","b":""}"#),
            ("a=1&a=2&a=3", r#"{"a":["1","2","3"]}"#),
            ("__proto__=1", r#"{"__proto__":"1"}"#),
        ];
        for (query, object) in cases {
            assert_eq!(auth(query), object);
        }
        assert_eq!(split_query("/chat?a=1?b"), ("/chat", "a=1?b"));
        assert_eq!(split_query("/chat"), ("/chat", ""));
    }

    #[test]
    fn a_refusal_is_a_bare_value() {
        let error = ConnectError::new("no");
        assert_eq!(refusal(&error), json!("no"));
        assert_eq!(refusal(&error.clone().with_data(Value::Null)), json!("no"));
        assert_eq!(refusal(&error.with_data(json!({"a": 1}))), json!({"a": 1}));
    }
}
