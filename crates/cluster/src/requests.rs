//! Questions to the other nodes that are under way: what has been answered to them, and who has still to answer. How they
//! are asked is not known here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use gatewire_hub::Payload;
use gatewire_hub::cluster::FoundSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::lock;

/// The questions of one node.
#[derive(Default)]
pub struct Requests {
    table: Mutex<HashMap<Box<str>, Entry>>,
}

#[derive(Default)]
struct Entry {
    answers: Answers,
    /// How many nodes are to answer, once it is known.
    expected: Option<usize>,
    /// Which, if they are known by name; then `expected` is not looked at.
    named: Option<Vec<Box<str>>>,
    /// The nodes that have gone since the question was asked.
    gone: Vec<Box<str>>,
    done: Option<oneshot::Sender<()>>,
}

/// What has come in answer to one question.
#[derive(Debug, Default, PartialEq)]
pub struct Answers {
    /// How many nodes have answered.
    pub nodes: usize,
    /// Their names, where the answers tell.
    pub names: Vec<Box<str>>,
    /// How many clients they have asked, whose answers are awaited, too.
    pub clients: usize,
    /// The answers of nodes or clients.
    pub responses: Vec<Payload>,
    /// The sockets that they have.
    pub sockets: Vec<FoundSocket>,
    /// How many clients of a node have still to answer. Less than none if answers overtake their number.
    awaited: HashMap<Box<str>, i64>,
}

impl Answers {
    /// A node has asked so many of its clients.
    pub fn add_clients(&mut self, node: &str, count: usize) {
        self.clients += count;
        *self.awaited.entry(node.into()).or_default() += i64::try_from(count).unwrap_or(i64::MAX);
    }

    /// A client of a node has answered.
    pub fn add_response(&mut self, node: &str, response: Payload) {
        self.responses.push(response);
        *self.awaited.entry(node.into()).or_default() -= 1;
    }

    /// How many clients of a node have still to answer.
    fn awaited_of(&self, node: &str) -> usize {
        let awaited = self.awaited.get(node).copied().unwrap_or_default();
        usize::try_from(awaited).unwrap_or_default()
    }
}

impl Entry {
    /// With clients: each that was asked has answered.
    fn is_complete(&self) -> bool {
        let answers = &self.answers;
        let have_nodes = match (&self.named, self.expected) {
            (Some(named), _) => named
                .iter()
                .all(|name| answers.names.contains(name) || self.gone.contains(name)),
            (None, Some(expected)) => answers.nodes >= expected,
            (None, None) => false,
        };
        let given_up: usize = self.gone.iter().map(|name| answers.awaited_of(name)).sum();
        have_nodes && answers.responses.len() + given_up >= answers.clients
    }

    fn check(&mut self) {
        if self.is_complete()
            && let Some(done) = self.done.take()
        {
            // Who asked may be gone.
            let _ = done.send(());
        }
    }
}

impl Requests {
    /// A question with that id. It is under way until what is returned is dropped.
    pub fn begin(self: &Arc<Self>, id: &str) -> Pending {
        let (done, receiver) = oneshot::channel();
        let entry = Entry {
            done: Some(done),
            ..Entry::default()
        };
        lock(&self.table).insert(id.into(), entry);
        Pending {
            requests: self.clone(),
            id: id.into(),
            done: receiver,
        }
    }

    /// Whether the question is one of this node's that is under way.
    pub fn has(&self, id: &str) -> bool {
        lock(&self.table).contains_key(id)
    }

    /// Adds an answer; false if nobody asks any more.
    pub fn answer(&self, id: &str, add: impl FnOnce(&mut Answers)) -> bool {
        let mut table = lock(&self.table);
        let Some(entry) = table.get_mut(id) else {
            return false;
        };
        add(&mut entry.answers);
        entry.check();
        true
    }

    /// A node has gone: it is waited for no longer, nor are its clients.
    pub fn gone(&self, node: &str) {
        for entry in lock(&self.table).values_mut() {
            if !entry.gone.iter().any(|gone| **gone == *node) {
                entry.gone.push(node.into());
                entry.check();
            }
        }
    }
}

/// A question that is under way.
pub struct Pending {
    requests: Arc<Requests>,
    id: Box<str>,
    done: oneshot::Receiver<()>,
}

