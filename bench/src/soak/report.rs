//! What a soak comes to: the figures before, at the highest, and after; the verdict; as JSON and as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::server::Counts;
use super::tally::{Noted, Totals};

/// Bytes by which the allocations after the load may exceed those after the warm-up.
pub(super) const HEAP_MARGIN: u64 = 1 << 20;

/// The same of the resident set, and above a tenth of it: the allocator keeps pages between those in use.
pub(super) const RESIDENT_MARGIN: u64 = 4 << 20;

/// The whole report.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) seconds: u64,
    pub(super) clients: usize,
    pub(super) has_official: bool,
    pub(super) totals: Totals,
    /// After the warm-up, when all had left.
    pub(super) before: Counts,
    /// The highest of each figure under load.
    pub(super) highest: Counts,
    /// After the load, when all had left.
    pub(super) after: Counts,
    /// What is wrong with the server as a whole.
    pub(super) leaks: Vec<String>,
    /// What went wrong with single clients; the first of them.
    pub(super) faults: Vec<Noted>,
    /// Once a second, and thinned out in a long run.
    pub(super) samples: Vec<Counts>,
}

impl Report {
    /// Whether all is well.
    pub(super) fn is_clean(&self) -> bool {
        self.leaks.is_empty() && self.totals.faults == 0
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let Totals {
            lives,
            kinds,
            sent,
            acknowledged,
            handled,
            said,
            faults,
        } = &self.totals;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "soak: {} s, {} clients at a time, seed {}\n\
             lives        {lives}, of which {}\n\
             requests     {sent} sent, {acknowledged} acknowledged, {handled} handled, {said} messages to rooms",
            self.seconds,
            self.clients,
            self.seed,
            kinds
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        let _ = writeln!(
            text,
            "{:>16} {:>12} {:>12} {:>12}",
            "", "before", "highest", "after"
        );
        type Figure = fn(&Counts) -> u64;
        let figures: [(&str, Figure); 12] = [
            ("resident KiB", |counts| counts.resident >> 10),
            ("heap KiB", |counts| counts.heap >> 10),
            ("kept KiB", |counts| counts.kept >> 10),
            ("sessions", |counts| counts.sessions as u64),
            ("sockets", |counts| counts.sockets as u64),
            ("socket objects", |counts| counts.socket_objects as u64),
            ("rooms", |counts| counts.rooms as u64),
            ("namespaces", |counts| counts.namespaces as u64),
            ("pending acks", |counts| counts.pending_acks as u64),
            ("timers", |counts| counts.timers as u64),
            ("tasks", |counts| counts.tasks as u64),
            ("open files", |counts| counts.files as u64),
        ];
        for (name, figure) in figures {
            let [before, highest, after] = [&self.before, &self.highest, &self.after].map(figure);
            let _ = writeln!(text, "{name:>16} {before:>12} {highest:>12} {after:>12}");
        }
        for leak in &self.leaks {
            let _ = writeln!(text, "WRONG: {leak}");
        }
        for Noted { life, kind, what } in &self.faults {
            let _ = writeln!(text, "WRONG: client {life} ({kind}): {what}");
        }
        let verdict = if self.is_clean() {
            "clean: nothing is left, lost, mixed up or out of order".to_owned()
        } else {
            format!(
                "FAILED: {} faults of the server, {faults} of clients; again with --seed {}",
                self.leaks.len(),
                self.seed
            )
        };
        let _ = writeln!(text, "{verdict}");
        text
    }
}

/// What the server holds that it did not hold before.
pub(super) fn leaks(before: &Counts, after: &Counts) -> Vec<String> {
    let mut leaks = Vec::new();
    for (what, count) in [
        ("sessions", after.sessions),
        ("timers", after.timers),
        ("sockets", after.sockets),
        ("sockets that nobody lets go of", after.socket_objects),
        ("rooms", after.rooms),
        ("acknowledgements that are waited for", after.pending_acks),
        (
            "namespaces that should have ended",
            after.namespaces.saturating_sub(before.namespaces),
        ),
        ("tasks", after.tasks.saturating_sub(before.tasks)),
        ("open files", after.files.saturating_sub(before.files)),
    ] {
        if count > 0 {
            leaks.push(format!("{count} {what} are left"));
        }
    }
    let heap = after.heap.saturating_sub(before.heap);
    if heap > HEAP_MARGIN {
        leaks.push(format!("{} KiB are allocated more than before", heap >> 10));
    }
    let kept = after.kept.saturating_sub(before.kept);
    let resident = after.resident.saturating_sub(before.resident + kept);
    if resident > RESIDENT_MARGIN + before.resident / 10 {
        leaks.push(format!("{} KiB are resident more than before", resident >> 10));
    }
    leaks
}

/// The higher of each figure.
pub(super) fn higher(one: &Counts, other: &Counts) -> Counts {
    Counts {
        sessions: one.sessions.max(other.sessions),
        timers: one.timers.max(other.timers),
        namespaces: one.namespaces.max(other.namespaces),
        sockets: one.sockets.max(other.sockets),
        rooms: one.rooms.max(other.rooms),
        pending_acks: one.pending_acks.max(other.pending_acks),
        socket_objects: one.socket_objects.max(other.socket_objects),
        tasks: one.tasks.max(other.tasks),
        heap: one.heap.max(other.heap),
        kept: one.kept.max(other.kept),
        resident: one.resident.max(other.resident),
        files: one.files.max(other.files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Counts = Counts {
        sessions: 0,
        timers: 0,
        namespaces: 1,
        sockets: 0,
        rooms: 0,
        pending_acks: 0,
        socket_objects: 0,
        tasks: 5,
        heap: 1 << 20,
        kept: 1 << 20,
        resident: 20 << 20,
        files: 12,
    };

    #[test]
    fn what_is_left_is_told() {
        assert_eq!(leaks(&BEFORE, &BEFORE), Vec::<String>::new());
        let within = Counts {
            heap: BEFORE.heap + HEAP_MARGIN,
            kept: BEFORE.kept * 2,
            resident: BEFORE.resident + BEFORE.kept + RESIDENT_MARGIN,
            ..BEFORE
        };
        assert_eq!(leaks(&BEFORE, &within), Vec::<String>::new());
        let after = Counts {
            rooms: 2,
            tasks: 6,
            heap: BEFORE.heap + HEAP_MARGIN + 1,
            resident: BEFORE.resident * 2,
            ..BEFORE
        };
        let told = leaks(&BEFORE, &after);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(higher(&BEFORE, &after).rooms, 2);
    }
}
