//! Every example in `config/` is fine, and every file in `bad-config` fails with its recorded message.
//!
//! `RECORD=1 cargo test --test it bad_config` records the messages anew; read them before they are committed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loggia::adapter::declared::builtin;
use loggia::assemble::in_process;
use loggia::cli::{Arguments, Exit};
use loggia::clock::SystemClock;
use loggia::iiif::presentation::text::LanguageMap;
use loggia::secret::Secret;
use loggia::settings::Settings;
use loggia::settings::load::{self, Environment};
use loggia::units::{Bytes, Duration};

const BAD: &str = "tests/fixtures/bad-config";

/// What `loggia check` prints for a file, or says against it.
fn check(file: &Path, environment: &Environment) -> Result<String, String> {
    let words: [OsString; 4] = ["loggia".into(), "check".into(), "--config".into(), file.into()];
    let mut out = Vec::new();
    match Arguments::read(words).unwrap().run(environment, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(failure) => {
            assert_eq!(failure.exit(), Exit::Settings);
            Err(failure.to_string())
        }
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn files(folder: &str, extension: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn examples_are_fine() {
    let examples = files("config", "toml");
    assert!(examples.len() >= 3);
    for example in examples {
        check(&example, &Environment::new()).unwrap_or_else(|message| panic!("{message}"));
    }
}

#[test]
fn every_bad_config_fails_as_recorded() {
    let record = std::env::var_os("RECORD").is_some();
    let mut different = Vec::new();
    for file in files(BAD, "toml") {
        let variables = fs::read_to_string(file.with_extension("env")).unwrap_or_default();
        let variables: Vec<(&str, &str)> =
            variables.lines().filter_map(|line| line.split_once('=')).collect();
        let message = check(&file, &environment(&variables)).expect_err(&file.display().to_string());
        let message = format!("{}\n", message.replace(&format!("{BAD}/"), ""));
        let recorded = file.with_extension("txt");
        if record {
            fs::write(&recorded, &message).unwrap();
        } else if fs::read_to_string(&recorded).unwrap_or_default() != message {
            different.push(format!("{} is recorded otherwise:\n{message}", file.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_recorded_message_has_its_file() {
    let missing = |file: &PathBuf| !file.with_extension("toml").exists();
    let orphans: Vec<PathBuf> =
        files(BAD, "txt").into_iter().chain(files(BAD, "env")).filter(missing).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
}

/// One folder, to which a test adds what it is about.
const MAPS: &str = "[sources.maps]\nadapter = 'folder'\npath = '.'\n";

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loggia.toml");
    fs::write(&file, text).unwrap();
    fs::write(folder.path().join("dam.key"), "s3cret\n").unwrap();
    Settings::load(&file, &environment(variables)).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn defaults_are_as_documented() {
    let settings = settings(MAPS, &[]);
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.public_url(settings.server.listen).as_str(), "http://127.0.0.1:8080");
    assert_eq!(settings.cache.dir, Path::new("var/cache"));
    assert_eq!((settings.cache.memory, settings.cache.disk), (Bytes::mib(256), Bytes::gib(20)));
    assert_eq!(settings.limits.memory, Bytes::gib(1));
    let image = settings.image;
    assert_eq!((image.upscale, image.max_area, image.tile, image.quality), (true, 100_000_000, 512, 80));
    let maps = &settings.sources["maps"];
    assert_eq!((maps.record_ttl, maps.stale), (None, Duration::days(7)));
    assert!(maps.hosts.is_empty() && !maps.allow_private);
}

#[test]
fn variables_override_the_file_and_become_what_the_key_wants() {
    let settings = settings(
        &format!("[cache]\ndisk = '1GiB'\nmemory = '1MiB'\n{MAPS}"),
        &[
            ("LOGGIA__CACHE__DISK", "2GiB"),
            ("LOGGIA__CACHE__MEMORY", "1024"),
            ("LOGGIA__IMAGE__UPSCALE", "false"),
            ("LOGGIA__IMAGE__QUALITY", "91"),
            ("LOGGIA__SERVER__TRUSTED_PROXIES", "10.0.0.1, 10.1.0.0/16"),
            ("LOGGIA__SOURCES__MAPS__RATE", "2.5"),
            ("LOGGIA__SOURCES__MAPS__LABEL__DE", "Karten"),
            ("LOGGIA__SOURCES__OLD_MAPS__ADAPTER", "folder"),
            ("LOGGIA__SOURCES__OLD_MAPS__PATH", "."),
            ("LOGGIA__SOURCES__DAM__ADAPTER", "resourcespace"),
            ("LOGGIA__SOURCES__DAM__BASE", "https://dam.example.org"),
            ("LOGGIA__SOURCES__DAM__USER", "0123"),
            ("LOGGIA__SOURCES__DAM__API_KEY", "12345"),
            ("LOGGIA__SOURCES__DAM__HIDDEN_FIELDS", "a, b"),
            ("LOGGIA_CACHE_DISK", "not ours"),
            ("PATH", "/bin"),
        ],
    );
    assert_eq!((settings.cache.disk, settings.cache.memory), (Bytes::gib(2), Bytes::new(1024)));
    assert_eq!((settings.image.upscale, settings.image.quality), (false, 91));
    for (address, trusted) in [("10.0.0.1", true), ("10.1.2.3", true), ("10.2.0.1", false)] {
        assert_eq!(settings.server.trusted_proxies.contain(address.parse().unwrap()), trusted, "{address}");
    }
    assert_eq!(settings.sources["maps"].rate, Some(2.5));
    assert_eq!(settings.sources["maps"].label, LanguageMap::tagged("de", "Karten"));
    assert_eq!(settings.sources["old-maps"].inputs["path"], settings.sources["maps"].inputs["path"]);
    let dam = &settings.sources["dam"].inputs;
    assert_eq!((dam["user"].as_str(), dam["api_key"].as_str()), (Some("0123"), Some("12345")));
    assert_eq!(dam["hidden_fields"], toml::Value::from(vec!["a", "b"]));
}

#[test]
fn a_number_in_quotes_is_a_text_in_a_file() {
    let file = Path::new(BAD).join("quoted-number.toml");
    assert!(check(&file, &Environment::new()).unwrap_err().contains("found the text `80`"));
}

#[test]
fn sources_and_languages_keep_the_order_of_the_file() {
    let source = |name: &str| {
        format!(
            "[sources.{name}]\nadapter = 'folder'\npath = '.'\nlabel = {{ nl = 'a', de = 'b', en = 'c' }}\n"
        )
    };
    let settings = settings(&["zebra", "apple", "mango"].map(source).concat(), &[]);
    assert_eq!(settings.sources.keys().collect::<Vec<_>>(), ["zebra", "apple", "mango"]);
    let languages: Vec<&str> = settings.sources["zebra"].label.iter().map(|(language, _)| language).collect();
    assert_eq!(languages, ["nl", "de", "en"]);
}

#[test]
fn an_adapter_sees_secrets_as_texts_wherever_they_are_kept() {
    let dam = |key: &str| {
        format!(
            "[sources.dam]\nadapter = 'resourcespace'\nbase = 'https://dam.example.org'\nuser = 'iiif'\napi_key = {key}\n"
        )
    };
    for key in ["'s3cret'", "{ env = 'DAM_KEY' }", "{ file = 'dam.key' }"] {
        let settings = settings(&dam(key), &[("DAM_KEY", "s3cret")]);
        assert_eq!(settings.sources["dam"].inputs["api_key"].as_str(), Some("s3cret"), "{key}");
        assert!(!format!("{settings:?}").contains("s3cret"), "{key}");
    }
}

#[test]
fn a_secret_in_a_section_is_followed_too() {
    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        token: Option<Secret>,
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loggia.toml");
    for (toml, expected) in
        [("token = { env = 'TOKEN' }", Ok("s3cret")), ("token = { vault = 'x' }", Err("{ env = "))]
    {
        fs::write(&file, toml).unwrap();
        let sample =
            load::read::<Sample>(&file, &environment(&[("TOKEN", "s3cret")])).unwrap().check(|_| Vec::new());
        match expected {
            Ok(text) => assert_eq!(sample.unwrap().token.unwrap().reveal(), text),
            Err(part) => assert!(sample.unwrap_err().to_string().contains(part)),
        }
    }
}

#[test]
fn relative_paths_of_a_source_begin_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy("tests/fixtures/tls/ca.pem", folder.path().join("ca.pem")).unwrap();
    fs::create_dir(folder.path().join("masters")).unwrap();
    let file = folder.path().join("loggia.toml");
    fs::write(&file, "[sources.maps]\nadapter = 'folder'\npath = 'masters'\nca_file = 'ca.pem'").unwrap();
    let settings = Settings::load(&file, &Environment::new()).unwrap();
    let maps = &settings.sources["maps"];
    assert_eq!(maps.ca_file, Some(folder.path().join("ca.pem")));
    assert_eq!(maps.inputs["path"].as_str().map(Path::new), Some(&*folder.path().join("masters")));
}

/// Settings with a folder of adapters beside them.
fn with_adapters(adapters: &[(&str, &str)], sources: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("my-adapters")).unwrap();
    for (name, text) in adapters {
        fs::write(folder.path().join("my-adapters").join(name), text).unwrap();
    }
    let file = folder.path().join("loggia.toml");
    let cache = folder.path().join("cache");
    let text = format!("adapters = 'my-adapters'\n[cache]\ndir = '{}'\n{sources}", cache.display());
    fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn a_folder_of_definitions_adds_adapters_and_replaces_some() {
    let omeka = builtin("omeka-s").unwrap();
    let renamed = omeka.replace("name = \"omeka-s\"", "name = \"archive\"");
    let stricter = omeka.replace("[settings]", "[settings]\ntenant = { type = \"number\", required = true }");
    let source =
        |name: &str| format!("[sources.{name}]\nadapter = '{name}'\nbase = 'https://{name}.example.org'\n");
    let adapters = [("archive.toml", renamed.as_str()), ("omeka-s.toml", stricter.as_str())];

    let (_folder, file) = with_adapters(&adapters, &[source("archive"), source("omeka-s")].concat());
    let message = check(&file, &Environment::new()).unwrap_err();
    assert!(message.contains("`sources.omeka-s` needs the key `tenant`"), "{message}");
    assert!(message.ends_with(&format!("1 problem in the settings (`{}`)", file.display())), "{message}");

    let (_folder, file) =
        with_adapters(&adapters, &[source("archive"), source("omeka-s"), "tenant = 5".into()].concat());
    let summary = check(&file, &Environment::new()).unwrap();
    assert!(summary.contains("archive  https://archive.example.org"), "{summary}");
    let settings = loggia::cli::load(&file).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let gateway = runtime.block_on(async { in_process(&settings, Arc::new(SystemClock)).map(|_| ()) });
    gateway.unwrap();
}

#[test]
fn an_adapter_of_no_folder_is_unknown() {
    let (_folder, file) = with_adapters(&[], "[sources.a]\nadapter = 'archive'");
    let message = check(&file, &Environment::new()).unwrap_err();
    assert!(message.contains("unknown adapter `archive`"), "{message}");
}

proptest::proptest! {
    /// Striking out ends, whatever is wrong: keys and values that exist, thrown together.
    #[test]
    fn any_toml_is_read_to_its_end(
        lines in proptest::collection::vec(
            ("(cache|image|server|log|sources)\\.(dir|tile|hosts|a|a\\.hosts|a\\.label|a\\.adapter)",
             "(1|-1|'x'|true|\\[\\]|\\[1, 'x', 2\\]|\\{\\}|\\{ env = 'X' \\}|\\{ en = 1, de = 'x' \\})"),
            0..8,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loggia.toml");
        fs::write(&file, lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect::<String>()).unwrap();
        if let Err(message) = check(&file, &Environment::new()) {
            proptest::prop_assert!(message.contains("loggia.toml"));
        }
    }
}
