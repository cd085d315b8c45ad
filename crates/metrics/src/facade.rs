//! The figures for the recorder of the `metrics` facade, whichever the application has set up. What is told is the same as
//! Prometheus is, under the same names.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gatewire::watch::{BOUNDS, Figures, TimesStats};
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, Unit, with_recorder};
use tokio::time::{MissedTickBehavior, interval};

use crate::families::{DEFINITIONS, Family, Kind, Labels, Value, families};
use crate::text::seconds;

const METADATA: Metadata<'static> = Metadata::new("gatewire", Level::INFO, Some("gatewire"));

/// Publishes the figures until the application is gone.
pub(crate) async fn publish(figures: Figures, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        ticks.tick().await;
        let figures = figures.clone();
        let collected = tokio::task::spawn_blocking(move || figures.collect()).await;
        let Ok(Some(stats)) = collected else { return };
        let families = families(&stats);
        // Asked for each time: the application may set a recorder up late.
        with_recorder(|recorder| told.tell(recorder, &families));
    }
}

/// What a recorder knows already.
#[derive(Default)]
struct Told {
    is_described: bool,
    /// How many durations there were in each range.
    times: HashMap<Key, TimesStats>,
    /// Gauges that had a value.
    levels: HashSet<Key>,
}

impl Told {
    fn tell(&mut self, recorder: &dyn Recorder, families: &[Family]) {
        if !std::mem::replace(&mut self.is_described, true) {
            describe(recorder);
        }
        let mut levels = HashSet::new();
        for family in families {
            for (labels, value) in &family.samples {
                let key = key(family.definition.name, labels);
                match value {
                    Value::Count(count) => recorder.register_counter(&key, &METADATA).absolute(*count),
                    Value::Level(level) => {
                        recorder.register_gauge(&key, &METADATA).set(*level);
                        levels.insert(key);
                    }
                    Value::Times(times) => self.tell_times(recorder, key, times),
                }
            }
        }
        // What is not there any more, such as the nodes of a cluster that was left.
        for gone in self.levels.difference(&levels) {
            recorder.register_gauge(gone, &METADATA).set(0.0);
        }
        self.levels = levels;
    }

    fn tell_times(&mut self, recorder: &dyn Recorder, key: Key, times: &TimesStats) {
        let histogram = recorder.register_histogram(&key, &METADATA);
        let before = self.times.entry(key).or_default();
        for (at, (now, before)) in times.ranges.iter().zip(before.ranges).enumerate() {
            let more = usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX);
            if more > 0 {
                histogram.record_many(middle(at), more);
            }
        }
        *before = times.clone();
    }
}

/// The middle of a range, in seconds.
fn middle(at: usize) -> f64 {
    let low = at.checked_sub(1).map_or(0, |below| BOUNDS[below]);
    let high = BOUNDS.get(at).copied().unwrap_or(low);
    f64::midpoint(seconds(low), seconds(high))
}

fn describe(recorder: &dyn Recorder) {
    for definition in DEFINITIONS {
        let name = KeyName::from_const_str(definition.name);
        let help = definition.help.into();
        match definition.kind {
            Kind::Counter => recorder.describe_counter(name, definition.unit(), help),
            Kind::Gauge => recorder.describe_gauge(name, definition.unit(), help),
            Kind::Histogram => recorder.describe_histogram(name, Some(Unit::Seconds), help),
        }
    }
}

fn key(name: &'static str, labels: &Labels) -> Key {
    let labels = labels
        .iter()
        .map(|(label, value)| Label::new(*label, value.clone()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::families::{ACCEPTING, QUEUE_SECONDS, UPGRADES};

    fn family(definition: &'static crate::families::Definition, value: Value) -> Family {
        Family {
            definition,
            samples: vec![(vec![("queue", "mailbox".to_owned())], value)],
        }
    }

    #[test]
    fn a_recorder_is_told_what_is_new() {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&[0.001, 1.0])
            .unwrap()
            .build_recorder();
        let handle = recorder.handle();
        let mut told = Told::default();
        let mut times = TimesStats::default();
        times.ranges[0] = 3;
        told.tell(
            &recorder,
            &[
                family(&UPGRADES, Value::Count(2)),
                family(&ACCEPTING, Value::Level(1.0)),
                family(&QUEUE_SECONDS, Value::Times(times.clone())),
            ],
        );
        times.ranges[0] = 4;
        times.ranges[10] = 1;
        told.tell(
            &recorder,
            &[
                family(&UPGRADES, Value::Count(5)),
                family(&QUEUE_SECONDS, Value::Times(times)),
            ],
        );
        let text = handle.render();
        for line in [
            "gatewire_upgrades_total{queue=\"mailbox\"} 5",
            "gatewire_accepting{queue=\"mailbox\"} 0",
            "gatewire_queue_seconds_bucket{queue=\"mailbox\",le=\"0.001\"} 4",
            "gatewire_queue_seconds_bucket{queue=\"mailbox\",le=\"1\"} 5",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }
}
