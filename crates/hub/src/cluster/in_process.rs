//! A cluster of servers in one process: of an application with several, or of a test that wants a cluster and no broker.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{BroadcastOptions, Cluster, ClusterAdapter, FoundSocket, FoundSockets, RemoteAcks, SilentNodes};
use crate::selection::{Room, Selection};
use crate::task;
use crate::{Broadcast, Namespace, Payload, Prepared, WeakIo, lock};

/// What other nodes do that may wait for a node; further ones are dropped, which is logged.
const MAX_QUEUE: usize = 100_000;

/// Connects servers of one process. A clone is the same one.
///
/// ```
/// use gatewire_hub::Io;
/// use gatewire_hub::cluster::{Cluster, InProcess};
///
/// let cluster = InProcess::new();
/// let (chat, api) = (Io::default(), Io::default());
/// chat.use_cluster(cluster.join());
/// api.use_cluster(cluster.join());
/// api.of("/").emit("news", &"also for the clients of the chat");
/// ```
#[derive(Clone, Debug, Default)]
pub struct InProcess(Arc<Members>);

#[derive(Debug, Default)]
struct Members {
    nodes: Mutex<Vec<Weak<Node>>>,
    count: AtomicUsize,
}

impl InProcess {
    /// One without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Cluster for InProcess {
    fn join(&self) -> Arc<dyn ClusterAdapter> {
        let node = Arc::new_cyclic(|own| Node {
            number: self.0.count.fetch_add(1, Ordering::Relaxed),
            own: own.clone(),
            members: self.0.clone(),
            state: Mutex::default(),
        });
        let mut nodes = lock(&self.0.nodes);
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(node.own.clone());
        node
    }
}

/// One server.
#[derive(Debug)]
struct Node {
    number: usize,
    own: Weak<Self>,
    members: Arc<Members>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The server keeps the adapter, so the adapter does not keep the server.
    namespaces: HashMap<Box<str>, WeakIo>,
    queue: VecDeque<(Box<str>, Task)>,
    /// A task works at the queue.
    is_busy: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("namespaces", &self.namespaces.keys())
            .finish_non_exhaustive()
    }
}

/// What is to be done in a namespace of another node.
type Task = Box<dyn FnOnce(&Namespace) + Send>;

/// What comes back.
enum Answer {
    /// So many clients are asked.
    Asked(usize),
    /// What one of them says. It may come before it is told how many are asked.
    Client(Payload),
    /// What the server says.
    Server(Payload),
    Sockets(Vec<FoundSocket>),
}

/// The way back, with the number of the node.
type Answers = mpsc::UnboundedSender<(usize, Answer)>;

impl Node {
    /// The other nodes that have the namespace.
    fn others(&self, namespace: &str) -> Vec<Arc<Self>> {
        let nodes = lock(&self.members.nodes);
        let others = nodes.iter().filter_map(Weak::upgrade);
        others
            .filter(|node| node.number != self.number && lock(&node.state).namespaces.contains_key(namespace))
            .collect()
    }

    fn tell(&self, namespace: &str, task: impl Fn(&Namespace) + Clone + Send + 'static) {
        for node in self.others(namespace) {
            node.push(namespace, Box::new(task.clone()));
        }
    }

    /// Behind what others have told it, and not here and now: what is told may be an answer to what this node just does.
    fn push(&self, namespace: &str, task: Task) {
        let mut state = lock(&self.state);
        if state.queue.len() >= MAX_QUEUE {
            tracing::warn!(
                namespace,
                "a message of another node was dropped: {MAX_QUEUE} others wait"
            );
            return;
        }
        state.queue.push_back((namespace.into(), task));
        if std::mem::replace(&mut state.is_busy, true) {
            return;
        }
        drop(state);
        let Some(node) = self.own.upgrade() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(task::spawn_on(&runtime, "gatewire node", async move {
                node.work().await
            })),
            Err(_) => while node.step() {},
        }
    }

    async fn work(&self) {
        while self.step() {
            tokio::task::consume_budget().await;
        }
    }

    /// Does what is next; false if there is nothing.
    fn step(&self) -> bool {
        let mut state = lock(&self.state);
        let Some((name, task)) = state.queue.pop_front() else {
            state.is_busy = false;
            return false;
        };
        let io = state.namespaces.get(&name).and_then(WeakIo::upgrade);
        drop(state);
        if let Some(namespace) = io.and_then(|io| io.get(&name)) {
            task(&namespace);
        }
        true
    }

    /// Asks the other nodes, and waits for their answers until the deadline.
    fn ask(
        &self,
        namespace: &str,
        timeout: Duration,
        task: impl Fn(&Namespace, usize, Answers) + Clone + Send + 'static,
    ) -> impl Future<Output = Gathered> + Send + 'static {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut missing = Vec::new();
        for node in self.others(namespace) {
            let (task, sender, number) = (task.clone(), sender.clone(), node.number);
            missing.push(number);
            node.push(
                namespace,
                Box::new(move |namespace| task(namespace, number, sender)),
            );
        }
        let gathered = Gathered {
            missing,
            ..Gathered::default()
        };
        gathered.wait(receiver, Instant::now() + timeout)
    }
}

/// What has come back.
#[derive(Default)]
struct Gathered {
    /// The nodes that have not answered, or not told how many clients they ask.
    missing: Vec<usize>,
    asked: usize,
    payloads: Vec<Payload>,
    sockets: Vec<FoundSocket>,
}

