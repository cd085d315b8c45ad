//! Who is let into the namespace: an admin with a session, or with the name and the password.

use std::sync::Arc;

use gatewire_hub::{ConnectError, Socket};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::SessionStore;
use crate::options::Basic;

/// Decides on each CONNECT.
pub(crate) struct Auth {
    basic: Basic,
    store: Arc<dyn SessionStore>,
    /// A password is meant to be slow to check: one at a time, so that guessing takes one core at most.
    turn: Semaphore,
}

/// What the UI sends with CONNECT. Whatever is no string is wrong, and no more.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Credentials {
    session_id: Value,
    username: Value,
    password: Value,
}

impl Auth {
    pub(crate) fn new(basic: Basic, store: Arc<dyn SessionStore>) -> Self {
        Self {
            basic,
            store,
            turn: Semaphore::new(1),
        }
    }

    pub(crate) async fn authenticate(&self, socket: &Socket) -> Result<(), ConnectError> {
        let credentials: Credentials = socket.auth().unwrap_or_default();
        if let Some(id) = credentials.session_id.as_str()
            && !id.is_empty()
            && self.store.does_session_exist(id).await
        {
            return Ok(());
        }
        if let (Some(username), Value::String(password)) =
            (credentials.username.as_str(), credentials.password)
            && username == self.basic.username
            && self.is_password(password).await
        {
            let id = format!("{:016x}", rand::random::<u64>());
            self.store.save_session(&id).await;
            socket.emit("session", &id);
            return Ok(());
        }
        tracing::warn!(
            address = socket.handshake().address(),
            "an admin was refused: invalid credentials"
        );
        Err(ConnectError::new("invalid credentials"))
    }

    async fn is_password(&self, password: String) -> bool {
        let Ok(_turn) = self.turn.acquire().await else {
            return false;
        };
        let hash = self.basic.hash.clone();
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        matches!(check.await, Ok(Ok(true)))
    }
}
