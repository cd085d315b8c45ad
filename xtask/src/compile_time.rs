//! How long an application takes to compile: writes one with many gateways, builds what it depends on, then measures the
//! application crate alone, checked and built in debug. The figure is wall time, and includes linking.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Failure, cargo, root, run};

const GATEWAYS: usize = 40;
const EVENTS: usize = 10;
const BODIES: usize = 3;

pub(crate) fn compile_time(args: &[String]) -> Result<(), Failure> {
    let number = |at: usize, default: usize| match args.get(at) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|error| Failure(format!("{text:?} is no number: {error}"))),
    };
    let (gateways, events) = (number(0, GATEWAYS)?, number(1, EVENTS)?);
    let folder = root().join("target/compile-time");
    write(&folder.join("Cargo.toml"), &manifest())?;
    // The same versions as here, so that nothing is to be resolved anew.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|error| Failure(format!("Cargo.lock cannot be copied: {error}")))?;
    let main = folder.join("src/main.rs");

    write(&main, "fn main() {}\n")?;
    for name in ["check", "build"] {
        run(&mut chore(name, &folder))?;
    }
    write(&main, &application(gateways, events))?;
    let check = timed(&mut chore("check", &folder))?.as_secs_f64();
    let build = timed(&mut chore("build", &folder))?.as_secs_f64();
    println!(
        "{gateways} gateways with {events} events each, the application crate alone, in debug: \
         check {check:.1} s, build {build:.1} s"
    );
    Ok(())
}

fn chore(name: &'static str, folder: &Path) -> Command {
    let mut command = cargo([name, "--manifest-path"]);
    command
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", folder.join("target"));
    command
}

fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let started = Instant::now();
    run(command)?;
    Ok(started.elapsed())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))
}

fn manifest() -> String {
    format!(
        r#"[package]
name = "compile-time"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
gatewire = {{ path = {:?} }}
serde = {{ version = "1", features = ["derive"] }}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}
"#,
        root().join("crates/gatewire")
    )
}

/// What a team writes, not the least that compiles: a service, three body types for the events of a gateway, async and
/// plain handlers, answers of each kind, hooks, and a module for each gateway.
fn application(gateways: usize, events: usize) -> String {
    let mut text = String::from(
        "use gatewire::prelude::*;\nuse serde::{Deserialize, Serialize};\n\n#[tokio::main]\n\
         async fn main() -> gatewire::Result<()> {\n    App::create::<AppModule>().await?.listen(\"127.0.0.1:0\").await\n}\n",
    );
    let modules: Vec<String> = (0..gateways)
        .map(|at| format!("area{at}::Area{at}Module"))
        .collect();
    let _ = writeln!(
        text,
        "\n#[module(imports = [{}])]\nstruct AppModule;",
        modules.join(", ")
    );
    for at in 0..gateways {
        let _ = writeln!(text, "\nmod area{at} {{\n    use super::*;\n");
        for event in 0..BODIES {
            let _ = writeln!(
                text,
                "    #[derive(Deserialize, Serialize)]\n    pub struct Body{event} {{\n        pub id: u64,\n        \
                 pub text: String,\n        pub tags: Vec<String>,\n    }}\n"
            );
        }
        let _ = writeln!(
            text,
            "    #[injectable]\n    pub struct Service{at} {{\n        logger: Logger,\n    }}\n\n    \
             impl Service{at} {{\n        async fn save(&self, text: &str) -> Result<usize, std::io::Error> {{\n            \
             self.logger.log(text);\n            Ok(text.len())\n        }}\n    }}\n\n    \
             #[websocket_gateway(namespace = \"/area{at}\")]\n    pub struct Gateway{at} {{\n        #[websocket_server]\n        \
             server: Server,\n        service: Arc<Service{at}>,\n    }}\n\n    \
             impl OnGatewayConnection for Gateway{at} {{\n        \
             async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {{\n            \
             client.join(\"lobby\");\n            Ok(())\n        }}\n    }}\n\n    \
             #[subscriptions]\n    impl Gateway{at} {{"
        );
        for event in 0..events {
            let kind = event % BODIES;
            let body = format!("MessageBody(body): MessageBody<Body{kind}>");
            let _ = match event % 5 {
                0 => writeln!(
                    text,
                    "        #[subscribe_message(\"event{event}\")]\n        async fn event{event}(&self, {body}) -> Result<usize, WsException> {{\n            \
                     self.service.save(&body.text).await.map_err(WsException::internal)\n        }}\n"
                ),
                1 => writeln!(
                    text,
                    "        #[subscribe_message(\"event{event}\")]\n        async fn event{event}(&self, client: Socket, {body}) {{\n            \
                     client.to(\"lobby\").emit(\"event{event}\", &body);\n        }}\n"
                ),
                2 => writeln!(
                    text,
                    "        #[subscribe_message(\"event{event}\")]\n        fn event{event}(&self, {body}) -> WsResponse<Body{kind}> {{\n            \
                     WsResponse::new(\"other\", body)\n        }}\n"
                ),
                3 => writeln!(
                    text,
                    "        #[subscribe_message(\"event{event}\")]\n        async fn event{event}(&self, {body}) -> Option<String> {{\n            \
                     self.server.emit(\"event{event}\", &body);\n            body.tags.into_iter().next()\n        }}\n"
                ),
                _ => writeln!(
                    text,
                    "        #[subscribe_message(\"event{event}\")]\n        fn event{event}(&self, {body}) -> Body{kind} {{\n            \
                     body\n        }}\n"
                ),
            };
        }
        let _ = writeln!(
            text,
            "    }}\n\n    #[module(providers = [Service{at}, Gateway{at}])]\n    pub struct Area{at}Module;\n}}"
        );
    }
    text
}
