//! The form that a client which polls by script tags posts, against the official server's two replacements; and the
//! script that it gets, which must be a call with the same string. Any bytes at all are a form.

use gatewire_proto::engineio::jsonp::{unwrap, wrap};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let _ = unwrap(input);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let form: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(unwrap(format!("d={form}").as_bytes()), plain(text));

    let script = wrap("7", text);
    assert!(!script.contains(['\u{2028}', '\u{2029}', '\n', '\r']));
    let argument = script
        .strip_prefix("___eio[7](")
        .and_then(|rest| rest.strip_suffix(");"));
    let argument: String = serde_json::from_str(argument.expect("a call")).expect("a string");
    assert_eq!(argument, text);
}

/// `data.replace(/(\\)?\\n/g, (match, slashes) => slashes ? match : "\n").replace(/\\\\n/g, "\\n")`
fn plain(data: &str) -> String {
    let chars: Vec<char> = data.chars().collect();
    let (mut once, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        match chars[at..] {
            ['\\', '\\', 'n', ..] => {
                once.extend(['\\', '\\', 'n']);
                at += 3;
            }
            ['\\', 'n', ..] => {
                once.push('\n');
                at += 2;
            }
            _ => {
                once.push(chars[at]);
                at += 1;
            }
        }
    }
    once.into_iter().collect::<String>().replace("\\\\n", "\\n")
}
