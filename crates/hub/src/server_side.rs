//! Events between the servers of a cluster: sent to all others, heard by listeners of the namespace. Clients see nothing
//! of them.

use std::fmt;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::guard::guarded_in;
use crate::socket::log;
use crate::{BroadcastAckError, EmitError, Namespace, Payload, cluster, lock, presence};

/// Names that mean something on a namespace itself.
const RESERVED: [&str; 3] = ["connect", "connection", "new_namespace"];

pub(crate) type OnServerSide = Arc<dyn Fn(&Namespace, &ServerSideEvent) + Send + Sync>;

type Answer = Box<dyn FnOnce(Payload) + Send>;

/// An event that another server of the cluster sent.
#[derive(Debug)]
pub struct ServerSideEvent {
    name: Box<str>,
    payload: Payload,
    ack: Option<ServerSideAck>,
}

impl ServerSideEvent {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The arguments as one value: no argument is `null`, one is itself, several are an array.
    ///
    /// # Errors
    /// If they are no `T`.
    pub fn body<T: DeserializeOwned + 'static>(&self) -> Result<T, serde_json::Error> {
        self.payload.body()
    }

    /// The argument at `index`; one that is missing is `null`.
    ///
    /// # Errors
    /// If it is no `T`.
    pub fn arg<T: DeserializeOwned + 'static>(&self, index: usize) -> Result<T, serde_json::Error> {
        self.payload.arg(index)
    }

    /// What answers the event, if the other server wants an answer.
    #[must_use]
    pub fn ack(&self) -> Option<ServerSideAck> {
        self.ack.clone()
    }
}

/// The right to answer an event of another server. A clone is the same right: the first answer counts.
#[derive(Clone)]
pub struct ServerSideAck(Arc<Mutex<Option<Answer>>>);

impl ServerSideAck {
    /// Answers with one value (no value if it is `()`). What cannot be encoded is logged.
    pub fn send<T: Serialize + ?Sized>(&self, value: &T) {
        log(self.try_send(value));
    }

    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// If the value cannot be JSON; another answer may be sent.
    pub fn try_send<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), EmitError> {
        let payload = Payload::from_value(value)?;
        let answer = lock(&self.0).take();
        if let Some(answer) = answer {
            answer(payload);
        }
        Ok(())
    }
}

impl fmt::Debug for ServerSideAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSideAck")
            .field("is_answered", &lock(&self.0).is_none())
            .finish()
    }
}

/// An event for the other servers, whose answers are wanted: `.await` sends it and gives all of them.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct ServerSideRequest {
    namespace: Namespace,
    event: Box<str>,
    payload: Result<Payload, EmitError>,
    timeout: Duration,
}

impl ServerSideRequest {
    /// How long answers are waited for; without, [`ack_timeout`](crate::HubConfig::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl IntoFuture for ServerSideRequest {
    type Output = Result<Vec<Payload>, BroadcastAckError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let payload = self.payload?;
            let io = self.namespace.io();
            let Some(cluster) = io.cluster() else {
                return Ok(Vec::new());
            };
            let name = self.namespace.name();
            let acks = cluster.server_side_emit_with_ack(name, &self.event, &payload, self.timeout);
            let cluster::RemoteAcks {
                responses,
                missing,
                silent_nodes,
                ..
            } = acks.await;
            if missing == 0 {
                return Ok(responses);
            }
            Err(BroadcastAckError::Timeout {
                responses,
                missing,
                silent: Vec::new(),
                silent_nodes,
            })
        })
    }
}

