//! Patterns of namespace names: literal text with parameters in it. No regular expressions: what they can do more, a
//! predicate can do.

use std::fmt::{self, Write};

/// A pattern of namespace names, such as `/room-:id` or `/:tenant/chat`. A parameter is a colon and a name of letters,
/// digits and `_`; it stands for one character or more, none of them a `/`. Everything else stands for itself.
///
/// ```
/// use gatewire_hub::NamespacePattern;
///
/// let pattern = NamespacePattern::new("/:tenant/chat");
/// assert!(pattern.has_params() && pattern.matches("/acme/chat"));
/// assert!(pattern.covers(&NamespacePattern::new("/acme-:id/chat")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Param(Box<str>),
}

impl Pattern {
    /// Reads it; a leading `/` is added. Every text is a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        Self {
            segments: pattern.split('/').map(pieces).collect(),
        }
    }

    /// The parameters that make the pattern the name, each the shortest possible; `None` if nothing does.
    pub(crate) fn params<'a, 'n>(&'a self, name: &'n str) -> Option<Vec<(&'a str, &'n str)>> {
        let mut params = Vec::new();
        let mut segments = name.strip_prefix('/')?.split('/');
        for pieces in &self.segments {
            match_segment(pieces, segments.next()?, &mut params)?;
        }
        segments.next().is_none().then_some(params)
    }

    /// Whether a name, with its leading `/`, is one of this pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.params(name).is_some()
    }

    /// Whether it stands for more than one name.
    #[must_use]
    pub fn has_params(&self) -> bool {
        let mut pieces = self.segments.iter().flatten();
        pieces.any(|piece| matches!(piece, Piece::Param(_)))
    }

    /// Whether every name of `other` is one of this pattern, too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Only a parameter takes a text that is in no pattern, and what takes one takes any.
        let mut name = String::new();
        for pieces in &other.segments {
            name.push('/');
            for piece in pieces {
                name.push_str(match piece {
                    Piece::Text(text) => text,
                    Piece::Param(_) => "\u{0}",
                });
            }
        }
        self.matches(&name)
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pieces in &self.segments {
            f.write_char('/')?;
            for piece in pieces {
                match piece {
                    Piece::Text(text) => f.write_str(text)?,
                    Piece::Param(name) => write!(f, ":{name}")?,
                }
            }
        }
        Ok(())
    }
}

fn pieces(segment: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let after = rest.strip_prefix(':').unwrap_or("");
        let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
        if end > 0 {
            pieces.push(Piece::Param(after[..end].into()));
            rest = &after[end..];
        } else {
            // A colon without a name is text.
            let from = usize::from(rest.starts_with(':'));
            let end = rest[from..].find(':').map_or(rest.len(), |at| at + from);
            match pieces.last_mut() {
                Some(Piece::Text(text)) => *text = format!("{text}{}", &rest[..end]).into(),
                _ => pieces.push(Piece::Text(rest[..end].into())),
            }
            rest = &rest[end..];
        }
    }
    pieces
}

/// Each parameter ends where the text behind it is found first, but the last one: taking less never leaves too little
/// for what follows.
fn match_segment<'a, 'n>(
    pieces: &'a [Piece],
    mut rest: &'n str,
    params: &mut Vec<(&'a str, &'n str)>,
) -> Option<()> {
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let (name, first) = match piece {
            Piece::Text(text) => {
                rest = rest.strip_prefix(&**text)?;
                continue;
            }
            Piece::Param(name) => (name, rest.chars().next()?.len_utf8()),
        };
        let end = match pieces.next_if(|piece| matches!(piece, Piece::Text(_))) {
            Some(Piece::Text(text)) => {
                let end = if pieces.peek().is_none() {
                    rest.strip_suffix(&**text)?.len()
                } else {
                    rest[first..].find(&**text)? + first
                };
                let value = rest.get(..end).filter(|value| value.len() >= first)?;
                params.push((&**name, value));
                end + text.len()
            }
            _ => {
                let end = if pieces.peek().is_none() {
                    rest.len()
                } else {
                    first
                };
                params.push((&**name, &rest[..end]));
                end
            }
        };
        rest = &rest[end..];
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_matched_and_taken_apart() {
        type Params<'a> = Option<&'a [(&'a str, &'a str)]>;
        let cases: [(&str, &str, Params<'_>); 22] = [
            ("/room-:id", "/room-12", Some(&[("id", "12")])),
            ("room-:id", "/room-12", Some(&[("id", "12")])),
            ("/room-:id", "/room-", None),
            ("/room-:id", "/room-1/2", None),
            ("/room-:id", "/xroom-1", None),
            ("/room-:id", "room-1", None),
            ("/:tenant/chat", "/a/chat", Some(&[("tenant", "a")])),
            ("/:tenant/chat", "/a/chatter", None),
            ("/:tenant/chat", "/a", None),
            ("/:a-:b", "/1-2-3", Some(&[("a", "1"), ("b", "2-3")])),
            ("/:a-b", "/1-b-b", Some(&[("a", "1-b")])),
            ("/:a-b-:c", "/-b-b-x", Some(&[("a", "-b"), ("c", "x")])),
            ("/:a:b", "/é2", Some(&[("a", "é"), ("b", "2")])),
            ("/:a:b", "/1", None),
            ("/:id.json", "/a.b.json", Some(&[("id", "a.b")])),
            ("/:id.json", "/.json", None),
            ("/x:", "/x:", Some(&[])),
            ("/::id", "/:7", Some(&[("id", "7")])),
            ("/static", "/static", Some(&[])),
            ("/", "/", Some(&[])),
            ("/", "/x", None),
            ("/:größe_1", "/x", Some(&[("größe_1", "x")])),
        ];
        for (pattern, name, params) in cases {
            assert_eq!(
                Pattern::new(pattern).params(name).as_deref(),
                params,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_covers_another() {
        for (pattern, other, covers) in [
            ("/:a", "/:b", true),
            ("/:a", "/room-:id", true),
            ("/room-:id", "/:a", false),
            ("/room-:id", "/room-1", true),
            ("/room-:id", "/room-:a-:b", true),
            ("/:a-:b", "/:a", false),
            ("/:a/x", "/b/:c", false),
            ("/x", "/x", true),
            ("/x", "/:x", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).covers(&Pattern::new(other)),
                covers,
                "{pattern} {other}"
            );
        }
        assert!(!Pattern::new("/x:").has_params());
    }

    proptest! {
        /// The pieces put together are the name again, and no other parameters but those would be found by trying all.
        #[test]
        fn matching_is_as_trying_everything(pattern in "/(:[a-b]|x|-){0,5}", name in "/[x\\-1/]{0,7}") {
            let pattern = Pattern::new(&pattern);
            let expected = all_ways(&pattern.segments[0], &name[1..]);
            prop_assert_eq!(pattern.matches(&name), expected && !name[1..].contains('/'));
        }

        #[test]
        fn nothing_panics(pattern in ".{0,20}", name in ".{0,20}") {
            let _ = Pattern::new(&pattern).params(&name);
        }
    }

    fn all_ways(pieces: &[Piece], rest: &str) -> bool {
        match pieces {
            [] => rest.is_empty(),
            [Piece::Text(text), pieces @ ..] => rest
                .strip_prefix(&**text)
                .is_some_and(|rest| all_ways(pieces, rest)),
            [Piece::Param(_), pieces @ ..] => (1..=rest.len()).any(|end| all_ways(pieces, &rest[end..])),
        }
    }
}
