//! The JSON array of an event or acknowledgement: checked in one pass and split into name and arguments. The arguments
//! stay text; `from_json` turns them into types.

use std::borrow::Cow;

use super::{DecodeError, Limits};
use crate::json::scanner::{Fault, Scanner};

/// Splits the data of an EVENT into the event's name and its arguments, after checking that all of it is JSON and
/// within `limits.max_depth`. The name is the first element, a string or, as the official server allows, a number.
///
/// # Errors
/// If the data is no JSON array, nests too deep, is empty, or starts with anything but an allowed name.
pub fn scan_event<'a>(data: &'a str, limits: &Limits) -> Result<EventBody<'a>, DecodeError> {
    match scan_usual(data, limits) {
        Some(body) => Ok(body),
        None => scan_any(data, limits),
    }
}

/// Takes an event as all clients write it: a name without escapes first, and no space around the arguments. `None` for
/// every other, also for one with a fault: [`scan_any`] tells about it.
#[inline]
fn scan_usual<'a>(data: &'a str, limits: &Limits) -> Option<EventBody<'a>> {
    let mut scanner = Scanner::new(data, limits.max_depth);
    scanner.enter().ok()?;
    scanner.literal(b"[").ok()?;
    let name = scanner.plain_text()?;
    let (start, mut count) = (scanner.position(), 0);
    while scanner.eat(b',') {
        scanner.value().ok()?;
        count += 1;
    }
    // Without the comma before them.
    let json = data.get(start + count.min(1)..scanner.position())?;
    let is_whole = scanner.eat(b']') && scanner.is_at_end() && !is_reserved(name);
    is_whole.then_some(EventBody {
        name: Cow::Borrowed(name),
        args: ArgSlice { json, count },
    })
}

fn scan_any<'a>(data: &'a str, limits: &Limits) -> Result<EventBody<'a>, DecodeError> {
    let mut scanner = open_array(data, limits)?;
    let name = event_name(data, &mut scanner)?;
    scanner.skip_whitespace();
    let args = if scanner.eat(b',') {
        scanner.skip_whitespace();
        elements(data, &mut scanner)?
    } else if scanner.eat(b']') {
        ArgSlice::EMPTY
    } else {
        return Err(scanner.fault().into());
    };
    close_text(&mut scanner)?;
    Ok(EventBody { name, args })
}

/// The name of an event whose arguments [`scan_event`] has refused with [`DecodeError::TooDeep`], so that the client can
/// be told which event it was; `None` if it has none.
pub fn scan_name<'a>(data: &'a str, limits: &Limits) -> Option<Cow<'a, str>> {
    let mut scanner = open_array(data, limits).ok()?;
    event_name(data, &mut scanner).ok()
}

/// Splits the data of an ACK, whose elements are all arguments.
///
/// # Errors
/// If the data is no JSON array or nests too deep.
pub fn scan_args<'a>(data: &'a str, limits: &Limits) -> Result<ArgSlice<'a>, DecodeError> {
    let mut scanner = open_array(data, limits)?;
    let args = if scanner.eat(b']') {
        ArgSlice::EMPTY
    } else {
        elements(data, &mut scanner)?
    };
    close_text(&mut scanner)?;
    Ok(args)
}

/// Whether `name` is one that Socket.IO keeps for itself: such an event is neither sent nor accepted.
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "connect" | "connect_error" | "disconnect" | "disconnecting" | "newListener" | "removeListener"
    )
}

/// A checked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBody<'a> {
    /// The name without quotes and escapes; a number keeps its text. Never a [reserved](is_reserved) one.
    pub name: Cow<'a, str>,
    /// What follows it.
    pub args: ArgSlice<'a>,
}

/// The arguments of an event or acknowledgement as they came: checked JSON values with commas between, without the
/// brackets. Wrapped in `[` and `]` again it is a JSON array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgSlice<'a> {
    json: &'a str,
    count: usize,
}

impl<'a> ArgSlice<'a> {
    /// No arguments.
    pub const EMPTY: Self = ArgSlice { json: "", count: 0 };

