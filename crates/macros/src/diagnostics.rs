//! Compile errors: collected so that one build shows all, worded with what is allowed.

use proc_macro2::{Span, TokenStream};
use syn::Error;
use syn::spanned::Spanned;

/// The errors of one expansion.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, place: &impl Spanned, message: impl std::fmt::Display) {
        self.push(Error::new(place.span(), message));
    }

    /// `compile_error!` for each, or nothing.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// "unknown option `x`; did you mean `y`? …", on the user's token.
pub(crate) fn unknown(name: &proc_macro2::Ident, known: &[&str]) -> Error {
    let written = name.to_string();
    let near = known
        .iter()
        .map(|known| {
            (
                distance(&written.to_lowercase().replace('_', ""), &known.replace('_', "")),
                known,
            )
        })
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = near
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default();
    let known = known
        .iter()
        .map(|known| format!("`{known}`"))
        .collect::<Vec<_>>()
        .join(", ");
    Error::new(
        name.span(),
        format!("unknown option `{written}`{hint}\nthe options are {known}"),
    )
}

/// The place of `tokens` for messages, with the macro's own view of names: generated names meet even where the
/// user's tokens come out of another macro.
pub(crate) fn at(tokens: &impl Spanned) -> Span {
    Span::call_site().located_at(tokens.span())
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("pinginterval", "pinginterval", 0),
        ] {
            assert_eq!(distance(a, b), d);
        }
    }

    #[test]
    fn a_near_name_is_offered() {
        let name = proc_macro2::Ident::new("pingInterval", Span::call_site());
        let text = unknown(&name, &["path", "ping_interval"]).to_string();
        assert!(
            text.starts_with("unknown option `pingInterval`; did you mean `ping_interval`?"),
            "{text}"
        );
    }
}
