//! The configuration in use, and the task that looks whether its files have changed. What is compared is their content:
//! times and links of files say too little where certificates are put in place by renaming.

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use rustls::ServerConfig;

use super::pem::{Contents, Files, TlsError};

/// What handshakes use now, and where it came from.
pub(super) struct Current {
    config: RwLock<Arc<ServerConfig>>,
    origin: Option<Origin>,
}

struct Origin {
    files: Files,
    /// What `config` was made of.
    contents: Mutex<Contents>,
}

impl Current {
    pub(super) fn fixed(config: Arc<ServerConfig>) -> Self {
        Self {
            config: RwLock::new(config),
            origin: None,
        }
    }

    pub(super) fn read(files: Files) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let config = files.configure(&contents)?;
        Ok(Self {
            config: RwLock::new(Arc::new(config)),
            origin: Some(Origin {
                files,
                contents: Mutex::new(contents),
            }),
        })
    }

    pub(super) fn files(&self) -> Option<&Files> {
        self.origin.as_ref().map(|origin| &origin.files)
    }

    pub(super) fn is_watchable(&self) -> bool {
        self.files().is_some_and(Files::has_file)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there was something new, which is then in use.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let Some(origin) = &self.origin else {
            return Ok(false);
        };
        let mut contents = origin.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let new = origin.files.read()?;
        if new == *contents {
            return Ok(false);
        }
        let config = Arc::new(origin.files.configure(&new)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        *contents = new;
        Ok(true)
    }
}

/// Looks at the files every `interval` until `current` is dropped.
pub(super) async fn watch(current: Weak<Current>, interval: Duration) {
    // The same fault is told of once.
    let mut told = None;
    loop {
        tokio::time::sleep(interval).await;
        let Some(current) = current.upgrade() else {
            return;
        };
        let reloaded = tokio::task::spawn_blocking(move || {
            let reloaded = current.reload();
            (reloaded, current.files().cloned())
        });
        // An error is a runtime that ends.
        let Ok((reloaded, files)) = reloaded.await else {
            return;
        };
        match reloaded {
            Ok(is_new) => {
                told = None;
                if is_new {
                    tracing::info!(?files, "new handshakes use a new certificate");
                }
            }
            Err(error) => {
                if told.as_ref() != Some(&error) {
                    tracing::warn!(%error, "a certificate is not renewed, the one before stays in use");
                    told = Some(error);
                }
            }
        }
    }
}
