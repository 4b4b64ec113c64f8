//! A real MediaWiki on SQLite, served by PHP itself on a loopback port.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::port::free_port;

/// Stops with the test.
pub(crate) struct Wiki {
    mediawiki: PathBuf,
    dir: TempDir,
    server: Option<Child>,
    base: String,
}

impl Wiki {
    /// Installs a fresh wiki and imports these files, each with a text as its description.
    pub(crate) fn start(mediawiki: &Path, files: &[(PathBuf, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["images", "cache", "import"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for (file, text) in files {
            let copy = dir.path().join("import").join(file.file_name().unwrap());
            fs::copy(file, &copy).unwrap();
            fs::write(copy.with_extension("txt"), text).unwrap();
        }
        // PHP wants to be told its port.
        let base = format!("http://127.0.0.1:{}", free_port());
        let mut wiki = Self { mediawiki: mediawiki.to_owned(), dir, server: None, base };
        wiki.install();
        let import = wiki.dir.path().join("import");
        wiki.maintain(
            "importImages.php",
            &["--comment-ext=txt", "--user", "Admin", import.to_str().unwrap()],
        );
        wiki.serve();
        wiki
    }

    /// The address of the wiki, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Deletes a page with its file, as an administrator would.
    pub(crate) fn delete(&self, title: &str) {
        let list = self.dir.path().join("delete");
        fs::write(&list, title).unwrap();
        self.maintain("deleteBatch.php", &["--u", "Admin", "-r", "test", list.to_str().unwrap()]);
    }

    /// Ends the server; the address refuses connections from now on.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    fn install(&self) {
        let data = self.dir.path().join("data");
        self.maintain(
            "install.php",
            &[
                "--dbtype=sqlite",
                "--dbname=wiki",
                &format!("--dbpath={}", data.display()),
                &format!("--server={}", self.base),
                "--scriptpath=",
                &format!("--confpath={}", self.dir.path().display()),
                "--pass=a long one for tests",
                "Test wiki",
                "Admin",
            ],
        );
        let settings = self.dir.path().join("LocalSettings.php");
        let written = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, written + include_str!("../../live/settings.php")).unwrap();
    }

    fn maintain(&self, script: &str, arguments: &[&str]) {
        let mut command = self.php();
        command.arg(self.mediawiki.join("maintenance").join(script)).args(arguments);
        if script == "install.php" {
            command.env_remove("MW_CONFIG_FILE");
        }
        let output = command.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} failed:\n{text}");
    }

    fn serve(&mut self) {
        let mut command = self.php();
        let router = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/router.php");
        command.args(["-S", self.base.trim_start_matches("http://"), "-t"]).arg(&self.mediawiki).arg(router);
        // One process: it can be ended by its id, without leaving workers behind.
        let mut server = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("started") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "PHP's server ended before it began");
        }
        // Keep reading: a full pipe would stop the server.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        self.server = Some(server);
    }

    fn php(&self) -> Command {
        let mut command = Command::new("php");
        command
            .env("WIKI_DIR", self.dir.path())
            .env("WIKI_SERVER", &self.base)
            .env("MW_CONFIG_FILE", self.dir.path().join("LocalSettings.php"));
        command
    }
}

impl Drop for Wiki {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
