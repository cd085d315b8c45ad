//! What is asked of Gatewire, and what it has reached in this run.

use std::fmt::Write as _;

use super::growth::Kind;
use super::side_by_side::{ModeTable, SideBySide};
use super::{Report, number};
use crate::load::Mode;

/// One goal.
struct Goal {
    work: &'static str,
    asked: Asked,
    /// Of what, in words.
    of: &'static str,
    reached: Option<f64>,
    /// What the bare epoll loop reaches, where it is measured: nobody gets below it.
    floor: Option<f64>,
}

#[derive(Clone, Copy)]
enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_met(&self) -> Option<bool> {
        self.reached.map(|reached| match self.asked {
            Asked::AtMost(limit) => reached <= limit,
            Asked::AtLeast(limit) => reached >= limit,
        })
    }
}

/// Adds the table; what was not measured is left out, and without any there is none.
pub(super) fn put_markdown(text: &mut String, report: &Report) {
    let goals: Vec<Goal> = all(report)
        .into_iter()
        .filter(|goal| goal.reached.is_some())
        .collect();
    if goals.is_empty() {
        return;
    }
    *text += "\n## Goals\n\n| work | asked | reached | | a bare epoll loop |\n|---|---|---:|---|---:|\n";
    for goal in goals {
        let (word, limit) = match goal.asked {
            Asked::AtMost(limit) => ("at most", limit),
            Asked::AtLeast(limit) => ("at least", limit),
        };
        let shown = |figure: Option<f64>| figure.map_or_else(String::new, |figure| precise(figure, limit));
        let (reached, floor) = (shown(goal.reached), shown(goal.floor));
        let verdict = if goal.is_met() == Some(true) {
            "yes"
        } else {
            "**no**"
        };
        let asked = format!("{word} {limit} {}", goal.of);
        let _ = writeln!(
            text,
            "| {} | {} | {reached} | {verdict} | {floor} |",
            goal.work,
            asked.trim_end()
        );
    }
}

/// With as many digits as the limit has, and one more.
fn precise(reached: f64, limit: f64) -> String {
    if reached >= 1_000.0 {
        number(reached)
    } else if limit < 0.1 {
        format!("{reached:.4}")
    } else if limit < 10.0 {
        format!("{reached:.3}")
    } else {
        number(reached)
    }
}

