//! The type of a handler's result as a value, by which the expansions of the macros choose the steps to its answer; and the
//! step that gateways and controllers have in common, an `Option`. Calls on `&Tag` prefer the impl for `Tag<..>`, and fall
//! back to the one for `&Tag<T>`.

use std::marker::PhantomData;

/// The type of a result, or of a layer of it.
pub struct Tag<T>(PhantomData<fn() -> T>);

impl<T> Tag<T> {
    /// The type of `value`.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// The step of an `Option`.
pub trait OptionTag {
    /// The step.
    fn option(&self) -> IsOption {
        IsOption
    }
}

impl<T> OptionTag for Tag<Option<T>> {}

/// The step of anything else.
pub trait NotOption {
    /// The step.
    fn option(&self) -> IsNoOption {
        IsNoOption
    }
}

impl<T> NotOption for &Tag<T> {}

/// The step for an `Option`.
pub struct IsOption;

impl IsOption {
    /// The value, if there is one.
    pub fn split<T>(self, value: Option<T>) -> Option<T> {
        value
    }
}

/// The step for what is none.
pub struct IsNoOption;

impl IsNoOption {
    /// The value.
    pub fn split<T>(self, value: T) -> Option<T> {
        Some(value)
    }
}
