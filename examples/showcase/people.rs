//! Who is on a page: names that keep a rule, and the list of those who are there.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a person, in characters.
const NAME_LIMIT: usize = 24;

/// A person's name: up to 24 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct PersonName(String);

/// Somebody who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: PersonName,
}

/// Those who are there, in the order of coming.
#[derive(Debug, Default)]
pub(crate) struct People(Vec<Member>);

impl People {
    /// Lets `id` in under `name`, or renames who is in.
    pub(crate) fn enter(&mut self, id: &str, name: PersonName) {
        match self.0.iter_mut().find(|member| member.id == id) {
            Some(member) => member.name = name,
            None => self.0.push(Member {
                id: id.to_owned(),
                name,
            }),
        }
    }

    /// Whether `id` was there.
    pub(crate) fn leave(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|member| member.id != id);
        self.0.len() < before
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|member| member.id == id)
    }

    pub(crate) fn list(&self) -> Vec<Member> {
        self.0.clone()
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PersonName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
            return Err("a name has 1 to 24 characters");
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Result<PersonName, &'static str> {
        PersonName::try_from(name.to_owned())
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(name(" Ada "), Ok(PersonName("Ada".to_owned())));
        assert!(name("Žofie 🦀").is_ok());
        for bad in ["", "  ", "a\nb", &"x".repeat(25)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn who_comes_again_is_renamed() {
        let mut people = People::default();
        people.enter("1", name("Ada").unwrap());
        people.enter("2", name("Bob").unwrap());
        people.enter("1", name("Ada L.").unwrap());
        let names: Vec<_> = people
            .list()
            .iter()
            .map(|member| member.name.to_string())
            .collect();
        assert_eq!(names, ["Ada L.", "Bob"]);
        assert!(people.leave("1"));
        assert!(!people.leave("1"));
        assert!(!people.has("1") && people.has("2"));
    }
}
