//! One namespace's side of it: which rooms are watched here and elsewhere, what the others have told, and what is told to
//! them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::roster::{Change, Entry, Roster};
use super::wire::{EVENT, Envelope, Member, Members, Message};
use super::{PresenceConfig, PresenceEvent, PresentSocket};
use crate::guard::guarded_in;
use crate::task;
use crate::{Id, Io, Namespace, Payload, Room, RoomEvent, WeakIo, lock};

type Listener = Arc<dyn Fn(PresenceEvent<'_>) + Send + Sync>;

/// The presence of one namespace.
pub(crate) struct Watcher {
    node: Id,
    name: Box<str>,
    io: WeakIo,
    config: PresenceConfig,
    state: Mutex<State>,
    /// Somebody has told.
    heard: Notify,
}

#[derive(Default)]
struct State {
    roster: Roster,
    /// The rooms that are watched here.
    watches: HashMap<Room, Watch>,
    nodes: HashMap<Id, Node>,
    /// Of the last change that was told.
    number: u64,
    /// What is to be done when the lock is free: calls of others may come back here.
    actions: VecDeque<Action>,
    is_acting: bool,
    is_beating: bool,
    has_left: bool,
}

/// A room that is watched here.
struct Watch {
    handles: usize,
    /// From when on others may be waited for.
    since: Instant,
    /// The nodes that have told of it.
    told: HashSet<Id>,
    listeners: Vec<Listener>,
}

/// Another node.
struct Node {
    seen: Instant,
    number: u64,
    watches: HashSet<Room>,
}

enum Action {
    Send(Message),
    Tell(Vec<Listener>, Change),
}

impl Watcher {
    pub(crate) fn new(namespace: &Namespace) -> Arc<Self> {
        let io = namespace.io();
        let watcher = Arc::new(Self {
            node: Id::generate(),
            name: namespace.name().into(),
            io: io.downgrade(),
            config: io.config().presence.clone(),
            state: Mutex::default(),
            heard: Notify::new(),
        });
        let weak = Arc::downgrade(&watcher);
        namespace.on_room_event(move |namespace, event| {
            let (RoomEvent::Joined { room, id } | RoomEvent::Left { room, id }) = event else {
                return;
            };
            if let Some(watcher) = weak.upgrade() {
                watcher.look(namespace, room, id);
            }
        });
        watcher
    }

    pub(super) fn watch(self: &Arc<Self>, room: &Room) {
        let Some(namespace) = self.namespace() else {
            return;
        };
        let mut state = lock(&self.state);
        if let Some(watch) = state.watches.get_mut(room) {
            watch.handles += 1;
            return;
        }
        self.count_own(&mut state, &namespace, room);
        let watch = Watch {
            handles: 1,
            since: Instant::now(),
            told: HashSet::new(),
            listeners: Vec::new(),
        };
        state.watches.insert(room.clone(), watch);
        state.ask();
        drop(state);
        self.begin_to_beat();
        self.act();
    }

    pub(super) fn unwatch(&self, room: &Room) {
        let mut state = lock(&self.state);
        let Some(watch) = state.watches.get_mut(room) else {
            return;
        };
        watch.handles -= 1;
        if watch.handles > 0 {
            return;
        }
        let watch = state.watches.remove(room);
        state.sweep();
        drop(state);
        // What the listeners hold may do what it likes when it goes.
        drop(watch);
    }

    pub(super) fn listen(&self, room: &Room, listener: Listener) {
        if let Some(watch) = lock(&self.state).watches.get_mut(room) {
            watch.listeners.push(listener);
        }
    }

    pub(super) fn known(&self, room: &Room) -> Vec<PresentSocket> {
        let members = lock(&self.state).roster.members(room);
        members.into_iter().map(present).collect()
    }

    /// Waits until all nodes have told, or have had the time for it.
    pub(super) async fn told(&self, room: &Room) {
        let since = lock(&self.state).watches.get(room).map(|watch| watch.since);
        let (Some(since), Some(io)) = (since, self.io.upgrade().filter(Io::is_clustered)) else {
            return;
        };
        let all = async {
            // Who has heard nobody yet may not be counted itself.
            self.told_by(room, 1).await;
            if let Some(count) = io.cluster().map(|cluster| cluster.server_count(&self.name)) {
                let others = count.await.saturating_sub(1);
                self.told_by(room, others).await;
            }
        };
        tokio::select! {
            () = all => {}
            () = sleep_until(since + self.config.sync_timeout) => {}
        }
    }

    /// Waits until so many others have told of the room.
    async fn told_by(&self, room: &Room, count: usize) {
        loop {
            let heard = self.heard.notified();
            tokio::pin!(heard);
            // From here on nothing is overheard.
            heard.as_mut().enable();
            let told = lock(&self.state).watches.get(room).map(|watch| watch.told.len());
            if told.is_none_or(|told| told >= count) {
                return;
            }
            heard.await;
        }
    }

    /// Another node has said something.
    pub(crate) fn receive(self: &Arc<Self>, payload: &Payload) {
        let envelope: Envelope = match payload.body() {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(
                    namespace = &*self.name,
                    "what a node tells of presence is not understood: {error}"
                );
                return;
            }
        };
        let Some(namespace) = self.namespace() else {
            return;
        };
        if envelope.node == self.node {
            return;
        }
        self.take(&namespace, envelope);
        self.begin_to_beat();
        self.act();
        self.heard.notify_waiters();
    }

    fn take(&self, namespace: &Namespace, Envelope { node: id, message }: Envelope) {
        let mut state = lock(&self.state);
        if state.has_left {
            return;
        }
        let is_known = state.nodes.contains_key(&id);
        let node = state.nodes.entry(id).or_insert_with(|| Node {
            seen: Instant::now(),
            number: 0,
            watches: HashSet::new(),
        });
        node.seen = Instant::now();
        // A change that was missed, or what a node had before it was known here.
        let mut is_behind = !is_known;
        match message {
            Message::Watch { rooms } => {
                node.watches = rooms.iter().cloned().collect();
                self.tell_own(&mut state, namespace, rooms);
            }
            Message::Full { number, rooms } => {
                node.number = number;
                is_behind = false;
                for Members { room, members } in rooms {
                    let Some(watch) = state.watches.get_mut(&room) else {
                        continue;
                    };
                    watch.told.insert(id);
                    let entries: Vec<Entry> = members.into_iter().map(Entry::from).collect();
                    let changes = state.roster.replace(id, &room, &entries);
                    state.tell(changes);
                }
            }
            Message::Change {
                number,
                room,
                member,
                is_join,
            } => {
                is_behind |= number != node.number.wrapping_add(1);
                node.number = number;
                if state.watches.contains_key(&room) {
                    let change = if is_join {
                        state.roster.insert(id, &room, member.id, &member.data)
                    } else {
                        state.roster.remove(id, &room, member.id)
                    };
                    state.tell(change);
                }
            }
            Message::Beat { number, rooms } => {
                is_behind |= number != node.number;
                node.number = number;
                let before = std::mem::take(&mut node.watches);
                node.watches = rooms.iter().cloned().collect();
                // That it wants to know of them was said before this node was there, or was lost.
                let new: Vec<Room> = rooms.into_iter().filter(|room| !before.contains(room)).collect();
                if !new.is_empty() {
                    self.tell_own(&mut state, namespace, new);
                }
            }
            Message::Bye => return state.forget(id),
        }
        state.sweep();
        if is_behind {
            state.ask();
        }
    }

    /// The server has joined a cluster: what was watched before is watched there, too.
    pub(crate) fn joined(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        for watch in state.watches.values_mut() {
            watch.since = Instant::now();
        }
        state.ask();
        drop(state);
        self.begin_to_beat();
        self.act();
    }

    /// This node ends.
    pub(crate) fn leave(&self) {
        let mut state = lock(&self.state);
        if state.watches.is_empty() && state.nodes.is_empty() {
            return;
        }
        state.actions.push_back(Action::Send(Message::Bye));
        drop(state);
        self.act();
        lock(&self.state).has_left = true;
    }

    /// A socket has entered or left a room here: which, is seen from where it is now, because threads may be told in another
    /// order than it happens.
    fn look(&self, namespace: &Namespace, room: &str, id: Id) {
        let mut state = lock(&self.state);
        let Some(room) = state.tracked(room) else {
            return;
        };
        let socket = namespace.socket(id.as_str());
        let socket = socket.filter(|socket| socket.rooms().contains(&room));
        let (change, member, is_join) = match socket {
            Some(socket) => {
                let data = socket.data_json();
                let change = state.roster.insert(self.node, &room, id, &data);
                (change, Member { id, data }, true)
            }
            None => {
                let change = state.roster.remove(self.node, &room, id);
                (
                    change,
                    Member {
                        id,
                        data: Value::Null,
                    },
                    false,
                )
            }
        };
        state.tell(change);
        if state.is_watched_elsewhere(&room) {
            state.number = state.number.wrapping_add(1);
            let message = Message::Change {
                number: state.number,
                room,
                member,
                is_join,
            };
            state.actions.push_back(Action::Send(message));
        }
        drop(state);
        self.act();
    }

    /// Tells another node, which watches these rooms, who is here.
    fn tell_own(&self, state: &mut State, namespace: &Namespace, rooms: Vec<Room>) {
        let rooms = rooms.into_iter().map(|room| {
            self.count_own(state, namespace, &room);
            let members = state.roster.of_node(self.node, &room);
            Members {
                room,
                members: members.into_iter().map(Member::from).collect(),
            }
        });
        let rooms = rooms.collect();
        let message = Message::Full {
            number: state.number,
            rooms,
        };
        state.actions.push_back(Action::Send(message));
    }

    /// Who is in the room here, while it becomes one that is followed.
    fn count_own(&self, state: &mut State, namespace: &Namespace, room: &Room) {
        let sockets = namespace.local().to(room).sockets();
        let entries: Vec<Entry> = sockets
            .iter()
            .map(|socket| (socket.id(), socket.data_json()))
            .collect();
        let changes = state.roster.replace(self.node, room, &entries);
        state.tell(changes);
    }

    /// Does what is to be done, unless another thread is at it.
    fn act(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.is_acting, true) {
            return;
        }
        while let Some(action) = state.actions.pop_front() {
            let has_left = state.has_left;
            drop(state);
            match action {
                Action::Send(_) if has_left => {}
                Action::Send(message) => self.send(message),
                Action::Tell(listeners, change) => {
                    let socket = present((change.id, change.data));
                    for listener in listeners {
                        let event = match change.is_join {
                            true => PresenceEvent::Joined(&socket),
                            false => PresenceEvent::Left(&socket),
                        };
                        guarded_in(&self.name, || listener(event));
                    }
                }
            }
            state = lock(&self.state);
        }
        state.is_acting = false;
    }

    fn send(&self, message: Message) {
        let envelope = Envelope {
            node: self.node,
            message,
        };
        if let Some(io) = self.io.upgrade()
            && let Some(cluster) = io.cluster()
            && let Ok(payload) = Payload::from_value(&envelope)
        {
            cluster.server_side_emit(&self.name, EVENT, &payload);
        }
    }

    fn namespace(&self) -> Option<Namespace> {
        self.io.upgrade()?.get(&self.name)
    }

    /// Has the others know that this node is there, as long as it has to do with any of them.
    fn begin_to_beat(self: &Arc<Self>) {
        let Some(runtime) = self
            .io
            .upgrade()
            .filter(Io::is_clustered)
            .and_then(|io| io.runtime())
        else {
            return;
        };
        let mut state = lock(&self.state);
        if state.is_idle() || std::mem::replace(&mut state.is_beating, true) {
            return;
        }
        drop(state);
        let (watcher, heartbeat) = (Arc::downgrade(self), self.config.heartbeat);
        task::spawn_on(&runtime, "gatewire presence", async move {
            // More often at first: others may not have been ready to hear.
            let mut pause = heartbeat / 16;
            loop {
                // By the system's clock: a test that moves tokio's has not stood still.
                let before = std::time::Instant::now();
                sleep(pause).await;
                let Some(watcher) = watcher.upgrade() else {
                    return;
                };
                if before.elapsed() > pause + heartbeat / 2 {
                    watcher.resume();
                }
                if !watcher.beat() {
                    return;
                }
                pause = (2 * pause).min(heartbeat);
            }
        });
    }

    /// This process did not run for a while: what others have said meanwhile is not read yet, and none of them is gone for that.
    fn resume(&self) {
        let now = Instant::now();
        for node in lock(&self.state).nodes.values_mut() {
            node.seen = now;
        }
    }

    /// Whether it is to be done again.
    fn beat(&self) -> bool {
        let mut state = lock(&self.state);
        let now = Instant::now();
        let silent: Vec<Id> = state
            .nodes
            .iter()
            .filter(|(_, node)| now.duration_since(node.seen) > self.config.timeout)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            tracing::warn!(namespace = &*self.name, node = %id, "a node says nothing any more: its members have left");
            state.forget(id);
        }
        state.is_beating = !state.is_idle();
        if state.is_beating {
            let message = Message::Beat {
                number: state.number,
                rooms: state.watches.keys().cloned().collect(),
            };
            state.actions.push_back(Action::Send(message));
            // Their answer was lost, or they have not been asked yet.
            let is_untold = |watch: &Watch| {
                watch.told.is_empty() || state.nodes.keys().any(|node| !watch.told.contains(node))
            };
            if state.watches.values().any(is_untold) {
                state.ask();
            }
        }
        let goes_on = state.is_beating;
        drop(state);
        self.act();
        goes_on
    }
}

