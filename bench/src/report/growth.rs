//! What one message costs when there is more of everything.

use std::fmt::Write as _;

use serde::Serialize;

use super::lines::{self, Line, Panel};
use super::number;
use super::svg::{self, line_colour};
use crate::load::Outcome;
use crate::peers::Peer;
use crate::stats::Summary;

/// What becomes more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Connections, of which a hundred send requests.
    Echo,
    /// Connections, all of which receive broadcasts.
    Fanout,
    /// Rooms, to which messages are sent.
    Rooms,
    /// Namespaces, in which requests are sent.
    Namespaces,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Echo, Self::Fanout, Self::Rooms, Self::Namespaces];

    /// How it is called in progress lines and failures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo of",
            Self::Fanout => "fanout to",
            Self::Rooms => "rooms",
            Self::Namespaces => "namespaces",
        }
    }

    /// How many there are in turn.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Echo | Self::Fanout => &[100, 1_000, 5_000, 15_000],
            Self::Rooms => &[10, 100, 1_000, 10_000],
            Self::Namespaces => &[1, 10, 1_000],
        }
    }

    /// How many connections it takes.
    pub(crate) fn connections(self, size: usize) -> usize {
        match self {
            Self::Echo | Self::Fanout => size,
            Self::Rooms | Self::Namespaces => 1_000,
        }
    }

    /// What is counted.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Echo | Self::Namespaces => "CPU µs per message",
            Self::Fanout | Self::Rooms => "CPU µs per delivery",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Echo => "Request and answer on 100 connections of so many",
            Self::Fanout => "Broadcast to so many connections",
            Self::Rooms => "Messages to one of so many rooms, each with 10 of 1,000 connections",
            Self::Namespaces => "Request and answer on 1,000 connections spread over so many namespaces",
        }
    }

    fn places(self) -> &'static str {
        match self {
            Self::Echo | Self::Fanout => "connections",
            Self::Rooms => "rooms",
            Self::Namespaces => "namespaces",
        }
    }
}

/// One kind of growth, with every server.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    /// What becomes more.
    pub(crate) kind: Kind,
    lines: Vec<PeerLine>,
    /// What this machine has not open files enough for, and how many connections it has them for.
    left_out: Vec<(usize, u64)>,
}

#[derive(Debug, Serialize)]
struct PeerLine {
    peer: &'static str,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    size: usize,
    figures: Vec<f64>,
    resident: Vec<u64>,
}

impl Growth {
    /// Nothing measured yet.
    pub(crate) fn new(kind: Kind, peers: &[Peer]) -> Self {
        let points = || {
            let point = |size: &usize| Point {
                size: *size,
                figures: Vec::new(),
                resident: Vec::new(),
            };
            kind.sizes().iter().map(point).collect()
        };
        Self {
            kind,
            lines: peers
                .iter()
                .map(|peer| PeerLine {
                    peer: peer.name,
                    points: points(),
                })
                .collect(),
            left_out: Vec::new(),
        }
    }

    /// Adds a measurement.
    pub(crate) fn add(&mut self, peer: Peer, size: usize, outcome: &Outcome) {
        let line = self.lines.iter_mut().find(|line| line.peer == peer.name);
        if let Some(point) = line.and_then(|line| line.points.iter_mut().find(|point| point.size == size)) {
            point.figures.extend(outcome.figure);
            point.resident.extend(outcome.resident);
        }
    }

    /// Notes that a size needs more open files than there may be; with `most` connections there are enough.
    pub(crate) fn leave_out(&mut self, size: usize, most: u64) {
        if self.left_out.iter().all(|(known, _)| *known != size) {
            self.left_out.push((size, most));
        }
    }

    /// The figure of the largest size by that of the smallest, of one server.
    pub(super) fn factor(&self, peer: &str) -> Option<f64> {
        let line = self.lines.iter().find(|line| line.peer == peer)?;
        let figures: Vec<f64> = line.points.iter().filter_map(Point::figure).collect();
        let (first, last) = (figures.first()?, figures.last()?);
        (figures.len() > 1).then(|| last / first)
    }

