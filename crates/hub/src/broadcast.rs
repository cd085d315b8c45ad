//! A message to many: the operators that choose its receivers, and the calls that send it. Operators change nothing in
//! place, each returns a new broadcast.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::ack::{PendingAck, Relay};
use crate::cluster::{RecoveryLog, SilentNodes};
use crate::encode::{self, Arguments, One, Spread};
use crate::fanout::{self, Job};
use crate::recovery::{Delivery, Keeper, Store, WithOffset, offset_text};
use crate::room::Receivers;
use crate::selection::{Flags, IntoRooms, Selection};
use crate::socket::log;
use crate::task;
use crate::{
    BroadcastAckRequest, EmitError, FetchError, Namespace, Payload, Prepared, RemoteSocket, Socket, cluster,
};

/// Sockets of a namespace, chosen by rooms, and how messages go to them. Each socket is chosen once, in however many
/// of the rooms it is.
#[derive(Debug, Clone)]
#[must_use = "a broadcast does nothing until it emits"]
pub struct Broadcast {
    namespace: Namespace,
    selection: Selection,
    /// The one socket that is meant, until rooms are named.
    own: Option<Socket>,
    flags: Flags,
}

impl Broadcast {
    pub(crate) fn new(namespace: Namespace, selection: Selection) -> Self {
        Self {
            namespace,
            selection,
            own: None,
            flags: Flags::DEFAULT,
        }
    }

    /// To one socket alone.
    pub(crate) fn direct(socket: Socket) -> Self {
        let namespace = socket.namespace().clone();
        Self {
            own: Some(socket),
            ..Self::new(namespace, Selection::default())
        }
    }

    /// Adds rooms to those that are meant. With none added, everyone is; an empty list of rooms is nobody.
    pub fn to(self, rooms: impl IntoRooms) -> Self {
        let mut all = self.all_but_own();
        all.selection.add_rooms(rooms);
        all
    }

    /// The same as [`to`](Self::to).
    pub fn in_room(self, rooms: impl IntoRooms) -> Self {
        self.to(rooms)
    }

    /// Leaves out who is in the rooms.
    pub fn except(self, rooms: impl IntoRooms) -> Self {
        let mut all = self.all_but_own();
        all.selection.except.extend(rooms.into_rooms());
        all
    }

    /// From one socket to everyone without it.
    fn all_but_own(mut self) -> Self {
        if let Some(socket) = self.own.take() {
            self.selection.sender = Some(socket.id());
        }
        self
    }

    /// Messages are dropped for receivers that cannot take them at once.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether messages may be compressed, where that is agreed on with a client; they may if this is not called. A polling
    /// response that holds others, too, is compressed for their sake.
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// Only to sockets of this process, not to the other nodes of a cluster.
    pub fn local(mut self) -> Self {
        self.flags.local = true;
        self
    }

