//! As servers with rooms are mostly written: the socket is split, a task of its own writes what comes out of the connection's
//! queue, and whoever wants to send to a connection puts it there. The defaults, and one flush for what waits together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;

use crate::{Outcome, handle};

/// How many messages wait for a slow receiver before it is given up.
const QUEUE: usize = 256;

type Queue = mpsc::Sender<Message>;

/// The queues of all connections.
#[derive(Default)]
struct Clients {
    next: AtomicU64,
    queues: Mutex<HashMap<u64, Queue>>,
}

impl Clients {
    fn join(&self, queue: Queue) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.with(|queues| queues.insert(id, queue));
        id
    }

    fn leave(&self, id: u64) {
        self.with(|queues| queues.remove(&id));
    }

    fn broadcast(&self, message: &Message) {
        self.with(|queues| queues.retain(|_, queue| queue.try_send(message.clone()).is_ok()));
    }

    fn with<T>(&self, then: impl FnOnce(&mut HashMap<u64, Queue>) -> T) -> T {
        then(&mut self.queues.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All of it.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(upgrade))
        .with_state(Arc::new(Clients::default()))
}

async fn upgrade(upgrade: WebSocketUpgrade, State(clients): State<Arc<Clients>>) -> Response {
    upgrade.on_upgrade(move |socket| connection(socket, clients))
}

async fn connection(socket: WebSocket, clients: Arc<Clients>) {
    let (sink, mut stream) = socket.split();
    let (queue, waiting) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(write(sink, waiting));
    let id = clients.join(queue.clone());
    while let Some(Ok(message)) = stream.next().await {
        let answer = match message {
            Message::Text(text) => match handle(&text) {
                Some(Outcome::Answer(text)) => Message::Text(text),
                Some(Outcome::Broadcast(text)) => {
                    clients.broadcast(&Message::Text(text));
                    continue;
                }
                None => continue,
            },
            Message::Binary(bytes) => Message::Binary(bytes),
            _ => continue,
        };
        if queue.send(answer).await.is_err() {
            break;
        }
    }
    clients.leave(id);
    writer.abort();
}

/// Writes until the queue or the socket is closed.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Message>,
) -> Result<(), axum::Error> {
    while let Some(message) = waiting.recv().await {
        sink.feed(message).await?;
        while let Ok(message) = waiting.try_recv() {
            sink.feed(message).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}
