//! The `loggia` binary as a shell sees it: what it prints where, and how it exits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::fake_dam::{FakeDam, Fault};
use crate::support::port::free_port;
use crate::support::process::{ended, loggia};

const MAPS: &str = "[sources.maps]\nadapter = 'folder'\npath = 'maps'\n";

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
    // Whether the cache's folder could be made is another matter on every machine.
    let summary = out.split("\nnote: ").next().unwrap();
    insta::assert_snapshot!(summary, @r"
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
      = expected `dir`, `memory`, `disk` or `bucket`

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
fn settings_of_another_kind_end_with_78_and_name_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("loggia.toml"), b"label = 'M\xfcller'").unwrap();
    let (code, _, err) = ended(loggia(folder.path(), &["check"]));
    assert_eq!(code, Some(78));
    insta::assert_snapshot!(err, @r"
    cannot read the settings file `loggia.toml`: stream did not contain valid UTF-8

    1 problem in the settings (`loggia.toml`)
    ");
}

#[test]
fn an_address_that_is_taken_ends_with_71() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder_with(&format!("[server]\nlisten = '{address}'\n[cache]\ndir = 'cache'\n{MAPS}"));
    let (code, out, err) = ended(loggia(folder.path(), &["serve"]));
    assert_eq!((code, out.as_str()), (Some(71), ""));
    assert!(err.contains(&format!("cannot listen on `{address}`: Address already in use")), "{err}");
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
      warm   Make pyramids and read headers of a source ahead of time
      purge  Drop all that is kept of a source or of one item, everywhere
      check  Read the settings and say everything that is wrong with them, without touching the network
      help   Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Examples:
      loggia serve --config museum.toml    Serve what the settings name, and print the addresses to open
      loggia check --config museum.toml    Say what is wrong with the settings, or what they add up to
      loggia probe maps a                  Ask the source `maps` for one item; print its record and manifest
      loggia warm maps                     Make the pyramids of all items of `maps` before anybody asks for them
      loggia warm dam --list new --rate 5  Those of the items in the file `new`, with five requests a second
      loggia purge maps a                  Drop all that is kept of one item, in a gateway that runs and everywhere
      LOGGIA__LOG__LEVEL=debug loggia ...  Override one key: LOGGIA__SECTION__KEY=VALUE

    Exit codes:
       0  done
       1  something else went wrong; `probe`: there is no such item; `warm`: not everything could be made
      64  the command line is wrong; `probe`, `purge`, `warm`: there is no such source
      69  a source does not answer, or not as its adapter expects; `purge`: something is still kept somewhere
      70  a fault of the gateway itself
      71  `serve`: the address cannot be listened on, another process may have it
      78  the settings are wrong; every mistake is printed with its place
     130  `warm`: interrupted; the next run goes on where this one was
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

/// The binary as a user to whom root's folders are closed; the test's own user where that is not root.
#[cfg(unix)]
fn as_nobody(folder: &Path, words: &[&str]) -> Command {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let mut command = loggia(folder, words);
    if folder.metadata().unwrap().uid() == 0 {
        fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        // Where this one lies may be closed to others. Not written by this process: another test that starts a
        // program at that moment would hold the file open, and what is open for writing cannot be started.
        let binary = folder.join("loggia");
        assert!(
            Command::new("cp").arg(env!("CARGO_BIN_EXE_loggia")).arg(&binary).status().unwrap().success()
        );
        command = Command::new(binary);
        command.args(words).env_clear().current_dir(folder).uid(NOBODY).gid(NOBODY);
    }
    command
}