fn all(report: &Report) -> Vec<Goal> {
    let mode = |mode: Mode| report.modes.as_ref().and_then(|modes| modes.mode(mode));
    let ratio = |of: Mode, peer: &str, base: &str| mode(of)?.ratio(peer, base);
    let workers = |of: Mode| {
        report
            .workers
            .as_ref()
            .and_then(|table| table.mode(of)?.ratio("gatewire-2", "gatewire-1"))
    };
    let rate = |of: Mode, peer: &str, base: &str| Some(mode(of)?.rate(peer)? / mode(of)?.rate(base)?);
    let growth = |kind: Kind, peer: &str| {
        report
            .growth
            .iter()
            .find(|growth| growth.kind == kind)?
            .factor(peer)
    };
    let heartbeats = |peer: &str| {
        let clients = Mode::Idle.shape().connections as f64;
        Some(mode(Mode::Idle)?.share(peer)? * 1_000.0 * 10_000.0 / clients)
    };
    let goal = |work, asked, of, reached| Goal {
        work,
        asked,
        of,
        reached,
        floor: None,
    };
    let beside_floor = |goal: Goal, floor| Goal { floor, ..goal };
    use Asked::{AtLeast, AtMost};
    let oxide = "of socketioxide's CPU";
    let nest = "of NestJS's CPU";
    let axum = "of axum's CPU, written with care";
    let queues = "of axum's CPU, with a queue for each connection";
    vec![
        goal(
            "pipelined echo",
            AtMost(0.45),
            oxide,
            ratio(Mode::Pipelined, "gatewire", "socketioxide"),
        ),
        goal(
            "pipelined echo",
            AtMost(0.035),
            nest,
            ratio(Mode::Pipelined, "gatewire", "nest-socketio"),
        ),
        goal(
            "echo",
            AtMost(0.72),
            oxide,
            ratio(Mode::Echo, "gatewire", "socketioxide"),
        ),
        beside_floor(
            goal(
                "fan-out",
                AtMost(0.60),
                oxide,
                ratio(Mode::Fanout, "gatewire", "socketioxide"),
            ),
            ratio(Mode::Fanout, "floor", "socketioxide"),
        ),
        beside_floor(
            goal(
                "fan-out",
                AtMost(0.42),
                nest,
                ratio(Mode::Fanout, "gatewire", "nest-socketio"),
            ),
            ratio(Mode::Fanout, "floor", "nest-socketio"),
        ),
        goal(
            "fan-out",
            AtMost(1.10),
            "of a bare epoll loop's CPU",
            ratio(Mode::Fanout, "gatewire", "floor"),
        ),
        beside_floor(
            goal(
                "fan-out, four in flight",
                AtMost(0.65),
                oxide,
                ratio(Mode::Fanout4, "gatewire", "socketioxide"),
            ),
            ratio(Mode::Fanout4, "floor", "socketioxide"),
        ),
        goal(
            "connect and join",
            AtMost(0.75),
            oxide,
            ratio(Mode::Churn, "gatewire", "socketioxide"),
        ),
        beside_floor(
            goal(
                "idle, WebSocket",
                AtMost(2_048.0),
                "bytes",
                mode(Mode::Idle).and_then(|table| table.median("gatewire")),
            ),
            mode(Mode::Idle).and_then(|table| table.median("floor")),
        ),
        beside_floor(
            goal(
                "idle, WebSocket, heartbeats",
                AtMost(1.5),
                "ms CPU a second and 10,000 clients",
                heartbeats("gatewire"),
            ),
            heartbeats("floor"),
        ),
        goal(
            "idle, long-polling",
            AtMost(8_192.0),
            "bytes",
            mode(Mode::IdlePolling).and_then(|table| table.median("gatewire")),
        ),
        goal(
            "long-polling echo",
            AtMost(0.5),
            "of Node socket.io's CPU",
            ratio(Mode::Polling, "gatewire", "socketio"),
        ),
        goal(
            "pipelined echo, ws",
            AtMost(0.65),
            queues,
            ratio(Mode::Pipelined, "gatewire-ws", "axum-queue"),
        ),
        goal(
            "pipelined echo, ws",
            AtMost(0.65),
            axum,
            ratio(Mode::Pipelined, "gatewire-ws", "axum"),
        ),
        goal(
            "fan-out, ws",
            AtMost(0.85),
            queues,
            ratio(Mode::Fanout, "gatewire-ws", "axum-queue"),
        ),
        goal(
            "fan-out, ws",
            AtMost(0.85),
            axum,
            ratio(Mode::Fanout, "gatewire-ws", "axum"),
        ),
        goal(
            "64 KiB echo, ws",
            AtLeast(1.0),
            "of axum's throughput",
            rate(Mode::Binary64k, "gatewire-ws", "axum"),
        ),
        goal(
            "1 MiB echo, ws",
            AtLeast(1.0),
            "of axum's throughput",
            rate(Mode::Binary1m, "gatewire-ws", "axum"),
        ),
        goal(
            "two threads, echo",
            AtMost(1.25),
            "of one thread's CPU",
            workers(Mode::Echo),
        ),
        goal(
            "two threads, pipelined",
            AtMost(1.25),
            "of one thread's CPU",
            workers(Mode::Pipelined),
        ),
        goal(
            "two threads, fan-out",
            AtMost(1.25),
            "of one thread's CPU",
            workers(Mode::Fanout4),
        ),
        goal(
            "broadcasts from two threads at once, each once and in order",
            AtLeast(1.0),
            "delivery a second without an error",
            crossfire(report.workers.as_ref()),
        ),
        beside_floor(
            goal(
                "fan-out to 15,000 by that to 100",
                AtMost(1.5),
                "of the cost of a delivery",
                growth(Kind::Fanout, "gatewire"),
            ),
            growth(Kind::Fanout, "floor"),
        ),
        goal(
            "10,000 rooms by 10",
            AtMost(1.5),
            "of the cost of a delivery",
            growth(Kind::Rooms, "gatewire"),
        ),
    ]
}

fn crossfire(workers: Option<&SideBySide>) -> Option<f64> {
    workers?
        .mode(Mode::Crossfire)
        .and_then(|table: &ModeTable| table.rate("gatewire-2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_limit() {
        let goal = |asked, reached| Goal {
            work: "",
            asked,
            of: "",
            reached,
            floor: None,
        };
        for (asked, reached, met) in [
            (Asked::AtMost(0.5), Some(0.5), Some(true)),
            (Asked::AtMost(0.5), Some(0.51), Some(false)),
            (Asked::AtLeast(1.0), Some(1.0), Some(true)),
            (Asked::AtLeast(1.0), Some(0.99), Some(false)),
            (Asked::AtLeast(1.0), None, None),
        ] {
            assert_eq!(goal(asked, reached).is_met(), met);
        }
        assert_eq!(precise(0.03333, 0.035), "0.0333");
        assert_eq!(precise(0.5, 0.72), "0.500");
        assert_eq!(precise(1_234.0, 2_048.0), "1234");
    }
}
