//! Who is in a room, on all nodes of a cluster: asked for once, it is known from then on, with joins and leaves as they
//! happen. What nobody asks for costs nothing: a node tells of the members of a room only while some node watches it.
//!
//! Nodes that tell or watch also tell that they are there; the members of one that says nothing for too long have left.
//! Changes are numbered, and who has missed one asks for all.

mod roster;
mod watcher;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::selection::{IntoRoom, Room};
use crate::{Id, Namespace};

pub(crate) use watcher::Watcher;
pub(crate) use wire::EVENT;

/// How nodes keep each other informed of who is in rooms; the same on all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceConfig {
    /// How often a node tells that it is there. Default 5 s.
    pub heartbeat: Duration,
    /// After how long a time without a word from it the members of a node have left. Default 15 s.
    pub timeout: Duration,
    /// How long [`Presence::members`] waits for nodes that have not told yet, from when the room is watched. Node servers never
    /// do. Default 1 s.
    pub sync_timeout: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            sync_timeout: Duration::from_secs(1),
        }
    }
}

/// A socket that is in a room, on any node.
#[derive(Debug, Clone, PartialEq)]
pub struct PresentSocket {
    id: Id,
    data: Value,
}

impl PresentSocket {
    /// The socket's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// What was kept with it by [`Socket::set_data`](crate::Socket::set_data) when it entered; `null` if nothing was.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The same as a `T`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }
}

/// What happens in a room.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PresenceEvent<'a> {
    /// A socket has entered, or has been found when a node told of it.
    Joined(&'a PresentSocket),
    /// A socket has left, or its node has.
    Left(&'a PresentSocket),
}

/// Who is in a room, over the whole cluster. The room is watched as long as a clone of it is there.
pub struct Presence {
    watcher: Arc<Watcher>,
    room: Room,
}

impl Namespace {
    /// Watches who is in the room on all nodes of the cluster; without a cluster, in this process. What has not told yet is
    /// waited for by [`Presence::members`].
    ///
    /// ```
    /// # use gatewire_hub::{Io, PresenceEvent};
    /// # async fn run() {
    /// # let io = Io::default();
    /// let lobby = io.of("/chat").presence("lobby");
    /// lobby.on_change(|event| match event {
    ///     PresenceEvent::Joined(socket) => println!("{} came", socket.id()),
    ///     PresenceEvent::Left(socket) => println!("{} went", socket.id()),
    ///     _ => {}
    /// });
    /// println!("{} are there", lobby.members().await.len());
    /// # }
    /// ```
    #[must_use = "the room is watched as long as this is kept"]
    pub fn presence(&self, room: impl IntoRoom) -> Presence {
        let (watcher, room) = (self.watcher(), room.into_room());
        watcher.watch(&room);
        Presence { watcher, room }
    }
}

impl Presence {
    /// The room.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Who is there, as far as nodes have told. See [`members`](Self::members).
    #[must_use]
    pub fn known(&self) -> Vec<PresentSocket> {
        self.watcher.known(&self.room)
    }

    /// Who is there, when all nodes have told: at once, if they have since the room is watched, and after
    /// [`sync_timeout`](PresenceConfig::sync_timeout) at the latest.
    pub async fn members(&self) -> Vec<PresentSocket> {
        self.watcher.told(&self.room).await;
        self.known()
    }

    /// Calls `listener` for each socket that enters or leaves from now on, as long as the room is watched, one after the
    /// other. A socket that is found on a node that tells of it only now has entered, too. What takes time is to be spawned.
    pub fn on_change(&self, listener: impl Fn(PresenceEvent<'_>) + Send + Sync + 'static) {
        self.watcher.listen(&self.room, Arc::new(listener));
    }
}

impl Clone for Presence {
    fn clone(&self) -> Self {
        self.watcher.watch(&self.room);
        Self {
            watcher: self.watcher.clone(),
            room: self.room.clone(),
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.watcher.unwatch(&self.room);
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
