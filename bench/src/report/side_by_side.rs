//! Every server in every mode: the figure of each, its ratio to one of them, and who was busy.

use std::fmt::Write as _;

use serde::Serialize;

use super::number;
use crate::load::{Mode, Outcome, Shape};
use crate::peers::Peer;
use crate::stats::Summary;

/// One measurement.
pub(crate) struct Measured {
    /// Of which server.
    pub(crate) peer: Peer,
    /// In which mode.
    pub(crate) mode: Mode,
    /// What came out.
    pub(crate) outcome: Outcome,
}

/// The servers side by side.
#[derive(Debug, Serialize)]
pub(crate) struct SideBySide {
    base: &'static str,
    peers: Vec<PeerLine>,
    modes: Vec<ModeTable>,
}

#[derive(Debug, Serialize)]
struct PeerLine {
    name: &'static str,
    title: &'static str,
    protocol: &'static str,
}

/// All servers in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct ModeTable {
    name: &'static str,
    title: String,
    unit: &'static str,
    shape: Shape,
    cells: Vec<Cell>,
    #[serde(skip)]
    mode: Mode,
}

/// One server in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    /// Which server.
    pub(crate) peer: &'static str,
    figure: Option<Summary>,
    rounds: Vec<Outcome>,
}

impl SideBySide {
    /// Nothing measured yet.
    pub(crate) fn new(peers: &[Peer], modes: &[Mode], base: Peer) -> Self {
        let cells = |mode: Mode| {
            let measured = peers.iter().filter(|peer| peer.does(mode));
            measured
                .map(|peer| Cell {
                    peer: peer.name,
                    figure: None,
                    rounds: Vec::new(),
                })
                .collect()
        };
        Self {
            base: base.name,
            peers: peers
                .iter()
                .map(|peer| PeerLine {
                    name: peer.name,
                    title: peer.title,
                    protocol: peer.flavour.as_str(),
                })
                .collect(),
            modes: modes
                .iter()
                .map(|&mode| ModeTable {
                    name: mode.as_str(),
                    title: mode.title(mode.shape()),
                    unit: mode.unit(),
                    shape: mode.shape(),
                    cells: cells(mode),
                    mode,
                })
                .collect(),
        }
    }

    /// Adds a measurement.
    pub(crate) fn add(&mut self, measured: Measured) {
        let cell = self
            .modes
            .iter_mut()
            .filter(|table| table.mode == measured.mode)
            .flat_map(|table| &mut table.cells)
            .find(|cell| cell.peer == measured.peer.name);
        if let Some(cell) = cell {
            cell.rounds.push(measured.outcome);
            cell.figure = Summary::of(cell.rounds.iter().filter_map(|outcome| outcome.figure));
        }
    }

    /// Whose figure is 1.00 in the ratios.
    pub(crate) fn base(&self) -> &'static str {
        self.base
    }

    /// The modes in their order.
    pub(crate) fn modes(&self) -> &[ModeTable] {
        &self.modes
    }

    /// A mode.
    pub(crate) fn mode(&self, mode: Mode) -> Option<&ModeTable> {
        self.modes.iter().find(|table| table.mode == mode)
    }

    /// The tables: figures with ratios, then throughput and who was busy.
    pub(crate) fn put_markdown(&self, text: &mut String) {
        let _ = write!(
            text,
            "In brackets the ratio to {}; less is better.\n\n",
            self.base
        );
        self.put_table(
            text,
            |table| format!("{}: {}", table.name, table.unit),
            |table, cell| {
                let figure = cell.figure?;
                Some(match table.ratio(cell.peer, self.base) {
                    Some(ratio) => format!("{} ({ratio:.2})", number(figure.median)),
                    None => number(figure.median),
                })
            },
        );
        *text += "\nA second, and how busy the server and the generator were (idle: the server's CPU time per second, and \
                  its memory):\n\n";
        let start = text.len();
        self.put_table(text, |table| table.name.to_owned(), busy);
        if text[start..].contains('†') {
            *text += "\n† The generator, not the server, set the pace: the figure holds, the throughput does not.\n";
        }
        *text += "\nThe modes:\n\n";
        for table in &self.modes {
            let _ = writeln!(text, "- {}: {}", table.name, table.title);
        }
        *text += "\nThe servers:\n\n";
        for peer in &self.peers {
            let _ = writeln!(text, "- {}: {}", peer.name, peer.title);
        }
        for table in &self.modes {
            for cell in &table.cells {
                let overtaken: u64 = cell.rounds.iter().map(|outcome| outcome.overtaken).sum();
                if overtaken > 0 {
                    let _ = write!(
                        text,
                        "\n{} delivered {overtaken} messages out of order in {}.\n",
                        cell.peer, table.name
                    );
                }
            }
        }
    }

    /// One row a mode: there are more modes than fit side by side.
    fn put_table(
        &self,
        text: &mut String,
        head: impl Fn(&ModeTable) -> String,
        cell: impl Fn(&ModeTable, &Cell) -> Option<String>,
    ) {
        let names: Vec<&str> = self.peers.iter().map(|peer| peer.name).collect();
        let _ = write!(
            text,
            "| | {} |\n|---|{}\n",
            names.join(" | "),
            "---:|".repeat(names.len())
        );
        for table in &self.modes {
            let cells: Vec<String> = names
                .iter()
                .map(|name| {
                    let found = table.cells.iter().find(|cell| cell.peer == *name);
                    found
                        .and_then(|found| cell(table, found))
                        .unwrap_or_else(|| "–".to_owned())
                })
                .collect();
            let _ = writeln!(text, "| {} | {} |", head(table), cells.join(" | "));
        }
    }
}

