//! The routes of all controllers together, and what speaks against them. Plans and judges; serves nothing.

use http::Method;
use matchit::{InsertError, Router};

use super::ControllerDefinition;
use crate::module::Fault;

/// One route, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteName {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) handler: &'static str,
}

/// A controller's path and that of a handler, with one slash between, and none at the end.
pub(crate) fn join(prefix: &str, path: &str) -> String {
    let mut joined = String::new();
    for part in [prefix, path] {
        let part = part.trim_matches('/');
        if !part.is_empty() {
            joined.push('/');
            joined.push_str(part);
        }
    }
    if joined.is_empty() {
        joined.push('/');
    }
    joined
}

/// Adds what is wrong with the routes to `faults`.
pub(crate) fn check<'a>(
    controllers: impl IntoIterator<Item = &'a ControllerDefinition>,
    faults: &mut Vec<Fault>,
) {
    // The router that axum uses; a path may stand in it once, with several methods.
    let mut paths = Router::new();
    let mut seen: Vec<(String, Method, String)> = Vec::new();
    for controller in controllers {
        for route in &controller.routes {
            let handler = format!("{}::{}", controller.name, route.handler);
            let same = seen
                .iter()
                .find(|(path, method, _)| *path == route.path && *method == route.method);
            if let Some((_, _, first)) = same {
                faults.push(Fault::DuplicateRoute {
                    method: route.method.to_string(),
                    path: route.path.clone(),
                    first: first.clone(),
                    second: handler,
                });
                continue;
            }
            let is_new = !seen.iter().any(|(path, ..)| *path == route.path);
            seen.push((route.path.clone(), route.method.clone(), handler.clone()));
            if let Some(problem) = problem(&route.path) {
                faults.push(Fault::InvalidRoute {
                    handler,
                    path: route.path.clone(),
                    problem,
                });
            } else if is_new && let Err(error) = paths.insert(route.path.clone(), ()) {
                faults.push(Fault::InvalidRoute {
                    handler,
                    path: route.path.clone(),
                    problem: match error {
                        InsertError::Conflict { with } => format!("is not to be told from {with:?}"),
                        error => format!("is no path: {error}"),
                    },
                });
            }
        }
    }
}

fn problem(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    if let Some(part) = parts.find(|part| part.starts_with([':', '*'])) {
        let name = part.trim_start_matches([':', '*']);
        let wanted = if part.starts_with('*') {
            format!("{{*{name}}}")
        } else {
            format!("{{{name}}}")
        };
        return Some(format!("has {part:?}: a parameter is written {wanted:?}"));
    }
    path.contains(|c: char| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control())
        .then(|| "has a `?`, a `#` or a space, which no request's path has".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::ControllerOptions;

    #[test]
    fn paths_are_joined() {
        for (prefix, path, joined) in [
            ("", "", "/"),
            ("/", "/", "/"),
            ("/prices", "/", "/prices"),
            ("prices/", "ticker/", "/prices/ticker"),
            ("", "/a/{id}", "/a/{id}"),
        ] {
            assert_eq!(join(prefix, path), joined);
        }
    }

    fn faults(routes: &[(Method, &str)]) -> Vec<String> {
        let routes = routes.iter().map(|(method, path)| RouteName {
            method: method.clone(),
            path: join("", path),
            handler: "handler",
        });
        let controller = ControllerDefinition {
            name: "Controller",
            options: ControllerOptions::new(),
            routes: routes.collect(),
            classes: Vec::new(),
            bind: |_, _| Ok(None),
        };
        let mut faults = Vec::new();
        check([&controller], &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(
            faults(&[
                (Method::GET, "/a"),
                (Method::POST, "/a"),
                (Method::GET, "/a/{id}")
            ]),
            [""; 0]
        );
        assert_eq!(
            faults(&[
                (Method::GET, "/a"),
                (Method::GET, "a/"),
                (Method::GET, "/b/:id"),
                (Method::GET, "/c/{id}"),
                (Method::GET, "/c/{name}"),
                (Method::GET, "/d e"),
                (Method::GET, "/f/{"),
            ]),
            [
                "GET /a has two handlers: Controller::handler and Controller::handler",
                "Controller::handler has the path \"/b/:id\", which has \":id\": a parameter is written \"{id}\"",
                "Controller::handler has the path \"/c/{name}\", which is not to be told from \"/c/{id}\"",
                "Controller::handler has the path \"/d e\", which has a `?`, a `#` or a space, which no request's path has",
                "Controller::handler has the path \"/f/{\", which is no path: Parameters must be registered with a valid name",
            ]
        );
    }
}
