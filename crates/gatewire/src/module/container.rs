//! The container: every provider of a verified graph, built once in dependency order.

use std::any::TypeId;
use std::sync::Arc;

use super::graph::Graph;
use super::inject::{InjectError, Resolver};
use super::lifecycle::{self, Lifecycle, ShutdownSignal, Stage};
use super::provider::{Building, Built, Instance};
use crate::Error;
use crate::controller::ControllerDefinition;
use crate::gateway::{GatewayOptions, LateOptions, Space};

/// The built providers. Instances are reached by the visibility rules of the graph that they came from.
pub(crate) struct Container {
    graph: Graph,
    instances: Vec<Option<Instance>>,
    /// Of the providers that have hooks, with their names, in the order in which they were built.
    lifecycle: Vec<(String, Lifecycle)>,
}

/// The container as the providers of one module see it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    container: &'a Container,
    module: usize,
}

impl Container {
    /// The container of `graph`, in which nothing is built.
    pub(crate) fn new(graph: Graph) -> Self {
        Self {
            instances: (0..graph.providers.len()).map(|_| None).collect(),
            graph,
            lifecycle: Vec::new(),
        }
    }

    /// Builds the providers of `order` that are not built, an order that comes from [`check`](super::check()).
    /// `space` gives the namespace of a provider that is a gateway.
    pub(crate) async fn build(
        &mut self,
        order: impl IntoIterator<Item = usize>,
        space: impl Fn(usize) -> Option<Space>,
    ) -> Result<(), InjectError> {
        for index in order {
            if self.instances[index].is_some() {
                continue;
            }
            let node = &mut self.graph.providers[index];
            let module = node.module;
            let owner = node.provider.name.clone();
            let build = std::mem::replace(&mut node.provider.build, Box::new(|_| Ok(spent())));
            let space = space(index);
            let built = {
                let scope = Scope {
                    container: self,
                    module,
                };
                build(&Resolver {
                    scope,
                    owner: &owner,
                    space: space.as_ref(),
                })?
            };
            let built = match built {
                Building::Ready(built) => built,
                Building::Future(future) => future.await?,
            };
            if let Some(lifecycle) = built.lifecycle {
                self.lifecycle.push((owner, lifecycle));
            }
            self.instances[index] = Some(built.instance);
        }
        Ok(())
    }

    /// The controllers, each with the place of its provider.
    pub(crate) fn controllers(&self) -> Vec<(usize, ControllerDefinition)> {
        self.graph.controllers()
    }

    /// Builds what the options of the gateway at `index` need, and nothing else, and makes them.
    pub(crate) async fn late_options(
        &mut self,
        index: usize,
        late: &LateOptions,
        order: &[usize],
    ) -> Result<GatewayOptions, InjectError> {
        let module = self.graph.providers[index].module;
        let mut needed = self.graph.found(module, &late.dependencies);
        let mut next = 0;
        while let Some(&at) = needed.get(next) {
            next += 1;
            let node = &self.graph.providers[at];
            for to in self.graph.found(node.module, &node.provider.dependencies) {
                if !needed.contains(&to) {
                    needed.push(to);
                }
            }
        }
        let order = order.iter().copied().filter(|at| needed.contains(at));
        self.build(order, |_| None).await?;
        (late.make)(&self.resolver(index))
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
            space: None,
        }
    }

    /// Calls a hook of the start, one provider after the other, in the order in which they were built.
    ///
    /// # Errors
    /// That of the first hook that failed; those behind it are not called.
    pub(crate) async fn start(&self, stage: Stage) -> Result<(), Error> {
        for (provider, lifecycle) in &self.lifecycle {
            if let Some(hook) = lifecycle(stage, None) {
                lifecycle::run(hook).await.map_err(|message| Error::Hook {
                    provider: provider.clone(),
                    hook: stage.hook(),
                    message,
                })?;
            }
        }
        Ok(())
    }

    /// Calls a hook of the end, against the order in which the providers were built. What fails is logged.
    pub(crate) async fn end(&self, stage: Stage, signal: Option<ShutdownSignal>) {
        for (provider, lifecycle) in self.lifecycle.iter().rev() {
            if let Some(hook) = lifecycle(stage, signal)
                && let Err(message) = lifecycle::run(hook).await
            {
                let hook = stage.hook();
                tracing::error!(target: "gatewire", context = provider, "{hook} {message}");
            }
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
    pub(crate) fn summary(&self) -> Vec<(&str, Vec<&str>)> {
        let mut summary: Vec<(&str, Vec<&str>)> = self
            .graph
            .modules
            .iter()
            .rev()
            .map(|module| (&*module.name, Vec::new()))
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
fn spent() -> Building {
    Building::Ready(Built::new(Arc::new(())))
}
