//! The container: every provider of a verified graph, built once in dependency order.

use std::any::TypeId;
use std::sync::Arc;

use super::graph::Graph;
use super::inject::{InjectError, Resolver};
use super::provider::{Built, Instance};
use crate::Server;

/// The built providers. Instances are reached by the visibility rules of the graph that they came from.
pub(crate) struct Container {
    graph: Graph,
    instances: Vec<Option<Instance>>,
}

/// The container as the providers of one module see it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    container: &'a Container,
    module: usize,
}

impl Container {
    /// Builds every provider of `graph` in `order`, which must come from [`verify`](super::verify()). `server` gives
    /// the namespace of a provider that is a gateway.
    pub(crate) async fn build(
        graph: Graph,
        order: &[usize],
        server: impl Fn(usize) -> Option<Server>,
    ) -> Result<Self, InjectError> {
        let mut container = Self {
            instances: (0..graph.providers.len()).map(|_| None).collect(),
            graph,
        };
        for &index in order {
            let node = &mut container.graph.providers[index];
            let module = node.module;
            let owner = node.provider.name.clone();
            let build = std::mem::replace(&mut node.provider.build, Box::new(|_| Ok(spent())));
            let server = server(index);
            let built = {
                let scope = Scope {
                    container: &container,
                    module,
                };
                build(&Resolver {
                    scope,
                    owner: &owner,
                    server: server.as_ref(),
                })?
            };
            let instance = match built {
                Built::Ready(instance) => instance,
                Built::Future(future) => future.await?,
            };
            container.instances[index] = Some(instance);
        }
        Ok(container)
    }

    /// What the provider with this index may see.
    pub(crate) fn resolver(&self, index: usize) -> Resolver<'_> {
        let node = &self.graph.providers[index];
        Resolver {
            scope: Scope {
                container: self,
                module: node.module,
            },
            owner: &node.provider.name,
            server: None,
        }
    }

    /// The instance of the provider with this index.
    pub(crate) fn instance(&self, index: usize) -> Option<&Instance> {
        self.instances[index].as_ref()
    }

    /// `T` as the root module sees it, or else from the first module that provides it.
    pub(crate) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let key = TypeId::of::<T>();
        let index = self.graph.find(0, key).or_else(|| {
            self.graph
                .providers
                .iter()
                .position(|node| node.provider.key.id() == key)
        })?;
        self.instances[index].as_ref()?.downcast_ref::<Arc<T>>().cloned()
    }

    /// Each module's name and its providers' names, imported modules first.
    pub(crate) fn summary(&self) -> Vec<(&'static str, Vec<&str>)> {
        let mut summary: Vec<(&'static str, Vec<&str>)> = self
            .graph
            .modules
            .iter()
            .rev()
            .map(|module| (module.name, Vec::new()))
            .collect();
        let last = self.graph.modules.len() - 1;
        for node in &self.graph.providers {
            summary[last - node.module].1.push(&node.provider.name);
        }
        summary
    }
}

impl Scope<'_> {
    pub(super) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let index = self.container.graph.find(self.module, TypeId::of::<T>())?;
        self.container.instances[index]
            .as_ref()?
            .downcast_ref::<Arc<T>>()
            .cloned()
    }
}

/// Stands in for a build function that was taken out to be run.
fn spent() -> Built {
    Built::Ready(Box::new(()))
}
