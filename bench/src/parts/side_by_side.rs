//! Every server in every mode, round by round; and one thread beside two.

use super::Bench;
use crate::load::{self, Mode, Plan};
use crate::peers::Peer;
use crate::report::side_by_side::{Measured, SideBySide};
use crate::run::describe;

/// The modes in which one thread and two are compared.
const WORKERS: [Mode; 4] = [Mode::Echo, Mode::Pipelined, Mode::Fanout4, Mode::Crossfire];

impl Bench<'_> {
    pub(super) fn modes(&mut self) {
        let (peers, modes) = (self.options.peers.clone(), self.options.modes.clone());
        let table = SideBySide::new(&peers, &modes, self.options.base);
        self.report.modes = Some(self.table(table, &peers, &modes));
    }

    /// Where a server has as many threads as CPUs, the generator has none for itself. So all of these have both CPUs.
    pub(super) fn workers(&mut self) {
        let wanted: Vec<&str> = self.options.peers.iter().map(|peer| peer.name).collect();
        let peers: Vec<Peer> = Peer::WORKERS
            .into_iter()
            .filter(|peer| {
                wanted
                    .iter()
                    .any(|name| peer.name.strip_prefix(name).is_some_and(|rest| rest.len() == 2))
            })
            .collect();
        let Some(&base) = peers.first() else {
            return;
        };
        let table = SideBySide::new(&peers, &WORKERS, base);
        self.report.workers = Some(self.table(table, &peers, &WORKERS));
    }

    fn table(&mut self, mut table: SideBySide, peers: &[Peer], modes: &[Mode]) -> SideBySide {
        for round in 1..=self.options.rounds {
            for &mode in modes {
                // Memory does not vary from round to round, and holding takes long.
                if mode.is_idle() && round > 1 {
                    continue;
                }
                for &peer in peers.iter().filter(|peer| is_measured(peer, mode)) {
                    let plan = self.plan_of(peer, mode);
                    let outcome = self.measure(
                        round,
                        mode.as_str(),
                        peer,
                        &mode.environment(),
                        |target, probe| load::run(mode, mode.shape(), target, &plan, probe),
                        |outcome| describe(mode, outcome),
                    );
                    if let Some(outcome) = outcome {
                        table.add(Measured { peer, mode, outcome });
                    }
                }
            }
        }
        table
    }

    /// Only what has heartbeats is held to see what they cost.
    fn plan_of(&self, peer: Peer, mode: Mode) -> Plan {
        let hold = if mode == Mode::Idle && peer.has_heartbeats() {
            self.plan.hold
        } else {
            0.0
        };
        Plan { hold, ..self.plan }
    }
}

/// The order of messages of one sender is no promise of socketioxide's, whose handlers are tasks of their own.
fn is_measured(peer: &Peer, mode: Mode) -> bool {
    peer.does(mode) && !(mode == Mode::Crossfire && peer.name.starts_with("socketioxide"))
}
