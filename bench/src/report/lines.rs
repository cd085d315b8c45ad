//! A panel of lines over places that stand in a row, such as 100, 1,000, 10,000: both scales are logarithmic in what they show, and
//! every step of the upper one is a factor of ten.

use super::number;
use super::svg::{MARGIN, WIDTH, escape, text};

/// The height of a panel with its heading and its legend.
pub(super) const HEIGHT: usize = 320;

const LEFT: usize = 70;
const RIGHT: usize = WIDTH - 170;
const TOP: usize = 40;
const BOTTOM: usize = 270;

/// One line.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: &'static str,
    /// The value at each place, where there is one.
    pub(super) values: Vec<Option<f64>>,
}

/// A panel.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) places: Vec<String>,
    pub(super) places_title: String,
    pub(super) lines: Vec<Line>,
}

impl Panel {
    /// Draws it from `top` on.
    pub(super) fn draw(&self, svg: &mut String, top: usize) {
        text(svg, MARGIN, top + 22, "font-weight=\"600\"", &self.title);
        let values = || self.lines.iter().flat_map(|line| &line.values).flatten().copied();
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(0.0, f64::max);
        if !(least.is_finite() && least > 0.0) {
            text(svg, LEFT, top + TOP + 20, "fill=\"#667085\"", "no result");
            return;
        }
        let (low, high) = (decade(least).0, decade(most).1);
        let y = |value: f64| {
            let share = (value.log10() - low) / (high - low);
            (top + BOTTOM) as f64 - share * (BOTTOM - TOP) as f64
        };
        for step in 0..=((high - low).round() as usize) {
            let value = 10_f64.powf(low + step as f64);
            let at = y(value);
            *svg += &format!(
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#e4e7ec\"/>\n"
            );
            let style = "text-anchor=\"end\" font-size=\"11\" fill=\"#667085\"";
            text(svg, LEFT - 8, at as usize + 4, style, &scale(value));
        }
        for (at, place) in self.places.iter().enumerate() {
            let style = "text-anchor=\"middle\" font-size=\"11\" fill=\"#667085\"";
            text(svg, self.x(at) as usize, top + BOTTOM + 18, style, place);
        }
        let style = "text-anchor=\"middle\" font-size=\"11\" fill=\"#667085\"";
        text(
            svg,
            LEFT.midpoint(RIGHT),
            top + BOTTOM + 36,
            style,
            &self.places_title,
        );
        for line in &self.lines {
            self.line(svg, line, &y);
        }
        self.legend(svg, top, &y);
    }

    fn x(&self, at: usize) -> f64 {
        let step = (RIGHT - LEFT) as f64 / self.places.len().saturating_sub(1).max(1) as f64;
        LEFT as f64 + step * at as f64
    }

    fn line(&self, svg: &mut String, line: &Line, y: &impl Fn(f64) -> f64) {
        let points: Vec<(f64, f64)> = line
            .values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some((self.x(at), y((*value)?))))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        *svg += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
            path.join(" "),
            line.colour
        );
        for (x, y) in points {
            *svg += &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"/>\n",
                line.colour
            );
        }
    }

    /// The names beside the ends of their lines, pushed apart where they would lie upon each other.
    fn legend(&self, svg: &mut String, top: usize, y: &impl Fn(f64) -> f64) {
        let mut names: Vec<(f64, &Line, f64)> = self
            .lines
            .iter()
            .filter_map(|line| {
                let last = line.values.iter().rev().flatten().next()?;
                Some((y(*last), line, *last))
            })
            .collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free = (top + TOP) as f64;
        for (at, line, last) in names {
            let at = at.max(free);
            free = at + 15.0;
            *svg += &format!(
                "<text x=\"{}\" y=\"{:.1}\" font-size=\"12\" fill=\"{}\">{} {}</text>\n",
                RIGHT + 10,
                at + 4.0,
                line.colour,
                escape(&line.name),
                number(last)
            );
        }
    }
}

/// The powers of ten below and above a value, as exponents that differ.
fn decade(value: f64) -> (f64, f64) {
    let exponent = value.log10();
    (exponent.floor(), (exponent + 1e-9).floor() + 1.0)
}

fn scale(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_its_values() {
        let panel = Panel {
            title: "a < b".to_owned(),
            places: ["1", "10", "100"].map(str::to_owned).to_vec(),
            places_title: "many".to_owned(),
            lines: vec![Line {
                name: "one".to_owned(),
                colour: "#e4572e",
                values: vec![Some(1.0), None, Some(10.0)],
            }],
        };
        let mut svg = String::new();
        panel.draw(&mut svg, 0);
        // From 1 to 100 is two steps: 10 is in the middle between the bottom and the top.
        assert!(svg.contains("points=\"70.0,270.0 590.0,155.0\""), "{svg}");
        assert!(svg.contains("a &lt; b"));
        assert_eq!(svg.matches("<circle").count(), 2);
        let mut empty = String::new();
        Panel {
            lines: Vec::new(),
            ..panel
        }
        .draw(&mut empty, 0);
        assert!(empty.contains("no result"));
    }
}
