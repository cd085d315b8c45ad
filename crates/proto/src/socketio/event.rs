//! The JSON array of an event or acknowledgement: checked in one pass and split into name and arguments. The arguments
//! stay text; `from_json` turns them into types.

use std::borrow::Cow;

use super::scanner::{Fault, Scanner};
use super::{DecodeError, Limits};

/// Splits the data of an EVENT into the event's name and its arguments, after checking that all of it is JSON and
/// within `limits.max_depth`. The name is the first element, a string or, as the official server allows, a number.
///
/// # Errors
/// If the data is no JSON array, nests too deep, is empty, or starts with anything but an allowed name.
pub fn scan_event<'a>(data: &'a str, limits: &Limits) -> Result<EventBody<'a>, DecodeError> {
    let mut scanner = open_array(data, limits)?;
    if scanner.eat(b']') {
        close_text(&mut scanner)?;
        return Err(DecodeError::EventName);
    }
    let start = scanner.position();
    let name = match scanner.peek() {
        Some(b'"') => {
            scanner.value()?;
            unquote(&data[start..scanner.position()])?
        }
        Some(b'-' | b'0'..=b'9') => {
            scanner.value()?;
            Cow::Borrowed(&data[start..scanner.position()])
        }
        Some(b'[' | b'{' | b't' | b'f' | b'n') => return Err(DecodeError::EventName),
        _ => return Err(scanner.fault().into()),
    };
    if is_reserved(&name) {
        return Err(DecodeError::ReservedEvent(name.into_owned()));
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The text of a checked JSON string.
fn unquote(json: &str) -> Result<Cow<'_, str>, DecodeError> {
    let inner = &json[1..json.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    // Half a surrogate pair is JSON, but no text.
    serde_json::from_str(json)
        .map(Cow::Owned)
        .map_err(|_| DecodeError::EventName)
}
