//! The modules and providers of an application as a graph, and who sees what in it. Finds; judges nothing.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;

use super::dynamic::{DynamicModule, ModuleId};
use super::provider::{Dependency, Key, Provider};
use super::{Export, Import, Module, ModuleDefinition, ModuleRef};
use crate::controller::ControllerDefinition;
use crate::gateway::GatewayDefinition;

/// Every module that can be reached from the root, each once.
pub(crate) struct Graph {
    /// In the order in which they are entered: the root first.
    pub(crate) modules: Vec<ModuleNode>,
    /// Imported modules before the importing one, in the order written.
    pub(crate) providers: Vec<ProviderNode>,
    /// (module, type): a second provider of a type in a module; the first stays.
    pub(crate) duplicates: Vec<(usize, Key)>,
    /// Modules that were configured more than once; the first configuration stays.
    pub(crate) reconfigured: Vec<usize>,
    /// What a test would replace, but nobody provides.
    pub(crate) unknown_overrides: Vec<Key>,
}

pub(crate) struct ModuleNode {
    pub(crate) name: Cow<'static, str>,
    pub(crate) global: bool,
    is_configured: bool,
    pub(crate) imports: Vec<usize>,
    /// Indices into [`Graph::providers`].
    pub(crate) provided: HashMap<TypeId, usize>,
    pub(crate) exports: Vec<NodeExport>,
}

#[derive(Clone, Copy)]
pub(crate) enum NodeExport {
    Provider(Key),
    Module(usize),
}

pub(crate) struct ProviderNode {
    pub(crate) module: usize,
    pub(crate) provider: Provider,
    /// It is there only because of this one, which is the same instance under another type.
    implied_by: Option<usize>,
}

impl Graph {
    /// Reads the definitions of `Root` and of all it imports.
    pub(crate) fn of<Root: Module>() -> Self {
        let mut graph = Self {
            modules: Vec::new(),
            providers: Vec::new(),
            duplicates: Vec::new(),
            reconfigured: Vec::new(),
            unknown_overrides: Vec::new(),
        };
        graph.enter(&ModuleRef::of::<Root>(), &mut HashMap::new());
        graph.add_classes();
        graph
    }

    /// Adds the guards, interceptors and filters that gateways and controllers name and their modules do not see: they
    /// need not be listed.
    fn add_classes(&mut self) {
        for at in 0..self.providers.len() {
            let node = &self.providers[at];
            let (module, provider) = (node.module, &node.provider);
            let of_gateway = provider.gateway.iter().flat_map(|gateway| &gateway.classes);
            let controller = provider.controller.iter();
            let of_controller = controller.flat_map(|controller| &controller.classes);
            let classes: Vec<_> = of_gateway.chain(of_controller).copied().collect();
            for class in classes {
                let provider = class();
                if self.find(module, provider.key.id()).is_none() {
                    self.add(module, provider);
                }
            }
        }
    }

    /// The provider of `key` that the providers of `module` see: their own module's first, then the imports in the
    /// order written, then the global modules.
    pub(crate) fn find(&self, module: usize, key: TypeId) -> Option<usize> {
        let node = &self.modules[module];
        if let Some(&own) = node.provided.get(&key) {
            return Some(own);
        }
        let globals = (0..self.modules.len()).filter(|&other| self.modules[other].global);
        node.imports
            .iter()
            .copied()
            .chain(globals)
            .find_map(|other| self.exported(other, key, &mut vec![false; self.modules.len()]))
    }

    /// The provider of `key` that `module` shows to those who import it.
    pub(crate) fn exports(&self, module: usize, key: TypeId) -> Option<usize> {
        self.exported(module, key, &mut vec![false; self.modules.len()])
    }

    /// The providers that stand behind dependencies of a provider of `module`, as far as there are any.
    pub(crate) fn found(&self, module: usize, dependencies: &[Dependency]) -> Vec<usize> {
        dependencies
            .iter()
            .filter_map(|dependency| self.find(module, dependency.requirement.key()?.id()))
            .collect()
    }

    /// The gateways, each with the place of its provider, in declared order.
    pub(crate) fn gateways(&self) -> Vec<(usize, GatewayDefinition)> {
        self.providers
            .iter()
            .enumerate()
            .filter_map(|(at, node)| Some((at, node.provider.gateway.clone()?)))
            .collect()
    }

    /// The controllers, each with the place of its provider, in declared order.
    pub(crate) fn controllers(&self) -> Vec<(usize, ControllerDefinition)> {
        self.providers
            .iter()
            .enumerate()
            .filter_map(|(at, node)| Some((at, node.provider.controller.clone()?)))
            .collect()
    }

    fn exported(&self, module: usize, key: TypeId, seen: &mut [bool]) -> Option<usize> {
        if std::mem::replace(&mut seen[module], true) {
            return None;
        }
        let node = &self.modules[module];
        node.exports.iter().find_map(|export| match *export {
            NodeExport::Module(other) => self.exported(other, key, seen),
            NodeExport::Provider(exported) if exported.id() == key => {
                node.provided.get(&key).copied().or_else(|| {
                    node.imports
                        .iter()
                        .find_map(|&import| self.exported(import, key, seen))
                })
            }
            NodeExport::Provider(_) => None,
        })
    }

    /// Adds what no module lists: a global module of the program's own.
    pub(crate) fn give(&mut self, providers: Vec<Provider>) {
        if providers.is_empty() {
            return;
        }
        let given = providers.into_iter().fold(
            ModuleDefinition::new("the program").global(),
            |given, provider| given.export(Export::Provider(provider.key)).provide(provider),
        );
        let index = self.open(given.name.clone());
        self.extend(index, given, &mut HashMap::new());
    }

