//! What every store must do. Each store's own tests run it; a new store passes it or is none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Dropped, Key, LISTS, Scope, Store};

const MINUTE: Duration = Duration::from_secs(60);

/// Runs all cases. `pass` lets time go by for the store; the store is empty and has room for 1 MiB.
pub(super) async fn run(store: Arc<dyn Store>, pass: impl AsyncFn(Duration)) {
    what_was_put_is_there(&*store).await;
    keys_are_told_apart(&*store).await;
    values_end(&*store, &pass).await;
    touch_moves_the_end(&*store, &pass).await;
    put_new_yields_to_what_is_there(&*store, &pass).await;
    take_gives_once(&*store, &pass).await;
    of_many_at_once_one_wins(&store).await;
    extremes_are_no_errors(&*store).await;
    a_purge_takes_what_belongs_to_a_scope(&*store).await;
}

fn key(name: &str) -> Key {
    Key::new(["suite", name])
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn what_was_put_is_there(store: &dyn Store) {
    let key = key("put");
    assert_eq!(store.get(&key).await.unwrap(), None);
    store.put(&key, bytes("one"), MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("one")));
    store.put(&key, bytes("another"), MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("another")));
    store.put(&key, Bytes::new(), MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), Some(Bytes::new()), "an empty value is a value");
    store.remove(&key).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
    store.remove(&key).await.unwrap();
}

async fn keys_are_told_apart(store: &dyn Store) {
    let long = "x".repeat(5000);
    let names = [
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/",
        "a/b",
        "a%2Fb",
        "A",
        "a",
        "ä",
        "\u{0}",
        "\n",
        "con",
        &long,
    ];
    for name in names {
        store.put(&key(name), bytes(name), MINUTE).await.unwrap();
    }
    for name in names {
        assert_eq!(store.get(&key(name)).await.unwrap(), Some(bytes(name)), "{name:?}");
    }
}

async fn values_end(store: &dyn Store, pass: &impl AsyncFn(Duration)) {
    let key = key("end");
    store.put(&key, bytes("v"), MINUTE).await.unwrap();
    pass(Duration::from_secs(20)).await;
    assert_eq!(store.look(&key).await.unwrap().unwrap().left.as_secs_f64().round(), 40.0);
    pass(Duration::from_secs(39)).await;
    assert!(store.get(&key).await.unwrap().is_some());
    pass(Duration::from_secs(1)).await;
    assert_eq!(store.get(&key).await.unwrap(), None);

    store.put(&key, bytes("v"), MINUTE).await.unwrap();
    store.put(&key, bytes("w"), Duration::ZERO).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None, "no time at all is over at once");
}

async fn touch_moves_the_end(store: &dyn Store, pass: &impl AsyncFn(Duration)) {
    let key = key("touch");
    store.touch(&key, MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None, "nothing comes of touching nothing");
    store.put(&key, bytes("v"), MINUTE).await.unwrap();
    pass(Duration::from_secs(50)).await;
    store.touch(&key, MINUTE).await.unwrap();
    pass(Duration::from_secs(50)).await;
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("v")));
    store.touch(&key, Duration::from_secs(5)).await.unwrap();
    pass(Duration::from_secs(5)).await;
    store.touch(&key, MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None, "what is over is not brought back");
}

async fn put_new_yields_to_what_is_there(store: &dyn Store, pass: &impl AsyncFn(Duration)) {
    let key = key("new");
    assert!(store.put_new(&key, bytes("first"), MINUTE).await.unwrap());
    assert!(!store.put_new(&key, bytes("second"), MINUTE).await.unwrap());
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("first")));
    pass(MINUTE).await;
    assert!(store.put_new(&key, bytes("third"), MINUTE).await.unwrap(), "what is over is in nobody's way");
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("third")));
    store.remove(&key).await.unwrap();
    assert!(store.put_new(&key, bytes("fourth"), MINUTE).await.unwrap());
}

async fn take_gives_once(store: &dyn Store, pass: &impl AsyncFn(Duration)) {
    let key = key("take");
    assert_eq!(store.take(&key).await.unwrap(), None);
    store.put(&key, bytes("v"), MINUTE).await.unwrap();
    assert_eq!(store.take(&key).await.unwrap(), Some(bytes("v")));
    assert_eq!(store.take(&key).await.unwrap(), None);
    assert_eq!(store.get(&key).await.unwrap(), None);
    store.put(&key, bytes("v"), MINUTE).await.unwrap();
    pass(MINUTE).await;
    assert_eq!(store.take(&key).await.unwrap(), None);
}

async fn of_many_at_once_one_wins(store: &Arc<dyn Store>) {
    let key = key("race");
    for _ in 0..10 {
        let placing = (0..8).map(|n| {
            let (store, key) = (Arc::clone(store), key.clone());
            tokio::spawn(async move { store.put_new(&key, bytes(&n.to_string()), MINUTE).await.unwrap() })
        });
        let mut placed = 0;
        for task in placing.collect::<Vec<_>>() {
            placed += usize::from(task.await.unwrap());
        }
        assert_eq!(placed, 1);

        let taking = (0..8).map(|_| {
            let (store, key) = (Arc::clone(store), key.clone());
            tokio::spawn(async move { store.take(&key).await.unwrap().is_some() })
        });
        let mut taken = 0;
        for task in taking.collect::<Vec<_>>() {
            taken += usize::from(task.await.unwrap());
        }
        assert_eq!(taken, 1);
    }
}

async fn extremes_are_no_errors(store: &dyn Store) {
    let key = key("extreme");
    store.put(&key, bytes("v"), Duration::MAX).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("v")));
    store.touch(&key, Duration::MAX).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), Some(bytes("v")));
    store.put(&key, Bytes::from(vec![0; 2 << 20]), MINUTE).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None, "larger than the store");
}

async fn a_purge_takes_what_belongs_to_a_scope(store: &dyn Store) {
    let items = ["a", "a/b", "a*", "a?", "[a]", "a\\", "ab", "*", "%2F", "ä", LISTS];
    let key = |kind, source, item| Key::new([kind, source, "identity", item, "version"]);
    let all = async || {
        for (kind, source) in [("image", "maps"), ("facts", "maps"), ("image", "maps-2"), ("image", "map")] {
            for item in items {
                store.put(&key(kind, source, item), bytes("value"), MINUTE).await.unwrap();
            }
        }
    };
    let is_there = async |kind, source, item| store.get(&key(kind, source, item)).await.unwrap().is_some();
    for purged in items {
        all().await;
        let expected = if purged == LISTS { 2 } else { 4 };
        let dropped = store.purge(&Scope::new("maps", Some(purged))).await.unwrap();
        assert_eq!(dropped, Dropped { entries: expected, bytes: dropped.bytes }, "{purged}");
        assert!(dropped.bytes >= expected * 5, "{purged}");
        for item in items {
            let kept = item != purged && item != LISTS;
            assert_eq!(is_there("image", "maps", item).await, kept, "{item} after a purge of {purged}");
            assert_eq!(is_there("facts", "maps", item).await, kept, "{item} after a purge of {purged}");
            assert!(is_there("image", "map", item).await, "{item} of another source");
        }
    }
    all().await;
    let dropped = store.purge(&Scope::new("maps", None)).await.unwrap();
    assert_eq!(dropped.entries, 2 * items.len() as u64);
    for item in items {
        assert!(!is_there("image", "maps", item).await && is_there("image", "maps-2", item).await, "{item}");
    }
    assert_eq!(store.purge(&Scope::new("maps", None)).await.unwrap(), Dropped::default());
}