impl Gathered {
    async fn wait(
        mut self,
        mut answers: mpsc::UnboundedReceiver<(usize, Answer)>,
        deadline: Instant,
    ) -> Self {
        while !self.missing.is_empty() || self.payloads.len() < self.asked {
            let Ok(Some((number, answer))) = timeout_at(deadline, answers.recv()).await else {
                break;
            };
            match answer {
                // The node is missing until it has told how many it asks.
                Answer::Client(payload) => {
                    self.payloads.push(payload);
                    continue;
                }
                Answer::Asked(count) => self.asked += count,
                Answer::Server(payload) => self.payloads.push(payload),
                Answer::Sockets(sockets) => self.sockets.extend(sockets),
            }
            self.missing.retain(|missing| *missing != number);
        }
        self
    }

    fn silent_nodes(&self) -> SilentNodes {
        SilentNodes {
            count: self.missing.len(),
            names: self
                .missing
                .iter()
                .map(|number| format!("node {number}").into())
                .collect(),
        }
    }
}

/// Those of this node who are meant.
fn select(namespace: &Namespace, selection: &Selection) -> Broadcast {
    Broadcast::new(namespace.clone(), selection.clone()).local()
}

impl ClusterAdapter for Node {
    fn open(&self, namespace: &Namespace) {
        let io = namespace.io().downgrade();
        lock(&self.state).namespaces.insert(namespace.name().into(), io);
    }

    fn broadcast(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
    ) {
        let (message, selection) = (message.clone(), selection.clone());
        self.tell(namespace, move |namespace| {
            let broadcast = select(namespace, &selection).compress(options.compress);
            let broadcast = if options.volatile {
                broadcast.volatile()
            } else {
                broadcast
            };
            broadcast.emit_prepared(message.clone());
        });
    }

    fn broadcast_with_ack(
        &self,
        namespace: &str,
        message: &Prepared,
        selection: &Selection,
        options: BroadcastOptions,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let (message, selection) = (message.clone(), selection.clone());
        let answers = self.ask(namespace, timeout, move |namespace, number, answers| {
            let broadcast = select(namespace, &selection)
                .compress(options.compress)
                .timeout(timeout);
            let back = answers.clone();
            let asked = broadcast.relay_with_ack(message.data(), &message.attachments(), move |payload| {
                // Who asked may be gone.
                let _ = back.send((number, Answer::Client(payload)));
            });
            let _ = answers.send((number, Answer::Asked(asked)));
        });
        async move {
            let gathered = answers.await;
            RemoteAcks {
                missing: gathered.asked.saturating_sub(gathered.payloads.len()),
                silent: Vec::new(),
                silent_nodes: gathered.silent_nodes(),
                responses: gathered.payloads,
            }
        }
        .boxed()
    }

    fn sockets_join(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let (selection, rooms) = (selection.clone(), rooms.to_vec());
        self.tell(namespace, move |namespace| {
            select(namespace, &selection).sockets_join(&rooms);
        });
    }

    fn sockets_leave(&self, namespace: &str, selection: &Selection, rooms: &[Room]) {
        let (selection, rooms) = (selection.clone(), rooms.to_vec());
        self.tell(namespace, move |namespace| {
            select(namespace, &selection).sockets_leave(&rooms);
        });
    }

    fn disconnect_sockets(&self, namespace: &str, selection: &Selection, close: bool) {
        let selection = selection.clone();
        self.tell(namespace, move |namespace| {
            select(namespace, &selection).disconnect_sockets(close);
        });
    }

    fn fetch_sockets(
        &self,
        namespace: &str,
        selection: &Selection,
        timeout: Duration,
    ) -> BoxFuture<'static, FoundSockets> {
        let selection = selection.clone();
        let answers = self.ask(namespace, timeout, move |namespace, number, answers| {
            let sockets = select(namespace, &selection).sockets();
            let sockets = sockets.iter().map(FoundSocket::from).collect();
            let _ = answers.send((number, Answer::Sockets(sockets)));
        });
        async move {
            let gathered = answers.await;
            FoundSockets {
                silent_nodes: gathered.silent_nodes(),
                sockets: gathered.sockets,
            }
        }
        .boxed()
    }

    fn server_side_emit(&self, namespace: &str, event: &str, payload: &Payload) {
        let (event, payload) = (event.to_owned(), payload.clone());
        self.tell(namespace, move |namespace| {
            namespace.receive_server_side(&event, payload.clone(), None);
        });
    }

    fn server_side_emit_with_ack(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        let (event, payload) = (event.to_owned(), payload.clone());
        let answers = self.ask(namespace, timeout, move |namespace, number, answers| {
            let answer = move |payload| {
                let _ = answers.send((number, Answer::Server(payload)));
            };
            namespace.receive_server_side(&event, payload.clone(), Some(Box::new(answer)));
        });
        async move {
            let gathered = answers.await;
            RemoteAcks {
                missing: gathered.missing.len(),
                silent: Vec::new(),
                silent_nodes: gathered.silent_nodes(),
                responses: gathered.payloads,
            }
        }
        .boxed()
    }

    fn server_count(&self, namespace: &str) -> BoxFuture<'static, usize> {
        ready(1 + self.others(namespace).len()).boxed()
    }

    fn close_namespace(&self, namespace: &str) {
        lock(&self.state).namespaces.remove(namespace);
    }

    fn close(&self) {
        lock(&self.state).namespaces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_may_answer_before_it_is_told_how_many_are_asked() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let says = |number: usize| Answer::Client(Payload::from_value(&number).unwrap());
        for answer in [
            (1, Answer::Asked(1)),
            (2, says(2)),
            (1, says(1)),
            (2, Answer::Asked(1)),
        ] {
            sender.send(answer).unwrap();
        }
        let gathered = Gathered {
            missing: vec![1, 2],
            ..Gathered::default()
        };
        let gathered = gathered
            .wait(receiver, Instant::now() + Duration::from_secs(5))
            .await;
        assert_eq!(
            (gathered.payloads.len(), gathered.asked, gathered.missing.len()),
            (2, 2, 0)
        );
    }
}
