//! What stays out of reach, and what must not go on for ever.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn the_longest_of_names_needs_no_description() {
    let name = format!("{}.jpg", "n".repeat(251));
    let masters = Masters::with(&[&name]);
    assert_eq!(masters.record(&name).await.unwrap().access, Access::Open);
}

#[tokio::test]
async fn ids_have_one_plain_form() {
    let masters = Masters::with(&["a/b/1.jpg", "map.jpg", "../outside/1.jpg"]);
    assert!(masters.record("a/b").await.is_ok());
    let long = "a/".repeat(50_000);
    for id in [
        "",
        ".",
        "..",
        "/a/b",
        "a/b/",
        "a//b",
        "./a/b",
        "a/./b",
        "a/../a/b",
        "../masters/a/b",
        "../outside",
        "a/b\0",
        "map.jpg/",
        "map.jpg/x",
        &long,
    ] {
        assert!(is_missing(masters.record(id).await), "record {id:?}");
        assert!(is_missing(masters.media(&format!("{id}/1.jpg")).await), "media {id:?}");
        assert!(id.is_empty() || is_missing(masters.collection(id).await), "collection {id:?}");
    }
}

#[tokio::test]
async fn links_that_lead_out_are_left_out() {
    let masters = Masters::with(&["in/1.jpg", "../outside/1.jpg"])
        .link("out", "../outside")
        .link("out.jpg", "../outside/1.jpg")
        .link("in/2.jpg", "../../outside/1.jpg")
        .link("in/3.jpg", "1.jpg")
        .link("gone", "nowhere")
        .link("map.jpg", "in/1.jpg");
    assert_eq!(masters.listed().await, ["in: Open", "map.jpg: Open"]);
    assert_eq!(canvases(&masters.record("in").await.unwrap()), ["1.jpg", "3.jpg"]);
    assert!(is_missing(masters.media("out.jpg").await));
    assert!(is_missing(masters.media("out/1.jpg").await));
    assert!(is_missing(masters.media("in/2.jpg").await));
}

#[tokio::test]
async fn what_a_dot_hides_stays_hidden_behind_a_link_too() {
    let masters = Masters::with(&[".secret/1.jpg", ".secret/in/1.jpg", ".x.jpg", "book/1.jpg"])
        .link("vis", ".secret")
        .link("inner", ".secret/in")
        .link("vis.jpg", ".secret/1.jpg")
        .link("book/2.jpg", "../.x.jpg");
    assert_eq!(masters.listed().await, ["book: Open"]);
    assert_eq!(masters.members("").await, ["book: Open"]);
    assert_eq!(canvases(&masters.record("book").await.unwrap()), ["1.jpg"]);
    for id in ["vis", "inner", "vis.jpg", ".secret", ".x.jpg"] {
        assert!(is_missing(masters.record(id).await), "{id}");
    }
    for id in ["vis/1.jpg", "inner/1.jpg", "vis.jpg", "book/2.jpg", ".secret/1.jpg", ".x.jpg"] {
        assert!(is_missing(masters.media(id).await), "{id}");
    }
}

/// Root may enter every folder: run by root, this holds for a folder that it has no trouble with.
#[tokio::test]
async fn a_folder_that_is_closed_to_us_does_not_close_the_others() {
    let masters = Masters::with(&["book/1.jpg", "book/closed/1.jpg"]).folder("lost+found");
    let close = |path: &str, mode| fs::set_permissions(masters.path(path), Permissions::from_mode(mode));
    close("lost+found", 0o000).unwrap();
    close("book/closed", 0o000).unwrap();
    let may_enter = fs::read_dir(masters.path("book/closed")).is_ok();
    let (listed, members, record) =
        (masters.listed().await, masters.members("").await, masters.record("book/closed").await);
    close("book/closed", 0o755).unwrap();
    assert_eq!(listed[0], "book: Open");
    assert_eq!(listed.len(), if may_enter { 2 } else { 1 });
    assert_eq!(members, [if may_enter { "book/ (book)" } else { "book: Open" }]);
    assert_eq!(is_missing(record), !may_enter);
}

#[tokio::test]
async fn a_folder_is_not_entered_twice_on_one_way() {
    let mut masters = Masters::with(&["a/1.jpg", "b/1.jpg"]).link("a/self", ".").link("a/up", "..");
    for n in 1..=3 {
        masters = masters.link(&format!("a/l{n}"), "../b").link(&format!("b/m{n}"), "../a");
    }
    let below = |id: &str, link: &str| (1..=3).map(|n| format!("{id}/{link}{n}: Open")).collect::<Vec<_>>();
    let all = [vec!["a: Open".into()], below("a", "l"), vec!["b: Open".into()], below("b", "m")].concat();
    assert_eq!(masters.listed().await, all);
    assert_eq!(masters.members("a").await, [vec!["a: Open".to_owned()], below("a", "l")].concat());
    assert!(masters.record("a/l1").await.is_ok());
    assert!(is_missing(masters.record("a/l1/m1").await));
    assert!(is_missing(masters.media("a/l1/m1/1.jpg").await));
}

/// A thread that waits for a pipe waits for ever, and the runtime for the thread.
#[test]
fn pipes_are_not_opened() {
    let masters = Masters::with(&["book/1.jpg", "map.jpg"])
        .pipe("book/info.toml")
        .pipe("map.jpg.toml")
        .pipe("book/2.jpg")
        .pipe("pipe.jpg");
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = runtime.block_on(async {
            let missing = is_missing(masters.media("book/2.jpg").await)
                && is_missing(masters.media("pipe.jpg").await)
                && is_missing(masters.record("pipe.jpg").await);
            (masters.complaint("book").await, masters.complaint("map.jpg").await, missing)
        });
        done.send(answers).unwrap();
    });
    let (book, map, missing) =
        outcome.recv_timeout(Duration::from_secs(20)).expect("nothing waits for a pipe");
    assert_eq!(book, format!("description `book/info.toml`: {NO_FILE}"));
    assert_eq!(map, format!("description `map.jpg.toml`: {NO_FILE}"));
    assert!(missing);
}
