//! The connections to Redis, and the one place that knows redis-rs: where Redis is ([`Source`]), one connection to it
//! ([`Link`]), the queue of what goes out ([`Publisher`]), and the subscriptions of one node ([`Subscriber`]). Both make
//! their connections anew when they break. What the messages mean is not known here.

mod backoff;
mod link;
mod publisher;
mod source;
mod status;
mod subscriber;

pub(crate) use backoff::Backoff;
pub(crate) use link::Link;
pub(crate) use publisher::{Lost, Publisher, connect};
pub(crate) use source::Source;
pub(crate) use status::{Part, Status};
pub(crate) use subscriber::{Receiver, Subscriber, Topic};
