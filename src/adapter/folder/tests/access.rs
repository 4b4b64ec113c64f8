//! Who may see what: the strictest word on the way.

use super::*;

async fn of(masters: &Masters, id: &str) -> Access {
    masters.record(id).await.unwrap().access
}

#[tokio::test]
async fn the_strictest_word_on_the_way_holds() {
    let masters = Masters::with(&["a/1.jpg", "a/b/1.jpg", "a/b/c/1.jpg", "map.jpg"])
        .file("a/info.toml", "access = 'restricted'")
        .file("a/b/info.toml", "access = 'open'")
        .file("a/b/c/info.toml", "access = 'hidden'");
    assert_eq!(of(&masters, "a").await, Access::Restricted);
    assert_eq!(of(&masters, "a/b").await, Access::Restricted);
    assert_eq!(of(&masters, "a/b/c").await, Access::Hidden);
    assert_eq!(of(&masters, "map.jpg").await, Access::Open);
    let all = ["a: Restricted", "a/b: Restricted", "a/b/c: Hidden", "map.jpg: Open"];
    assert_eq!(masters.listed().await, all);
    assert_eq!(masters.members("a").await, ["a: Restricted", "a/b/ (b)"]);
    assert_eq!(masters.members("a/b").await, ["a/b: Restricted", "a/b/c: Hidden"]);
}

#[tokio::test]
async fn the_root_speaks_for_everything() {
    let masters = Masters::with(&["map.jpg", "open.jpg", "book/1.jpg"])
        .file("info.toml", "access = 'login'")
        .file("open.jpg.toml", "access = 'open'");
    assert_eq!(masters.listed().await, ["book: Login", "map.jpg: Login", "open.jpg: Login"]);
    assert_eq!(of(&masters, "map.jpg").await, Access::Login);
    let masters = masters.file("info.toml", "access = 'hidden'");
    assert!(is_missing(masters.collection("").await));
    assert_eq!(of(&masters, "book").await, Access::Hidden);
}

#[tokio::test]
async fn a_hidden_folder_is_no_collection() {
    for word in ["hidden", "unknown"] {
        let masters = Masters::with(&["a/1.jpg", "both/1.jpg", "both/sub/sub/1.jpg"])
            .file("both/info.toml", format!("label = 'Whisper'\naccess = '{word}'"))
            .file("both/sub/info.toml", "access = 'open'");
        assert_eq!(masters.members("").await, ["a: Open"]);
        for leaf in ["both", "both/sub"] {
            let error = masters.collection(leaf).await.unwrap_err();
            assert!(!error.to_string().contains("Whisper"));
            assert!(is_missing::<()>(Err(error)), "{leaf}");
        }
        assert!(of(&masters, "both/sub/sub").await >= Access::Hidden);
    }
}

#[tokio::test]
async fn an_unreadable_word_closes_what_is_below() {
    let masters =
        Masters::with(&["a/1.jpg", "a/b/1.jpg", "a/b/c/1.jpg", "map.jpg"]).link("a/info.toml", "gone");
    for id in ["a", "a/b", "a/b/c"] {
        assert!(masters.complaint(id).await.starts_with("description `a/info.toml`: "), "{id}");
    }
    for leaf in ["a", "a/b"] {
        let answer = masters.collection(leaf).await;
        assert!(matches!(answer, Err(AdapterError::Description { .. })), "{leaf}: {answer:?}");
    }
    assert_eq!(masters.members("").await, ["map.jpg: Open"]);
    assert_eq!(masters.listed().await, ["a: untold", "a/b: untold", "a/b/c: untold", "map.jpg: Open"]);
    assert!(masters.open().list(None).await.unwrap().items[..3].iter().all(|item| item.thumbnail.is_none()));
}

/// Whoever hides a folder hides it from those who come through another door, too.
#[tokio::test]
async fn a_link_does_not_lead_around_a_closed_folder() {
    let masters = Masters::with(&["closed/in/1.jpg", "open/1.jpg"])
        .file("closed/info.toml", "access = 'restricted'")
        .link("door", "closed/in")
        .link("map.jpg", "closed/in/1.jpg")
        .link("open/0.jpg", "../closed/in/1.jpg");
    assert_eq!(of(&masters, "door").await, Access::Restricted);
    assert_eq!(of(&masters, "map.jpg").await, Access::Restricted);
    let book = masters.record("open").await.unwrap();
    let pages: Vec<_> = book.canvases.iter().map(|canvas| canvas.access).collect();
    assert_eq!((book.access, pages), (Access::Open, vec![Some(Access::Restricted), None]));
    let page = masters.open().list(None).await.unwrap();
    let told: Vec<_> = page.items.iter().map(item_word).collect();
    assert_eq!(told, ["closed/in: Restricted", "door: Restricted", "map.jpg: Restricted", "open: Open"]);
    assert_eq!(page.items[3].thumbnail, Some("open/1.jpg".into()));
}