    pub(super) fn put_markdown(&self, text: &mut String) {
        let places: Vec<String> = self.kind.sizes().iter().map(usize::to_string).collect();
        let _ = write!(
            text,
            "\n{}, {}:\n\n| {} | {} |\n|---|{}\n",
            self.kind.title(),
            self.kind.unit(),
            self.kind.places(),
            places.join(" | "),
            "---:|".repeat(places.len())
        );
        for line in &self.lines {
            let cells: Vec<String> = line
                .points
                .iter()
                .map(|point| point.figure().map_or_else(|| "–".to_owned(), number))
                .collect();
            let _ = writeln!(text, "| {} | {} |", line.peer, cells.join(" | "));
        }
        if self.kind == Kind::Namespaces {
            for line in &self.lines {
                line.put_memory(text);
            }
        }
        for (size, most) in &self.left_out {
            let _ = write!(
                text,
                "\n{size} connections are not measured: the limit of open files here is enough for {most}.\n"
            );
        }
    }

    fn panel(&self) -> Panel {
        Panel {
            title: format!("{}: {}", self.kind.title(), self.kind.unit()),
            places: self.kind.sizes().iter().map(usize::to_string).collect(),
            places_title: self.kind.places().to_owned(),
            lines: self
                .lines
                .iter()
                .map(|line| Line {
                    name: line.peer.to_owned(),
                    colour: line_colour(line.peer),
                    values: line.points.iter().map(Point::figure).collect(),
                })
                .collect(),
        }
    }
}

impl PeerLine {
    /// How much memory the smallest size takes and the largest, and what that is for each that there is more.
    fn put_memory(&self, text: &mut String) {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return;
        };
        let of = |point: &Point| Summary::of(point.resident.iter().map(|bytes| *bytes as f64));
        let (Some(before), Some(after)) = (of(first), of(last)) else {
            return;
        };
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let each = (after.median - before.median) / (last.size as f64 - first.size as f64);
        let each = if each > 0.0 {
            format!("{each:.0} bytes for each")
        } else {
            "no more than can be told from noise".to_owned()
        };
        let _ = write!(
            text,
            "\n{}: {:.1} MiB resident with {} and {:.1} MiB with {}, {each}.\n",
            self.peer,
            mib(before.median),
            first.size,
            mib(after.median),
            last.size
        );
    }
}

impl Point {
    fn figure(&self) -> Option<f64> {
        Some(Summary::of(self.figures.iter().copied())?.median)
    }
}

/// All of them as a plot.
pub(super) fn plot(growths: &[Growth], circumstances: &str) -> String {
    let mut svg = svg::start(
        "Growth: a level line is what is wanted",
        circumstances,
        growths.len() * lines::HEIGHT,
    );
    for (at, growth) in growths.iter().enumerate() {
        growth.panel().draw(&mut svg, svg::HEAD + at * lines::HEIGHT);
    }
    svg::end(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_namespace_is_what_more_of_them_take() {
        let peer: Peer = "gatewire".parse().unwrap();
        let mut growth = Growth::new(Kind::Namespaces, &[peer]);
        for (size, figure, resident) in [(1, 5.0, 1_000), (10, 6.0, 2_000), (1_000, 10.0, 1_000_000)] {
            let outcome = Outcome {
                figure: Some(figure),
                count: 1,
                per_second: 1.0,
                server_share: None,
                generator_share: 0.0,
                resident: Some(resident),
                overtaken: 0,
            };
            growth.add(peer, size, &outcome);
        }
        growth.leave_out(5, 3);
        growth.leave_out(5, 3);
        assert_eq!(growth.factor("gatewire"), Some(2.0));
        let mut text = String::new();
        growth.put_markdown(&mut text);
        for line in [
            "| gatewire | 5.00 | 6.00 | 10.0 |",
            "gatewire: 0.0 MiB resident with 1 and 1.0 MiB with 1000, 1000 bytes for each.",
            "5 connections are not measured: the limit of open files here is enough for 3.",
        ] {
            assert_eq!(
                text.lines().filter(|other| *other == line).count(),
                1,
                "{line}\nin\n{text}"
            );
        }
        assert!(plot(&[growth], "here").contains(">1000</text>"));
    }
}
