//! The check of a module graph before anything of it is built: it goes on after a fault, so that one start shows
//! them all. Gateways are checked beside it, in `gateway::plan`, and controllers in
//! `controller::plan`.

use super::fault::{Elsewhere, Fault};
use super::graph::{Graph, NodeExport};
use super::inject::Requirement;

/// Adds what is wrong with `graph` to `faults`; returns the order in which the providers can be built (of use only
/// if there was no fault).
pub(crate) fn check(graph: &Graph, faults: &mut Vec<Fault>) -> Vec<usize> {
    for &module in &graph.reconfigured {
        faults.push(Fault::ConfiguredTwice {
            module: graph.modules[module].name.to_string(),
        });
    }
    for key in &graph.unknown_overrides {
        faults.push(Fault::UnknownOverride { provider: key.name() });
    }
    for (module, key) in &graph.duplicates {
        faults.push(Fault::DuplicateProvider {
            module: graph.modules[*module].name.to_string(),
            provider: key.name(),
        });
    }
    check_exports(graph, faults);
    let edges = check_dependencies(graph, faults);
    let order = order(graph, &edges, faults);
    check_late_options(graph, &edges, faults);
    order
}

/// What a gateway's options need must be there before any gateway is.
fn check_late_options(graph: &Graph, edges: &[Vec<usize>], faults: &mut Vec<Fault>) {
    for node in &graph.providers {
        let Some(late) = node
            .provider
            .gateway
            .as_ref()
            .and_then(|gateway| gateway.late.as_ref())
        else {
            continue;
        };
        for at in graph.found(node.module, &late.dependencies) {
            if let Some(needed) = reachable(edges, at)
                .into_iter()
                .find(|&at| graph.providers[at].provider.gateway.is_some())
            {
                faults.push(Fault::OptionsNeedGateway {
                    module: graph.modules[node.module].name.to_string(),
                    gateway: node.provider.name.clone(),
                    needed: graph.providers[needed].provider.name.clone(),
                });
            }
        }
    }
}

/// A provider and all that it needs, directly or not.
fn reachable(edges: &[Vec<usize>], from: usize) -> Vec<usize> {
    let mut found = vec![from];
    let mut next = 0;
    while let Some(&at) = found.get(next) {
        next += 1;
        for &to in &edges[at] {
            if !found.contains(&to) {
                found.push(to);
            }
        }
    }
    found
}

fn check_exports(graph: &Graph, faults: &mut Vec<Fault>) {
    for node in &graph.modules {
        for export in &node.exports {
            let missing = match *export {
                NodeExport::Provider(key) => {
                    let known = node.provided.contains_key(&key.id())
                        || node
                            .imports
                            .iter()
                            .any(|&import| graph.exports(import, key.id()).is_some());
                    (!known).then(|| key.name())
                }
                NodeExport::Module(other) => {
                    (!node.imports.contains(&other)).then(|| graph.modules[other].name.to_string())
                }
            };
            if let Some(export) = missing {
                faults.push(Fault::UnknownExport {
                    module: node.name.to_string(),
                    export,
                });
            }
        }
    }
}

/// The providers that each provider needs.
fn check_dependencies(graph: &Graph, faults: &mut Vec<Fault>) -> Vec<Vec<usize>> {
    let mut edges = Vec::with_capacity(graph.providers.len());
    for node in &graph.providers {
        let module = &graph.modules[node.module];
        for dependency in &node.provider.dependencies {
            match dependency.requirement {
                Requirement::Nothing | Requirement::Optional(_) => {}
                Requirement::Provider(key) => match graph.find(node.module, key.id()) {
                    Some(_) => {}
                    None => faults.push(Fault::MissingProvider {
                        module: module.name.to_string(),
                        owner: node.provider.name.clone(),
                        place: dependency.place.to_owned(),
                        dependency: key.name(),
                        elsewhere: elsewhere(graph, node.module, key.id()),
                    }),
                },
                Requirement::Server | Requirement::ParentServer if node.provider.gateway.is_some() => {}
                Requirement::Server if node.provider.controller.is_some() => {}
                Requirement::Server | Requirement::ParentServer => faults.push(Fault::ServerOutsideGateway {
                    module: module.name.to_string(),
                    owner: node.provider.name.clone(),
                    place: dependency.place.to_owned(),
                }),
            }
        }
        edges.push(graph.found(node.module, &node.provider.dependencies));
    }
    edges
}

/// Who could supply `key`, the easiest to mend first.
fn elsewhere(graph: &Graph, module: usize, key: std::any::TypeId) -> Vec<Elsewhere> {
    let mut found: Vec<(u8, Elsewhere)> = Vec::new();
    for (index, other) in graph.modules.iter().enumerate() {
        let name = other.name.to_string();
        if graph.exports(index, key).is_some() {
            found.push((0, Elsewhere::NotImported(name)));
        } else if other.provided.contains_key(&key) {
            if graph.modules[module].imports.contains(&index) {
                found.push((1, Elsewhere::NotExported(name)));
            } else {
                found.push((2, Elsewhere::Private(name)));
            }
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, elsewhere)| elsewhere).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Dependencies before dependents; every circle is a fault.
fn order(graph: &Graph, edges: &[Vec<usize>], faults: &mut Vec<Fault>) -> Vec<usize> {
    let mut marks = vec![Mark::New; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // (provider, the next of its edges to follow); the stack is the path from `start`.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::Open;
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            let Some(&to) = edges[at].get(*next) else {
                marks[at] = Mark::Done;
                order.push(at);
                path.pop();
                continue;
            };
            *next += 1;
            match marks[to] {
                Mark::Done => {}
                Mark::New => {
                    marks[to] = Mark::Open;
                    path.push((to, 0));
                }
                Mark::Open => {
                    let circle = path
                        .iter()
                        .skip_while(|(on, _)| *on != to)
                        .map(|(on, _)| *on)
                        .chain([to]);
                    faults.push(Fault::Cycle {
                        path: circle
                            .map(|on| graph.providers[on].provider.name.clone())
                            .collect(),
                    });
                }
            }
        }
    }
    order
}
