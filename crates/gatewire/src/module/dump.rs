//! The module graph to be looked at: as text, and in the DOT language for Graphviz. It shows what is there, with its
//! faults; the check is `verify`'s matter.

use std::fmt;

use super::Module;
use super::graph::{Graph, NodeExport};
use super::inject::Requirement;

/// The modules of an application, what they provide, and who needs what. `Display` is the text form.
///
/// ```
/// use gatewire::module::ModuleGraph;
/// use gatewire::prelude::*;
///
/// #[injectable]
/// pub struct ChatService;
///
/// #[websocket_gateway(namespace = "/chat")]
/// pub struct ChatGateway {
///     chat: Arc<ChatService>,
/// }
///
/// #[module(providers = [ChatService, ChatGateway], exports = [ChatService])]
/// pub struct ChatModule;
///
/// #[module(imports = [ChatModule])]
/// pub struct AppModule;
///
/// assert_eq!(
///     ModuleGraph::of::<AppModule>().to_string(),
///     "\
/// AppModule
///   imports ChatModule
/// ChatModule
///   exports ChatService
///   ChatService
///   ChatGateway (gateway, namespace /chat)
///     needs ChatService
/// "
/// );
/// ```
pub struct ModuleGraph(Graph);

impl ModuleGraph {
    /// The modules that can be reached from `M`.
    pub fn of<M: Module>() -> Self {
        Self(Graph::of::<M>())
    }

    /// The graph in the DOT language: `dot -Tsvg` draws it. Modules are boxes around their providers, with a dashed
    /// arrow to what they import; a provider has an arrow to each provider that it needs. What is needed but not
    /// provided is red.
    pub fn to_dot(&self) -> String {
        let graph = &self.0;
        let mut dot = String::from("digraph application {\n  rankdir=LR; compound=true; node [shape=box];\n");
        for (at, module) in graph.modules.iter().enumerate() {
            dot.push_str(&format!(
                "  subgraph cluster_{at} {{\n    label={:?};\n",
                module.name
            ));
            // Stands for the module at the ends of import arrows; a module may have no provider.
            dot.push_str(&format!("    m{at} [shape=point, style=invis];\n"));
            for (index, node) in graph.providers.iter().enumerate() {
                if node.module == at {
                    let speaks = node.provider.gateway.is_some() || node.provider.controller.is_some();
                    let style = if speaks { ", style=bold" } else { "" };
                    dot.push_str(&format!(
                        "    p{index} [label={:?}{style}];\n",
                        node.provider.name
                    ));
                }
            }
            dot.push_str("  }\n");
        }
        for (at, module) in graph.modules.iter().enumerate() {
            for import in &module.imports {
                dot.push_str(&format!(
                    "  m{at} -> m{import} [ltail=cluster_{at}, lhead=cluster_{import}, style=dashed];\n"
                ));
            }
        }
        for (index, node) in graph.providers.iter().enumerate() {
            for dependency in &node.provider.dependencies {
                let Some(key) = dependency.requirement.key() else {
                    continue;
                };
                match (graph.find(node.module, key.id()), dependency.requirement) {
                    (Some(found), _) => dot.push_str(&format!("  p{index} -> p{found};\n")),
                    (None, Requirement::Optional(_)) => {}
                    (None, _) => {
                        let missing = format!("missing: {}", key.name());
                        dot.push_str(&format!(
                            "  {missing:?} [color=red];\n  p{index} -> {missing:?} [color=red];\n"
                        ));
                    }
                }
            }
        }
        dot.push_str("}\n");
        dot
    }
}

impl fmt::Display for ModuleGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = &self.0;
        for (at, module) in graph.modules.iter().enumerate() {
            writeln!(
                f,
                "{}{}",
                module.name,
                if module.global { " (global)" } else { "" }
            )?;
            let imports = module
                .imports
                .iter()
                .map(|&import| graph.modules[import].name.to_string());
            line(f, "  imports", imports)?;
            let exports = module.exports.iter().map(|export| match export {
                NodeExport::Provider(key) => key.name(),
                NodeExport::Module(other) => graph.modules[*other].name.to_string(),
            });
            line(f, "  exports", exports)?;
            for node in graph.providers.iter().filter(|node| node.module == at) {
                write!(f, "  {}", node.provider.name)?;
                match &node.provider.gateway {
                    Some(gateway) if gateway.late.is_some() => writeln!(f, " (gateway, options at start)")?,
                    Some(gateway) => {
                        writeln!(f, " (gateway, namespace {})", gateway.options.namespace_name())?
                    }
                    None => match &node.provider.controller {
                        Some(controller) => writeln!(f, " (controller, {} routes)", controller.routes.len())?,
                        None => writeln!(f)?,
                    },
                }
                let needs = node.provider.dependencies.iter().filter_map(|dependency| {
                    let key = dependency.requirement.key()?;
                    let name = key.name();
                    Some(
                        match (graph.find(node.module, key.id()), dependency.requirement) {
                            (Some(found), _) if graph.providers[found].module != node.module => {
                                let owner = graph.providers[found].module;
                                format!("{name} of {}", graph.modules[owner].name)
                            }
                            (Some(_), _) => name,
                            (None, Requirement::Optional(_)) => format!("{name} (optional, not there)"),
                            (None, _) => format!("{name} (missing)"),
                        },
                    )
                });
                line(f, "    needs", needs)?;
            }
        }
        Ok(())
    }
}

/// One line with the entries, or none if there are none.
fn line(f: &mut fmt::Formatter<'_>, label: &str, entries: impl Iterator<Item = String>) -> fmt::Result {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(f, "{label} {}", entries.join(", "))
}
