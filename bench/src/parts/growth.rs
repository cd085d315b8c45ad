//! What one message costs when there is more of everything: connections, rooms, namespaces.

use super::Bench;
use crate::load::{self, LoadError, Mode, Outcome, Plan, Pool, Shape, Talk, Target};
use crate::peers::{Ability, Peer};
use crate::report::growth::{Growth, Kind};
use crate::system::affinity;
use crate::system::probe::Probe;

/// How many of the connections send in the echo, however many there are.
const ACTIVE: usize = 100;

/// How many connections there are where rooms or namespaces become more.
const CONNECTIONS: usize = 1_000;

impl Bench<'_> {
    pub(super) fn growth(&mut self) {
        let peers = |kind: Kind| -> Vec<Peer> {
            let peers = self.options.peers.iter().copied();
            peers.filter(|peer| does(*peer, kind)).collect()
        };
        let most = affinity::raise_open_files().map_or(u64::MAX, |limit| limit.saturating_sub(200));
        let plan = Plan {
            warm_up: self.plan.warm_up.min(0.5),
            measure: self.plan.measure.min(1.0),
            ..self.plan
        };
        let mut growths = Kind::ALL.map(|kind| (Growth::new(kind, &peers(kind)), peers(kind)));
        for round in 1..=self.options.rounds.min(2) {
            for (growth, peers) in &mut growths {
                for size in growth.kind.sizes() {
                    let kind = growth.kind;
                    if kind.connections(*size) as u64 > most {
                        growth.leave_out(*size, most);
                        continue;
                    }
                    for &peer in &*peers {
                        let namespaces = if kind == Kind::Namespaces { *size } else { 0 };
                        let measured = self.measure(
                            round,
                            &format!("{} {size}", kind.name()),
                            peer,
                            &[("NAMESPACES", &namespaces.to_string())],
                            |target, probe| load(kind, *size, target, &plan, probe),
                            |outcome| describe(kind, outcome),
                        );
                        if let Some(outcome) = measured {
                            growth.add(peer, *size, &outcome);
                        }
                    }
                }
            }
        }
        self.report.growth = growths.map(|(growth, _)| growth).into();
    }
}

/// Broadcasts to many are measured of whoever can hold them, the bare loop too: what the kernel takes for each more of them is
/// not a server's affair.
fn does(peer: Peer, kind: Kind) -> bool {
    peer.has(Ability::Spaces) || (kind == Kind::Fanout && peer.has(Ability::Held))
}

fn load(kind: Kind, size: usize, target: Target, plan: &Plan, probe: &Probe) -> Result<Outcome, LoadError> {
    let talk = Talk {
        namespaces: if kind == Kind::Namespaces { size } else { 0 },
        ..Talk::new(target.flavour)
    };
    let connections = kind.connections(size);
    let mut pool = Pool::new(target.address, talk, connections).map_err(LoadError::Poll)?;
    match kind {
        Kind::Echo => load::echo_among(&mut pool, ACTIVE, plan, probe),
        Kind::Fanout => {
            let shape = Shape {
                connections,
                depth: 1,
            };
            load::run(Mode::Fanout, shape, target, plan, probe)
        }
        Kind::Rooms => load::rooms::run(&mut pool, size, plan, probe),
        Kind::Namespaces => load::echo_among(&mut pool, CONNECTIONS, plan, probe),
    }
}

fn describe(kind: Kind, outcome: &Outcome) -> String {
    let figure = outcome.figure.map_or_else(String::new, crate::report::number);
    format!("{figure} {}, {:.0} per second", kind.unit(), outcome.per_second)
}
