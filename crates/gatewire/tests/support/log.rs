//! What happened, in order: a provider that others write into.

use std::sync::Mutex;

use gatewire::prelude::*;

#[injectable]
pub(crate) struct Log(#[inject(default)] pub(crate) Mutex<Vec<String>>);

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// What has been noted since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