    /// How long answers are waited for; without, [`ack_timeout`](crate::HubConfig::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.flags.timeout = Some(timeout);
        self
    }

    /// Sends an event with one argument (none if `data` is `()`). What cannot be encoded is logged.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        log(self.try_emit(event, data));
    }

    /// As [`emit`](Self::emit).
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn try_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.encode_and_send(event, &One(data))
    }

    /// Sends an event whose arguments are the elements of a tuple, array or list. What cannot be encoded is logged.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) {
        log(self.try_emit_args(event, args));
    }

    /// As [`emit_args`](Self::emit_args).
    ///
    /// # Errors
    /// If the arguments cannot be JSON, are no sequence, or the name is reserved.
    pub fn try_emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.encode_and_send(event, &Spread(args))
    }

    /// Sends an event with arguments that came in elsewhere.
    pub fn emit_payload(&self, event: &str, payload: &Payload) {
        log(self.encode_and_send(event, payload));
    }

    /// Sends a packet that was encoded before, for this namespace. It is not kept for connection state recovery.
    pub fn emit_prepared(&self, message: Prepared) {
        if let Some(cluster) = self.cluster() {
            cluster.broadcast(self.namespace.name(), &message, &self.selection, self.options());
        }
        self.send(self.receivers(), message);
    }

    /// Sends an event and asks each receiver for an answer: await what is returned. The event leaves at once.
    pub fn emit_with_ack<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> BroadcastAckRequest {
        self.request_acks(event, &One(data))
    }

    /// As [`emit_with_ack`](Self::emit_with_ack) with the elements of a tuple, array or list as arguments.
    pub fn emit_args_with_ack<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> BroadcastAckRequest {
        self.request_acks(event, &Spread(args))
    }

    /// For cluster adapters: sends an event of another node, its data as in [`Prepared::from_data`], to the chosen sockets
    /// of this process and asks them for answers. Each is handed to `answer` as it comes, until the timeout is over. How many
    /// sockets are asked is returned.
    pub fn relay_with_ack(
        &self,
        data: &str,
        attachments: &[Bytes],
        answer: impl Fn(Payload) + Send + Sync + 'static,
    ) -> usize {
        let (id, receivers) = (self.namespace.next_ack_id(), self.receivers());
        let message = Prepared::from_data(self.namespace.name(), data, attachments, Some(id));
        let relay: Relay = Arc::new(answer);
        let mut asked = 0;
        for socket in receivers.iter() {
            asked += 1;
            // Who cannot be asked is one of those who do not answer.
            let _ = socket.add_ack(id, PendingAck::Relay(relay.clone()));
        }
        self.send(receivers.clone(), message);
        if asked > 0
            && let Some(runtime) = self.namespace.io().runtime()
        {
            let timeout = self.timeout_or_default();
            task::spawn_on(&runtime, "gatewire answers", async move {
                tokio::time::sleep(timeout).await;
                for socket in receivers.iter() {
                    socket.remove_ack(id);
                }
            });
        }
        asked
    }

    /// The chosen sockets of this process.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.receivers().iter().cloned().collect()
    }

    /// The chosen sockets of the whole cluster, as they are now. Those of nodes that do not answer in time are left out;
    /// see [`try_fetch_sockets`](Self::try_fetch_sockets).
    pub async fn fetch_sockets(&self) -> Vec<RemoteSocket> {
        match self.try_fetch_sockets().await {
            Ok(sockets) => sockets,
            Err(error) => error.sockets,
        }
    }

    /// As [`fetch_sockets`](Self::fetch_sockets).
    ///
    /// # Errors
    /// If a node of the cluster does not answer in time; the error has the sockets of the others.
    pub async fn try_fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut sockets: Vec<_> = self.receivers().iter().map(RemoteSocket::from).collect();
        let Some(cluster) = self.cluster() else {
            return Ok(sockets);
        };
        let (name, timeout) = (self.namespace.name(), self.timeout_or_default());
        let found = cluster.fetch_sockets(name, &self.selection, timeout).await;
        let remote = found.sockets.into_iter();
        sockets.extend(remote.map(|found| RemoteSocket::found(&self.namespace, found)));
        match found.silent_nodes {
            SilentNodes { count: 0, .. } => Ok(sockets),
            silent_nodes => Err(FetchError {
                sockets,
                silent_nodes,
            }),
        }
    }

    /// Waits until the large broadcasts before it are out, and each chosen socket of this process has taken so much of what
    /// it was sent that there is room for more, or has left. Who sends much, and could send it later, waits here between two
    /// messages, as [`Socket::writable`] does for one client; `emit` itself never waits.
    ///
    /// One client that takes nothing would hold up everybody: those who have no room after the
    /// [`timeout`](Self::timeout) (without one, [`ack_timeout`](crate::HubConfig::ack_timeout)) are returned, to be left to
    /// the bound of their connection, left out next time, or disconnected. Await it within a tokio runtime.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn send(namespace: gatewire_hub::Namespace, lines: Vec<String>) {
    /// for line in lines {
    ///     namespace.to("log").emit("line", &line);
    ///     for slow in namespace.to("log").timeout(Duration::from_secs(1)).writable().await {
    ///         slow.disconnect(true);
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn writable(&self) -> Vec<Socket> {
        let deadline = Instant::now() + self.timeout_or_default();
        let fanout = &self.namespace.shared().fanout;
        // Large broadcasts that take longer keep nobody's connection from taking more.
        let _ = timeout_at(deadline, fanout.idle()).await;
        let slice = self.namespace.io().config().fanout_slice.max(1);
        let mut slow = Vec::new();
        for (looked_at, socket) in self.receivers().iter().enumerate() {
            if looked_at > 0 && looked_at % slice == 0 {
                yield_now().await;
            }
            if timeout_at(deadline, socket.writable()).await.is_err() {
                slow.push(socket.clone());
            }
        }
        slow
    }

    /// The chosen sockets enter rooms.
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        let rooms = rooms.into_rooms();
        for socket in self.receivers().iter() {
            self.namespace.join(socket, rooms.clone());
        }
        if let Some(cluster) = self.cluster() {
            cluster.sockets_join(self.namespace.name(), &self.selection, &rooms);
        }
    }

    /// The chosen sockets leave rooms.
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        let rooms = rooms.into_rooms();
        for socket in self.receivers().iter() {
            self.namespace.leave(socket, &rooms);
        }
        if let Some(cluster) = self.cluster() {
            cluster.sockets_leave(self.namespace.name(), &self.selection, &rooms);
        }
    }

    /// The chosen sockets are put out of the namespace; with `close` their connections end.
    pub fn disconnect_sockets(&self, close: bool) {
        // The others first: with its last socket here the namespace may end, and the adapter knows it no longer.
        if let Some(cluster) = self.cluster() {
            cluster.disconnect_sockets(self.namespace.name(), &self.selection, close);
        }
        for socket in self.receivers().iter() {
            socket.disconnect(close);
        }
    }

    fn encode_and_send(&self, event: &str, args: &dyn Arguments) -> Result<(), EmitError> {
        if let Some(recovery) = self.namespace.io().recovery()
            && !self.flags.volatile
        {
            return self.send_kept(recovery, event, args);
        }
        let message = encode::event(self.namespace.name(), event, args, None, |packet| {
            packet.into_prepared()
        })?;
        self.emit_prepared(message);
        Ok(())
    }

    /// Sends an event that a client which is away gets when it comes back.
    pub(crate) fn send_kept(
        &self,
        keeper: &Keeper,
        event: &str,
        args: &dyn Arguments,
    ) -> Result<(), EmitError> {
        match keeper {
            Keeper::Memory(store) => self.send_stored(store, event, args),
            Keeper::Log(_, log) => self.publish(&**log, event, args),
        }
    }

    /// By way of the cluster's log.
    fn publish(&self, log: &dyn RecoveryLog, event: &str, args: &dyn Arguments) -> Result<(), EmitError> {
        let name = self.namespace.name();
        let message = encode::event(name, event, args, None, |packet| packet.into_prepared())?;
        if self.flags.local || self.selection.rooms() == Some(&[]) {
            self.send_here(message);
            return Ok(());
        }
        if let Some(selection) = self.kept_selection() {
            let delivery = Delivery::new(message.clone(), self.clone());
            log.publish(name, &message, &selection, self.options(), delivery);
        }
        Ok(())
    }

    fn send_stored(&self, store: &Store, event: &str, args: &dyn Arguments) -> Result<(), EmitError> {
        let (name, offset) = (self.namespace.shared_name(), store.next_offset());
        let text = offset_text(offset);
        let message = encode::event(name, event, &WithOffset(args, text.as_str()), None, |packet| {
            packet.into_prepared()
        })?;
        if let Some(cluster) = self.cluster() {
            cluster.broadcast(name, &message, &self.selection, self.options());
        }
        let message = message.marked(text.as_str());
        if let Some(selection) = self.kept_selection() {
            let receivers = store.keep(name, offset, &message, selection, || self.receivers());
            self.send(receivers, message);
        }
        Ok(())
    }

    /// Whom a message is kept for; `None` if for nobody.
    fn kept_selection(&self) -> Option<Selection> {
        match &self.own {
            Some(socket) if socket.is_over() => None,
            Some(socket) => Some(Selection {
                rooms: Some(vec![socket.id_str().into()]),
                ..Selection::default()
            }),
            None => Some(self.selection.clone()),
        }
    }

    /// To the chosen sockets of this process.
    pub(crate) fn send_here(&self, message: Prepared) {
        self.send(self.receivers(), message);
    }

    fn request_acks(&self, event: &str, args: &dyn Arguments) -> BroadcastAckRequest {
        let (id, timeout) = (self.namespace.next_ack_id(), self.timeout_or_default());
        let name = self.namespace.name();
        match encode::event(name, event, args, Some(id), |packet| packet.into_prepared()) {
            Ok(message) => {
                let remote = self.cluster().map(|cluster| {
                    cluster.broadcast_with_ack(name, &message, &self.selection, self.options(), timeout)
                });
                BroadcastAckRequest::new(id, self.receivers(), timeout, remote, |receivers| {
                    self.send(receivers, message);
                })
            }
            Err(error) => BroadcastAckRequest::failed(error),
        }
    }

    fn receivers(&self) -> Receivers {
        match &self.own {
            Some(socket) => Receivers::one(socket.present()),
            None => self.namespace.select(&self.selection),
        }
    }

    fn send(&self, receivers: Receivers, message: Prepared) {
        let message = if self.flags.compress {
            message
        } else {
            message.uncompressed()
        };
        fanout::submit(
            &self.namespace,
            Job {
                receivers,
                message,
                flags: self.flags,
            },
        );
    }

    fn cluster(&self) -> Option<&dyn cluster::ClusterAdapter> {
        let is_local = self.flags.local || self.own.is_some() || self.selection.rooms() == Some(&[]);
        self.namespace.io().cluster().filter(|_| !is_local)
    }

    fn options(&self) -> cluster::BroadcastOptions {
        cluster::BroadcastOptions {
            volatile: self.flags.volatile,
            compress: self.flags.compress,
        }
    }

    fn timeout_or_default(&self) -> Duration {
        self.flags
            .timeout
            .unwrap_or_else(|| self.namespace.io().config().ack_timeout)
    }
}