    /// Puts each of `replacements` in the place of what is provided under its type, wherever that is; all places share
    /// one instance, which is built with what the first of them sees.
    pub(crate) fn replace(&mut self, replacements: Vec<Provider>) {
        let mut dead = vec![false; self.providers.len()];
        for mut replacement in replacements {
            let key = replacement.key;
            let places: Vec<usize> = (0..self.providers.len())
                .filter(|&at| self.providers[at].provider.key == key)
                .collect();
            let Some((&first, others)) = places.split_first() else {
                self.unknown_overrides.push(key);
                continue;
            };
            for &other in others {
                let module = self.providers[other].module;
                self.modules[module].provided.insert(key.id(), first);
            }
            for &place in &places {
                dead[place] = place != first;
                for (at, node) in self.providers.iter().enumerate() {
                    if node.implied_by == Some(place) {
                        dead[at] = !self.is_needed(node.provider.key, place);
                    }
                }
            }
            let implied = replacement.implied.take();
            self.providers[first].provider = replacement;
            if let Some(implied) = implied {
                self.imply(self.providers[first].module, *implied, first);
            }
            dead.resize(self.providers.len(), false);
        }
        self.bury(&dead);
    }

    /// Whether a provider other than the one at `except` asks for `key`.
    fn is_needed(&self, key: Key, except: usize) -> bool {
        self.providers.iter().enumerate().any(|(at, node)| {
            at != except
                && node
                    .provider
                    .dependencies
                    .iter()
                    .any(|dependency| dependency.requirement.key() == Some(key))
        })
    }

    /// Takes providers out.
    fn bury(&mut self, dead: &[bool]) {
        let mut places = Vec::with_capacity(dead.len());
        let mut next = 0;
        for &is_dead in dead {
            places.push((!is_dead).then_some(next));
            next += usize::from(!is_dead);
        }
        for module in &mut self.modules {
            module.provided.retain(|_, at| match places[*at] {
                Some(place) => {
                    *at = place;
                    true
                }
                None => false,
            });
        }
        let mut is_dead = dead.iter();
        self.providers.retain(|_| is_dead.next() == Some(&false));
        for node in &mut self.providers {
            node.implied_by = node.implied_by.and_then(|at| places[at]);
        }
    }

    fn enter(&mut self, module: &ModuleRef, entered: &mut HashMap<ModuleId, usize>) -> usize {
        if let Some(&index) = entered.get(&module.id) {
            return index;
        }
        let definition = (module.definition)();
        let index = self.open(match &module.id.name {
            None => definition.name.clone(),
            Some(name) => format!("{}({name})", definition.name).into(),
        });
        entered.insert(module.id.clone(), index);
        self.extend(index, definition, entered);
        index
    }

    /// A module with nothing in it.
    fn open(&mut self, name: Cow<'static, str>) -> usize {
        self.modules.push(ModuleNode {
            name,
            global: false,
            is_configured: false,
            imports: Vec::new(),
            provided: HashMap::new(),
            exports: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn enter_dynamic(&mut self, module: DynamicModule, entered: &mut HashMap<ModuleId, usize>) -> usize {
        let index = self.enter(&module.module, entered);
        if std::mem::replace(&mut self.modules[index].is_configured, true) {
            self.reconfigured.push(index);
        } else {
            self.extend(index, module.additions, entered);
        }
        index
    }

    /// Adds to a module what a definition says.
    fn extend(&mut self, index: usize, definition: ModuleDefinition, entered: &mut HashMap<ModuleId, usize>) {
        self.modules[index].global |= definition.global;
        for import in definition.imports {
            let import = match import {
                Import::Module(module) => self.enter(&module, entered),
                Import::Dynamic(module) => self.enter_dynamic(module, entered),
            };
            self.modules[index].imports.push(import);
        }
        for export in definition.exports {
            let export = match export {
                Export::Provider(key) => NodeExport::Provider(key),
                Export::Module(module) => NodeExport::Module(self.enter(&module, entered)),
            };
            self.modules[index].exports.push(export);
        }
        let listed: Vec<TypeId> = definition
            .providers
            .iter()
            .map(|provider| provider.key.id())
            .collect();
        for mut provider in definition.providers {
            let implied = provider.implied.take();
            let at = self.add(index, provider);
            if let Some(implied) = implied
                && let Some(at) = at
                && !listed.contains(&implied.key.id())
            {
                self.imply(index, *implied, at);
            }
        }
    }

    /// Adds what the provider at `by` is another type of, unless the module provides it anyway.
    fn imply(&mut self, module: usize, implied: Provider, by: usize) {
        if !self.modules[module].provided.contains_key(&implied.key.id())
            && let Some(at) = self.add(module, implied)
        {
            self.providers[at].implied_by = Some(by);
        }
    }

    /// Where it is now; `None` if the module has one of the type.
    fn add(&mut self, module: usize, provider: Provider) -> Option<usize> {
        let key = provider.key;
        if self.modules[module].provided.contains_key(&key.id()) {
            self.duplicates.push((module, key));
            return None;
        }
        let at = self.providers.len();
        self.modules[module].provided.insert(key.id(), at);
        self.providers.push(ProviderNode {
            module,
            provider,
            implied_by: None,
        });
        Some(at)
    }
}
