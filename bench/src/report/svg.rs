//! The report as a plot: for each mode one panel of bars, each panel with its own scale from zero. Plain SVG, no
//! script, no font but the viewer's.

use super::{ModeTable, Results, number};

const WIDTH: usize = 760;
const MARGIN: usize = 20;
/// Where the bars begin.
const BARS: usize = 150;
/// The longest bar.
const LONGEST: f64 = 440.0;
const ROW: usize = 24;
const HEAD: usize = 62;
const PANEL_HEAD: usize = 34;

/// The whole plot.
pub(crate) fn plot(results: &Results) -> String {
    let panels: usize = results.modes.iter().map(height).sum();
    let total = HEAD + panels + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{total}\" \
         viewBox=\"0 0 {WIDTH} {total}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2430\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        MARGIN,
        28,
        "font-size=\"17\" font-weight=\"600\"",
        "Cost for the server: less is better",
    );
    let circumstances = format!(
        "{}; in brackets the ratio to {}",
        results.circumstances(),
        results.base
    );
    text(
        &mut svg,
        MARGIN,
        48,
        "font-size=\"11\" fill=\"#667085\"",
        &circumstances,
    );
    let mut top = HEAD;
    for table in &results.modes {
        panel(&mut svg, results, table, top);
        top += height(table);
    }
    svg += "</svg>\n";
    svg
}

fn height(table: &ModeTable) -> usize {
    PANEL_HEAD + table.cells.len() * ROW + 10
}

fn panel(svg: &mut String, results: &Results, table: &ModeTable, top: usize) {
    text(
        svg,
        MARGIN,
        top + 22,
        "font-weight=\"600\"",
        &format!("{}: {}", table.title, table.unit),
    );
    let largest = table
        .cells
        .iter()
        .filter_map(|cell| table.median(cell.peer))
        .fold(0.0, f64::max);
    for (row, cell) in table.cells.iter().enumerate() {
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
        let colour = match cell.peer {
            name if name.starts_with("gatewire") => "#e4572e",
            name if name == results.base => "#475467",
            _ => "#98a2b3",
        };
        *svg += &format!(
            "<rect x=\"{BARS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\"/>\n",
            ROW - 6
        );
        let ratio = table
            .ratio(cell.peer, results.base)
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

fn text(svg: &mut String, x: usize, y: usize, style: &str, content: &str) {
    *svg += &format!("<text x=\"{x}\" y=\"{y}\" {style}>{}</text>\n", escape(content));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn the_longest_bar_is_the_largest_figure() {
        let svg = plot(&sample());
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
        let svg = plot(&sample());
        assert!(svg.contains("A &lt;fast&gt; one &amp; more"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(svg.lines().all(|line| line.starts_with('<')));
    }
}