fn busy(table: &ModeTable, cell: &Cell) -> Option<String> {
    let server = cell.middle(|outcome| outcome.server_share);
    if table.mode.is_idle() {
        let resident = cell.middle(|outcome| outcome.resident.map(|bytes| bytes as f64))?;
        let held = server.map_or_else(String::new, |share| format!("{:.2} ms, ", share * 1_000.0));
        return Some(format!("{held}{:.0} MiB", resident / f64::from(1 << 20)));
    }
    let per_second = cell.middle(|outcome| Some(outcome.per_second))?;
    let generator = cell.middle(|outcome| Some(outcome.generator_share))?;
    let mark = if cell.rounds.iter().any(Outcome::is_generator_bound) {
        " †"
    } else {
        ""
    };
    Some(format!(
        "{per_second:.0}{}, {:.0}/{:.0} %{mark}",
        table.mode.rate(),
        server.unwrap_or_default() * 100.0,
        generator * 100.0
    ))
}

impl ModeTable {
    /// What it is, and what its figure counts.
    pub(crate) fn heading(&self) -> String {
        format!("{}: {}", self.title, self.unit)
    }

    /// The servers that were to be measured in it.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The figure of a server.
    pub(crate) fn median(&self, peer: &str) -> Option<f64> {
        Some(self.cell(peer)?.figure?.median)
    }

    /// The figure of a server as part of another's.
    pub(crate) fn ratio(&self, peer: &str, base: &str) -> Option<f64> {
        let base = self.median(base).filter(|base| *base > 0.0)?;
        Some(self.median(peer)? / base)
    }

    /// How much a server did in a second.
    pub(crate) fn rate(&self, peer: &str) -> Option<f64> {
        self.cell(peer)?.middle(|outcome| Some(outcome.per_second))
    }

    /// The CPU time of a server as part of the time.
    pub(crate) fn share(&self, peer: &str) -> Option<f64> {
        self.cell(peer)?.middle(|outcome| outcome.server_share)
    }

    fn cell(&self, peer: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.peer == peer)
    }
}

impl Cell {
    fn middle(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        Some(Summary::of(self.rounds.iter().filter_map(of))?.median)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of two peers in two modes, the second mode without a result for the base.
    pub(crate) fn sample() -> SideBySide {
        let peer = |name: &str| name.parse::<Peer>().unwrap();
        let (gatewire, base) = (peer("gatewire"), peer("socketioxide"));
        let mut table = SideBySide::new(&[gatewire, base], &[Mode::Echo, Mode::Idle], base);
        let outcome = |figure| Outcome {
            figure: Some(figure),
            count: 10,
            per_second: 1_000.0,
            server_share: Some(0.99),
            generator_share: 0.5,
            resident: Some(1 << 20),
            overtaken: 0,
        };
        for (peer, mode, figure) in [
            (gatewire, Mode::Echo, 4.0),
            (gatewire, Mode::Echo, 9.0),
            (gatewire, Mode::Echo, 3.0),
            (base, Mode::Echo, 8.0),
            (gatewire, Mode::Idle, 2_000.0),
        ] {
            table.add(Measured {
                peer,
                mode,
                outcome: outcome(figure),
            });
        }
        table
    }

    #[test]
    fn the_figure_is_the_median_and_the_ratio_is_to_the_base() {
        let results = sample();
        assert_eq!(results.modes[0].median("gatewire"), Some(4.0));
        assert_eq!(results.modes[0].ratio("gatewire", "socketioxide"), Some(0.5));
        assert_eq!(results.modes[0].ratio("socketioxide", "socketioxide"), Some(1.0));
        assert_eq!(
            results.modes[1].ratio("gatewire", "socketioxide"),
            None,
            "the base has no result"
        );
    }

    #[test]
    fn the_tables_have_figures_ratios_and_gaps() {
        let mut text = String::new();
        sample().put_markdown(&mut text);
        for line in [
            "| | gatewire | socketioxide |",
            "| echo: CPU µs per message | 4.00 (0.50) | 8.00 (1.00) |",
            "| idle: resident bytes per connection | 2000 | – |",
            "| echo | 1000, 99/50 % | 1000, 99/50 % |",
            "| idle | 990.00 ms, 1 MiB | – |",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nnot in\n{text}");
        }
        assert!(!text.contains('†'));
    }
}