    /// Puts together what [`json`](Self::json) and [`len`](Self::len) returned, for instance after it was stored. Other
    /// text is not checked: `iter` then ends early.
    pub const fn from_parts(json: &'a str, count: usize) -> Self {
        Self { json, count }
    }

    /// The text, like `1,{"a":2}`.
    pub const fn json(&self) -> &'a str {
        self.json
    }

    /// How many arguments.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The JSON of each argument. Reads the text again.
    pub fn iter(&self) -> Args<'a> {
        Args {
            json: self.json,
            scanner: Scanner::new(self.json, usize::MAX),
        }
    }

    /// The JSON of the argument at `index`.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        if self.count == 1 && index == 0 {
            Some(self.json)
        } else {
            self.iter().nth(index)
        }
    }
}

impl<'a> IntoIterator for ArgSlice<'a> {
    type Item = &'a str;
    type IntoIter = Args<'a>;

    fn into_iter(self) -> Args<'a> {
        self.iter()
    }
}

/// The JSON of one argument after the other; see [`ArgSlice::iter`].
#[derive(Clone, Debug)]
pub struct Args<'a> {
    json: &'a str,
    scanner: Scanner<'a>,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.scanner.skip_whitespace();
        let start = self.scanner.position();
        self.scanner.value().ok()?;
        let value = &self.json[start..self.scanner.position()];
        self.scanner.skip_whitespace();
        self.scanner.eat(b',');
        Some(value)
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(offset) => Self::Json { offset },
            Fault::TooDeep => Self::TooDeep,
        }
    }
}

/// The first element: the event's name.
fn event_name<'a>(data: &'a str, scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, DecodeError> {
    if scanner.eat(b']') {
        close_text(scanner)?;
        return Err(DecodeError::EventName);
    }
    let start = scanner.position();
    let name = match scanner.peek() {
        Some(b'"') => {
            let escapes = scanner.string()?;
            let quoted = &data[start..scanner.position()];
            if escapes {
                unescape(quoted)?
            } else {
                Cow::Borrowed(&quoted[1..quoted.len() - 1])
            }
        }
        Some(b'-' | b'0'..=b'9') => {
            scanner.number()?;
            Cow::Borrowed(&data[start..scanner.position()])
        }
        Some(b'[' | b'{' | b't' | b'f' | b'n') => return Err(DecodeError::EventName),
        _ => return Err(scanner.fault().into()),
    };
    if is_reserved(&name) {
        return Err(DecodeError::ReservedEvent(name.into_owned()));
    }
    Ok(name)
}

fn open_array<'a>(data: &'a str, limits: &Limits) -> Result<Scanner<'a>, DecodeError> {
    let mut scanner = Scanner::new(data, limits.max_depth);
    scanner.skip_whitespace();
    if scanner.peek() != Some(b'[') {
        return Err(DecodeError::NotAnArray);
    }
    scanner.enter()?;
    scanner.eat(b'[');
    scanner.skip_whitespace();
    Ok(scanner)
}

/// Moves over values up to and over the closing bracket; one at least.
fn elements<'a>(data: &'a str, scanner: &mut Scanner<'a>) -> Result<ArgSlice<'a>, DecodeError> {
    let start = scanner.position();
    let mut count = 0;
    loop {
        scanner.value()?;
        count += 1;
        let end = scanner.position();
        scanner.skip_whitespace();
        if scanner.eat(b']') {
            return Ok(ArgSlice {
                json: &data[start..end],
                count,
            });
        }
        if !scanner.eat(b',') {
            return Err(scanner.fault().into());
        }
        scanner.skip_whitespace();
    }
}

fn close_text(scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
    scanner.skip_whitespace();
    if scanner.is_at_end() {
        Ok(())
    } else {
        Err(scanner.fault().into())
    }
}

