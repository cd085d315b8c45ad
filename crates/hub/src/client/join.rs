//! How a client comes into namespaces: CONNECT, the wait for an asynchronous predicate, the return of a recovered
//! session, and the refusals.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use gatewire_proto::engineio::CloseReason;
use serde_json::value::RawValue;

use super::{Auth, Client, Kind, ProtocolError};
use crate::cluster::{RecoveryLog, SavedSession};
use crate::dynamic::{Admission, Refused};
use crate::entry::{Entry, begin_connect};
use crate::lobby::{Admitted, Asked, Waiting};
use crate::recovery::{Claim, Keeper, Session};
use crate::{ConnectError, Id, Namespace, OwnedEvent, Room, Socket};

impl Client {
    /// Lets a client of Socket.IO 2 into `/`. Without such a namespace nothing is said: its sockets in all others would
    /// take a refusal for their own.
    pub(super) fn open_root(&mut self, cx: &mut Context<'_>) {
        self.awaits_root = false;
        if !self.is_closed && self.io.get("/").is_some() && self.connect("/", "", cx).is_err() {
            self.outbox.close(CloseReason::ForcedClose);
        }
    }

    pub(crate) fn connect(
        &mut self,
        name: &str,
        data: &str,
        cx: &mut Context<'_>,
    ) -> Result<(), ProtocolError> {
        self.attend();
        if self.find(name).is_some() || self.find_waiting(name).is_some() {
            return Err(ProtocolError::AlreadyConnected);
        }
        let limit = self.io.config().max_namespaces_per_connection;
        let waiting = self.lobby.as_ref().map_or(0, |lobby| lobby.waiting.len());
        if self.entries.len() + waiting >= limit {
            return Err(ProtocolError::TooManyNamespaces { limit });
        }
        // The decoder has checked that it is an object.
        let auth = match data {
            "" | "{}" => None,
            data => RawValue::from_string(data.to_owned()).ok(),
        };
        match self.io.admit(name, data, &self.connection.handshake) {
            Admission::Open(namespace) => self.enter(namespace, auth, Vec::new(), cx),
            Admission::Refused(refused) => self.refuse_namespace(name, refused),
            Admission::Asked(answer) => {
                let answer = answer.map_ok(|namespace| Admitted {
                    namespace,
                    claim: Asked::NotYet,
                });
                self.wait(name, auth, Vec::new(), answer.boxed());
                self.poll_lobby(cx);
            }
        }
        Ok(())
    }

    fn wait(
        &mut self,
        name: &str,
        auth: Auth,
        early: Vec<OwnedEvent>,
        answer: BoxFuture<'static, Result<Admitted, Refused>>,
    ) {
        let waiting = Waiting {
            name: name.into(),
            auth,
            early,
            answer,
        };
        self.lobby.get_or_insert_default().waiting.push(waiting);
    }

    /// Lets in, or refuses, those about whom the answer has come.
    pub(super) fn poll_lobby(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(lobby) = &mut self.lobby {
            let Some(waiting) = lobby.waiting.get_mut(at) else {
                if lobby.waiting.is_empty() {
                    self.lobby = None;
                }
                return;
            };
            let Poll::Ready(answer) = waiting.poll(cx) else {
                at += 1;
                continue;
            };
            let Waiting {
                name, auth, early, ..
            } = lobby.waiting.remove(at);
            match answer {
                Ok(Admitted { namespace, claim }) => match claim {
                    Asked::NotYet => self.enter(namespace, auth, early, cx),
                    Asked::Nothing => self.enter_fresh(namespace, auth, early, cx),
                    Asked::Session(session, offset) => {
                        self.come_back(&namespace, auth, early, &session, &offset, cx);
                    }
                },
                Err(refused) => {
                    self.put_out(&name);
                    self.refuse_namespace(&name, refused);
                }
            }
        }
    }

    /// A new socket, whose CONNECT is answered when its namespace lets it in.
    pub(super) fn enter(
        &mut self,
        namespace: Namespace,
        auth: Option<Box<RawValue>>,
        early: Vec<OwnedEvent>,
        cx: &mut Context<'_>,
    ) {
        if let Some((auth, early)) = self.enter_again(&namespace, auth, early, cx) {
            self.enter_fresh(namespace, auth, early, cx);
        }
    }

    fn enter_fresh(
        &mut self,
        namespace: Namespace,
        auth: Auth,
        early: Vec<OwnedEvent>,
        cx: &mut Context<'_>,
    ) {
        let rare = self.rare.as_deref();
        let request = rare.and_then(|rare| rare.request.clone());
        let v2 = rare.and_then(|rare| rare.v2);
        let id = v2
            .or_else(|| request.as_ref().map(Socket::id))
            .unwrap_or_else(Id::generate);
        let mut socket = Socket::new(id, namespace, self.outbox.clone(), self.connection.clone(), auth);
        while !socket.namespace().add(&socket) {
            // It has just ended with its last socket: the next one of that name, then.
            let namespace = socket.namespace();
            let again = namespace
                .parent()
                .map(|parent| self.io.child_of(parent, namespace.name()));
            match again.unwrap_or(Err(Refused::Unknown)) {
                Ok(next) => socket = socket.moved_to(next),
                Err(refused) => {
                    let name = namespace.name();
                    self.put_out(name);
                    return self.refuse_namespace(name, refused);
                }
            }
        }
        if let Some(request) = request {
            socket.take_values(&request);
        }
        if self.io.recovery().is_some() && matches!(self.kind, Kind::V5) {
            socket.make_recoverable();
        }
        self.begin(socket, early, cx);
    }

