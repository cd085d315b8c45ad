//! What can be wrong with an application before it starts, each with the way to mend it.

use std::fmt;

/// Every fault that the check at start has found; `Display` lists them numbered, each with its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    faults: Vec<Fault>,
}

impl VerifyError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults, in the order of the modules.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(
            f,
            "the application cannot start, {count} fault{}:",
            if count == 1 { "" } else { "s" }
        )?;
        for (at, fault) in self.faults.iter().enumerate() {
            write!(f, "\n  {}. {fault}\n     fix: {}", at + 1, fault.fix())?;
        }
        Ok(())
    }
}

impl std::error::Error for VerifyError {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody provides what a provider needs.
    #[error("{owner} (in {module}) needs {dependency} for `{place}`, and {module} sees no provider of it")]
    MissingProvider {
        /// The module of the provider that needs it.
        module: String,
        /// The provider that needs it.
        owner: String,
        /// The field or parameter.
        place: String,
        /// What is needed.
        dependency: String,
        /// Modules that provide it but do not export it, or export it but are not imported.
        elsewhere: Vec<Elsewhere>,
    },
    /// Providers that need each other.
    #[error("providers need each other in a circle: {}", path.join(" → "))]
    Cycle {
        /// The circle; the first is named again at the end.
        path: Vec<String>,
    },
    /// One module provides a type twice.
    #[error("{module} provides {provider} twice")]
    DuplicateProvider {
        /// The module.
        module: String,
        /// The type.
        provider: String,
    },
    /// A dynamic module stands in several `imports`.
    #[error("{module} is configured twice: several modules import it with a configuration of their own")]
    ConfiguredTwice {
        /// The module.
        module: String,
    },
    /// A provider is to be replaced that is not there.
    #[error("{provider} is to be overridden, but no module provides it")]
    UnknownOverride {
        /// The type.
        provider: String,
    },
    /// The options of a gateway need another gateway, which cannot be there before its server is.
    #[error("the options of {gateway} (in {module}) need {needed}, which is a gateway or is built from one")]
    OptionsNeedGateway {
        /// The module.
        module: String,
        /// The gateway whose options they are.
        gateway: String,
        /// What they need.
        needed: String,
    },
    /// A module exports what it does not have.
    #[error("{module} exports {export}, but neither provides nor imports it")]
    UnknownExport {
        /// The module.
        module: String,
        /// The type.
        export: String,
    },
    /// A provider that is neither a gateway nor a controller asks for the `Server`.
    #[error("{owner} (in {module}) has a Server in `{place}` but is not a gateway, so it has no namespace")]
    ServerOutsideGateway {
        /// The module.
        module: String,
        /// The provider.
        owner: String,
        /// The field or parameter.
        place: String,
    },
    /// A gateway whose namespace is a pattern asks for one `Server`.
    #[error("{gateway} has a Server in `{place}`, but its namespace {namespace:?} stands for many")]
    ServerOfPattern {
        /// The gateway.
        gateway: String,
        /// The field.
        place: String,
        /// The pattern.
        namespace: String,
    },
    /// A gateway asks for a `ParentServer` whose namespace is no pattern.
    #[error(
        "{gateway} has a ParentServer in `{place}`, but its namespace {namespace:?} is one and no pattern"
    )]
    ParentServerOfOne {
        /// The gateway.
        gateway: String,
        /// The field.
        place: String,
        /// Its namespace.
        namespace: String,
    },
    /// A gateway whose namespace is a pattern has an `after_init`.
    #[error("{gateway} has an `after_init`, but its namespace {namespace:?} stands for many")]
    InitOfPattern {
        /// The gateway.
        gateway: String,
        /// The pattern.
        namespace: String,
    },
    /// The pattern of one gateway takes every client of another one.
    #[error(
        "{gateway} is never reached: every client of its namespace {namespace:?} comes to {by_namespace:?} of {by}"
    )]
    ShadowedNamespace {
        /// The gateway.
        gateway: String,
        /// Its pattern.
        namespace: String,
        /// The gateway before it.
        by: String,
        /// The pattern of that one.
        by_namespace: String,
    },
    /// Two handlers for one event in one namespace.
    #[error("the event {event:?} of namespace {namespace} has two handlers: {first} and {second}")]
    DuplicateEvent {
        /// The namespace, with the port and the path where they are not the usual ones.
        namespace: String,
        /// The event.
        event: String,
        /// `Gateway::handler`.
        first: String,
        /// `Gateway::handler`.
        second: String,
    },
    /// Two handlers for one request.
    #[error("{method} {path} has two handlers: {first} and {second}")]
    DuplicateRoute {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// `Controller::handler`.
        first: String,
        /// `Controller::handler`.
        second: String,
    },
    /// A path of a controller that cannot be served.
    #[error("{handler} has the path {path:?}, which {problem}")]
    InvalidRoute {
        /// `Controller::handler`.
        handler: String,
        /// The whole path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two gateways of one server (same port and path) set one option differently.
    #[error(
        "{first} and {second} share the server {server} but set `{option}` to {first_value} and {second_value}"
    )]
    OptionConflict {
        /// Port and path; and the namespace, for an option that is the namespace's.
        server: String,
        /// The option.
        option: &'static str,
        /// A gateway.
        first: String,
        /// Its value.
        first_value: String,
        /// Another gateway.
        second: String,
        /// Its value.
        second_value: String,
    },
    /// A path that cannot be served.
    #[error("{gateway} has the path {path:?}, which {problem}")]
    InvalidPath {
        /// The gateway.
        gateway: String,
        /// Its path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A namespace whose name the protocol cannot carry.
    #[error("{gateway} has the namespace {namespace:?}, which {problem}")]
    InvalidNamespace {
        /// The gateway.
        gateway: String,
        /// Its namespace.
        namespace: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An option whose value makes no working server.
    #[error("{gateway} sets `{option}` to {value}, which {problem}")]
    InvalidOption {
        /// The gateway.
        gateway: String,
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A module that could supply what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Elsewhere {
    /// This module exports it, but is not imported.
    NotImported(String),
    /// This imported module provides it, but does not export it.
    NotExported(String),
    /// This module provides it, but neither exports it nor is imported.
    Private(String),
}

impl Fault {
    /// How to mend it, as one sentence.
    pub fn fix(&self) -> String {
        match self {
            Self::MissingProvider { module, dependency, elsewhere, .. } => match elsewhere.first() {
                Some(Elsewhere::NotImported(other)) => {
                    format!("{other} exports it: add {other} to the imports of {module}")
                }
                Some(Elsewhere::NotExported(other)) => {
                    format!("{other}, which {module} imports, provides it: add {dependency} to the exports of {other}")
                }
                Some(Elsewhere::Private(other)) => format!(
                    "{other} provides it: add {dependency} to the exports of {other} and {other} to the imports of {module}"
                ),
                None => format!(
                    "add a provider of {dependency} to the providers of {module}, or import a module that exports one"
                ),
            },
            Self::Cycle { .. } => {
                "let one of them hand over what the other needs in a call, or move the shared part to a third provider"
                    .to_owned()
            }
            Self::DuplicateProvider { module, provider } => {
                format!("keep one of the two in the providers of {module}; give the other {provider} a type of its own")
            }
            Self::ConfiguredTwice { module } => format!(
                "configure {module} in one place, and import it by its type elsewhere; or tell the two apart with `.named(..)`"
            ),
            Self::UnknownOverride { provider } => {
                format!("override a type that is injected as `Arc<{provider}>`, or leave the override out")
            }
            Self::OptionsNeedGateway { .. } => {
                "let the options depend on configuration alone: servers are there before gateways".to_owned()
            }
            Self::UnknownExport { module, export } => {
                format!("add {export} to the providers of {module}, or import the module that exports it")
            }
            Self::ServerOutsideGateway { owner, .. } => format!(
                "inject the gateway (`Arc<..Gateway>`) and use its server, or make {owner} a gateway with #[websocket_gateway]"
            ),
            Self::ServerOfPattern { place, .. } => format!(
                "make `{place}` a `ParentServer`, which speaks to all of them; a handler takes its client's as a parameter (`server: Server`)"
            ),
            Self::ParentServerOfOne { place, .. } => format!("make `{place}` a `Server`"),
            Self::InitOfPattern { .. } => {
                "use `on_module_init`: the namespaces come into being when clients ask for them".to_owned()
            }
            Self::ShadowedNamespace { by, .. } => {
                format!("list it before {by}, or give it a pattern that tells them apart")
            }
            Self::DuplicateEvent { first, second, .. } | Self::DuplicateRoute { first, second, .. }
                if first == second =>
            {
                let (name, _) = first.split_once("::").unwrap_or((first, ""));
                format!("two modules list {name}, or two structs have that name: leave it in one of the modules, and let the other import that one")
            }
            Self::DuplicateEvent { .. } => {
                "rename one of the events, or move one gateway to a namespace of its own".to_owned()
            }
            Self::DuplicateRoute { .. } => "give one of the two another path, or another method".to_owned(),
            Self::InvalidRoute { .. } => "write a path such as \"/prices/{id}\"".to_owned(),
            Self::OptionConflict { option, .. } => format!(
                "write `{option}` in one of them only, make both equal, or give one a path or a port of its own"
            ),
            Self::InvalidPath { .. } => "write a path such as \"/socket.io\"".to_owned(),
            Self::InvalidNamespace { .. } => "write a namespace such as \"/chat\"".to_owned(),
            Self::InvalidOption { option, .. } => format!("give `{option}` another value, or leave it out for the default"),
        }
    }
}
