//! One node's place in the directory: its socket, and the connections to and from all others. What the messages say is not
//! known here.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::LocalConfig;
use crate::directory::{Directory, is_name};
use crate::frame::{self, Frame, FrameError};
use crate::lock;
use crate::peer::Peer;
use crate::stats::{Counters, add};
use gatewire_hub::task;

/// How long what waits is still written when a node leaves.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long after an error of the listener it is used again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom messages are given to. It does not block.
pub(crate) trait Handler: Send + Sync + 'static {
    /// A message of another node.
    fn receive(&self, peer: &str, message: &[u8]);

    /// Another node has gone, or is out of reach.
    fn gone(&self, peer: &str);
}

/// One node among the others. When it is dropped, it is gone.
pub(crate) struct Endpoint {
    shared: Arc<Shared>,
    task: AbortHandle,
}

pub(crate) struct Shared {
    pub(crate) directory: Directory,
    pub(crate) config: LocalConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) handler: Box<dyn Handler>,
    name: Box<str>,
    table: Mutex<Table>,
    /// Peers that have come to the table, for the task that runs them.
    met: mpsc::UnboundedSender<Arc<Peer>>,
    closing: Notify,
    is_closed: AtomicBool,
    next_connection: AtomicU64,
}

#[derive(Default)]
struct Table {
    peers: HashMap<Box<str>, Arc<Peer>>,
    /// The namespaces of this node.
    namespaces: BTreeSet<Box<str>>,
    /// There were more peers than may be.
    was_full: bool,
}

impl Endpoint {
    /// Joins the others in the directory.
    pub(crate) fn start(
        name: &str,
        directory: Directory,
        config: LocalConfig,
        counters: Arc<Counters>,
        handler: impl Handler,
        runtime: &Handle,
    ) -> Self {
        let (met, meeting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            directory,
            config,
            counters,
            handler: Box::new(handler),
            name: name.into(),
            table: Mutex::default(),
            met,
            closing: Notify::new(),
            is_closed: AtomicBool::new(false),
            next_connection: AtomicU64::new(0),
        });
        let task =
            task::spawn_on(runtime, "gatewire local node", run(shared.clone(), meeting)).abort_handle();
        Self { shared, task }
    }

    /// To all others.
    pub(crate) fn send_all(&self, message: &[u8]) -> bool {
        let Some(frame) = self.shared.message(message) else {
            return false;
        };
        let table = lock(&self.shared.table);
        let mut is_sent = true;
        for peer in table.peers.values() {
            is_sent &= peer.push(frame.clone(), &self.shared);
        }
        is_sent
    }

    /// To one other, if it is there.
    pub(crate) fn send(&self, to: &str, message: &[u8]) -> bool {
        let Some(frame) = self.shared.message(message) else {
            return false;
        };
        let table = lock(&self.shared.table);
        let peer = table.peers.get(to);
        peer.is_none_or(|peer| peer.push(frame, &self.shared))
    }

    /// Tells the others that this node has a namespace.
    pub(crate) fn open(&self, namespace: &str) {
        let mut table = lock(&self.shared.table);
        if table.namespaces.insert(namespace.into()) {
            self.shared.tell(&table, Frame::Open(namespace));
        }
    }

    /// Tells them that it has it no longer.
    pub(crate) fn close_namespace(&self, namespace: &str) {
        let mut table = lock(&self.shared.table);
        if table.namespaces.remove(namespace) {
            self.shared.tell(&table, Frame::Close(namespace));
        }
    }

    /// Messages that wait for other nodes.
    pub(crate) fn queued(&self) -> usize {
        let table = lock(&self.shared.table);
        table.peers.values().map(|peer| peer.queued()).sum()
    }

    /// The others that have a namespace.
    pub(crate) fn others(&self, namespace: &str) -> Vec<Box<str>> {
        let table = lock(&self.shared.table);
        let others = table.peers.values().filter(|peer| peer.has(namespace));
        others.map(|peer| peer.name.clone()).collect()
    }

    /// Leaves the others; what was sent before is still written.
    pub(crate) fn close(&self) {
        if !self.shared.is_closed.swap(true, Ordering::AcqRel) {
            self.shared.directory.remove(&self.shared.name);
            self.shared.closing.notify_one();
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if !self.shared.is_closed.load(Ordering::Acquire) {
            self.shared.directory.remove(&self.shared.name);
            self.task.abort();
        }
    }
}

impl Shared {
    fn message(&self, message: &[u8]) -> Option<Bytes> {
        let frame = Frame::Message(message).encode(self.config.max_message);
        if frame.is_none() {
            add(&self.counters.lost, 1);
            tracing::warn!(
                len = message.len(),
                "a message is not sent to the other nodes: it is longer than max_message"
            );
        }
        frame
    }

    fn tell(&self, table: &Table, frame: Frame<'_>) {
        if let Some(frame) = frame.encode(self.config.max_message) {
            for peer in table.peers.values() {
                peer.must_know(frame.clone(), self);
            }
        }
    }

    /// What a new connection begins with.
    pub(crate) fn greeting(&self) -> Vec<Bytes> {
        let table = lock(&self.table);
        let namespaces = table.namespaces.iter().map(|name| Frame::Open(name));
        std::iter::once(Frame::Hello(&self.name))
            .chain(namespaces)
            .filter_map(|frame| frame.encode(self.config.max_message))
            .collect()
    }

    /// The node of that name, which is connected to if it is new; `None` if there are too many. `connection` is that over
    /// which it speaks, if it does.
    fn meet(&self, name: &str, connection: Option<u64>) -> Option<Arc<Peer>> {
        let mut table = lock(&self.table);
        let peer = self.peer(&mut table, name)?;
        if let Some(connection) = connection {
            peer.speaks(connection);
        }
        Some(peer)
    }