/// The text of a checked JSON string with escapes. Half a surrogate pair is JSON, but no text.
fn unescape(quoted: &str) -> Result<Cow<'_, str>, DecodeError> {
    serde_json::from_str(quoted)
        .map(Cow::Owned)
        .map_err(|_| DecodeError::EventName)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn event(data: &str) -> Result<EventBody<'_>, DecodeError> {
        scan_event(data, &Limits::default())
    }

    #[test]
    fn the_usual_form_is_known() {
        for data in [
            r#"["a"]"#,
            r#"["a",1]"#,
            r#"["é","x",{"a":[2]},null]"#,
            r#"["",""]"#,
        ] {
            let usual = scan_usual(data, &Limits::default());
            assert_eq!(usual, scan_any(data, &Limits::default()).ok(), "{data}");
            assert!(usual.is_some(), "{data}");
        }
    }

    fn args(data: &str) -> Result<ArgSlice<'_>, DecodeError> {
        scan_args(data, &Limits::default())
    }

    #[test]
    fn events() {
        let table: [(&str, &str, &str, &[&str]); 14] = [
            (r#"["a"]"#, "a", "", &[]),
            (r#"["a",1]"#, "a", "1", &["1"]),
            (
                r#"["a",1,{"b":[2,3]},"c,d"]"#,
                "a",
                r#"1,{"b":[2,3]},"c,d""#,
                &["1", r#"{"b":[2,3]}"#, r#""c,d""#],
            ),
            (" [ \"a\" , 1 , [ ] ] ", "a", "1 , [ ]", &["1", "[ ]"]),
            (
                r#"["a",null,true,false]"#,
                "a",
                "null,true,false",
                &["null", "true", "false"],
            ),
            (r#"["",""]"#, "", r#""""#, &[r#""""#]),
            (r#"["a\"b\\\u00e9\n"]"#, "a\"b\\é\n", "", &[]),
            (r#"["\ud83d\ude00"]"#, "😀", "", &[]),
            (r#"["été €"]"#, "été €", "", &[]),
            ("[1,\"x\"]", "1", "\"x\"", &["\"x\""]),
            ("[-1.50e3]", "-1.50e3", "", &[]),
            (r#"["a","\ud800"]"#, "a", r#""\ud800""#, &[r#""\ud800""#]),
            (r#"["error"]"#, "error", "", &[]),
            (r#"["__proto__",1e999]"#, "__proto__", "1e999", &["1e999"]),
        ];
        for (data, name, json, each) in table {
            let body = event(data).unwrap_or_else(|error| panic!("{data}: {error}"));
            assert_eq!(body.name, name, "{data}");
            assert_eq!(body.args.json(), json, "{data}");
            assert_eq!(body.args.len(), each.len(), "{data}");
            assert_eq!(body.args.is_empty(), each.is_empty(), "{data}");
            assert_eq!(body.args.into_iter().collect::<Vec<_>>(), each, "{data}");
            for (index, arg) in each.iter().enumerate() {
                assert_eq!(body.args.get(index), Some(*arg), "{data}");
            }
            assert_eq!(body.args.get(each.len()), None, "{data}");
        }
    }

    #[test]
    fn a_plain_name_is_borrowed() {
        assert!(matches!(event(r#"["a"]"#).unwrap().name, Cow::Borrowed(_)));
        assert!(matches!(event(r#"["\u0061"]"#).unwrap().name, Cow::Owned(_)));
    }

    #[test]
    fn refused() {
        let json = |offset| DecodeError::Json { offset };
        let table = [
            ("", DecodeError::NotAnArray),
            (" ", DecodeError::NotAnArray),
            ("{}", DecodeError::NotAnArray),
            ("\"a\"", DecodeError::NotAnArray),
            ("[", json(1)),
            ("[]", DecodeError::EventName),
            ("[]x", json(2)),
            ("[null]", DecodeError::EventName),
            ("[true]", DecodeError::EventName),
            ("[false]", DecodeError::EventName),
            ("[{\"toString\":\"foo\"}]", DecodeError::EventName),
            ("[[\"a\"]]", DecodeError::EventName),
            ("[\"\\ud800\"]", DecodeError::EventName),
            ("[a]", json(1)),
            ("[,]", json(1)),
            ("[\"a\"", json(4)),
            ("[\"a\",]", json(5)),
            ("[\"a\",1", json(6)),
            ("[\"a\",1,]", json(7)),
            ("[\"a\" 1]", json(5)),
            ("[\"a\"]x", json(5)),
            ("[\"a\"}", json(4)),
            ("[\"a\":1]", json(4)),
            ("[\"a\",1}", json(6)),
            ("[\"a\"]]", json(5)),
            ("[01]", json(2)),
            ("[-]", json(2)),
            ("[\"a\",{\"b\"}]", json(9)),
            ("[\"a\nb\"]", json(3)),
            ("[\"\\u00zz\"]", json(2)),
        ];
        for (data, error) in table {
            assert_eq!(event(data), Err(error), "{data:?}");
        }
        for name in [
            "connect",
            "connect_error",
            "disconnect",
            "disconnecting",
            "newListener",
            "removeListener",
        ] {
            let error = DecodeError::ReservedEvent(name.to_owned());
            assert_eq!(event(&format!("[\"{name}\",1]")), Err(error.clone()));
            assert_eq!(
                event(&format!("[\"\\u{:04x}{}\"]", name.as_bytes()[0], &name[1..])),
                Err(error),
                "escaped"
            );
        }
        for name in [
            "connection",
            "error",
            "Connect",
            "connect ",
            "constructor",
            "toString",
            "",
        ] {
            assert!(
                !is_reserved(name) && event(&format!("[\"{name}\"]")).is_ok(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn acknowledgements() {
        let table: [(&str, &[&str]); 4] = [
            ("[]", &[]),
            (" [ ] ", &[]),
            ("[[]]", &["[]"]),
            ("[{\"a\":1},\"connect\"]", &["{\"a\":1}", "\"connect\""]),
        ];
        for (data, each) in table {
            let args = args(data).unwrap();
            assert_eq!(args.len(), each.len());
            assert_eq!(args.iter().collect::<Vec<_>>(), each, "{data}");
        }
        for data in ["", "{}", "[", "[1,]", "[,1]", "[1]]", "[1] 2", "1"] {
            assert!(args(data).is_err(), "{data:?}");
        }
    }

    #[test]
    fn the_outer_array_counts_for_depth() {
        let nested = |depth: usize| format!("[\"a\",{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(event(&nested(100)).is_ok());
        assert_eq!(event(&nested(101)), Err(DecodeError::TooDeep));
        assert_eq!(args(&nested(101)), Err(DecodeError::TooDeep));
        let deep = format!(r#"["a",{}"#, nested(200_000));
        assert_eq!(scan_event(&deep, &Limits::default()), Err(DecodeError::TooDeep));
        assert_eq!(scan_name(&deep, &Limits::default()).as_deref(), Some("a"));
        let limits = Limits {
            max_depth: 1,
            ..Limits::default()
        };
        assert!(scan_event("[\"a\",1]", &limits).is_ok());
        assert_eq!(scan_event("[\"a\",[]]", &limits), Err(DecodeError::TooDeep));
        // At the deepest allowed, serde_json still reads every argument.
        let limits = Limits {
            max_depth: usize::MAX,
            ..Limits::default()
        };
        let text = nested(127);
        let deepest = scan_event(&text, &limits).unwrap().args;
        assert!(serde_json::from_str::<serde_json::Value>(deepest.json()).is_ok());
        assert_eq!(scan_event(&nested(128), &limits), Err(DecodeError::TooDeep));
    }

    proptest! {
        #[test]
        fn the_usual_form_reads_as_any_other(
            data in r#"\["([a-zé\\]{0,3}|connect)"(,["a0:,{}\[\] ]{0,5}){0,2}\] ?"#,
            max_depth in 0..4usize,
        ) {
            let limits = Limits { max_depth, ..Limits::default() };
            if let Some(usual) = scan_usual(&data, &limits) {
                prop_assert_eq!(Ok(usual), scan_any(&data, &limits), "{}", data);
            }
        }

        #[test]
        fn accepts_exactly_the_arrays_that_serde_json_accepts(
            text in "[ \\[]{0,2}[\\[\\]{}\",:\\\\a0-9.eEu+\\- trnl]{0,20}[\\] ]{0,2}"
        ) {
            let reference = serde_json::from_str::<Vec<IgnoredAny>>(&text);
            prop_assert_eq!(args(&text).map(|args| args.len()).ok(), reference.ok().map(|all| all.len()));
        }
    }
}
