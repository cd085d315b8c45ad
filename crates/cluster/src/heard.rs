//! When the other nodes were heard last. Nodes do not tell that they are there: one that has nothing to say is silent.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock;
use crate::wire::cluster::EMITTER;

/// Nodes whose names are remembered.
const MAX_NODES: usize = 1_024;

/// A node that was heard so long ago is not missed.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// The nodes that have said anything in the last ten minutes; 1,024 at most.
#[derive(Debug, Default)]
pub struct Heard {
    nodes: Mutex<HashMap<Box<str>, Times>>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    /// When it said anything.
    said: Instant,
    /// When it answered a question.
    answered: Option<Instant>,
}

impl Heard {
    /// A node has said something. Who only emits is no node.
    pub fn said(&self, name: &str) {
        self.note(name, false);
    }

    /// A node has answered a question.
    pub fn answered(&self, name: &str) {
        self.note(name, true);
    }

    fn note(&self, name: &str, is_answer: bool) {
        if name == EMITTER {
            return;
        }
        let now = Instant::now();
        let mut nodes = lock(&self.nodes);
        if let Some(times) = nodes.get_mut(name) {
            times.said = now;
            if is_answer {
                times.answered = Some(now);
            }
            return;
        }
        if nodes.len() >= MAX_NODES {
            nodes.retain(|_, times| now.duration_since(times.said) < KEPT_FOR);
        }
        if nodes.len() < MAX_NODES {
            let times = Times {
                said: now,
                answered: is_answer.then_some(now),
            };
            nodes.insert(name.into(), times);
        }
    }

    /// A node has gone.
    pub fn forget(&self, name: &str) {
        lock(&self.nodes).remove(name);
    }

    /// How long ago each was heard, the longest silence first.
    #[must_use]
    pub fn ages(&self) -> Vec<(Box<str>, Duration)> {
        let now = Instant::now();
        let nodes = lock(&self.nodes);
        let ages = nodes
            .iter()
            .map(|(name, times)| (name.clone(), now.duration_since(times.said)));
        let mut ages: Vec<_> = ages.filter(|(_, age)| *age < KEPT_FOR).collect();
        ages.sort_by(|(one, one_age), (other, other_age)| other_age.cmp(one_age).then(one.cmp(other)));
        ages
    }

    /// Those that have answered before, the latest first, but for these.
    pub(crate) fn known_without(&self, names: &[Box<str>]) -> Vec<Box<str>> {
        let now = Instant::now();
        let nodes = lock(&self.nodes);
        let mut known: Vec<(&Box<str>, Instant)> = nodes
            .iter()
            .filter_map(|(name, times)| Some((name, times.answered?)))
            .filter(|(name, at)| !names.contains(name) && now.duration_since(*at) < KEPT_FOR)
            .collect();
        known.sort_by(|(_, one), (_, other)| other.cmp(one));
        known.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds(count: u64) {
        tokio::time::advance(Duration::from_secs(count)).await;
    }

    fn ages(heard: &Heard) -> Vec<(String, u64)> {
        let ages = heard.ages().into_iter();
        ages.map(|(name, age)| (name.into(), age.as_secs())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silence_is_told_first() {
        let heard = Heard::default();
        heard.said("one");
        seconds(3).await;
        heard.answered("two");
        heard.said(EMITTER);
        seconds(4).await;
        assert_eq!(ages(&heard), [("one".into(), 7), ("two".into(), 4)]);
        heard.said("one");
        assert_eq!(ages(&heard), [("two".into(), 4), ("one".into(), 0)]);
        heard.forget("two");
        assert_eq!(ages(&heard), [("one".into(), 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_answered_lately_is_missed() {
        let heard = Heard::default();
        for name in ["one", "two", "three"] {
            heard.answered(name);
            seconds(1).await;
        }
        heard.said("four");
        assert_eq!(
            heard.known_without(&["two".into()]),
            ["three".into(), "one".into()]
        );
        seconds(600).await;
        heard.said("three");
        assert_eq!(heard.known_without(&[]), []);
        assert_eq!(ages(&heard), [("three".into(), 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_bounded() {
        let heard = Heard::default();
        for n in 0..MAX_NODES + 10 {
            heard.said(&n.to_string());
        }
        assert_eq!(heard.ages().len(), MAX_NODES);
        seconds(600).await;
        heard.said("late");
        assert_eq!(ages(&heard), [("late".into(), 0)]);
    }
}