#[cfg(unix)]
#[test]
fn a_closed_cache_folder_is_told_before_anything_starts() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with(&format!("[server]\nlisten = '127.0.0.1:0'\n[cache]\ndir = 'closed'\n{MAPS}"));
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    for command in ["check", "serve"] {
        let (code, out, err) = ended(as_nobody(folder.path(), &[command]));
        assert_eq!((code, out.as_str()), (Some(78), ""), "{command}");
        insta::allow_duplicates!(insta::assert_snapshot!(err, @r"
        loggia.toml:4:7: `cache.dir`: cannot write in `closed`: permission denied
          |
        4 | dir = 'closed'
          |       ^^^^^^^^

        1 problem in the settings (`loggia.toml`)
        "));
    }
}

#[cfg(unix)]
#[test]
fn a_cache_folder_that_others_may_yet_make_is_a_note() {
    use std::os::unix::fs::PermissionsExt;
    let folder =
        folder_with(&format!("[server]\nlisten = '127.0.0.1:0'\n[cache]\ndir = 'closed/cache'\n{MAPS}"));
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    let (code, out, err) = ended(as_nobody(folder.path(), &["check"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(out, @r"
    `loggia.toml` is fine
      listens at  127.0.0.1:0, known as soon as it has a port
      keeps       256MiB in memory, 20GiB in closed/cache
      serves      maps  folder  maps

    note: `cache.dir`: this user cannot create `closed/cache`: permission denied
      = start `serve` as a user who can, or once somebody has made it
    ");
    let (code, _, err) = ended(as_nobody(folder.path(), &["serve"]));
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(err, @"`cache.dir`: cannot create `closed/cache`: Permission denied (os error 13)");
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

#[test]
fn checking_makes_no_folder() {
    let folder = folder_with(&format!("[cache]\ndir = 'a/cache'\n{MAPS}"));
    let (code, _, _) = ended(loggia(folder.path(), &["check"]));
    assert_eq!((code, folder.path().join("a").exists()), (Some(0), false));
}

#[test]
fn who_listens_everywhere_is_told_to_say_under_which_address() {
    let note = |settings: &str| {
        let folder = folder_with(&format!("[server]\n{settings}\n{MAPS}"));
        let (code, out, _) = ended(loggia(folder.path(), &["check"]));
        assert_eq!(code, Some(0));
        out.split_once("\nnote: ").map(|(_, note)| note.to_owned()).unwrap_or_default()
    };
    insta::assert_snapshot!(note("listen = '0.0.0.0:8080'"), @r"
    `server.public_url` is not set: every address in a document begins with `http://127.0.0.1:8080`, which only this machine can open
      = expected what clients use, such as `https://iiif.example.org`
    ");
    assert!(note("listen = '[::]:8080'").contains("`http://127.0.0.1:8080`"));
    assert_eq!(note("listen = '0.0.0.0:8080'\npublic_url = 'https://iiif.example.org'"), "");
    assert_eq!(note("listen = '127.0.0.1:8080'"), "");
}

/// A folder of maps with one in it.
fn with_a_map() -> tempfile::TempDir {
    let folder = folder_with(MAPS);
    fs::copy("tests/fixtures/images/grey.png", folder.path().join("maps/town.png")).unwrap();
    folder
}

#[test]
fn probing_shows_what_comes_of_an_item() {
    let folder = with_a_map();
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "maps", "town.png"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let (record, manifest) = out.strip_prefix("record\n").unwrap().split_once("\n\nmanifest\n").unwrap();
    let record: serde_json::Value = serde_json::from_str(record).unwrap();
    assert_eq!((&record["id"], &record["access"]), (&"town.png".into(), &"open".into()));
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    assert_eq!(manifest["id"], "http://127.0.0.1:8080/iiif/3/manifest/maps/town.png");
    assert_eq!(manifest["items"].as_array().unwrap().len(), 1);
    // Neither does it use the cache of a gateway that runs.
    assert!(!folder.path().join("var").exists());
}

#[test]
fn probing_an_item_that_is_not_there_ends_with_1() {
    let folder = with_a_map();
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "maps", "twon.png"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    insta::assert_snapshot!(err, @"source `maps`: there is no item `twon.png`");
}

#[test]
fn probing_a_source_that_is_not_there_ends_with_64_and_those_that_are() {
    let folder = folder_with(&format!("{MAPS}{}", MAPS.replace("sources.maps", "sources.views")));
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "mpas", "town.png"]));
    assert_eq!((code, out.as_str()), (Some(64), ""));
    insta::assert_snapshot!(err, @r"
    unknown source `mpas`
      = did you mean `maps`?
      = expected `maps` or `views`
    ");
}

#[test]
fn probing_a_source_that_does_not_answer_ends_with_69() {
    // A port that was free a moment ago: nobody listens there.
    let port = free_port();
    let wiki = format!("[sources.wiki]\nadapter = 'mediawiki'\nbase = 'http://127.0.0.1:{port}/w'\n");
    let folder = folder_with(&wiki);
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "wiki", "File:Town.png"]));
    assert_eq!((code, out.as_str()), (Some(69), ""));
    assert!(err.contains("source `wiki`"), "{err}");
}

/// An Omeka whose files lie on another host, and a folder with the settings for it.
async fn omeka_with_files_elsewhere() -> (FakeDam, [tempfile::TempDir; 2]) {
    let answers = tempfile::tempdir().unwrap();
    for entry in fs::read_dir("tests/fixtures/omeka-classic").unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("https://omeka.example.org/files", "https://cdn.example.net/files");
        fs::write(answers.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let dam = FakeDam::start(answers.path()).await;
    let base = dam.here("https://omeka.example.org");
    let source = format!("adapter = 'omeka-classic'\nbase = '{base}'\nkey = 'not-a-real-key'");
    (dam, [folder_with(&format!("[log]\nlevel = 'off'\n[sources.dam]\n{source}\n")), answers])
}

#[tokio::test(flavor = "multi_thread")]
async fn probing_names_the_host_of_files_that_may_not_be_asked() {
    let (_dam, [folder, _answers]) = omeka_with_files_elsewhere().await;
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "dam", "1"]));
    // One of the two is told with its size.
    assert_eq!((code, out.contains("\"width\": 3000")), (Some(69), true));
    insta::assert_snapshot!(err, @r#"
    not readable: `1/2`: `cdn.example.net` (source `dam`) may not be asked: if its files lie there, add it to `hosts` of source `dam`: `hosts = ["cdn.example.net"]`
    not readable: `1/1`: `cdn.example.net` (source `dam`) may not be asked: if its files lie there, add it to `hosts` of source `dam`: `hosts = ["cdn.example.net"]`
    no image of `1` can be read
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn probing_names_the_host_that_a_redirect_leads_to() {
    let (dam, [folder, _answers]) = omeka_with_files_elsewhere().await;
    dam.fault(Some(Fault::Elsewhere));
    let (code, out, err) = ended(loggia(folder.path(), &["probe", "dam", "1"]));
    assert_eq!((code, out.as_str()), (Some(69), ""));
    insta::assert_snapshot!(err, @r#"`elsewhere.example.net` (source `dam`) may not be asked: if its files lie there, add it to `hosts` of source `dam`: `hosts = ["elsewhere.example.net"]`"#);
    // In the log, too, where the settings want one.
    let mut command = loggia(folder.path(), &["probe", "dam", "1"]);
    command.env("LOGGIA__LOG__LEVEL", "debug");
    assert!(ended(command).2.contains("DEBUG"));
}

#[test]
fn probing_says_that_addresses_lack_a_port_where_none_is_known() {
    let folder = folder_with(&format!("[server]\nlisten = '127.0.0.1:0'\n{MAPS}"));
    fs::copy("tests/fixtures/images/grey.png", folder.path().join("maps/town.png")).unwrap();
    let (code, _, err) = ended(loggia(folder.path(), &["probe", "maps", "town.png"]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(err, @"note: `server.listen` leaves the port to the system, so addresses in this manifest have port 0");
}

/// Who reads no further has what was wanted.
#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = with_a_map();
    let mut command = loggia(folder.path(), &["probe", "maps", "town.png"]);
    let mut probe = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(probe.stdout.take());
    let Output { status, stderr, .. } = probe.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
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
