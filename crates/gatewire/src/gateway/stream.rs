//! A handler that returns a stream: each item goes to the client as it comes, no faster than the client takes them; an
//! acknowledgement is answered at the end.

use std::pin::pin;

use futures_util::{Stream, StreamExt};

use super::call::OnDisconnect;
use super::reply::PendingReply;
use crate::pipeline::Exception;

/// Items that are sent in a row before the other work of the connection gets its turn.
const BURST: usize = 32;

/// Sends the items by `emit`, until the stream ends, an item is an error, its time is up, or the client has left.
pub(super) async fn drive<S: Stream>(
    stream: S,
    reply: &mut PendingReply,
    emit: impl Fn(S::Item, &PendingReply) -> Result<(), Exception>,
) {
    let mut stream = pin!(stream);
    reply.set_on_disconnect(OnDisconnect::Cancel);
    let mut burst = 0;
    loop {
        let writable = reply.socket().writable();
        let next = async {
            writable.await;
            stream.next().await
        };
        match reply.run(next).await {
            Ok(Some(item)) => {
                if let Err(exception) = emit(item, reply) {
                    return reply.reply().thrown(exception);
                }
            }
            Ok(None) => return reply.reply().nothing(),
            Err(stopped) => return reply.stopped(stopped),
        }
        burst += 1;
        if burst == BURST {
            burst = 0;
            tokio::task::yield_now().await;
        }
    }
}
