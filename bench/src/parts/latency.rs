//! Latency at 20, 50 and 80 % of what each server can do at most.

use super::Bench;
use crate::load::{self, LoadError, Mode, Outcome, Plan, Pool, Talk, Target};
use crate::peers::{Ability, Peer};
use crate::report::latency::{Latency, Load, PeerLatency};
use crate::system::probe::Probe;

/// The shares of the peak rate.
const SHARES: [f64; 3] = [0.2, 0.5, 0.8];

impl Bench<'_> {
    pub(super) fn latency(&mut self) {
        let peers: Vec<Peer> = self
            .options
            .peers
            .iter()
            .copied()
            .filter(|peer| peer.has(Ability::Lifecycle))
            .collect();
        let shape = Mode::Echo.shape();
        let mut latency = Latency::new(&peers, shape.connections);
        let plan = self.plan;
        // Each takes several measurements' time, and they are put together: two rounds say what three would.
        for round in 1..=self.options.rounds.min(2) {
            for &peer in &peers {
                let measured = self.measure(
                    round,
                    "latency",
                    peer,
                    &Mode::Echo.environment(),
                    |target, probe| under_load(peer, target, &plan, probe),
                    PeerLatency::describe,
                );
                if let Some(measured) = measured {
                    latency.add(measured);
                }
            }
        }
        self.report.latency = Some(latency);
    }
}

/// Measures the peak rate, then the latency at the shares of it, on connections of their own.
fn under_load(peer: Peer, target: Target, plan: &Plan, probe: &Probe) -> Result<PeerLatency, LoadError> {
    let shape = Mode::Echo.shape();
    let peak: Outcome = load::run(Mode::Echo, shape, target, plan, probe)?;
    let talk = Talk {
        is_encrypted: target.is_encrypted,
        ..Talk::new(target.flavour)
    };
    let mut pool = Pool::new(target.address, talk, shape.connections).map_err(LoadError::Poll)?;
    pool.open_all(0..shape.connections)?;
    let mut loads = Vec::new();
    for share in SHARES {
        let rate = peak.per_second * share;
        // A quarter of it is warm-up.
        let latencies = load::latency::run(&mut pool, rate, plan.measure * 4.0 / 3.0)?;
        loads.push(Load::new(share, rate, latencies));
    }
    Ok(PeerLatency::new(peer, peak.per_second, loads))
}
