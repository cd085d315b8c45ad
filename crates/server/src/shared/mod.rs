//! Sessions that the engines of a cluster share: a request for the session of another node is relayed to it, so that no
//! load balancer needs to be sticky. The session stays where it was opened, with all that hangs on it; what moves is the
//! request. Its node serves it as if it had come there, and so every rule of the protocol holds over the whole cluster.
//!
//! A [`Node`] is one engine's place in the cluster. It asks who has a session, keeps the links to the others, and hands
//! what comes in to its engine. It knows neither Engine.IO nor HTTP.

mod config;
mod guest;
mod link;
mod owners;
mod splice;
mod tunnel;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use gatewire_hub::Id;
use gatewire_hub::cluster::{BusReceiver, SessionBus};
use gatewire_proto::relay::{Frame, Kind, Message, Side, Timeout};
use hashbrown::HashMap;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::lapses::Lapses;
use gatewire_hub::task;
use link::{Broken, LinkEnd};
use owners::Owners;
use tunnel::Pipe;

pub use config::SharingConfig;
pub(crate) use guest::Refused;
pub(crate) use tunnel::Tunnel;

/// What a node does its work for.
pub(crate) trait Host: Send + Sync + 'static {
    /// Whether the session is one of this node.
    fn has(&self, sid: &str) -> bool;

    /// Serves the request that comes through the tunnel.
    fn accept(&self, tunnel: Tunnel);
}

/// One engine's place in a cluster whose nodes share their sessions.
pub(crate) struct Node {
    me: Weak<Self>,
    id: Id,
    bus: Arc<dyn SessionBus>,
    config: SharingConfig,
    host: Box<dyn Host>,
    asks: Mutex<HashMap<u64, oneshot::Sender<Id>>>,
    next_ask: AtomicU64,
    owners: Mutex<Owners>,
    /// By the peer and the link's number.
    links: Mutex<HashMap<(Id, u64), Arc<LinkEnd>>>,
    /// Those of them that this node has opened.
    opened: Mutex<HashMap<Id, Arc<LinkEnd>>>,
    next_link: AtomicU64,
    /// Places for what this node relays, and for what is relayed to it.
    outbound: Arc<Semaphore>,
    inbound: Arc<Semaphore>,
    /// The task that looks at the deadlines of the links, started with the first one.
    clock: OnceLock<AbortHandle>,
    /// Relays nothing any more.
    closed: AtomicBool,
    left: AtomicBool,
}

