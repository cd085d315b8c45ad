//! From the gateways of an application to servers and namespaces: which share a server, with which options, and
//! what speaks against it. Plans and judges; opens nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use gatewire_hub::NamespacePattern;

use super::options::{Codec, GatewayOptions, ServerOptions};
use super::{GatewayDefinition, is_pattern};
use crate::module::{Fault, Requirement};

/// One server: a port (the application's if there is none) and a path.
#[derive(Debug, PartialEq)]
pub(crate) struct ServerPlan {
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
    /// What the gateways say together.
    pub(crate) options: ServerOptions,
    pub(crate) namespaces: Vec<NamespacePlan>,
}

/// One namespace and its gateways, as indices into what was planned, in declared order.
#[derive(Debug, PartialEq)]
pub(crate) struct NamespacePlan {
    pub(crate) name: Cow<'static, str>,
    /// What one of its gateways says.
    pub(crate) codec: Option<Codec>,
    pub(crate) gateways: Vec<usize>,
}

/// The servers of these gateways; faults are added to `faults`.
pub(crate) fn plan(gateways: &[&GatewayDefinition], faults: &mut Vec<Fault>) -> Vec<ServerPlan> {
    let mut servers: Vec<ServerPlan> = Vec::new();
    for (index, gateway) in gateways.iter().enumerate() {
        check(gateway, faults);
        let path = gateway.options.server_path();
        let at = servers
            .iter()
            .position(|server| server.port == gateway.options.port && server.path == path)
            .unwrap_or_else(|| {
                servers.push(ServerPlan {
                    port: gateway.options.port,
                    path: path.to_owned(),
                    options: ServerOptions::default(),
                    namespaces: Vec::new(),
                });
                servers.len() - 1
            });
        let namespaces = &mut servers[at].namespaces;
        let name = gateway.options.namespace_name();
        match namespaces.iter_mut().find(|namespace| namespace.name == name) {
            Some(namespace) => namespace.gateways.push(index),
            None => namespaces.push(NamespacePlan {
                name,
                codec: None,
                gateways: vec![index],
            }),
        }
    }
    for server in &mut servers {
        server.options = merge(server, gateways, faults);
        let title = server.to_string();
        for namespace in &mut server.namespaces {
            let members: Vec<_> = namespace.gateways.iter().map(|&index| gateways[index]).collect();
            let mut merge = Merge {
                server: format!("{title} (namespace {})", namespace.name),
                members: &members,
                faults,
            };
            namespace.codec = merge.option("codec", |options| options.codec.as_ref());
        }
        check_patterns(server, gateways, faults);
        for namespace in &server.namespaces {
            check_events(server, namespace, gateways, faults);
        }
    }
    servers
}

impl fmt::Display for ServerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, ":{port}{}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

impl ServerOptions {
    /// These, completed by `other`.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            cors: self.cors.or_else(|| other.cors.clone()),
            transports: self.transports.or_else(|| other.transports.clone()),
            ping_interval: self.ping_interval.or(other.ping_interval),
            ping_timeout: self.ping_timeout.or(other.ping_timeout),
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
            upgrade_timeout: self.upgrade_timeout.or(other.upgrade_timeout),
            max_http_buffer_size: self.max_http_buffer_size.or(other.max_http_buffer_size),
            allow_upgrades: self.allow_upgrades.or(other.allow_upgrades),
        }
    }
}

/// The options of a server's gateways together; two different values for one option are a fault.
fn merge(server: &ServerPlan, gateways: &[&GatewayDefinition], faults: &mut Vec<Fault>) -> ServerOptions {
    let mut members: Vec<usize> = server
        .namespaces
        .iter()
        .flat_map(|namespace| namespace.gateways.iter().copied())
        .collect();
    members.sort_unstable();
    let members: Vec<&GatewayDefinition> = members.into_iter().map(|index| gateways[index]).collect();
    let mut merge = Merge {
        server: server.to_string(),
        members: &members,
        faults,
    };
    ServerOptions {
        cors: merge.option("cors", |options| options.server.cors.as_ref()),
        transports: merge.option("transports", |options| options.server.transports.as_ref()),
        ping_interval: merge.option("ping_interval", |options| options.server.ping_interval.as_ref()),
        ping_timeout: merge.option("ping_timeout", |options| options.server.ping_timeout.as_ref()),
        connect_timeout: merge.option("connect_timeout", |options| {
            options.server.connect_timeout.as_ref()
        }),
        upgrade_timeout: merge.option("upgrade_timeout", |options| {
            options.server.upgrade_timeout.as_ref()
        }),
        max_http_buffer_size: merge.option("max_http_buffer_size", |options| {
            options.server.max_http_buffer_size.as_ref()
        }),
        allow_upgrades: merge.option("allow_upgrades", |options| options.server.allow_upgrades.as_ref()),
    }
}

