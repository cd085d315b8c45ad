//! The report as Markdown tables: figures with ratios, throughput, and who was busy.

use super::{Cell, ModeTable, Results, number};

/// The whole report.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = format!("# Benchmark\n\n{}.\n\n", results.circumstances());
    text += &format!("In brackets the ratio to {}; less is better.\n\n", results.base);
    let heads = results
        .modes
        .iter()
        .map(|table| format!("{}: {}", table.name, table.unit))
        .collect::<Vec<_>>();
    table(&mut text, results, &heads, |table, cell| {
        let figure = cell.figure?;
        Some(match table.ratio(cell.peer, results.base) {
            Some(ratio) => format!("{} ({ratio:.2})", number(figure.median)),
            None => number(figure.median),
        })
    });

    text += "\nA second, and how busy the server and the generator were (idle: the server's CPU time per second, and \
             its memory):\n\n";
    let heads = results
        .modes
        .iter()
        .map(|table| table.name.to_owned())
        .collect::<Vec<_>>();
    table(&mut text, results, &heads, |table, cell| {
        let server = cell.middle(|outcome| outcome.server_share);
        if table.mode.is_idle() {
            let resident = cell.middle(|outcome| outcome.resident.map(|bytes| bytes as f64))?;
            let held = server.map_or_else(String::new, |share| format!("{:.2} ms, ", share * 1_000.0));
            return Some(format!("{held}{:.0} MiB", resident / f64::from(1 << 20)));
        }
        let per_second = cell.middle(|outcome| Some(outcome.per_second))?;
        let generator = cell.middle(|outcome| Some(outcome.generator_share))?;
        let mark = if cell.rounds.iter().any(|outcome| outcome.is_generator_bound()) {
            " †"
        } else {
            ""
        };
        Some(format!(
            "{per_second:.0}, {:.0}/{:.0} %{mark}",
            server.unwrap_or_default() * 100.0,
            generator * 100.0
        ))
    });
    if text.contains('†') {
        text +=
            "\n† The generator, not the server, set the pace: the figure holds, the throughput does not.\n";
    }

    text += "\nThe modes:\n\n";
    for table in &results.modes {
        text += &format!("- {}: {}\n", table.name, table.title);
    }
    text += "\nThe peers:\n\n";
    for peer in &results.peers {
        text += &format!("- {}: {}\n", peer.name, peer.title);
    }
    for table in &results.modes {
        for cell in &table.cells {
            let overtaken: u64 = cell.rounds.iter().map(|outcome| outcome.overtaken).sum();
            if overtaken > 0 {
                text += &format!(
                    "\n{} delivered {overtaken} messages out of order in {}.\n",
                    cell.peer, table.name
                );
            }
        }
    }
    for failure in &results.failures {
        let error = failure.error.lines().next().unwrap_or_default();
        text += &format!(
            "\nFAILED in round {}: {} in {}: {error}\n",
            failure.round, failure.peer, failure.mode
        );
    }
    text
}

fn table(
    text: &mut String,
    results: &Results,
    heads: &[String],
    cell: impl Fn(&ModeTable, &Cell) -> Option<String>,
) {
    *text += &format!(
        "| peer | {} |\n|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for (row, peer) in results.peers.iter().enumerate() {
        let cells: Vec<String> = results
            .modes
            .iter()
            .map(|table| cell(table, &table.cells[row]).unwrap_or_else(|| "–".to_owned()))
            .collect();
        *text += &format!("| {} | {} |\n", peer.name, cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn the_tables_have_figures_ratios_and_gaps() {
        let text = markdown(&sample());
        for line in [
            "| peer | echo: CPU µs per message | idle: resident bytes per connection |",
            "| gatewire | 4.00 (0.50) | 2000 |",
            "| socketioxide | 8.00 (1.00) | – |",
            "| gatewire | 1000, 99/50 % | 990.00 ms, 1 MiB |",
            "FAILED in round 1: socketioxide in idle: gone",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nnot in\n{text}");
        }
        assert!(!text.contains('†'));
    }
}
