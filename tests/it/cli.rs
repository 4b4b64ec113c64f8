//! The `loggia` binary as a shell sees it: what it prints where, and how it exits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MAPS: &str = "[sources.maps]\nadapter = 'folder'\npath = 'maps'\n";

/// The binary with nothing in its environment, in a folder of its own.
fn loggia(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
    command.args(words).env_clear().current_dir(folder);
    command
}

/// Exit code, standard output, standard error.
fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("loggia.toml"), text).unwrap();
    fs::create_dir(folder.path().join("maps")).unwrap();
    folder
}

#[test]
fn good_settings_are_summed_up() {
    let museum = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, out, err) = ended(loggia(museum, &["check", "--config", "config/museum.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(out, @r"
    `config/museum.toml` is fine
      listens at  127.0.0.1:8080, known as https://iiif.museum.example
      keeps       1GiB in memory, 200GiB in /var/cache/loggia
      serves      photographs  mediawiki      https://wiki.museum.example/w
                  collection   resourcespace  https://dam.museum.example
                  old-maps     folder         config/samples
    ");
}

#[test]
fn bad_settings_end_with_78_and_every_mistake() {
    let folder = folder_with("[server]\nlisten = 'here'\n\n[cache]\nmemry = '1GiB'\n");
    let (code, out, err) = ended(loggia(folder.path(), &["check"]));
    assert_eq!((code, out.as_str()), (Some(78), ""));
    insta::assert_snapshot!(err, @r#"
    loggia.toml: there is no section `sources`
      = add one, for example:
        [sources.maps]
        adapter = "folder"
        path = "/srv/maps"

    loggia.toml:2:10: `server.listen`: expected an address with a port such as `127.0.0.1:8080`, found `here`
      |
    2 | listen = 'here'
      |          ^^^^^^

    loggia.toml:5:1: unknown key `memry` in `cache`
      |
    5 | memry = …
      | ^^^^^
      = did you mean `memory`?
      = expected `dir`, `memory` or `disk`

    3 problems in the settings (`loggia.toml`)
    "#);
}

#[test]
fn missing_settings_end_with_78_and_say_how_to_name_some() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = ended(loggia(folder.path(), &["check"]));
    assert_eq!(code, Some(78));
    insta::assert_snapshot!(err, @r"
    cannot read the settings file `loggia.toml`: No such file or directory (os error 2)
      = name another with `--config FILE` or the variable `LOGGIA_CONFIG`

    1 problem in the settings (`loggia.toml`)
    ");
}

#[test]
fn the_file_comes_from_the_option_the_variable_or_the_folder() {
    let folder = folder_with(MAPS);
    fs::write(folder.path().join("other.toml"), MAPS.replace("sources.maps", "sources.views")).unwrap();
    let check = |words: &[&str], variable: Option<&str>| {
        let mut command = loggia(folder.path(), words);
        command.envs(variable.map(|file| ("LOGGIA_CONFIG", file)));
        let (code, out, _) = ended(command);
        assert_eq!(code, Some(0));
        out.lines().next().unwrap().to_owned()
    };
    assert_eq!(check(&["check"], None), "`loggia.toml` is fine");
    assert_eq!(check(&["check"], Some("other.toml")), "`other.toml` is fine");
    assert_eq!(check(&["check", "-c", "loggia.toml"], Some("other.toml")), "`loggia.toml` is fine");
}

#[test]
fn variables_reach_the_settings() {
    let folder = folder_with(MAPS);
    let mut command = loggia(folder.path(), &["check"]);
    command.env("LOGGIA__CACHE__DISK", "a lot");
    let (code, _, err) = ended(command);
    assert_eq!(code, Some(78));
    assert!(
        err.starts_with("environment variable LOGGIA__CACHE__DISK: `cache.disk`: expected a size"),
        "{err}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["chekc"][..], &["check", "--verbose"], &["check", "--config"], &[]] {
        let (code, out, err) = ended(loggia(folder.path(), words));
        assert_eq!((code, out.as_str()), (Some(64), ""), "{words:?}");
        assert!(err.contains("--help") || err.contains("Usage: loggia"), "{err}");
    }
}

#[test]
fn help_and_version_are_no_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = ended(loggia(folder.path(), &["--version"]));
    assert_eq!((code, out, err), (Some(0), format!("loggia {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    let (code, out, _) = ended(loggia(folder.path(), &["--help"]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(out, @r"
    Stand in front of an asset-management system or repository and make it speak IIIF

    Usage: loggia <COMMAND>

    Commands:
      serve  Serve IIIF for the sources that the settings name
      probe  Ask a source for one item, print the mapped record and the manifest
      check  Read the settings and say everything that is wrong with them, without touching the network
      help   Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Examples:
      loggia serve --config museum.toml    Serve what the settings name, and print the addresses to open
      loggia check --config museum.toml    Say what is wrong with the settings, or what they add up to
      loggia probe maps a/b.tif            Ask the source `maps` for one item; print its record and manifest
      LOGGIA__LOG__LEVEL=debug loggia ...  Override one key: LOGGIA__SECTION__KEY=VALUE

    Exit codes:
       0  done
       1  something else went wrong
      64  the command line is wrong
      69  a source does not answer, or not as its adapter expects
      70  a fault of the gateway itself
      78  the settings are wrong; every mistake is printed with its place
    ");
    let (code, out, _) = ended(loggia(folder.path(), &["check", "--help"]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(out, @r"
    Read the settings and say everything that is wrong with them, without touching the network

    Usage: loggia check [OPTIONS]

    Options:
      -c, --config <FILE>  The settings file [env: LOGGIA_CONFIG=] [default: loggia.toml]
      -h, --help           Print help
    ");
}

#[cfg(unix)]
#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = folder_with(&format!("[server]\nlisten = '127.0.0.1:0'\n[cache]\ndir = 'cache'\n{MAPS}"));
    let mut command = loggia(folder.path(), &["serve"]);
    let mut gateway = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(gateway.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let (address, known_as) =
        first.strip_prefix("Loggia listens at ").unwrap().split_once(", known as ").unwrap();
    assert_eq!(known_as.trim_end(), format!("http://{address}"));

    let mut connection = TcpStream::connect(address).unwrap();
    connection
        .write_all(b"GET /iiif/3/collection/maps HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let kill = Command::new("kill").arg(gateway.id().to_string()).status().unwrap();
    assert!(kill.success());
    let Output { status, stderr, .. } = gateway.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(0));
    let log = String::from_utf8(stderr).unwrap();
    let lines = log.lines().filter(|line| line.contains("/iiif/3/collection/maps"));
    assert_eq!(lines.count(), 1, "one line a request: {log}");
    assert!(!log.contains('\x1b'), "no colours where nobody looks: {log}");
}
