//! One connection to Redis, to one server or to a cluster of them.

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{Arg, Cmd, Pipeline, RedisResult, Value};

use super::Topic;

/// A clone is the same connection.
#[derive(Clone)]
pub(crate) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// The answer to one command.
    pub(crate) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Sends commands one behind the other: the answer to each, or an error if the connection broke.
    pub(crate) async fn query_all(&mut self, commands: &[Cmd]) -> RedisResult<Vec<RedisResult<Value>>> {
        let connection = match self {
            Self::Single(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                let answers = connection.send_packed_commands(&pipeline, 0, commands.len());
                return Ok(answers.await?.into_iter().map(Value::extract_error).collect());
            }
            Self::Cluster(connection) => &*connection,
        };
        // What is published on one channel keeps its order; what belongs to different slots may go to different servers.
        let mut runs: Vec<(Option<Slot>, Vec<usize>)> = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let slot = slot(command);
            match runs.iter_mut().find(|(run, _)| slot.is_some() && *run == slot) {
                Some((_, run)) => run.push(index),
                None => runs.push((slot, vec![index])),
            }
        }
        let queries = runs.iter().map(|(slot, run)| {
            let mut connection = connection.clone();
            async move {
                let Some(slot) = *slot else {
                    // Alone in its run.
                    return Ok(vec![commands[run[0]].query_async(&mut connection).await]);
                };
                let mut pipeline = Pipeline::with_capacity(run.len());
                for &index in run {
                    pipeline.add_command(commands[index].clone());
                }
                let route = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
                let answers = connection.route_pipeline(pipeline, 0, run.len(), route).await?;
                Ok(answers.into_iter().map(Value::extract_error).collect())
            }
        });
        let results: Vec<RedisResult<Vec<RedisResult<Value>>>> = join_all(queries).await;
        let mut answers = Vec::new();
        answers.resize_with(commands.len(), || Ok(Value::Nil));
        for ((_, run), result) in runs.iter().zip(results) {
            match result {
                Ok(values) => {
                    for (&index, value) in run.iter().zip(values) {
                        answers[index] = value;
                    }
                }
                Err(error) => run.iter().for_each(|&index| answers[index] = Err(error.clone())),
            }
        }
        let is_broken =
            |answer: &RedisResult<Value>| matches!(answer, Err(error) if error.is_unrecoverable_error());
        if !answers.is_empty() && answers.iter().all(is_broken) {
            answers.swap_remove(0)?;
        }
        Ok(answers)
    }

    /// Subscribes to topics, or ends that.
    pub(crate) async fn subscribe(&mut self, topics: &[Topic], is_on: bool) -> RedisResult<()> {
        let connection = match self {
            Self::Single(_) => {
                // One topic a command: each has one confirmation then.
                let commands: Vec<Cmd> = topics.iter().map(|topic| topic.command(is_on)).collect();
                for answer in self.query_all(&commands).await? {
                    answer?;
                }
                return Ok(());
            }
            Self::Cluster(connection) => &*connection,
        };
        let changes = topics.iter().map(|topic| {
            let mut connection = connection.clone();
            async move {
                match (topic, is_on) {
                    (Topic::Channel(name), true) => connection.subscribe(&**name).await,
                    (Topic::Channel(name), false) => connection.unsubscribe(&**name).await,
                    (Topic::Pattern(name), true) => connection.psubscribe(&**name).await,
                    (Topic::Pattern(name), false) => connection.punsubscribe(&**name).await,
                    (Topic::Shard(name), true) => connection.ssubscribe(&**name).await,
                    (Topic::Shard(name), false) => connection.sunsubscribe(&**name).await,
                }
            }
        });
        join_all(changes).await.into_iter().collect()
    }
}

/// Where the command goes, by its first key; `None` if it asks all servers.
fn slot(command: &Cmd) -> Option<Slot> {
    let mut args = command.args_iter().map(|arg| match arg {
        Arg::Simple(arg) => arg,
        _ => b"",
    });
    match args.next()? {
        b"PUBSUB" => None,
        // All servers of a cluster get it, from whichever it is published on: one keeps the order of all channels.
        b"PUBLISH" => Slot::new(0),
        _ => args.next().map(Slot::for_key),
    }
}