    /// Lets a socket in that lost its connection before; what came with CONNECT is given back if it is a fresh one.
    pub(super) fn enter_again(
        &mut self,
        namespace: &Namespace,
        auth: Auth,
        early: Vec<OwnedEvent>,
        cx: &mut Context<'_>,
    ) -> Option<(Auth, Vec<OwnedEvent>)> {
        let Some(keeper) = self.io.recovery().filter(|_| matches!(self.kind, Kind::V5)) else {
            return Some((auth, early));
        };
        let Some(claim) = auth.as_deref().and_then(|auth| Claim::read(auth.get())) else {
            return Some((auth, early));
        };
        let store = match keeper {
            Keeper::Memory(store) => store,
            Keeper::Log(_, log) => {
                let answer = take_session(log.clone(), namespace.clone(), claim);
                self.wait(namespace.name(), auth, early, answer.boxed());
                self.poll_lobby(cx);
                return None;
            }
        };
        let enter = |session: Session, missed| {
            let (outbox, connection) = (self.outbox.clone(), self.connection.clone());
            let socket = Socket::new(session.id, namespace.clone(), outbox, connection, auth.clone());
            if namespace.add(&socket) {
                socket.recover(session.private_id, session.extensions, missed);
                let (own, rooms) = session
                    .rooms
                    .into_iter()
                    .partition(|room| **room == *socket.id_str());
                let own: Vec<Room> = own;
                socket.set_in_own_room(!own.is_empty());
                // Told later: who listens to rooms may send, for which this is too early.
                let changes = namespace.join_untold(&socket, rooms);
                return Ok((socket, changes));
            }
            // Not to be dropped here: values of the user may do what they like then.
            Err(session)
        };
        let Some(Ok((socket, changes))) = store.restore(namespace.name(), &claim, enter) else {
            return Some((auth, early));
        };
        namespace.tell_joined(&socket, &changes);
        self.begin(socket, early, cx);
        None
    }

    /// Lets a socket in that lost its connection before, to this node or another. It is in its rooms first, and then asks
    /// for what it missed: so it misses nothing between.
    fn come_back(
        &mut self,
        namespace: &Namespace,
        auth: Auth,
        early: Vec<OwnedEvent>,
        session: &SavedSession,
        offset: &str,
        cx: &mut Context<'_>,
    ) {
        let (outbox, connection) = (self.outbox.clone(), self.connection.clone());
        let socket = Socket::new(session.id, namespace.clone(), outbox, connection, auth.clone());
        let private_id = Id::parse(&session.private_id);
        let (Some(private_id), Some(Keeper::Log(_, log)), true) =
            (private_id, self.io.recovery(), namespace.add(&socket))
        else {
            return self.enter_fresh(namespace.clone(), auth, early, cx);
        };
        socket.come_back(private_id, session.data.clone());
        let (own, rooms): (Vec<Room>, _) = session
            .rooms
            .iter()
            .cloned()
            .partition(|room| **room == *socket.id_str());
        socket.set_in_own_room(!own.is_empty());
        namespace.join(&socket, rooms);
        let missed = log.missed(namespace.name(), session, offset);
        let future = {
            let socket = socket.clone();
            async move {
                match missed.await {
                    Some(missed) => socket.catch_up(&missed),
                    None => socket.begin_afresh(),
                }
                begin_connect(&socket).await
            }
        };
        self.begin_with(socket, early, future.boxed(), cx);
    }

    pub(super) fn begin(&mut self, socket: Socket, early: Vec<OwnedEvent>, cx: &mut Context<'_>) {
        let future = begin_connect(&socket);
        self.begin_with(socket, early, future, cx);
    }

    fn begin_with(
        &mut self,
        socket: Socket,
        early: Vec<OwnedEvent>,
        future: BoxFuture<'static, Result<(), ConnectError>>,
        cx: &mut Context<'_>,
    ) {
        // Most connections never have a second socket.
        self.entries.reserve_exact(1);
        let is_root = socket.namespace().name() == "/";
        let mut entry = Entry::new(socket, is_root, future);
        early.into_iter().for_each(|event| entry.keep(event));
        self.entries.push(entry);
        self.advance(self.entries.len() - 1, cx);
    }

    pub(super) fn refuse_namespace(&self, name: &str, refused: Refused) {
        tracing::debug!(
            namespace = name,
            ?refused,
            "a client asked for a namespace that it does not get"
        );
        self.refuse(name, &refused.error());
    }
}

/// Asks the cluster for the session that a client claims.
async fn take_session(
    log: Arc<dyn RecoveryLog>,
    namespace: Namespace,
    claim: Claim,
) -> Result<Admitted, Refused> {
    let session = log
        .take_session(namespace.name(), &claim.pid, &claim.offset)
        .await;
    Ok(Admitted {
        namespace,
        claim: match session {
            Some(session) => Asked::Session(session, claim.offset),
            None => Asked::Nothing,
        },
    })
}
