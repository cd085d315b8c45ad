//! The kinds of work.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A kind of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Each connection has one request in flight.
    Echo,
    /// Each connection sends many requests at a time and waits for all answers.
    Pipelined,
    /// One connection's messages go to all; the next when all have the last.
    Fanout,
    /// The same with four in flight.
    Fanout4,
    /// Sixteen connections send broadcasts at once.
    Crossfire,
    /// Connections open, join and close.
    Churn,
    /// [`Echo`](Self::Echo) over long-polling.
    Polling,
    /// [`Echo`](Self::Echo) with binary messages of 64 KiB.
    Binary64k,
    /// The same with 1 MiB.
    Binary1m,
    /// As [`Fanout`](Self::Fanout), with messages of 4 KiB that are compressed.
    FanoutDeflate,
    /// Connections are held and do nothing.
    Idle,
    /// The same; compression was agreed on, and each has received one compressed message.
    IdleDeflate,
    /// Sessions over long-polling are held and do nothing.
    IdlePolling,
}

/// The size of the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Shape {
    /// How many connections; over long-polling, how many clients, with two connections each.
    pub(crate) connections: usize,
    /// How many requests, or broadcasts, are in flight at most.
    pub(crate) depth: usize,
}

impl Mode {
    /// Every mode.
    const EVERY: [Self; 13] = [
        Self::Echo,
        Self::Pipelined,
        Self::Fanout,
        Self::Fanout4,
        Self::Crossfire,
        Self::Churn,
        Self::Polling,
        Self::Binary64k,
        Self::Binary1m,
        Self::FanoutDeflate,
        Self::Idle,
        Self::IdleDeflate,
        Self::IdlePolling,
    ];

    /// The modes of the side-by-side run, in their order. [`Crossfire`](Self::Crossfire) is for servers of several threads.
    pub(crate) const ALL: [Self; 12] = [
        Self::Echo,
        Self::Pipelined,
        Self::Fanout,
        Self::Fanout4,
        Self::Churn,
        Self::Polling,
        Self::Binary64k,
        Self::Binary1m,
        Self::FanoutDeflate,
        Self::Idle,
        Self::IdleDeflate,
        Self::IdlePolling,
    ];

    /// Whether messages are compressed; not every peer can.
    pub(crate) fn is_deflated(self) -> bool {
        matches!(self, Self::FanoutDeflate | Self::IdleDeflate)
    }

    /// Whether connections are only held.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleDeflate | Self::IdlePolling)
    }

    /// How large binary messages are, in bytes, if there are any.
    pub(crate) fn binary(self) -> Option<usize> {
        match self {
            Self::Binary64k => Some(64 << 10),
            Self::Binary1m => Some(1 << 20),
            _ => None,
        }
    }

    /// Whether it goes over long-polling.
    pub(crate) fn is_polling(self) -> bool {
        matches!(self, Self::Polling | Self::IdlePolling)
    }

    /// The name on the command line and in the results.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Pipelined => "pipelined",
            Self::Fanout => "fanout",
            Self::Fanout4 => "fanout4",
            Self::Crossfire => "crossfire",
            Self::Churn => "churn",
            Self::Polling => "polling",
            Self::Binary64k => "binary64k",
            Self::Binary1m => "binary1m",
            Self::FanoutDeflate => "fanout-deflate",
            Self::Idle => "idle",
            Self::IdleDeflate => "idle-deflate",
            Self::IdlePolling => "idle-polling",
        }
    }

    /// What it is, for a heading.
    pub(crate) fn title(self, shape: Shape) -> String {
        let Shape { connections, depth } = shape;
        match self {
            Self::Echo | Self::Pipelined => {
                format!("request and answer, {connections} connections × {depth} in flight")
            }
            Self::Fanout | Self::Fanout4 => format!("broadcast to {connections}, {depth} in flight"),
            Self::Crossfire => {
                format!("broadcasts of 16 connections at once to {connections}, {depth} in flight from each")
            }
            Self::Churn => format!("connect, join, close; {connections} at a time"),
            Self::Polling => format!("request and answer over long-polling, {connections} clients"),
            Self::Binary64k => format!("64 KiB there and back, {connections} connections"),
            Self::Binary1m => format!("1 MiB there and back, {connections} connections"),
            Self::FanoutDeflate => {
                format!("broadcast of 4 KiB, compressed, to {connections}, {depth} in flight")
            }
            Self::Idle => format!("{connections} idle connections"),
            Self::IdleDeflate => {
                format!(
                    "{connections} idle connections, each with compression and one compressed message received"
                )
            }
            Self::IdlePolling => format!("{connections} idle clients on long-polling"),
        }
    }

    /// What its figure counts.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Echo | Self::Pipelined | Self::Polling => "CPU µs per message",
            Self::Fanout | Self::Fanout4 | Self::Crossfire | Self::FanoutDeflate => "CPU µs per delivery",
            Self::Churn => "CPU µs per connection",
            Self::Binary64k | Self::Binary1m => "CPU µs per MiB",
            Self::Idle | Self::IdleDeflate => "resident bytes per connection",
            Self::IdlePolling => "resident bytes per client",
        }
    }

    /// What it does many of in a second, where that is not what the figure counts one of.
    pub(crate) fn rate(self) -> &'static str {
        if self.binary().is_some() { " MiB" } else { "" }
    }

    /// How many connections, and how much in flight, unless told otherwise.
    pub(crate) fn shape(self) -> Shape {
        let (connections, depth) = match self {
            Self::Echo | Self::Polling => (100, 1),
            Self::Pipelined => (50, 32),
            Self::Fanout | Self::FanoutDeflate => (1_000, 1),
            Self::Fanout4 => (1_000, 4),
            Self::Crossfire => (200, 4),
            Self::Churn => (32, 1),
            Self::Binary64k => (16, 1),
            Self::Binary1m => (4, 1),
            Self::Idle | Self::IdleDeflate => (10_000, 1),
            Self::IdlePolling => (2_000, 1),
        };
        Shape { connections, depth }
    }

    /// How many TCP connections that is.
    pub(crate) fn connections(self) -> usize {
        self.shape().connections * if self.is_polling() { 2 } else { 1 }
    }

    /// What a server's environment has for it.
    pub(crate) fn environment(self) -> [(&'static str, &'static str); 2] {
        let flag = |is_on| if is_on { "1" } else { "0" };
        [
            ("DEFLATE", flag(self.is_deflated())),
            ("BINARY", flag(self.binary().is_some())),
        ]
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::EVERY
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "unknown mode \"{text}\": {}",
                    Self::EVERY.map(Self::as_str).join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_names() {
        for mode in Mode::EVERY {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert!("nonsense".parse::<Mode>().is_err());
    }
}