impl Pending {
    /// Waits until all `nodes` have answered, but not longer than the deadline. What has come, and how many nodes have
    /// said nothing; `nodes` is asked what it is if it is not ready by then.
    pub async fn gather(
        mut self,
        deadline: Instant,
        nodes: impl Future<Output = usize>,
        nodes_by_guess: impl FnOnce() -> usize,
    ) -> (Answers, usize) {
        let expected = match timeout_at(deadline, nodes).await {
            Ok(expected) => {
                self.expect(expected);
                // Late or not, what has come is told.
                let _ = timeout_at(deadline, &mut self.done).await;
                expected
            }
            Err(_) => nodes_by_guess(),
        };
        let mut table = lock(&self.requests.table);
        let answers = table.remove(&self.id).unwrap_or_default().answers;
        let silent = expected.saturating_sub(answers.nodes);
        drop(table);
        (answers, silent)
    }

    /// Waits until the nodes of these names have answered or [gone](Requests::gone), but not longer than the deadline. What
    /// has come, and which of them have said nothing.
    pub async fn gather_named(mut self, deadline: Instant, nodes: Vec<Box<str>>) -> (Answers, Vec<Box<str>>) {
        self.change(|entry| entry.named = Some(nodes));
        // Late or not, what has come is told.
        let _ = timeout_at(deadline, &mut self.done).await;
        let entry = lock(&self.requests.table).remove(&self.id).unwrap_or_default();
        let mut silent = entry.named.unwrap_or_default();
        silent.retain(|name| !entry.answers.names.contains(name));
        (entry.answers, silent)
    }

    fn expect(&self, nodes: usize) {
        self.change(|entry| entry.expected = Some(nodes));
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = lock(&self.requests.table).get_mut(&self.id) {
            change(entry);
            entry.check();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        lock(&self.requests.table).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_last_answer() {
        let requests = Arc::<Requests>::default();
        let (pending, start) = (requests.begin("a"), Instant::now());
        assert!(requests.has("a") && !requests.has("b"));
        assert!(!requests.answer("b", |_| panic!("unknown")));
        let both = requests.clone();
        let answering = async move {
            for nodes in 1..=2 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(both.answer("a", |answers| answers.nodes = nodes));
            }
        };
        let (result, ()) = tokio::join!(pending.gather(deadline(), ready(2), || 0), answering);
        assert_eq!((result.0.nodes, result.1), (2, 0));
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert!(!requests.has("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_waited_for_too() {
        let requests = Arc::<Requests>::default();
        let pending = requests.begin("a");
        requests.answer("a", |answers| {
            answers.nodes = 1;
            answers.clients = 1;
        });
        let (answers, silent) = pending.gather(deadline(), ready(1), || 0).await;
        assert_eq!((answers.clients, answers.responses.len(), silent), (1, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_is_told_at_the_deadline() {
        let requests = Arc::<Requests>::default();
        let (pending_nodes, start) = (requests.begin("a"), Instant::now());
        requests.answer("a", |answers| answers.nodes = 1);
        let (answers, silent) = pending_nodes.gather(deadline(), pending(), || 3).await;
        assert_eq!((answers.nodes, silent), (1, 2));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_is_waited_for_no_longer() {
        let requests = Arc::<Requests>::default();
        let (pending, start) = (requests.begin("a"), Instant::now());
        let answers = |node: &str, count: usize| {
            requests.answer("a", |answers| {
                answers.names.push(node.into());
                answers.add_clients(node, count);
            });
        };
        answers("one", 1);
        answers("two", 2);
        for node in ["one", "two"] {
            requests.answer("a", |answers| answers.add_response(node, Payload::default()));
        }
        let gone = requests.clone();
        let going = async move {
            for node in ["three", "two"] {
                tokio::time::sleep(Duration::from_secs(1)).await;
                gone.gone(node);
            }
        };
        let names = ["one", "two", "three"].map(Into::into).to_vec();
        let (result, ()) = tokio::join!(pending.gather_named(deadline(), names), going);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert_eq!((result.0.clients, result.0.responses.len()), (3, 2));
        assert_eq!(result.1, ["three".into()]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_to_ask_is_no_wait() {
        let requests = Arc::<Requests>::default();
        let start = Instant::now();
        let (answers, silent) = requests.begin("a").gather(deadline(), ready(0), || 9).await;
        assert_eq!((answers, silent), (Answers::default(), 0));
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(requests.begin("b"));
        assert!(!requests.has("b"));
    }
}