    fn peer(&self, table: &mut Table, name: &str) -> Option<Arc<Peer>> {
        if let Some(peer) = table.peers.get(name) {
            return Some(peer.clone());
        }
        if table.peers.len() >= self.config.max_nodes {
            if !std::mem::replace(&mut table.was_full, true) {
                tracing::warn!(
                    max_nodes = self.config.max_nodes,
                    "another node is left alone: there are too many"
                );
            }
            return None;
        }
        let peer = Peer::new(name);
        table.peers.insert(name.into(), peer.clone());
        // The task that takes them has ended only if the node has.
        let _ = self.met.send(peer.clone());
        Some(peer)
    }

    /// Forgets a node; false if it speaks.
    pub(crate) fn forget(&self, peer: &Peer) -> bool {
        let mut table = lock(&self.table);
        if peer.is_heard() {
            return false;
        }
        table.peers.remove(&peer.name);
        table.was_full = false;
        true
    }

    /// Meets all whose sockets are there; puts the own one there again if somebody has removed it.
    fn scan(&self) -> Option<UnixListener> {
        let names = match self.directory.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "the directory of the nodes cannot be read");
                Vec::new()
            }
        };
        for name in names.iter().filter(|name| **name != *self.name) {
            self.meet(name, None);
        }
        if names.iter().any(|name| **name == *self.name) {
            return None;
        }
        let bound = self.directory.bind(&self.name);
        bound
            .inspect_err(|error| tracing::warn!(%error, "this node has no socket for the others to come to"))
            .ok()
    }

    /// Hears what another node says, to its end.
    async fn hear(&self, stream: UnixStream) {
        let connection = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let mut speaker = None;
        if let Err(error) = self.read_all(stream, connection, &mut speaker).await {
            add(&self.counters.malformed, 1);
            let node = speaker.as_ref().map(|peer: &Arc<Peer>| &*peer.name);
            tracing::warn!(node, %error, "a connection of another node is closed");
        }
        if let Some(peer) = speaker
            && peer.is_silent(connection)
        {
            self.handler.gone(&peer.name);
        }
    }

    async fn read_all(
        &self,
        stream: UnixStream,
        connection: u64,
        speaker: &mut Option<Arc<Peer>>,
    ) -> Result<(), FrameError> {
        let (mut stream, mut buffer) = (BufReader::with_capacity(64 << 10, stream), Vec::new());
        while frame::read(&mut stream, &mut buffer, self.config.max_message).await? {
            match (Frame::decode(&buffer)?, &*speaker) {
                (Frame::Hello(name), None) if is_name(name) && *name != *self.name => {
                    let Some(peer) = self.meet(name, Some(connection)) else {
                        return Ok(());
                    };
                    *speaker = Some(peer);
                }
                (Frame::Message(message), Some(peer)) => {
                    add(&self.counters.received, 1);
                    self.handler.receive(&peer.name, message);
                }
                (Frame::Open(namespace), Some(peer)) => peer.opens(connection, namespace),
                (Frame::Close(namespace), Some(peer)) => peer.closes(connection, namespace),
                _ => return Err(FrameError::Unknown),
            }
            if buffer.capacity() > KEPT {
                buffer = Vec::new();
            }
        }
        Ok(())
    }
}

/// A longer message gives its memory back at once.
const KEPT: usize = 256 << 10;

/// Runs the connections of one node.
async fn run(shared: Arc<Shared>, mut meeting: mpsc::UnboundedReceiver<Arc<Peer>>) {
    let (mut peers, mut speakers) = (JoinSet::new(), JoinSet::new());
    let (mut listener, mut is_failing) = (None, false);
    let mut rescan = interval(shared.config.rescan.max(Duration::from_millis(1)));
    rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rescan.tick() => {
                if let Some(bound) = shared.scan() {
                    listener = Some(bound);
                    // Whoever came since has met this node; who came before is in the directory.
                    shared.scan();
                }
            }
            stream = accept(listener.as_ref(), &mut is_failing) => {
                // A node that comes back may be here twice for a moment.
                if let Some(stream) = stream && speakers.len() < 2 * shared.config.max_nodes {
                    let shared = shared.clone();
                    let hearing = async move { shared.hear(stream).await };
                    task::spawn_in(&mut speakers, "gatewire local speaker", hearing);
                }
            }
            Some(peer) = meeting.recv() => {
                task::spawn_in(&mut peers, "gatewire local peer", peer.run(shared.clone()));
            }
            Some(_) = peers.join_next() => {}
            Some(_) = speakers.join_next() => {}
            () = shared.closing.notified() => break,
        }
    }
    // A look at the directory may have put it there again.
    shared.directory.remove(&shared.name);
    for peer in lock(&shared.table).peers.values() {
        peer.close();
    }
    let farewell = async { while peers.join_next().await.is_some() {} };
    // Who does not take it in this time misses it.
    let _ = timeout(FAREWELL, farewell).await;
}

/// `is_failing` is whether the log's last word is that it fails: a lack of file descriptors may last.
async fn accept(listener: Option<&UnixListener>, is_failing: &mut bool) -> Option<UnixStream> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    match listener.accept().await {
        Ok((stream, _)) => {
            if std::mem::take(is_failing) {
                tracing::info!("connections of other nodes are accepted again");
            }
            Some(stream)
        }
        Err(error) => {
            if !std::mem::replace(is_failing, true) {
                tracing::warn!(%error, "connections of other nodes cannot be accepted: they wait");
            }
            sleep(PAUSE).await;
            None
        }
    }
}
