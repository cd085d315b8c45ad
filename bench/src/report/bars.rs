//! The cost of each mode as a plot: for each mode one panel of bars, each panel with its own scale from zero.

use super::number;
use super::side_by_side::{ModeTable, SideBySide};
use super::svg::{self, MARGIN, colour, escape, text};

/// Where the bars begin.
const BARS: usize = 150;
/// The longest bar.
const LONGEST: f64 = 440.0;
const ROW: usize = 24;
const PANEL_HEAD: usize = 34;

/// The whole plot.
pub(super) fn plot(results: &SideBySide, circumstances: &str) -> String {
    let panels: usize = results.modes().iter().map(height).sum();
    let circumstances = format!("{circumstances}; in brackets the ratio to {}", results.base());
    let mut svg = svg::start("Cost for the server: less is better", &circumstances, panels);
    let mut top = svg::HEAD;
    for table in results.modes() {
        panel(&mut svg, results, table, top);
        top += height(table);
    }
    svg::end(svg)
}

fn height(table: &ModeTable) -> usize {
    PANEL_HEAD + table.cells().len() * ROW + 10
}

fn panel(svg: &mut String, results: &SideBySide, table: &ModeTable, top: usize) {
    text(svg, MARGIN, top + 22, "font-weight=\"600\"", &table.heading());
    let largest = table
        .cells()
        .iter()
        .filter_map(|cell| table.median(cell.peer))
        .fold(0.0, f64::max);
    for (row, cell) in table.cells().iter().enumerate() {
        let y = top + PANEL_HEAD + row * ROW;
        let end = format!("text-anchor=\"end\" x=\"{}\"", BARS - 8);
        *svg += &format!("<text {end} y=\"{}\">{}</text>\n", y + 14, escape(cell.peer));
        let Some(median) = table.median(cell.peer) else {
            text(svg, BARS, y + 14, "fill=\"#667085\"", "no result");
            continue;
        };
        let length = if largest > 0.0 {
            (median / largest * LONGEST).max(1.0)
        } else {
            1.0
        };
        let colour = colour(cell.peer, results.base());
        *svg += &format!(
            "<rect x=\"{BARS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\"/>\n",
            ROW - 6
        );
        let ratio = table
            .ratio(cell.peer, results.base())
            .map_or_else(String::new, |ratio| format!(" ({ratio:.2})"));
        text(
            svg,
            BARS + length as usize + 6,
            y + 14,
            "",
            &format!("{}{ratio}", number(median)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::side_by_side::tests::sample;

    #[test]
    fn the_longest_bar_is_the_largest_figure() {
        let svg = plot(&sample(), "A <fast> one & more");
        assert!(
            svg.contains("width=\"440.0\" height=\"18\" rx=\"2\" fill=\"#475467\""),
            "{svg}"
        );
        assert!(
            svg.contains("width=\"220.0\" height=\"18\" rx=\"2\" fill=\"#e4572e\""),
            "{svg}"
        );
        assert!(svg.contains(">4.00 (0.50)</text>"));
        assert!(svg.contains(">no result</text>"));
    }

    #[test]
    fn the_text_is_escaped_and_the_elements_are_closed() {
        let svg = plot(&sample(), "A <fast> one & more");
        assert!(svg.contains("A &lt;fast&gt; one &amp; more"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(svg.lines().all(|line| line.starts_with('<')));
    }
}