impl Node {
    /// Joins the bus.
    pub(crate) fn join(bus: Arc<dyn SessionBus>, config: SharingConfig, host: impl Host) -> Arc<Self> {
        let place = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let node = Arc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            id: Id::generate(),
            bus,
            host: Box::new(host),
            asks: Mutex::default(),
            next_ask: AtomicU64::new(0),
            owners: Mutex::new(Owners::new(config.max_remembered)),
            links: Mutex::default(),
            opened: Mutex::default(),
            next_link: AtomicU64::new(0),
            outbound: place(config.max_relayed),
            inbound: place(config.max_relayed),
            clock: OnceLock::new(),
            closed: AtomicBool::new(false),
            left: AtomicBool::new(false),
            config,
        });
        let receiver: Weak<Self> = Arc::downgrade(&node);
        node.bus.join(node.id, receiver);
        node
    }

    /// Ends what this node relays to others, and relays nothing any more; what is relayed to it goes on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let opened: Vec<_> = lock(&self.opened).values().cloned().collect();
        for link in opened {
            self.cut(&link, true);
        }
    }

    /// Leaves the cluster, and tells the others so.
    pub(crate) fn leave(&self) {
        self.close();
        if !self.left.swap(true, Ordering::AcqRel) {
            self.tell(None, Kind::Leave);
            self.bus.leave(self.id);
        }
    }

    /// The node that has a session, if one says so in time. Where it is remembered it is asked no more, as long as it was
    /// heard not long ago.
    async fn owner(&self, sid: Id) -> Result<Id, Refused> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Refused::Busy);
        }
        let remembered = lock(&self.owners).get(sid);
        if let Some(owner) = remembered
            && lock(&self.opened)
                .get(&owner)
                .is_some_and(|link| link.is_fresh(&self.config.timing()))
        {
            return Ok(owner);
        }
        let ask = self.next_ask.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut asks = lock(&self.asks);
            if asks.len() >= self.config.max_asks {
                tracing::warn!(
                    max_asks = self.config.max_asks,
                    "a request for an unknown session is refused: too many are asked for"
                );
                return Err(Refused::Busy);
            }
            asks.insert(ask, sender);
        }
        let _forget = Asking { node: self, ask };
        let locate = Kind::Locate {
            ask,
            sid: sid.as_str(),
        };
        self.tell(None, locate);
        match tokio::time::timeout(self.config.ask_timeout, answer).await {
            Ok(Ok(owner)) => {
                lock(&self.owners).insert(sid, owner);
                Ok(owner)
            }
            Ok(Err(_)) | Err(_) => {
                self.forget(sid);
                Err(Refused::Unknown)
            }
        }
    }

    fn forget(&self, sid: Id) {
        lock(&self.owners).remove(sid);
    }

    /// Opens a stream to another node.
    fn open(&self, peer: Id) -> Result<Tunnel, Refused> {
        let Ok(place) = self.outbound.clone().try_acquire_owned() else {
            tracing::warn!(
                max_relayed = self.config.max_relayed,
                "a request for the session of another node is refused: too many are relayed"
            );
            return Err(Refused::Busy);
        };
        let link = self.link_to(peer);
        let pipe = Pipe::new();
        match link.open(&pipe) {
            Ok(stream) => Ok(Tunnel::new(link, stream, pipe, place)),
            Err(Broken) => {
                self.cut(&link, true);
                Err(Refused::Unknown)
            }
        }
    }

    fn link_to(&self, peer: Id) -> Arc<LinkEnd> {
        let mut opened = lock(&self.opened);
        if let Some(link) = opened.get(&peer)
            && !link.is_broken()
        {
            return link.clone();
        }
        // Both nodes number the links that they open: one takes the even numbers, the other the odd ones.
        let number = 2 * self.next_link.fetch_add(1, Ordering::Relaxed) + u64::from(self.id > peer);
        let link = self.new_link(peer, number, Side::Opener);
        opened.insert(peer, link.clone());
        link
    }

    fn new_link(&self, peer: Id, number: u64, side: Side) -> Arc<LinkEnd> {
        let timing = self.config.timing();
        let link = LinkEnd::new(self.bus.clone(), self.id, peer, number, side, timing);
        lock(&self.links).insert((peer, number), link.clone());
        self.watch_links();
        link
    }

    /// Ends a link and what is relayed over it.
    fn cut(&self, link: &Arc<LinkEnd>, tell: bool) {
        lock(&self.links).remove(&(link.peer, link.number));
        {
            let mut opened = lock(&self.opened);
            if opened
                .get(&link.peer)
                .is_some_and(|current| Arc::ptr_eq(current, link))
            {
                opened.remove(&link.peer);
            }
        }
        link.sever();
        if tell {
            self.tell(Some(link.peer), Kind::Broken { link: link.number });
        }
    }

    fn tell(&self, to: Option<Id>, kind: Kind<'_>) {
        let message = Message {
            sender: self.id.as_str(),
            kind,
        };
        if let Err(error) = self.bus.send(self.id, to, message.encode().into()) {
            tracing::warn!(%error, "a message to other nodes does not go out");
        }
    }

    fn on_link(&self, peer: Id, number: u64, message: u64, frame: Frame<'_>) {
        let known = lock(&self.links).get(&(peer, number)).cloned();
        let link = match known {
            Some(link) => link,
            // The first message of a link that the peer opens.
            None if message == 0 && is_of(number, peer, self.id) && matches!(frame, Frame::Open { .. }) => {
                self.new_link(peer, number, Side::Accepter)
            }
            None => return self.tell(Some(peer), Kind::Broken { link: number }),
        };
        if self.take(&link, message, frame).is_err() {
            self.cut(&link, true);
        }
    }

    fn take(&self, link: &Arc<LinkEnd>, message: u64, frame: Frame<'_>) -> Result<(), Broken> {
        link.note(message)?;
        match frame {
            Frame::Open { stream } => {
                if !is_of(link.number, link.peer, self.id) {
                    return Err(Broken);
                }
                let Ok(place) = self.inbound.clone().try_acquire_owned() else {
                    tracing::warn!(max_relayed = self.config.max_relayed, peer = %link.peer, "a relayed request is refused: there are too many");
                    return link.send(Frame::Close { stream });
                };
                let pipe = Pipe::new();
                if !link.accept(stream, &pipe) {
                    return Err(Broken);
                }
                self.host.accept(Tunnel::new(link.clone(), stream, pipe, place));
            }
            Frame::Data { stream, bytes } => {
                if let Some(pipe) = link.stream(stream) {
                    pipe.receive(bytes).map_err(|tunnel::Overrun| Broken)?;
                }
            }
            Frame::Credit { stream, bytes } => {
                if let Some(pipe) = link.stream(stream) {
                    pipe.add_credit(bytes);
                }
            }
            Frame::End { stream } => {
                if let Some(pipe) = link.stream(stream) {
                    pipe.end();
                }
            }
            Frame::Close { stream } => {
                if let Some(pipe) = link.stream(stream) {
                    pipe.close();
                }
            }
            Frame::Ping => link.send(Frame::Pong)?,
            // A pong has been heard, which is all. What a later version may say breaks nothing.
            _ => {}
        }
        Ok(())
    }

    fn on_leave(&self, peer: Id) {
        let links: Vec<_> = lock(&self.links)
            .values()
            .filter(|link| link.peer == peer)
            .cloned()
            .collect();
        for link in links {
            self.cut(&link, false);
        }
    }

    fn watch_links(&self) {
        self.clock.get_or_init(|| {
            let shortest = self.config.keepalive.min(self.config.peer_timeout);
            let (me, tick) = (self.me.clone(), (shortest / 4).max(Duration::from_millis(1)));
            task::spawn("gatewire sharing", async move {
                let mut lapses = Lapses::new(2 * tick);
                loop {
                    tokio::time::sleep(tick).await;
                    let Some(node) = me.upgrade() else { return };
                    if lapses.look().is_some() {
                        node.links().iter().for_each(|link| link.resume());
                    }
                    node.on_time();
                }
            })
            .abort_handle()
        });
    }

    fn links(&self) -> Vec<Arc<LinkEnd>> {
        lock(&self.links).values().cloned().collect()
    }

    fn on_time(&self) {
        for link in self.links() {
            if let Err(over) = link.on_time() {
                if over == Timeout::Silent {
                    tracing::warn!(peer = %link.peer, "another node does not answer: what is relayed to it and from it ends");
                }
                self.cut(&link, over == Timeout::Silent);
            }
        }
    }
}