impl State {
    /// Asks the others for all that is watched here.
    fn ask(&mut self) {
        if !self.watches.is_empty() {
            let rooms = self.watches.keys().cloned().collect();
            self.actions.push_back(Action::Send(Message::Watch { rooms }));
        }
    }

    /// Tells the listeners.
    fn tell(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            if let Some(watch) = self.watches.get(&change.room)
                && !watch.listeners.is_empty()
            {
                self.actions
                    .push_back(Action::Tell(watch.listeners.clone(), change));
            }
        }
    }

    fn forget(&mut self, node: Id) {
        self.nodes.remove(&node);
        for watch in self.watches.values_mut() {
            watch.told.remove(&node);
        }
        let changes = self.roster.forget(node);
        self.tell(changes);
        self.sweep();
    }

    /// Forgets rooms that nobody watches any more: what is known of them would grow old.
    fn sweep(&mut self) {
        let (watches, nodes) = (&self.watches, &self.nodes);
        self.roster.retain(|room| {
            watches.contains_key(room) || nodes.values().any(|node| node.watches.contains(room))
        });
    }

    /// The room, if somebody watches it.
    fn tracked(&self, room: &str) -> Option<Room> {
        let watched = self.watches.get_key_value(room).map(|(room, _)| room);
        let elsewhere = || self.nodes.values().find_map(|node| node.watches.get(room));
        watched.or_else(elsewhere).cloned()
    }

    fn is_watched_elsewhere(&self, room: &str) -> bool {
        self.nodes.values().any(|node| node.watches.contains(room))
    }

    /// Whether nobody here or elsewhere wants to know anything.
    fn is_idle(&self) -> bool {
        self.has_left || (self.watches.is_empty() && self.nodes.values().all(|node| node.watches.is_empty()))
    }
}

fn present((id, data): Entry) -> PresentSocket {
    PresentSocket { id, data }
}