struct Merge<'a> {
    server: String,
    members: &'a [&'a GatewayDefinition],
    faults: &'a mut Vec<Fault>,
}

impl Merge<'_> {
    /// The first value written; every later one must be the same.
    fn option<T: Clone + PartialEq + fmt::Debug>(
        &mut self,
        option: &'static str,
        read: impl Fn(&GatewayOptions) -> Option<&T>,
    ) -> Option<T> {
        let mut written = self
            .members
            .iter()
            .filter_map(|gateway| Some((gateway.name, read(&gateway.options)?)));
        let (first, first_value) = written.next()?;
        for (second, second_value) in written {
            if second_value != first_value {
                self.faults.push(Fault::OptionConflict {
                    server: self.server.clone(),
                    option,
                    first: first.to_owned(),
                    first_value: format!("{first_value:?}"),
                    second: second.to_owned(),
                    second_value: format!("{second_value:?}"),
                });
            }
        }
        Some(first_value.clone())
    }
}

/// What is wrong with one gateway by itself.
fn check(gateway: &GatewayDefinition, faults: &mut Vec<Fault>) {
    let name = || gateway.name.to_owned();
    let GatewayOptions {
        namespace,
        path,
        server,
        ..
    } = &gateway.options;
    if let Some(path) = path
        && let Some(problem) = path_problem(path)
    {
        faults.push(Fault::InvalidPath {
            gateway: name(),
            path: path.clone().into_owned(),
            problem,
        });
    }
    if let Some(namespace) = namespace
        && namespace.contains([',', '?'])
    {
        let problem = "has a `,` or a `?`, where the protocol ends a namespace's name";
        faults.push(Fault::InvalidNamespace {
            gateway: name(),
            namespace: namespace.clone().into_owned(),
            problem,
        });
    }
    check_server(gateway, faults);
    let mut invalid = |option, value: String, problem| {
        faults.push(Fault::InvalidOption {
            gateway: name(),
            option,
            value,
            problem,
        });
    };
    for (option, value) in [
        ("ping_interval", server.ping_interval),
        ("ping_timeout", server.ping_timeout),
        ("connect_timeout", server.connect_timeout),
        ("upgrade_timeout", server.upgrade_timeout),
    ] {
        if value == Some(Duration::ZERO) {
            invalid(option, "0".to_owned(), "would close every connection at once");
        }
    }
    if server.max_http_buffer_size == Some(0) {
        invalid(
            "max_http_buffer_size",
            "0".to_owned(),
            "would refuse every message",
        );
    }
    if server.transports.as_ref().is_some_and(Vec::is_empty) {
        invalid("transports", "[]".to_owned(), "would leave clients no way in");
    }
}

fn path_problem(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("does not start with `/`")
    } else if path.trim_matches('/').is_empty() {
        Some("is the root, which would take every request")
    } else if path.contains(|c: char| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control()) {
        Some("has a `?`, a `#` or a space, which no request's path has")
    } else {
        None
    }
}

/// What has one namespace has its `Server`; what has those of a pattern, a `ParentServer`.
fn check_server(gateway: &GatewayDefinition, faults: &mut Vec<Fault>) {
    let namespace = gateway.options.namespace_name();
    let is_pattern = is_pattern(&namespace);
    for dependency in &gateway.dependencies {
        let (gateway, place) = (gateway.name.to_owned(), dependency.place.to_owned());
        let namespace = namespace.clone().into_owned();
        match dependency.requirement {
            Requirement::Server if is_pattern => faults.push(Fault::ServerOfPattern {
                gateway,
                place,
                namespace,
            }),
            Requirement::ParentServer if !is_pattern => faults.push(Fault::ParentServerOfOne {
                gateway,
                place,
                namespace,
            }),
            _ => {}
        }
    }
    if is_pattern && gateway.has_init {
        faults.push(Fault::InitOfPattern {
            gateway: gateway.name.to_owned(),
            namespace: namespace.into_owned(),
        });
    }
}

/// Of two patterns for one name the first gets the client.
fn check_patterns(server: &ServerPlan, gateways: &[&GatewayDefinition], faults: &mut Vec<Fault>) {
    let mut before: Vec<(NamespacePattern, &NamespacePlan)> = Vec::new();
    let first = |namespace: &NamespacePlan| gateways[namespace.gateways[0]].name.to_owned();
    for namespace in server
        .namespaces
        .iter()
        .filter(|namespace| is_pattern(&namespace.name))
    {
        let pattern = NamespacePattern::new(&namespace.name);
        if let Some((_, by)) = before.iter().find(|(other, _)| other.covers(&pattern)) {
            faults.push(Fault::ShadowedNamespace {
                gateway: first(namespace),
                namespace: namespace.name.clone().into_owned(),
                by: first(by),
                by_namespace: by.name.clone().into_owned(),
            });
        }
        before.push((pattern, namespace));
    }
}

