//! A body that keeps the rules of its type, as `garde` states them.

use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rejection::reason;
use super::{BodyRejection, FieldError, FromMessage, MessageBody};
use crate::gateway::MessageContext;

/// The message's body as a `T` that is valid: the rules stand on the type, by [garde]'s derive. A body that does not keep
/// them, or does not fit the type, is answered with each field that is wrong; see [`BodyRejection`] for the form.
///
/// ```
/// use garde::Validate;
/// use gatewire::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Validate)]
/// struct CreateRoom {
///     #[garde(length(min = 3, max = 20))]
///     name: String,
///     #[garde(range(min = 2, max = 100))]
///     seats: u8,
/// }
///
/// #[websocket_gateway]
/// struct Rooms;
///
/// #[subscriptions]
/// impl Rooms {
///     #[subscribe_message("create")]
///     fn create(&self, Valid(room): Valid<CreateRoom>) -> String {
///         format!("{} with {} seats", room.name, room.seats)
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T> FromMessage for Valid<T>
where
    T: DeserializeOwned + Validate + 'static,
    T::Context: Default,
{
    type Rejection = BodyRejection;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, BodyRejection> {
        match MessageBody::<T>::from_message(message) {
            Ok(MessageBody(body)) => validate(&body, None).map(|()| Self(body)),
            Err(rejection) => Err(misfit::<T>(message).unwrap_or(rejection)),
        }
    }
}

/// Asks a value's own rules; `key` is where it stands in the body.
pub(crate) fn validate<T>(value: &T, key: Option<&str>) -> Result<(), BodyRejection>
where
    T: Validate,
    T::Context: Default,
{
    let Err(report) = value.validate() else {
        return Ok(());
    };
    let mut errors: Vec<FieldError> = Vec::new();
    for (path, error) in report.iter() {
        let property = join(key, &path.to_string());
        let constraint = error.message().to_owned();
        match errors.iter_mut().find(|field| field.property == property) {
            Some(field) => field.constraints.push(constraint),
            None => errors.push(FieldError::new(property, constraint)),
        }
    }
    Err(BodyRejection::Invalid { errors })
}

fn join(key: Option<&str>, path: &str) -> String {
    match key {
        None => path.to_owned(),
        Some(key) if path.is_empty() => key.to_owned(),
        Some(key) if path.starts_with('[') => format!("{key}{path}"),
        Some(key) => format!("{key}.{path}"),
    }
}

/// Reads the body once more to tell which field does not fit; nothing for one that has binary data in it.
fn misfit<T: DeserializeOwned>(message: &MessageContext<'_>) -> Option<BodyRejection> {
    let body: Value = message.event().body().ok()?;
    let error = serde_path_to_error::deserialize::<_, T>(body).err()?;
    let path = error.path().to_string();
    let path = if path == "." { "" } else { &path };
    let reason = reason(error.inner());
    let property = match missing(&reason) {
        Some(field) => join((!path.is_empty()).then_some(path), field),
        None => path.to_owned(),
    };
    let errors = vec![FieldError::new(property, reason)];
    Some(BodyRejection::Invalid { errors })
}

/// The field that serde misses, which is not on its way there.
fn missing(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_joined() {
        for (key, path, joined) in [
            (None, "name", "name"),
            (None, "", ""),
            (Some("user"), "name", "user.name"),
            (Some("user"), "", "user"),
            (Some("tags"), "[1].text", "tags[1].text"),
        ] {
            assert_eq!(join(key, path), joined);
        }
    }

    #[test]
    fn a_type_tells_serdes_reason() {
        let error = serde_json::from_str::<u8>("300").unwrap_err();
        assert_eq!(reason(&error), "invalid value: integer `300`, expected u8");
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            _zip: u8,
        }
        let error = serde_json::from_str::<Inner>("{}").unwrap_err();
        assert_eq!(missing(&reason(&error)), Some("_zip"));
        let value: Result<Vec<u8>, _> = serde_path_to_error::deserialize(serde_json::json!([1, "x"]));
        assert_eq!(value.unwrap_err().path().to_string(), "[1]");
    }
}
