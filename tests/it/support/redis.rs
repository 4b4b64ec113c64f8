//! A Redis of a test's own, on a socket or a port of its own, that keeps nothing.

#![allow(dead_code, reason = "unit tests include this file too, and need less of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::port::free_port;

/// Names the program; set by `scripts/test`.
const PROGRAM: &str = "LOGGIA_TEST_REDIS";

/// How a server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Node,
    /// Of a cluster that has no other node.
    Cluster,
    /// Of a node on this port.
    Sentinel(u16),
}

/// Ends with the test.
pub(crate) struct Server {
    program: PathBuf,
    dir: TempDir,
    role: Role,
    more: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// A node with these arguments beside the usual ones; `None`, and a line that says so, where there is no program.
    pub(crate) fn start(more: &[&str]) -> Option<Self> {
        Self::start_as(Role::Node, more)
    }

    /// The same in another role.
    pub(crate) fn start_as(role: Role, more: &[&str]) -> Option<Self> {
        let Some(program) = std::env::var_os(PROGRAM).map(PathBuf::from) else {
            println!("not run: live Redis: {PROGRAM} names no server (scripts/test installs one)");
            return None;
        };
        let mut server = Self {
            program,
            dir: tempfile::tempdir().unwrap(),
            role,
            more: more.iter().map(|text| (*text).to_owned()).collect(),
            port: free_port(),
            child: None,
        };
        server.run();
        Some(server)
    }

    /// Its socket, as an address for the settings.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The port that it listens on, on this machine only.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Begins, or begins again, with nothing in it.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        let dir = self.dir.path().display().to_string();
        if let Role::Sentinel(node) = self.role {
            let file = self.dir.path().join("sentinel.conf");
            fs::write(&file, format!("sentinel monitor main 127.0.0.1 {node} 1\n")).unwrap();
            command.arg(file).arg("--sentinel");
        } else {
            command.args(["--save", "", "--appendonly", "no"]).arg("--unixsocket").arg(self.socket());
        }
        if self.role == Role::Cluster {
            let bus = free_port().to_string();
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus]);
        }
        command.args(["--dir", &dir, "--port", &port, "--bind", "127.0.0.1"]).args(&self.more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let ready = if matches!(self.role, Role::Sentinel(_)) { "+monitor" } else { "Ready to accept" };
        while !said.lines().last().is_some_and(|line| line.contains(ready)) {
            assert!(log.read_line(&mut said).unwrap() > 0, "Redis ended before it began:\n{said}");
        }
        // Keep reading: a full pipe would stop the server.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        self.child = Some(child);
    }

    /// Ends at once, as by a power cut.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it stand still: it keeps its connections and answers nobody.
    pub(crate) fn freeze(&self) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
