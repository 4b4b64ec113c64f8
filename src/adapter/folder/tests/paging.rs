//! Listings in pages, and collections in one another.

use super::*;

#[tokio::test]
async fn a_collection_names_the_one_it_is_in() {
    let masters = Masters::with(&["a/b/c/1.jpg", "d/e/f/1.jpg"]).file("a/info.toml", "label = 'All of A'");
    let root = ("", LanguageMap::default());
    for (leaf, parent) in [
        ("", None),
        ("a", Some(root.clone())),
        ("d", Some(root)),
        ("a/b", Some(("a", LanguageMap::none("All of A")))),
        ("d/e", Some(("d", LanguageMap::name("d")))),
    ] {
        let collection = masters.collection(leaf).await.unwrap();
        let parent = parent.map(|(leaf, label)| Parent { leaf: Leaf::from(leaf), label });
        assert_eq!(collection.parent, parent, "{leaf}");
    }
}

#[test]
fn another_folder_is_another_source() {
    let (one, other) = (Masters::with(&[]), Masters::with(&[]));
    assert_eq!(one.open().identity(), one.open().identity());
    assert_ne!(one.open().identity(), other.open().identity());
}

#[tokio::test]
async fn changes_are_seen_soon() {
    assert_eq!(Masters::with(&[]).open().freshness(), Some(Duration::from_secs(2)));
}

#[test]
fn pages_of_any_length_make_the_whole_listing() {
    let masters = Masters::with(&[
        "a/1.jpg",
        "a/b/1.jpg",
        "a/b/c/d/1.jpg",
        "a/b/c10/1.jpg",
        "a/b/c9/1.jpg",
        "a.jpg",
        "b10.jpg",
        "b9.jpg",
        "z/z/1.jpg",
    ]);
    let tree = Tree::open(&masters.path("")).unwrap();
    let ids = |page: &Page<Listed>| page.items.iter().map(|item| item.id.to_string()).collect::<Vec<_>>();
    let whole = ids(&listing::list(&tree, None, PAGE).unwrap());
    assert_eq!(whole, ["a", "a/b", "a/b/c/d", "a/b/c9", "a/b/c10", "a.jpg", "b9.jpg", "b10.jpg", "z/z"]);
    for length in 1..=whole.len() + 1 {
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let page = listing::list(&tree, after.as_ref(), length).unwrap();
            assert!(page.items.len() <= length);
            told.extend(ids(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(told, whole, "pages of {length}");
    }
}

#[test]
fn a_listing_goes_on_where_its_last_item_is_gone() {
    let masters = Masters::with(&["a/1.jpg", "b/1.jpg", "b/c/1.jpg", "d.jpg"]);
    let tree = Tree::open(&masters.path("")).unwrap();
    for (after, next) in [("a/z", "b"), ("aa", "b"), ("b/a", "b/c"), ("b/c/d/e", "d.jpg")] {
        let page = listing::list(&tree, Some(&after.into()), 1).unwrap();
        assert_eq!(page.items[0].id, next.into(), "after {after}");
    }
    assert_eq!(listing::list(&tree, Some(&"z".into()), 1).unwrap(), Page { items: vec![], next: None });
}
