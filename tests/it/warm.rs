//! `loggia warm`: the real binary, beside gateways that use the same cache.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use http::StatusCode;
use loggia::serve::metrics::{PYRAMIDS, RENDERS};
use tempfile::TempDir;

use crate::support::archive::{Archive, Page};
use crate::support::counts::Counts;
use crate::support::fake_dam::Fault;
use crate::support::gateway::{TestGateway, files_below};
use crate::support::masters::{Masters, fixture, quarters};
use crate::support::port::free_port;
use crate::support::process::loggia;
use crate::support::wait::{until, until_now};

/// A cache, and settings that name it.
struct Place {
    folder: TempDir,
    settings: String,
}

impl Place {
    fn new(settings: &str) -> Self {
        Self::with("", settings)
    }

    /// With more in the section of the cache.
    fn with(cache: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cache");
        let settings = format!("[cache]\ndir = '{}'\n{cache}\n{settings}", dir.display());
        fs::write(folder.path().join("loggia.toml"), &settings).unwrap();
        Self { folder, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = loggia(self.folder.path(), &[&["warm"], words].concat());
        command.env("LOGGIA__LOG__LEVEL", "off").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn warm(&self, words: &[&str]) -> Told {
        Told::from(self.command(words).stdin(Stdio::null()).output().unwrap())
    }

    fn spawn(&self, words: &[&str]) -> Child {
        self.command(words).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// A gateway on the same cache, in this process.
    async fn gateway(&self) -> TestGateway {
        let gateway = TestGateway::start(&self.settings).await;
        until("the cache is read", async || gateway.get("/ready").await.status() == StatusCode::OK).await;
        gateway
    }

    /// Every pyramid, as the file that it is.
    fn pyramids(&self) -> Vec<(PathBuf, u64)> {
        let files = files_below(&self.path("cache/pyramids"));
        let mut files: Vec<_> = files
            .into_iter()
            .filter_map(|path| Some((path.clone(), fs::metadata(&path).ok()?.ino())))
            .collect();
        files.sort();
        files
    }

    /// Lines of all journals of a source.
    fn journal(&self, source: &str) -> Vec<String> {
        let files = files_below(&self.path(&format!("cache/warm/{source}")));
        let journals = files.iter().filter(|path| path.to_string_lossy().contains("journal-"));
        journals.flat_map(|path| lines(path)).collect()
    }

    /// Nothing half done, and no master that was needed for a while.
    fn is_clean(&self) -> bool {
        let below = |folder: &str| files_below(&self.path(folder)).len();
        !files_below(&self.path("cache")).iter().any(|path| path.to_string_lossy().contains("drafts"))
            && below("cache/originals") + below("cache/warm/maps/masters") + below("cache/warm/dam/masters")
                == 0
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
}

/// How it ended, and what it said.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Told {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

/// A report without what is never twice the same.
macro_rules! assert_report {
    ($told:expr, $($expected:tt)*) => {
        insta::with_settings!({ filters => [
            (r"time       .*", "time       [time]"),
            (r"\d+(\.\d)? [KM]iB|\d+B", "[size]"),
            (r"/\S*/cache/", "[cache]/"),
        ] }, { insta::assert_snapshot!($told, $($expected)*) })
    };
}

/// A folder of maps, all but one larger than a tile.
fn maps() -> Masters {
    let masters = Masters::new();
    for name in ["a.png", "b.png", "book/1.png", "book/2.png"] {
        masters.put(name, quarters(1900, 1300));
    }
    masters.put("small.png", quarters(300, 200));
    masters.put("tiled.tif", fixture("pyramid-jpeg-edges.tif"));
    masters
}

const TILE: &str = "/iiif/3/image/maps/a.png/512,512,512,512/512,512/0/default.jpg";

#[tokio::test]
async fn what_was_warmed_is_found_by_gateways_that_ran_before_and_that_start_after() {
    let masters = maps();
    let place = Place::new(&masters.source("maps", ""));
    let before = place.gateway().await;
    let told = place.warm(&["maps"]);
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{}", told.out);
    assert_report!(told.out, @r"
    items      5: 5 done
    images     6: 6 ready
    pyramids   4 made ([size]), 2 not needed
    time       [time]
    ");
    assert_eq!((place.pyramids().len(), place.is_clean()), (4, true));

    let counts = Counts::start();
    let one = before.image(TILE).await;
    let after = place.gateway().await;
    let other = after.image(TILE).await;
    assert_eq!(one.headers["etag"], other.headers["etag"]);
    assert_eq!(one.bytes, other.bytes);
    assert_eq!((counts.of(RENDERS), counts.of(PYRAMIDS)), (0, 0));
    assert_eq!(place.pyramids().len(), 4);
}

#[test]
fn the_second_run_has_nothing_to_do_and_what_is_dropped_is_made_again() {
    let masters = maps();
    // A description that is good for a while may be told although its master has changed.
    let place = Place::new(&masters.source("maps", "record_ttl = '0s'"));
    assert_eq!(place.warm(&["maps"]).code, Some(0));
    let made = place.pyramids();
    assert_report!(place.warm(&["maps"]).out, @r"
    items      5: 0 done, 5 done before
    images     0
    pyramids   0 made
    time       [time]
    ");
    assert_eq!(place.pyramids(), made);
    assert_report!(place.warm(&["maps", "--again"]).out, @r"
    items      5: 5 done
    images     6: 6 ready
    pyramids   0 made, 4 there already, 2 not needed
    time       [time]
    ");
    assert_eq!(place.pyramids(), made);
    // Which one it is, nobody knows: names are hashes.
    fs::remove_file(&made[0].0).unwrap();
    let out = place.warm(&["maps"]).out;
    assert!(
        out.starts_with("items      5: 1 done, 4 done before\n") && out.contains("pyramids   1 made"),
        "{out}"
    );
    assert_eq!(place.pyramids().len(), 4);
    // A master that changes is another one, and another quality makes other pyramids.
    masters.put("b.png", quarters(1901, 1301));
    assert!(place.warm(&["maps", "--again"]).out.contains("pyramids   1 made"));
    let mut command = place.command(&["maps"]);
    let told = Told::from(command.env("LOGGIA__IMAGE__QUALITY", "70").output().unwrap());
    assert!(told.out.contains("pyramids   4 made"), "{}", told.out);
}

/// Whatever the moment.
#[test]
fn what_a_kill_left_is_taken_up_and_nothing_is_made_twice() {
    const COUNT: usize = 12;
    let masters = Masters::new();
    (0..COUNT).for_each(|n| masters.put(&format!("{n}.png"), quarters(2500, 2000)));
    let place = Place::new(&masters.source("maps", ""));
    let mut first = place.spawn(&["maps", "--jobs", "1"]);
    until_now("the first item is done", || {
        assert!(first.try_wait().unwrap().is_none(), "it ended by itself");
        !place.journal("maps").is_empty()
    });
    first.kill().unwrap();
    first.wait().unwrap();
    let (made, done) = (place.pyramids(), place.journal("maps").len());
    let made: Vec<_> =
        made.into_iter().filter(|(path, _)| !path.to_string_lossy().contains("drafts")).collect();
    assert!(!made.is_empty() && made.len() < COUNT, "{}", made.len());

    let told = place.warm(&["maps"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(
        told.out.contains(&format!("{COUNT}: {} done, {done} done before", COUNT - done)),
        "{}",
        told.out
    );
    assert!(told.out.contains(&format!("{} made", COUNT - made.len())), "{}", told.out);
    let all = place.pyramids();
    assert_eq!((all.len(), place.is_clean()), (COUNT, true));
    assert!(made.iter().all(|file| all.contains(file)), "one of them was written again");
}

fn pages() -> [Page; 3] {
    [(1900, 1300), (300, 200), (1300, 1900)].map(|(width, height)| Page::of(quarters(width, height)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_source_is_listed_and_not_asked_for_what_is_done() {
    let archive = Archive::start(&pages()).await;
    let place = Place::new(&archive.source(""));
    let told = place.warm(&["dam", "--rate", "100/s"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert_report!(told.out, @r"
    items      1: 1 done
    images     3: 3 ready
    pyramids   2 made ([size]), 1 not needed
    time       [time]
    ");
    assert_eq!((archive.dam.asked("/api/items?"), archive.dam.asked("/api/items/7")), (1, 1));
    assert!(archive.dam.asked("/files/") >= 3);
    assert!(archive.dam.requests() > 0 && place.is_clean());

    assert_report!(place.warm(&["dam"]).out, @r"
    items      1: 0 done, 1 done before
    images     0
    pyramids   0 made
    time       [time]
    ");
    assert_eq!((archive.dam.asked("/api/items?"), archive.dam.requests()), (1, 1));
    // Named, it is not even listed.
    assert_eq!(place.warm(&["dam", "7"]).code, Some(0));
    assert_eq!(archive.dam.requests(), 0);
    // A gateway that starts now asks for no file.
    let gateway = place.gateway().await;
    gateway.image("/iiif/3/image/dam/7%2F1/0,0,512,512/512,512/0/default.jpg").await;
    gateway.image("/iiif/3/image/dam/7%2F3/full/325,475/0/default.jpg").await;
    assert_eq!(archive.dam.asked("/files/"), 0);
    archive.dam.assert_all_known();
}

#[test]
fn a_broken_image_stops_no_other_and_is_tried_again() {
    let masters = maps();
    let whole = quarters(1900, 1300);
    masters.put("book/1.png", &whole[..whole.len() / 2]);
    let place = Place::new(&masters.source("maps", ""));
    let told = place.warm(&["maps"]);
    assert_eq!((told.code, told.err.as_str()), (Some(1), "not everything of source `maps` could be made\n"));
    assert_report!(told.out, @r"
    items      5: 4 done, 1 failed
    images     6: 5 ready, 1 failed
    pyramids   3 made ([size]), 2 not needed
    time       [time]

    failed
      book, file book/1.png: source `maps`: master `book/1.png`: the master is broken: the file ends early
    The next run tries these again; `loggia warm maps --list [cache]/warm/maps/failed` tries no others.
    ");
    assert_eq!(lines(&place.path("cache/warm/maps/failed")), ["book\n"]);
    masters.put("book/1.png", &whole);
    let told = place.warm(&["maps", "--list", "cache/warm/maps/failed"]);
    assert_report!(told.out, @r"
    items      1: 1 done
    images     2: 2 ready
    pyramids   1 made ([size]), 1 there already
    time       [time]
    ");
    assert_eq!((told.code, place.path("cache/warm/maps/failed").exists()), (Some(0), false));
}

#[test]
fn items_that_are_not_there_are_told() {
    let masters = maps();
    let place = Place::new(&masters.source("maps", ""));
    let told = place.warm(&["maps", "a.png", "nothing.png", "../a.png"]);
    assert_eq!(told.code, Some(1));
    assert_report!(told.out, @r"
    items      3: 1 done, 2 failed
    images     1: 1 ready
    pyramids   1 made ([size])
    time       [time]

    failed
      nothing.png: there is no item `nothing.png`
      ../a.png: there is no item `../a.png`
    The next run tries these again; `loggia warm maps --list [cache]/warm/maps/failed` tries no others.
    ");
}

#[test]
fn a_list_may_come_from_standard_input() {
    let masters = maps();
    let place = Place::new(&masters.source("maps", ""));
    let mut warm = place.spawn(&["maps", "--list", "-"]);
    warm.stdin.take().unwrap().write_all(b"# new ones\n\nbook\nsmall.png\n").unwrap();
    let told = Told::from(warm.wait_with_output().unwrap());
    assert!(
        told.out.starts_with("items      2: 2 done\nimages     3: 3 ready\npyramids   2 made"),
        "{}",
        told.out
    );
}

#[test]
fn what_is_closed_is_left_alone() {
    let masters = maps();
    masters.put("book/info.toml", "access = 'login'");
    masters.put("a.png.toml", "access = 'hidden'");
    let place = Place::new(&masters.source("maps", ""));
    assert_report!(place.warm(&["maps"]).out, @r"
    items      5: 3 done, 2 closed
    images     3: 3 ready
    pyramids   1 made ([size]), 2 not needed
    time       [time]
    ");
    let told = place.warm(&["maps", "book", "a.png"]);
    assert!(told.out.starts_with("items      2: 0 done, 2 closed"), "{}", told.out);
    assert_eq!(place.pyramids().len(), 1);
}

#[tokio::test]
async fn when_the_room_is_used_up_nothing_is_pushed_out() {
    let masters = Masters::new();
    (0..6).for_each(|n| masters.put(&format!("{n}.png"), quarters(1900, 1300)));
    let probe = Place::new(&masters.source("maps", ""));
    assert_eq!(probe.warm(&["maps", "0.png"]).code, Some(0));
    let each = fs::metadata(&probe.pyramids()[0].0).unwrap().len();
    // Half of it is for pyramids: room for two and a half.
    let place = Place::with(&format!("disk = {}", each * 5), &masters.source("maps", ""));
    let told = place.warm(&["maps", "--jobs", "1"]);
    assert_eq!(told.code, Some(1));
    assert_report!(told.out, @r"
    items      6: 6 done
    images     6: 2 ready, 4 without room
    pyramids   2 made ([size])
    time       [time]

    room for 2 of 6 pyramids: [size] of the [size] for pyramids are taken; raise `cache.disk` from [size] to about [size]
    ");
    let made = place.pyramids();
    assert_eq!((made.len(), place.is_clean()), (2, true));
    // Neither the next time, and with more room it goes on.
    assert_eq!(place.warm(&["maps"]).code, Some(1));
    assert_eq!(place.pyramids(), made);
    let mut command = place.command(&["maps"]);
    let told = Told::from(command.env("LOGGIA__CACHE__DISK", (each * 20).to_string()).output().unwrap());
    assert!(
        told.code == Some(0) && told.out.contains("2 done before") && told.out.contains("4 made"),
        "{}",
        told.out
    );
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_reports_and_leaves_nothing_half_done() {
    let archive = Archive::start(&pages()).await;
    archive.dam.hold("/files/3.png");
    let place = Place::new(&archive.source(""));
    let run = place.spawn(&["dam"]);
    until("the last file is asked for", async || archive.dam.asked("/files/3.png") > 0).await;
    // One at a time.
    let other = place.warm(&["dam"]);
    assert_eq!(
        (other.code, other.err.as_str()),
        (Some(1), "another `loggia warm` is at work on source `dam`\n")
    );
    signal(&run, "-INT");
    let told = Told::from(run.wait_with_output().unwrap());
    assert_eq!(
        (told.code, told.err.as_str()),
        (Some(130), "interrupted; the next run goes on where this one was\n")
    );
    assert!(told.out.starts_with("items      0: 0 done\n"), "{}", told.out);
    archive.dam.release();
    assert_eq!(place.warm(&["dam"]).code, Some(0));
    assert_eq!((place.pyramids().len(), place.is_clean()), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_tells_nothing_is_not_asked_for_ever() {
    let archive = Archive::start(&pages()).await;
    archive.dam.fault(Some(Fault::Elsewhere));
    let place = Place::new(&archive.source(""));
    let list: String = (0..30).map(|n| format!("{n}\n")).collect();
    fs::write(place.path("list"), list).unwrap();
    let told = place.warm(&["dam", "--list", "list", "--jobs", "1"]);
    assert_eq!(told.code, Some(69), "{}", told.err);
    assert!(told.err.starts_with("stopped after 10 failures in a row: source `dam`: "), "{}", told.err);
    assert!(told.out.starts_with("items      10: 0 done, 10 failed\n"), "{}", told.out);
    assert_eq!(lines(&place.path("cache/warm/dam/failed")).len(), 10);
}

#[test]
fn a_source_that_is_away_ends_with_69() {
    // Nobody listens there.
    let port = free_port();
    let wiki = format!("[sources.wiki]\nadapter = 'mediawiki'\nbase = 'http://127.0.0.1:{port}/w'\n");
    let told = Place::new(&wiki).warm(&["wiki"]);
    assert_eq!(told.code, Some(69));
    assert!(
        told.err.starts_with(&format!("the listing: `127.0.0.1:{port}` (source `wiki`) ")),
        "{}",
        told.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lists_nothing_wants_names() {
    let archive = Archive::start(&pages()).await;
    let definition = fs::read_to_string("adapters/omeka-s.toml").unwrap();
    let (definition, _) = definition.split_once("[list]").unwrap();
    let settings = archive.source("").replace("'omeka-s'", "'silent'");
    let place = Place::new(&settings);
    fs::create_dir(place.path("definitions")).unwrap();
    let definition = definition.replace("name = \"omeka-s\"", "name = \"silent\"");
    fs::write(place.path("definitions/silent.toml"), definition).unwrap();
    let settings = format!("adapters = 'definitions'\n{}", place.settings);
    fs::write(place.path("loggia.toml"), settings).unwrap();
    let told = place.warm(&["dam"]);
    assert_eq!(told.code, Some(64));
    insta::assert_snapshot!(told.err, @"source `dam` cannot name its items: name some, `loggia warm dam ID…` or `--list FILE`");
    assert_eq!(archive.dam.requests(), 0);
    assert_eq!(place.warm(&["dam", "7"]).code, Some(0));
}

#[test]
fn wrong_words_end_with_64() {
    let masters = maps();
    let place = Place::new(&masters.source("maps", ""));
    let told = |words: &[&str]| {
        let told = place.warm(words);
        assert_eq!((told.code, told.out.as_str()), (Some(64), ""), "{words:?}");
        told.err
    };
    insta::assert_snapshot!(told(&["mpas"]), @r"
    unknown source `mpas`
      = did you mean `maps`?
      = expected `maps`
    ");
    insta::assert_snapshot!(told(&["maps", "--rate", "5/s"]), @"source `maps` is a folder: nobody is asked, so `--rate` slows nothing down; `--jobs 1` works on one image at a time");
    insta::assert_snapshot!(told(&["maps", "--list", "nothing"]), @"cannot read the list `nothing`: No such file or directory (os error 2)");
    assert!(told(&["maps", "--rate", "often"]).contains("expected at least `6/m` and at most `10000/s`"));
    assert!(told(&["maps", "a.png", "--list", "-"]).contains("cannot be used with"));
    assert!(told(&["maps", "--jobs", "0"]).contains("--jobs"));
    assert!(told(&[]).contains("<SOURCE>"));
}
