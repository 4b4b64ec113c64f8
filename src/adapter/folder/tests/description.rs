//! What a person wrote beside a master.

use super::*;

const FULL: &str = r#"
    label = { en = "A book", de = "Ein Buch" }
    summary = "Short"
    language = "en"
    rights = "http://creativecommons.org/publicdomain/zero/1.0/"
    behavior = ["paged"]
    nav_date = "1890-01-01T00:00:00Z"
    [metadata]
    Creator = "Jane Roe"
    [canvas."p1.jpg"]
    label = "Cover"
    access = "login"
"#;

#[tokio::test]
async fn info_toml_describes_the_folder() {
    let masters = Masters::with(&["book/p1.jpg", "book/p2.jpg"]).file("book/info.toml", FULL);
    let record = masters.record("book").await.unwrap();
    assert_eq!(label(&record), "A book");
    assert_eq!(record.summary, LanguageMap::tagged("en", "Short"));
    assert_eq!(record.rights.as_deref(), Some("http://creativecommons.org/publicdomain/zero/1.0/"));
    assert_eq!(record.behavior, ["paged"]);
    assert_eq!(record.metadata[0].value, LanguageMap::tagged("en", "Jane Roe"));
    assert!(record.nav_date.is_some());
    assert_eq!(record.canvases[0].label, LanguageMap::tagged("en", "Cover"));
    assert_eq!(record.canvases[0].access, Some(Access::Login));
    assert_eq!((&record.canvases[1].label, record.canvases[1].access), (&LanguageMap::name("p2"), None));
    let page = masters.open().list(None).await.unwrap();
    assert_eq!(page.items[0].label, Some(record.label));
    assert_eq!(page.items[0].thumbnail, Some("book/p2.jpg".into()), "the first is not open");
}

#[tokio::test]
async fn a_file_is_described_beside_it() {
    let masters = Masters::with(&["a.tif", "b.tif", "info.tif"])
        .file("a.tif.toml", "label = 'One'")
        .file("a.toml", "label = 'Not read'")
        .file("b.toml", "label = 'Two'")
        .file("info.toml", "label = 'All'");
    for (id, expected) in [("a.tif", "One"), ("b.tif", "Two"), ("info.tif", "info")] {
        assert_eq!(label(&masters.record(id).await.unwrap()), expected, "{id}");
    }
    assert_eq!(masters.collection("").await.unwrap().about.label, LanguageMap::none("All"));
}

#[tokio::test]
async fn a_collection_is_described_like_an_item() {
    let full = FULL.replace("[\"paged\"]", "[\"multi-part\"]");
    let masters = Masters::with(&["rack/book/1.jpg", "both/1.jpg", "both/book/1.jpg"])
        .file("rack/info.toml", &full)
        .file("both/info.toml", &full);
    let about = masters.collection("rack").await.unwrap().about;
    assert_eq!(about.summary, LanguageMap::tagged("en", "Short"));
    assert_eq!(about.rights.as_deref(), Some("http://creativecommons.org/publicdomain/zero/1.0/"));
    assert_eq!((about.metadata.len(), about.canvases.len()), (1, 0));
    assert_eq!(about.behavior, ["multi-part"]);
    let both = masters.collection("both").await.unwrap().about;
    assert_eq!(both.summary, about.summary);
    assert!(both.behavior.is_empty(), "that is how the item is read");
}

#[tokio::test]
async fn a_link_to_a_description_inside_is_followed() {
    let masters = Masters::with(&["book/1.jpg"])
        .file("texts/book.toml", "label = 'Linked'")
        .link("book/info.toml", "../texts/book.toml");
    assert_eq!(label(&masters.record("book").await.unwrap()), "Linked");
}

#[tokio::test]
async fn a_description_changed_is_another_version() {
    let masters = Masters::with(&["a/b/1.jpg"]);
    let plain = masters.record("a/b").await.unwrap().version;
    let masters = masters.file("a/b/info.toml", "label = 'B'");
    let described = masters.record("a/b").await.unwrap().version;
    let masters = masters.file("a/info.toml", "access = 'login'");
    let closed = masters.record("a/b").await.unwrap().version;
    assert!(plain != described && described != closed && plain != closed);
}

/// What a person wrote to close an item must never be taken for nothing at all.
#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let book = || Masters::with(&["book/1.jpg"]);
    let file = |content: &[u8]| book().file("book/info.toml", content);
    let outside = book().file("../outside/info.toml", "").link("book/info.toml", "../../outside/info.toml");
    let hidden = book().file("book/.hidden", "").link("book/info.toml", ".hidden");
    let too_long = format!("label = 'A'\n{}", "# more\n".repeat(1 << 18));
    for (name, masters, problem) in [
        ("leads out", outside, NO_FILE),
        ("leads nowhere", book().link("book/info.toml", "nowhere"), NO_FILE),
        ("leads to what is hidden", hidden, NO_FILE),
        ("a folder", book().folder("book/info.toml"), NO_FILE),
        ("too long", file(too_long.as_bytes()), "it has more than 1048576 bytes, the most that is read of"),
        ("no text", file(b"label = '\xff'"), "it is not UTF-8: invalid utf-8 sequence"),
        ("no TOML", file(b"\naccess = hidden"), "line 2: string values must be quoted"),
        ("no key", file(b"acess = 'hidden'"), "line 1: unknown field `acess`, expected one of `label`"),
        (
            "no table",
            file(b"\nrequired_statement = 'Donor: \", expected to be kept'"),
            "line 2: invalid type: string, expected a table with `label` and `value`",
        ),
        (
            "no list",
            file(b"homepage = ['x']"),
            "line 1: invalid type: string, expected a table with `id` and",
        ),
        (
            "no canvas",
            file(b"[canvas]\nx = 1"),
            "line 2: invalid type: integer `1`, expected a table with `label` or",
        ),
        ("no access", file(b"access = 'hiden'"), "line 1: unknown variant `hiden`, expected one of `open`"),
    ] {
        let complaint = masters.complaint("book").await;
        assert!(
            complaint.starts_with(&format!("description `book/info.toml`: {problem}")),
            "{name}: {complaint}"
        );
        assert_eq!(masters.members("").await, ["book: untold"], "{name}");
    }
}

#[tokio::test]
async fn a_file_beside_a_broken_description_is_closed_too() {
    let masters = Masters::with(&["map.jpg"]).link("map.toml", "nowhere");
    assert_eq!(masters.listed().await, ["map.jpg: untold"]);
    assert!(masters.complaint("map.jpg").await.starts_with("description `map.toml`: expected"));
}
