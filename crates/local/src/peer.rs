//! Another node, as one that is written to: a bounded queue, and the task that connects and writes it out. What the other
//! says comes over a connection that it makes itself, so that each is written to from one side only.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::directory::Reached;
use crate::endpoint::Shared;
use crate::lock;
use crate::stats::add;

/// Bytes that are written at once.
const WRITE: usize = 64 << 10;

/// One of the other nodes.
pub(crate) struct Peer {
    pub(crate) name: Box<str>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// Messages that are being written.
    under_way: usize,
    /// It can be written to.
    is_connected: bool,
    /// What waits is written, and nothing after it.
    is_closing: bool,
    /// The connection is to be made anew: it has missed what it must know.
    is_stale: bool,
    /// Messages that were lost since the queue was full.
    lost: usize,
    /// The connection over which it speaks, by number, and the namespaces that it has told of.
    heard: Option<u64>,
    namespaces: HashSet<Box<str>>,
}

/// What is to be written next.
enum Next {
    Frames(Vec<Bytes>),
    Wait,
    End,
}

impl Peer {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            state: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// Messages that wait, or are being written.
    pub(crate) fn queued(&self) -> usize {
        let state = lock(&self.state);
        state.queue.len() + state.under_way
    }

    /// Puts a message behind those that wait; false if it is lost, because there are too many.
    pub(crate) fn push(&self, frame: Bytes, shared: &Shared) -> bool {
        let mut state = lock(&self.state);
        let is_full = state.queue.len() >= shared.config.max_queue
            || (state.bytes + frame.len() > shared.config.max_queue_bytes && !state.queue.is_empty());
        if is_full {
            state.lost += 1;
            if state.lost == 1 {
                tracing::warn!(
                    node = self.name,
                    "another node does not take its messages: as many wait as may, and further ones are lost"
                );
            }
            drop(state);
            add(&shared.counters.lost, 1);
            return false;
        }
        state.bytes += frame.len();
        state.queue.push_back(frame);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// As [`push`](Self::push), of what must not be missed: it is said anew on a new connection instead.
    pub(crate) fn must_know(&self, frame: Bytes, shared: &Shared) {
        if !self.push(frame, shared) {
            lock(&self.state).is_stale = true;
        }
    }

    /// What waits is still written.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closing = true;
        self.wake.notify_one();
    }

    /// Whether it is there in both directions, and has the namespace.
    pub(crate) fn has(&self, namespace: &str) -> bool {
        let state = lock(&self.state);
        state.is_connected && state.namespaces.contains(namespace)
    }

    /// It speaks over a connection of that number from now on.
    pub(crate) fn speaks(&self, connection: u64) {
        let mut state = lock(&self.state);
        state.heard = Some(connection);
        state.namespaces.clear();
    }

    pub(crate) fn is_heard(&self) -> bool {
        lock(&self.state).heard.is_some()
    }

    /// It speaks no more over that connection; false if it does over another.
    pub(crate) fn is_silent(&self, connection: u64) -> bool {
        let mut state = lock(&self.state);
        if state.heard != Some(connection) {
            return false;
        }
        state.heard = None;
        state.namespaces.clear();
        true
    }

    pub(crate) fn opens(&self, connection: u64, namespace: &str) {
        let mut state = lock(&self.state);
        if state.heard == Some(connection) {
            state.namespaces.insert(namespace.into());
        }
    }

    pub(crate) fn closes(&self, connection: u64, namespace: &str) {
        let mut state = lock(&self.state);
        if state.heard == Some(connection) {
            state.namespaces.remove(namespace);
        }
    }

    /// Connects and writes until the node is gone.
    pub(crate) async fn run(self: Arc<Self>, shared: Arc<Shared>) {
        // Of a connection that broke; they are lost only if the node is still there.
        let mut unsent = 0;
        while !lock(&self.state).is_closing {
            let connecting = shared.directory.connect(&self.name);
            match timeout(shared.config.rescan, connecting).await {
                Ok(Reached::Connected(stream)) => {
                    if unsent > 0 {
                        add(&shared.counters.lost, unsent);
                        tracing::warn!(
                            node = self.name,
                            lost = unsent,
                            "the connection to another node broke, and with it messages were lost"
                        );
                    }
                    let result = self.write_to(stream, &shared).await;
                    unsent = self.disconnected();
                    // While it speaks, its last answers may be on their way: the end of those is its end.
                    if !self.is_heard() {
                        shared.handler.gone(&self.name);
                    }
                    if let Err(error) = result {
                        tracing::debug!(node = self.name, %error, "a connection to another node ended");
                    }
                }
                Ok(Reached::Gone) if shared.forget(&self) => return,
                // It speaks, so it is there, and will have its socket again.
                Ok(Reached::Gone) => {}
                Ok(Reached::Busy(error)) => {
                    tracing::debug!(node = self.name, %error, "another node cannot be reached now");
                }
                Err(_) => tracing::debug!(node = self.name, "another node does not accept connections now"),
            }
            sleep(shared.config.retry).await;
        }
    }

    /// Says who speaks and what it has, and then what waits, until the connection ends.
    async fn write_to(&self, mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
        // What must be known from here on is in the queue.
        lock(&self.state).is_stale = false;
        for frame in shared.greeting() {
            stream.write_all(&frame).await?;
        }
        lock(&self.state).is_connected = true;
        let (mut reader, writer) = stream.into_split();
        let mut writer = BufWriter::with_capacity(WRITE, writer);
        loop {
            match self.next() {
                Next::End => return Ok(()),
                Next::Frames(frames) => {
                    for frame in &frames {
                        writer.write_all(frame).await?;
                    }
                    writer.flush().await?;
                }
                Next::Wait => {
                    // The other says nothing here: whatever comes is the end.
                    tokio::select! {
                        end = reader.read_u8() => return end.map(drop),
                        () = self.wake.notified() => {}
                    }
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = lock(&self.state);
        state.under_way = 0;
        if state.is_stale {
            return Next::End;
        }
        if state.queue.is_empty() {
            return if state.is_closing { Next::End } else { Next::Wait };
        }
        let (mut frames, mut size) = (Vec::new(), 0);
        while size < WRITE
            && let Some(frame) = state.queue.pop_front()
        {
            size += frame.len();
            frames.push(frame);
        }
        state.bytes -= size;
        state.under_way = frames.len();
        if state.queue.is_empty() && state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            tracing::warn!(
                node = self.name,
                lost,
                "another node takes its messages again; some were lost"
            );
        }
        Next::Frames(frames)
    }

    /// How many messages waited, or were under way.
    fn disconnected(&self) -> usize {
        let mut state = lock(&self.state);
        state.is_connected = false;
        state.bytes = 0;
        std::mem::take(&mut state.under_way) + std::mem::take(&mut state.queue).len()
    }
}