impl BusReceiver for Node {
    fn receive(&self, message: &[u8]) {
        let message = match Message::decode(message) {
            Ok(message) => message,
            Err(error) => return tracing::debug!(%error),
        };
        let Some(sender) = Id::parse(message.sender).filter(|sender| *sender != self.id) else {
            return;
        };
        match message.kind {
            Kind::Locate { ask, sid } if self.host.has(sid) => self.tell(Some(sender), Kind::Here { ask }),
            Kind::Here { ask } => {
                if let Some(asking) = lock(&self.asks).remove(&ask) {
                    // Whoever asked may have given up.
                    let _ = asking.send(sender);
                }
            }
            Kind::Leave => self.on_leave(sender),
            Kind::Broken { link } => {
                let known = lock(&self.links).get(&(sender, link)).cloned();
                if let Some(link) = known {
                    self.cut(&link, false);
                }
            }
            Kind::OnLink { link, number, frame } => self.on_link(sender, link, number, frame),
            _ => {}
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(clock) = self.clock.get() {
            clock.abort();
        }
        self.leave();
    }
}

/// Whether a link of this number is one that `node` opens to `other`.
fn is_of(number: u64, node: Id, other: Id) -> bool {
    number % 2 == u64::from(node > other)
}

/// A question that is open.
struct Asking<'a> {
    node: &'a Node,
    ask: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(&self.node.asks).remove(&self.ask);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
