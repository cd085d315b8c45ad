//! The modules and providers of an application as a graph, and who sees what in it. Finds; judges nothing.

use std::any::TypeId;
use std::collections::HashMap;

use super::provider::{Key, Provider};
use super::{Export, Module, ModuleRef};

/// Every module that can be reached from the root, each once.
pub(crate) struct Graph {
    /// In the order in which they are entered: the root first.
    pub(crate) modules: Vec<ModuleNode>,
    /// Imported modules before the importing one, in the order written.
    pub(crate) providers: Vec<ProviderNode>,
    /// (module, type): a second provider of a type in a module; the first stays.
    pub(crate) duplicates: Vec<(usize, Key)>,
}

pub(crate) struct ModuleNode {
    pub(crate) name: &'static str,
    pub(crate) global: bool,
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
}

impl Graph {
    /// Reads the definitions of `Root` and of all it imports.
    pub(crate) fn of<Root: Module>() -> Self {
        let mut graph = Self {
            modules: Vec::new(),
            providers: Vec::new(),
            duplicates: Vec::new(),
        };
        graph.enter(ModuleRef::of::<Root>(), &mut HashMap::new());
        graph.add_classes();
        graph
    }

    /// Adds the guards, interceptors and filters that gateways name and their modules do not see: they need not be listed.
    fn add_classes(&mut self) {
        for at in 0..self.providers.len() {
            let node = &self.providers[at];
            let (module, gateway) = (node.module, &node.provider.gateway);
            for class in gateway
                .as_ref()
                .map_or_else(Vec::new, |gateway| gateway.classes.clone())
            {
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

    fn enter(&mut self, module: ModuleRef, entered: &mut HashMap<TypeId, usize>) -> usize {
        if let Some(&index) = entered.get(&module.id) {
            return index;
        }
        let index = self.modules.len();
        entered.insert(module.id, index);
        let definition = (module.definition)();
        self.modules.push(ModuleNode {
            name: definition.name,
            global: definition.global,
            imports: Vec::new(),
            provided: HashMap::new(),
            exports: Vec::new(),
        });
        let imports = definition
            .imports
            .iter()
            .map(|&import| self.enter(import, entered))
            .collect();
        let exports = definition
            .exports
            .iter()
            .map(|export| match *export {
                Export::Provider(key) => NodeExport::Provider(key),
                Export::Module(module) => NodeExport::Module(self.enter(module, entered)),
            })
            .collect();
        let node = &mut self.modules[index];
        node.imports = imports;
        node.exports = exports;
        let listed: Vec<TypeId> = definition
            .providers
            .iter()
            .map(|provider| provider.key.id())
            .collect();
        for mut provider in definition.providers {
            if let Some(implied) = provider.implied.take()
                && !listed.contains(&implied.key.id())
                && !self.modules[index].provided.contains_key(&implied.key.id())
            {
                self.add(index, *implied);
            }
            self.add(index, provider);
        }
        index
    }

    fn add(&mut self, module: usize, provider: Provider) {
        let key = provider.key;
        if self.modules[module].provided.contains_key(&key.id()) {
            self.duplicates.push((module, key));
            return;
        }
        self.modules[module]
            .provided
            .insert(key.id(), self.providers.len());
        self.providers.push(ProviderNode { module, provider });
    }
}