/// Events between the servers of a cluster.
impl Namespace {
    /// Sends an event with one argument (none if `data` is `()`) to the other servers of the cluster, where the listeners
    /// of [`on_server_side`](Self::on_server_side) hear it; this one is left out. Without a cluster there is nobody.
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is `connect`, `connection` or `new_namespace`.
    pub fn server_side_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.send_server_side(event, &checked(event, || Payload::from_value(data))?);
        Ok(())
    }

    /// As [`server_side_emit`](Self::server_side_emit) with the elements of a tuple, array or list as arguments.
    ///
    /// # Errors
    /// If the arguments cannot be JSON, are no sequence, or the name is reserved.
    pub fn server_side_emit_args<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.send_server_side(event, &checked(event, || Payload::from_args(args))?);
        Ok(())
    }

    /// Sends an event to the other servers of the cluster and asks each for an answer, when it is awaited. Without a
    /// cluster there are none, and no answers.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use gatewire_hub::{BroadcastAckError, Namespace};
    /// # async fn count(namespace: &Namespace) -> Result<usize, BroadcastAckError> {
    /// let answers = namespace
    ///     .server_side_emit_with_ack("how many", &())
    ///     .timeout(Duration::from_secs(2))
    ///     .await?;
    /// let others: usize = answers.iter().filter_map(|answer| answer.body::<usize>().ok()).sum();
    /// # Ok(namespace.len() + others)
    /// # }
    /// ```
    pub fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> ServerSideRequest {
        self.ask_server_side(event, checked(event, || Payload::from_value(data)))
    }

    /// As [`server_side_emit_with_ack`](Self::server_side_emit_with_ack) with the elements of a tuple, array or list as
    /// arguments.
    pub fn server_side_emit_args_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> ServerSideRequest {
        self.ask_server_side(event, checked(event, || Payload::from_args(args)))
    }

    /// Calls `listener` for each event of that name that another server of the cluster sends. What takes time is to be
    /// spawned; the answer may come from there.
    ///
    /// ```
    /// # use gatewire_hub::Io;
    /// # let io = Io::default();
    /// io.of("/").on_server_side("how many", |namespace, event| {
    ///     if let Some(ack) = event.ack() {
    ///         ack.send(&namespace.len());
    ///     }
    /// });
    /// ```
    pub fn on_server_side(
        &self,
        event: &str,
        listener: impl Fn(&Self, &ServerSideEvent) + Send + Sync + 'static,
    ) {
        self.make_hooks()
            .server_side
            .push((event.into(), Arc::new(listener)));
    }

    /// For cluster adapters: an event of another server has come. `answer`, if the other server wants one, is called once
    /// at most. False if nobody listens.
    pub fn receive_server_side(&self, event: &str, payload: Payload, answer: Option<Answer>) -> bool {
        if event == presence::EVENT {
            self.watcher().receive(&payload);
            return true;
        }
        let Some(hooks) = self.hooks() else {
            return false;
        };
        let listeners = hooks.server_side.get();
        let event = ServerSideEvent {
            name: event.into(),
            payload,
            ack: answer.map(|answer| ServerSideAck(Arc::new(Mutex::new(Some(answer))))),
        };
        let mut is_heard = false;
        for (_, listener) in listeners.iter().filter(|(name, _)| **name == *event.name) {
            is_heard = true;
            guarded_in(self.name(), || listener(self, &event));
        }
        is_heard
    }

    fn ask_server_side(&self, event: &str, payload: Result<Payload, EmitError>) -> ServerSideRequest {
        ServerSideRequest {
            namespace: self.clone(),
            event: event.into(),
            payload,
            timeout: self.io().config().ack_timeout,
        }
    }

    fn send_server_side(&self, event: &str, payload: &Payload) {
        match self.io().cluster() {
            Some(cluster) => cluster.server_side_emit(self.name(), event, payload),
            None => tracing::debug!(
                event,
                "an event for the other servers was not sent: there is no cluster"
            ),
        }
    }
}

fn checked(event: &str, payload: impl FnOnce() -> Result<Payload, EmitError>) -> Result<Payload, EmitError> {
    if RESERVED.contains(&event) {
        return Err(EmitError::ReservedName {
            event: event.to_owned(),
        });
    }
    payload()
}
