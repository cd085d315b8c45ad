//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use gatewire::watch::{BOUNDS, TimesStats};

use crate::families::{Family, Kind, Labels, Value};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the families that have samples.
pub(crate) fn write(families: &[Family], out: &mut String) {
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let name = family.definition.name;
        let kind = match family.definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _ = writeln!(out, "# HELP {name} {}", family.definition.help);
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for (labels, value) in &family.samples {
            match value {
                Value::Count(count) => line(out, name, "", labels, None, count),
                Value::Level(level) => line(out, name, "", labels, None, level),
                Value::Times(times) => histogram(out, name, labels, times),
            }
        }
    }
}

fn histogram(out: &mut String, name: &str, labels: &Labels, times: &TimesStats) {
    let mut up_to = 0;
    for (at, count) in times.ranges.iter().enumerate() {
        up_to += count;
        let bound = BOUNDS
            .get(at)
            .map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound).to_string());
        line(out, name, "_bucket", labels, Some(&bound), up_to);
    }
    line(out, name, "_sum", labels, None, seconds(times.nanos));
    line(out, name, "_count", labels, None, up_to);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of months are exact, and nobody minds beyond"
)]
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &Labels,
    bound: Option<&str>,
    value: impl std::fmt::Display,
) {
    let _ = write!(out, "{name}{suffix}");
    let mut separator = '{';
    let all = labels
        .iter()
        .map(|(label, value)| (*label, &**value))
        .chain(bound.map(|bound| ("le", bound)));
    for (label, value) in all {
        let _ = write!(out, "{separator}{label}=\"");
        escape(value, out);
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Definition;

    const TIMES: Definition = Definition {
        name: "x_seconds",
        help: "Help.",
        kind: Kind::Histogram,
    };

    #[test]
    fn a_histogram_is_cumulative() {
        let mut times = TimesStats::default();
        times.ranges[0] = 2;
        times.ranges[2] = 1;
        times.ranges[BOUNDS.len()] = 1;
        times.nanos = 12_000_050_000;
        let family = Family {
            definition: &TIMES,
            samples: vec![(vec![("event", "a\"b\\c\n".to_owned())], Value::Times(times))],
        };
        let mut out = String::new();
        write(&[family], &mut out);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "# HELP x_seconds Help.",
                "# TYPE x_seconds histogram",
                r#"x_seconds_bucket{event="a\"b\\c\n",le="0.00001"} 2"#,
                r#"x_seconds_bucket{event="a\"b\\c\n",le="0.000025"} 2"#,
                r#"x_seconds_bucket{event="a\"b\\c\n",le="0.00005"} 3"#,
            ]
        );
        assert_eq!(
            lines[lines.len() - 3..],
            [
                r#"x_seconds_bucket{event="a\"b\\c\n",le="+Inf"} 4"#,
                r#"x_seconds_sum{event="a\"b\\c\n"} 12.00005"#,
                r#"x_seconds_count{event="a\"b\\c\n"} 4"#,
            ]
        );
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        let mut out = String::new();
        write(
            &[Family {
                definition: &TIMES,
                samples: Vec::new(),
            }],
            &mut out,
        );
        assert_eq!(out, "");
    }
}
