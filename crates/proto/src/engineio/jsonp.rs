//! Polling through `<script>` tags (JSONP), for browsers that can ask another origin in no other way: a payload leaves as
//! the argument of a function call and comes in as the field of a form. The payload itself is the transport's affair.

/// A payload as a script that hands it to the callback of that number, `___eio[0]("…");`. `index` is what
/// [`Query::jsonp`](super::Query::jsonp) has: digits alone, for it becomes part of a program.
pub fn wrap(index: &str, payload: &str) -> String {
    debug_assert!(index.bytes().all(|byte| byte.is_ascii_digit()));
    // A string cannot fail to be JSON.
    let quoted = serde_json::to_string(payload).unwrap_or_default();
    let mut script = String::with_capacity(quoted.len() + index.len() + 11);
    script.push_str("___eio[");
    script.push_str(index);
    script.push_str("](");
    // JSON allows these two line ends in a string, JavaScript did not before 2019.
    for char in quoted.chars() {
        match char {
            '\u{2028}' => script.push_str("\\u2028"),
            '\u{2029}' => script.push_str("\\u2029"),
            char => script.push(char),
        }
    }
    script.push_str(");");
    script
}

/// The payload in the body of a POST, the field `d` of a form; empty, which is no payload, if there is none. Browsers
/// change line ends in forms, so the client writes `\n` for one, and `\\n` for a backslash before an n.
pub fn unwrap(form: &[u8]) -> String {
    let field = form_urlencoded::parse(form).find(|(name, _)| name == "d");
    let Some((_, data)) = field else {
        return String::new();
    };
    let mut payload = String::with_capacity(data.len());
    let mut rest = &*data;
    while let Some(at) = rest.find('\\') {
        payload.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, escape) = match rest.as_bytes() {
            [_, b'n', ..] => ("\n", 2),
            [_, b'\\', b'n', ..] => ("\\n", 3),
            _ => ("\\", 1),
        };
        payload.push_str(text);
        rest = &rest[escape..];
    }
    payload.push_str(rest);
    payload
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn payloads_become_scripts() {
        let table = [
            ("0", "4hi", r#"___eio[0]("4hi");"#),
            ("12", "0{\"sid\":\"a\"}", r#"___eio[12]("0{\"sid\":\"a\"}");"#),
            ("", "\u{2028}é\u{2029}\n\\", r#"___eio[]("\u2028é\u2029\n\\");"#),
            ("1", "4a\u{1e}4b", r#"___eio[1]("4a\u001e4b");"#),
        ];
        for (index, payload, script) in table {
            assert_eq!(wrap(index, payload), script);
        }
    }

    #[test]
    fn forms_hold_payloads() {
        let table = [
            ("d=4hi", "4hi"),
            ("d=4a%20b+c%C3%A9&d=no", "4a b cé"),
            ("x=1&d=4a%5Cnb", "4a\nb"),
            ("d=4a%5C%5Cnb", "4a\\nb"),
            ("d=4%5Cx%5C", "4\\x\\"),
            ("", ""),
            ("4hi", ""),
            ("d=%ff", "\u{fffd}"),
        ];
        for (form, payload) in table {
            assert_eq!(unwrap(form.as_bytes()), payload, "{form}");
        }
    }

    proptest! {
        #[test]
        fn escapes_are_read_as_the_official_server_does(data in "[\\\\nx]{0,12}") {
            // Its two replacements: `\n`, unless a backslash stands before it, is a line end; then `\\n` is `\n`.
            let kept = data.replace("\\\\n", "\u{1}").replace("\\n", "\n");
            let form = format!("d={}", data.replace('\\', "%5C"));
            prop_assert_eq!(unwrap(form.as_bytes()), kept.replace('\u{1}', "\\n"));
        }

        #[test]
        fn arbitrary_bytes_never_panic(form in any::<Vec<u8>>()) {
            let _ = unwrap(&form);
        }
    }
}