fn check_events(
    server: &ServerPlan,
    namespace: &NamespacePlan,
    gateways: &[&GatewayDefinition],
    faults: &mut Vec<Fault>,
) {
    let mut seen: HashMap<&str, String> = HashMap::new();
    for gateway in namespace.gateways.iter().map(|&index| gateways[index]) {
        for (event, handler) in &gateway.events {
            let second = format!("{}::{handler}", gateway.name);
            let Some(first) = seen.get(event) else {
                seen.insert(event, second);
                continue;
            };
            // The whole gateway is there twice: its other events say no more.
            let is_same = *first == second;
            faults.push(Fault::DuplicateEvent {
                namespace: if server.port.is_none() && server.path == "/socket.io" {
                    namespace.name.clone().into_owned()
                } else {
                    format!("{} of the server {server}", namespace.name)
                },
                event: (*event).to_owned(),
                first: first.clone(),
                second,
            });
            if is_same {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::TransportKind;

    fn gateway(
        name: &'static str,
        options: GatewayOptions,
        events: &[(&'static str, &'static str)],
    ) -> GatewayDefinition {
        GatewayDefinition {
            name,
            options,
            late: None,
            events: events.to_vec(),
            dependencies: Vec::new(),
            has_init: false,
            classes: Vec::new(),
            bind: |_, _| Ok(None),
        }
    }

    fn faults(gateways: &[GatewayDefinition]) -> Vec<String> {
        let mut faults = Vec::new();
        plan(&gateways.iter().collect::<Vec<_>>(), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn gateways_share_servers_and_namespaces() {
        let all = [
            gateway("A", GatewayOptions::new(), &[("a", "a")]),
            gateway(
                "B",
                GatewayOptions::new()
                    .namespace("chat")
                    .ping_interval(Duration::from_secs(1)),
                &[("a", "a")],
            ),
            gateway(
                "C",
                GatewayOptions::new().namespace("/chat").path("/socket.io/"),
                &[("c", "c")],
            ),
            gateway("D", GatewayOptions::new().port(3001), &[]),
            gateway("E", GatewayOptions::new().port(0).path("/other"), &[]),
        ];
        let mut faults = Vec::new();
        let plan = plan(&all.iter().collect::<Vec<_>>(), &mut faults);
        assert_eq!(faults, []);
        let shape: Vec<_> = plan
            .iter()
            .map(|server| {
                let namespaces: Vec<_> = server
                    .namespaces
                    .iter()
                    .map(|space| (&*space.name, space.gateways.clone()))
                    .collect();
                (server.to_string(), server.options.ping_interval, namespaces)
            })
            .collect();
        assert_eq!(
            shape,
            [
                (
                    "/socket.io".to_owned(),
                    Some(Duration::from_secs(1)),
                    vec![("/", vec![0]), ("/chat", vec![1, 2])]
                ),
                (":3001/socket.io".to_owned(), None, vec![("/", vec![3])]),
                ("/other".to_owned(), None, vec![("/", vec![4])]),
            ]
        );
    }

    #[test]
    fn every_fault_is_found() {
        let second = Duration::from_secs(1);
        let found = faults(&[
            gateway(
                "A",
                GatewayOptions::new().ping_timeout(second),
                &[("x", "on_x"), ("y", "on_y")],
            ),
            gateway(
                "B",
                GatewayOptions::new().ping_timeout(2 * second),
                &[("x", "handle_x")],
            ),
            gateway(
                "C",
                GatewayOptions::new().namespace("/c").ping_timeout(second),
                &[("x", "on_x")],
            ),
            gateway("D", GatewayOptions::new().path("chat"), &[]),
            gateway("E", GatewayOptions::new().path("/"), &[]),
            gateway("F", GatewayOptions::new().path("/a?b").namespace("a,b"), &[]),
            gateway(
                "G",
                GatewayOptions::new()
                    .port(9)
                    .transports(Vec::<TransportKind>::new())
                    .ping_interval(Duration::ZERO)
                    .max_http_buffer_size(0),
                &[("z", "a"), ("z", "b")],
            ),
        ]);
        let expected = [
            "D has the path \"chat\", which does not start with `/`",
            "E has the path \"/\", which is the root, which would take every request",
            "F has the path \"/a?b\", which has a `?`, a `#` or a space, which no request's path has",
            "F has the namespace \"a,b\", which has a `,` or a `?`, where the protocol ends a namespace's name",
            "G sets `ping_interval` to 0, which would close every connection at once",
            "G sets `max_http_buffer_size` to 0, which would refuse every message",
            "G sets `transports` to [], which would leave clients no way in",
            "A and B share the server /socket.io but set `ping_timeout` to 1s and 2s",
            "the event \"x\" of namespace / has two handlers: A::on_x and B::handle_x",
            "the event \"z\" of namespace / of the server :9/socket.io has two handlers: G::a and G::b",
        ];
        assert_eq!(found, expected);
    }
}
