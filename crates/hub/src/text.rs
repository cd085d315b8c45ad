//! A text that is kept with what it belongs to: most are short, and then cost no allocation.

use std::fmt;
use std::ops::Deref;

use arrayvec::ArrayString;

/// Bytes that need no memory of their own. More of them cost more whenever a text is moved.
const SHORT: usize = 48;

/// A text that does not change.
#[derive(Clone)]
pub(crate) enum Text {
    Short(ArrayString<SHORT>),
    Long(Box<str>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Short(ArrayString::new_const())
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Self {
        match ArrayString::from(text) {
            Ok(text) => Self::Short(text),
            Err(_) => Self::Long(text.into()),
        }
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_kept() {
        for len in 0..2 * SHORT {
            for text in ["a".repeat(len), "é".repeat(len)] {
                let kept = Text::from(&*text);
                assert_eq!(*kept, *text);
                assert_eq!(matches!(kept, Text::Short(_)), text.len() <= SHORT);
                assert_eq!((kept.clone(), format!("{kept:?}")), (kept, format!("{text:?}")));
            }
        }
        assert_eq!(*Text::default(), *"");
        assert!(size_of::<Text>() <= SHORT + 8);
    }
}
