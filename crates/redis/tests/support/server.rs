//! Redis servers of a test's own, from the `redis-server` of the system: one, or a cluster of three. Each listens on a free
//! port, keeps its files in a folder of its own, and ends with the test.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether there is a Redis to test with. In CI there must be.
pub fn is_there() -> bool {
    let is_there = ["redis-server", "redis-cli"].iter().all(|program| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    });
    if !is_there {
        assert!(
            env::var("CI").as_deref() != Ok("true"),
            "redis-server is missing, and CI skips nothing: apt-get install redis-server"
        );
        eprintln!("skipped: redis-server is missing (apt-get install redis-server)");
    }
    is_there
}

/// A running Redis.
pub struct Redis {
    process: Option<Child>,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

impl Redis {
    /// An empty one, which forgets everything when it ends.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// An empty one, which finds what it had when it is started again.
    pub fn start_durable() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn start_with(options: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "gatewire-redis-{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        // Another process may take the port before the server does: then the next one is tried.
        for _ in 0..20 {
            let mut redis = Self {
                process: None,
                port: free_port(),
                folder: folder.clone(),
                options: options.iter().map(|&option| option.to_owned()).collect(),
            };
            if redis.spawn() {
                return redis;
            }
        }
        panic!("redis-server does not start in {}", folder.display());
    }

    fn spawn(&mut self) -> bool {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args([
                "--bind",
                "127.0.0.1",
                "--protected-mode",
                "no",
                "--daemonize",
                "no",
            ])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = self.process.insert(child);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops it in the middle of whatever it does.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, on the same port.
    pub fn start_again(&mut self) {
        self.kill();
        assert!(
            self.spawn(),
            "redis-server does not start again on port {}",
            self.port
        );
    }

    /// What the command prints.
    pub fn cli(&self, args: &[&str]) -> String {
        cli(self.port, args)
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        remove(&self.folder);
    }
}

/// Three masters that share the slots.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    pub fn start() -> Self {
        let nodes: Vec<Redis> = (0..3)
            .map(|_| {
                // The port of the cluster's own traffic is 10,000 above, if none is named.
                let bus = free_port().to_string();
                Redis::start_with(&[
                    "--save",
                    "",
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "2000",
                    "--cluster-port",
                    &bus,
                ])
            })
            .collect();
        let addresses: Vec<String> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        let output = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let end = Instant::now() + PATIENCE;
        while !nodes
            .iter()
            .all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
        {
            assert!(Instant::now() < end, "the cluster is not ready");
            thread::sleep(Duration::from_millis(50));
        }
        Self { nodes }
    }

    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }
}

fn cli(port: u16, args: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn answers(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok()
        && cli(port, &["ping"]).trim() == "PONG"
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn remove(folder: &Path) {
    // What is left there is in the system's folder for such things.
    let _ = fs::remove_dir_all(folder);
}
