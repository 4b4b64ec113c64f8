//! The `loggia` binary as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// The binary with nothing in its environment, in a folder.
pub(crate) fn loggia(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
    command.args(words).env_clear().current_dir(folder);
    command
}

/// Exit code, standard output, standard error.
pub(crate) fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A gateway that serves what `loggia.toml` in a folder says; it ends with the test at the latest.
pub(crate) struct Process {
    child: Child,
    address: String,
}

/// The status of an answer on a connection that stays open.
pub(crate) fn status_of(path: &str, connection: &mut BufReader<TcpStream>) -> u16 {
    write!(connection.get_mut(), "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        assert!(connection.read_line(&mut head).unwrap() > 0, "it hung up");
        length = head[begin..]
            .strip_prefix("content-length: ")
            .map_or(length, |told| told.trim().parse().unwrap());
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    head[9..12].parse().unwrap()
}

/// What it answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: String,
    pub(crate) body: Vec<u8>,
}

impl Process {
    /// Starts one, at a port that is free.
    pub(crate) fn serve(folder: &Path) -> Self {
        let mut child = loggia(folder, &["serve"])
            .env("LOGGIA__SERVER__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let said = first.strip_prefix("Loggia listens at ");
        let (address, _) = said.and_then(|said| said.split_once(", known as ")).expect("it starts");
        Self { child, address: address.to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer).unwrap();
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default().to_owned();
        Answer { status: head[9..12].parse().unwrap(), tag, body }
    }

    /// Waits until it has looked through its cache.
    pub(crate) fn ready(&self) {
        while self.get("/ready").status != 200 {
            std::thread::yield_now();
        }
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.get("/metrics").body).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// A connection that stays open.
    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(&self.address).unwrap())
    }

    /// Has it open so many files and no more; what was open stays so.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_files(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: getrlimit(Resource::Nofile).maximum };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// Whether it is at work still.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
