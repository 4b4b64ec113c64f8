//! What is an item, a canvas, a collection, and in which order.

use std::fs::File;
use std::time::SystemTime;

use super::*;

#[tokio::test]
async fn a_file_in_the_folder_is_an_item_with_one_canvas() {
    let masters = Masters::with(&["map of Paris.tif"]);
    let record = masters.record("map of Paris.tif").await.unwrap();
    assert_eq!((label(&record), canvases(&record)), ("map of Paris", vec!["map of Paris.tif"]));
    assert_eq!(record.canvases[0].image.as_ref().unwrap().media, "map of Paris.tif".into());
    assert_eq!(record.access, Access::Open);
    assert_eq!(record.parents, [Leaf::root()]);
}

#[tokio::test]
async fn a_folder_with_images_is_an_item_with_canvases_in_natural_order() {
    let masters = Masters::with(&["book/p10.jpg", "book/p2.jpg", "book/p1.jpg", "book/P3.jpg"]);
    let record = masters.record("book").await.unwrap();
    assert_eq!(label(&record), "book");
    assert_eq!(canvases(&record), ["P3.jpg", "p1.jpg", "p2.jpg", "p10.jpg"]);
    assert_eq!(record.canvases[3].image.as_ref().unwrap().media, "book/p10.jpg".into());
}

#[tokio::test]
async fn lists_are_in_natural_order() {
    let masters = Masters::with(&["vol10/1.jpg", "vol9/1.jpg", "vol2.jpg", "vol9/10/1.jpg", "vol9/9/1.jpg"]);
    let all = ["vol2.jpg: Open", "vol9: Open", "vol9/9: Open", "vol9/10: Open", "vol10: Open"];
    assert_eq!(masters.listed().await, all);
    assert_eq!(masters.members("").await, ["vol2.jpg: Open", "vol9/ (vol9)", "vol10: Open"]);
    assert_eq!(masters.members("vol9").await, ["vol9: Open", "vol9/9: Open", "vol9/10: Open"]);
}

#[tokio::test]
async fn images_are_told_by_content_and_not_by_name() {
    let masters = Masters::with(&["book/scan"]).file("book/notes.jpg", "no image").file("text.jpg", "text");
    assert_eq!(canvases(&masters.record("book").await.unwrap()), ["scan"]);
    assert!(is_missing(masters.record("text.jpg").await));
    assert!(is_missing(masters.media("book/notes.jpg").await));
    assert_eq!(masters.listed().await, ["book: Open"]);
}

#[tokio::test]
async fn the_first_image_that_can_be_read_stands_for_the_item() {
    let masters = Masters::with(&["book/2.jpg", "book/3.jpg"])
        .file("book/1.jpg", BROKEN)
        .file("lost/1.jpg", BROKEN)
        .file("map.jpg", BROKEN);
    let items = masters.open().list(None).await.unwrap().items;
    let told: Vec<_> = items.iter().map(|item| (item.id.as_str(), item.thumbnail.as_ref())).collect();
    assert_eq!(told, [("book", Some(&"book/2.jpg".into())), ("lost", None), ("map.jpg", None)]);
    assert_eq!(canvases(&masters.record("book").await.unwrap()), ["1.jpg", "2.jpg", "3.jpg"]);
}

#[tokio::test]
async fn a_file_inside_an_item_is_no_item_but_its_bytes_are_there() {
    let masters = Masters::with(&["book/p1.jpg"]);
    assert!(is_missing(masters.record("book/p1.jpg").await));
    let media = masters.media("book/p1.jpg").await.unwrap();
    assert_eq!(media.total, Some(IMAGE.len() as u64));
    assert!(matches!(media.content, Content::Local(_)));
    let folder = masters.open();
    assert_eq!(folder.item_of(&"book/p1.jpg".into()), Some("book".into()));
    assert_eq!(folder.item_of(&"map.jpg".into()), Some("map.jpg".into()));
}

#[tokio::test]
async fn a_folder_with_items_below_is_a_collection_and_may_be_an_item_too() {
    let masters = Masters::with(&["both/1.jpg", "both/sub/1.jpg", "deep/er/est/1.jpg"]).folder("empty/too");
    assert_eq!(masters.members("").await, ["both/ (both)", "deep/ (deep)"]);
    assert_eq!(masters.members("both").await, ["both: Open", "both/sub: Open"]);
    assert_eq!(masters.members("deep").await, ["deep/er/ (er)"]);
    assert!(is_missing(masters.record("deep").await));
    assert!(is_missing(masters.collection("empty").await));
    assert!(is_missing(masters.collection("nowhere").await));
}

#[tokio::test]
async fn a_file_changed_is_another_version() {
    let masters = Masters::with(&["book/p1.jpg", "book/p2.jpg"]);
    let before = masters.record("book").await.unwrap();
    assert_eq!(before, masters.record("book").await.unwrap());
    let file = File::options().append(true).open(masters.path("book/p1.jpg")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
    let after = masters.record("book").await.unwrap();
    let version = |record: &Record, n: usize| record.canvases[n].image.clone().unwrap().version;
    assert_ne!(before.version, after.version);
    assert_ne!(version(&before, 0), version(&after, 0));
    assert_eq!(version(&before, 1), version(&after, 1));
    assert_eq!(version(&after, 0), masters.media("book/p1.jpg").await.unwrap().version);
}

#[tokio::test]
async fn an_item_that_is_a_collection_belongs_to_itself() {
    let masters = Masters::with(&["a/both/1.jpg", "a/both/sub/1.jpg", "map.jpg", "book/1.jpg"]);
    for (id, parent) in [("a/both", "a/both"), ("a/both/sub", "a/both"), ("map.jpg", ""), ("book", "")] {
        assert_eq!(masters.record(id).await.unwrap().parents, [Leaf::from(parent)], "{id}");
    }
}
