//! One end of a link between two nodes, with the streams on it. What is lost, on either way, breaks it: then each of its
//! streams ends, and with it what was relayed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatewire_hub::Id;
use gatewire_hub::cluster::SessionBus;
use gatewire_proto::relay::{Frame, Kind, Link, Message, Side, Timeout, Timing};
use hashbrown::HashMap;

use super::tunnel::Pipe;
use crate::clock;

/// One end of a link.
pub(super) struct LinkEnd {
    bus: Arc<dyn SessionBus>,
    node: Id,
    pub(super) peer: Id,
    /// The link's number among those of both nodes.
    pub(super) number: u64,
    state: Mutex<State>,
}

struct State {
    link: Link,
    streams: HashMap<u32, Arc<Pipe>>,
    next_stream: u32,
    broken: bool,
}

/// The link is broken.
#[derive(Debug)]
pub(super) struct Broken;

impl LinkEnd {
    pub(super) fn new(
        bus: Arc<dyn SessionBus>,
        node: Id,
        peer: Id,
        number: u64,
        side: Side,
        timing: Timing,
    ) -> Arc<Self> {
        Arc::new(Self {
            bus,
            node,
            peer,
            number,
            state: Mutex::new(State {
                link: Link::new(side, timing, clock::now()),
                streams: HashMap::new(),
                next_stream: 0,
                broken: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a stream.
    pub(super) fn open(&self, pipe: &Arc<Pipe>) -> Result<u32, Broken> {
        let stream = {
            let mut state = self.lock();
            let stream = state.next_stream;
            state.next_stream = stream.wrapping_add(1);
            state.add(stream, pipe);
            stream
        };
        // After a silence it is found out at once whether the peer is still there.
        let opened = self
            .send(Frame::Open { stream })
            .and_then(|()| self.on_time().map_err(|_over| Broken));
        opened.inspect_err(|_broken| self.forget(stream))?;
        Ok(stream)
    }

    /// Takes a stream that the peer has opened; false if there is one of that number.
    pub(super) fn accept(&self, stream: u32, pipe: &Arc<Pipe>) -> bool {
        let mut state = self.lock();
        let is_new = !state.streams.contains_key(&stream) && !state.broken;
        if is_new {
            state.add(stream, pipe);
        }
        is_new
    }

    pub(super) fn stream(&self, stream: u32) -> Option<Arc<Pipe>> {
        self.lock().streams.get(&stream).cloned()
    }

    /// The stream needs nothing any more.
    pub(super) fn forget(&self, stream: u32) {
        let mut state = self.lock();
        state.streams.remove(&stream);
        let is_idle = state.streams.is_empty();
        state.link.set_idle(is_idle, clock::now());
    }

    pub(super) fn send(&self, frame: Frame<'_>) -> Result<(), Broken> {
        let sent = {
            let mut state = self.lock();
            if state.broken {
                return Err(Broken);
            }
            // Under the lock: the numbers must go out in their order.
            let message = Message {
                sender: self.node.as_str(),
                kind: Kind::OnLink {
                    link: self.number,
                    number: state.link.next_number(),
                    frame,
                },
            };
            self.bus.send(self.node, Some(self.peer), message.encode().into())
        };
        sent.map_err(|error| {
            tracing::warn!(peer = %self.peer, %error, "a message to another node does not go out: what is relayed over the link ends");
            self.sever();
            Broken
        })
    }

    /// Notes a message of the peer.
    pub(super) fn note(&self, number: u64) -> Result<(), Broken> {
        let mut state = self.lock();
        if state.broken {
            return Err(Broken);
        }
        state.link.receive(number, clock::now()).map_err(|lost| {
            tracing::warn!(peer = %self.peer, %lost);
            Broken
        })
    }

    /// Whether the peer was heard not long ago.
    pub(super) fn is_fresh(&self, timing: &Timing) -> bool {
        let state = self.lock();
        !state.broken && state.link.heard() + timing.keepalive > clock::now()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// This process did not run for a while: what the peer has answered is not read yet.
    pub(super) fn resume(&self) {
        self.lock().link.resume(clock::now());
    }

    /// Acts on the deadlines; an error is the end of the link, of which the peer needs not be told if it is just idle.
    pub(super) fn on_time(&self) -> Result<(), Timeout> {
        let due = self.lock().link.handle_timeout(clock::now());
        match due {
            None => Ok(()),
            Some(Timeout::Ask) => self.send(Frame::Ping).map_err(|_broken| Timeout::Silent),
            Some(over) => Err(over),
        }
    }

    /// Ends each stream; nothing more is sent.
    pub(super) fn sever(&self) {
        let streams = {
            let mut state = self.lock();
            state.broken = true;
            std::mem::take(&mut state.streams)
        };
        for pipe in streams.values() {
            pipe.sever();
        }
    }
}

impl State {
    fn add(&mut self, stream: u32, pipe: &Arc<Pipe>) {
        self.streams.insert(stream, pipe.clone());
        self.link.set_idle(false, clock::now());
    }
}
