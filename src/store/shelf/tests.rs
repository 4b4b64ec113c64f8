//! What the folder, the index and other processes say of each other.

use std::collections::HashSet;
use std::time::SystemTime;

use super::*;
use crate::store::Key;
use crate::store::index::BLOCK;

fn name(n: u8) -> Name {
    Name::of(&Key::new([n.to_string().as_str()]))
}

fn blocks(count: usize) -> usize {
    count * BLOCK as usize
}

fn open(dir: &Path, budget: usize) -> Shelf {
    open_as(Tenure::Owner, dir, budget)
}

fn open_as(tenure: Tenure, dir: &Path, budget: usize) -> Shelf {
    let shelf = Shelf::open("test", dir, blocks(budget) as u64, tenure).unwrap();
    shelf.scanned();
    shelf
}

fn shelve(shelf: &Shelf, n: u8, bytes: usize) {
    let mut draft = shelf.draft(name(n)).unwrap();
    draft.write(&vec![n; bytes]).unwrap();
    draft.shelve(Flush::None).unwrap();
}

fn held(shelf: &Shelf) -> usize {
    shelf.bytes() as usize
}

#[test]
fn a_small_file_takes_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 3);
    (1..=5).for_each(|n| shelve(&shelf, n, 250));
    assert_eq!((present(&shelf), held(&shelf)), (vec![3, 4, 5], blocks(3)));
    shelf.remove(name(4));
    assert_eq!(held(&shelf), blocks(2));
}

fn present(shelf: &Shelf) -> Vec<u8> {
    (0..20).filter(|n| shelf.room.lock().slots.contains_key(&name(*n))).collect()
}

fn files(dir: &Path) -> usize {
    subfolders(dir).iter().map(|folder| fs::read_dir(dir.join(folder)).unwrap().count()).sum()
}

#[test]
fn the_least_recently_used_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 300);
    (1..=3).for_each(|n| shelve(&shelf, n, blocks(100)));
    shelf.find(name(1)).unwrap();
    shelve(&shelf, 4, blocks(150));
    assert_eq!(present(&shelf), [1, 4]);
    assert_eq!((held(&shelf), files(dir.path())), (blocks(250), 2));
}

#[test]
fn a_pinned_file_stays_until_somebody_writes_after_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 250);
    shelve(&shelf, 1, blocks(100));
    let (path, bytes, pin) = shelf.pin(name(1)).unwrap();
    assert_eq!(bytes, blocks(100) as u64);
    (2..=4).for_each(|n| shelve(&shelf, n, blocks(200)));
    assert_eq!(present(&shelf), [1, 4]);
    shelve(&shelf, 5, blocks(100));
    let (.., other) = shelf.pin(name(5)).unwrap();
    shelve(&shelf, 6, blocks(240));
    assert_eq!(present(&shelf), [1, 5, 6]);
    assert_eq!(fs::read(path).unwrap(), vec![1; blocks(100)]);
    drop((pin, other));
    assert_eq!(present(&shelf), [1, 5, 6]);
    shelve(&shelf, 6, blocks(240));
    assert_eq!(present(&shelf), [6]);
}

#[test]
fn letting_go_of_a_replaced_file_does_not_let_go_of_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 250);
    shelve(&shelf, 1, blocks(100));
    let (.., old) = shelf.pin(name(1)).unwrap();
    shelve(&shelf, 1, blocks(120));
    let (.., _new) = shelf.pin(name(1)).unwrap();
    drop(old);
    (2..=3).for_each(|n| shelve(&shelf, n, blocks(200)));
    assert_eq!(present(&shelf), [1, 3]);
}

#[test]
fn a_file_in_place_of_another_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 1000);
    shelve(&shelf, 1, blocks(100));
    shelve(&shelf, 1, blocks(70));
    assert_eq!((held(&shelf), files(dir.path())), (blocks(70), 1));
    shelf.remove(name(1));
    shelf.remove(name(1));
    assert_eq!((held(&shelf), files(dir.path())), (blocks(0), 0));
}

#[test]
fn drafts_take_room_and_leave_none_behind() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 300);
    (1..=2).for_each(|n| shelve(&shelf, n, blocks(100)));
    let mut draft = shelf.draft(name(3)).unwrap();
    draft.write(&vec![0; blocks(150)]).unwrap();
    assert_eq!((present(&shelf), held(&shelf)), (vec![2], blocks(250)));
    drop(draft);
    assert_eq!(held(&shelf), blocks(100));
    assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
}

#[test]
fn drafts_alone_take_no_more_than_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let counts = recorder.handle();
    let _counting = ::metrics::set_default_local_recorder(&recorder);
    let shelf = open(dir.path(), 300);
    let (mut one, mut other) = (shelf.draft(name(1)).unwrap(), shelf.draft(name(2)).unwrap());
    one.write(&vec![0; blocks(200)]).unwrap();
    other.write(&vec![0; blocks(100)]).unwrap();
    let told = format!("loggia_store_bytes{{store=\"test\"}} {}", blocks(300));
    assert!(counts.render().contains(&told), "{}", counts.render());
    for draft in [&mut one, &mut other] {
        let error = draft.write(&[0]).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
    }
    drop(one);
    assert!(counts.render().contains(&told.replace("1228800", "409600")), "{}", counts.render());
    other.write(&vec![0; blocks(200)]).unwrap();
    other.shelve(Flush::None).unwrap();
    assert_eq!((present(&shelf), held(&shelf)), (vec![2], blocks(300)));
}

#[test]
fn a_draft_that_is_being_written_survives_the_start_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let old = open(dir.path(), 1000);
    let mut draft = old.draft(name(1)).unwrap();
    draft.write(&[1; 100]).unwrap();
    let _new = open(dir.path(), 1000);
    draft.shelve(Flush::None).unwrap();
    assert_eq!(files(dir.path()), 1);
}

fn of(item: &str, n: u8) -> Name {
    Name::of(&Key::new(["image", "maps", "", item, &n.to_string()]))
}

fn shelved(shelf: &Shelf, name: Name) -> Draft {
    let mut draft = shelf.draft(name).unwrap();
    draft.write(&[1; 100]).unwrap();
    draft
}

#[test]
fn a_purge_finds_all_of_an_item_also_after_a_restart_and_what_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 1000);
    let put = |item, n| drop(shelved(&shelf, of(item, n)).shelve(Flush::None).unwrap());
    (1..=3).for_each(|n| put("a", n));
    put("b", 1);
    let (late, other) = (shelved(&shelf, of("a", 4)), shelved(&shelf, of("b", 2)));
    let purged = shelf.purge(&Scope::new("maps", Some("a")));
    assert_eq!(purged, Dropped { entries: 3, bytes: 300 });
    let (mut file, _pin) = late.shelve(Flush::None).unwrap();
    let mut read = Vec::new();
    io::Read::read_to_end(&mut file, &mut read).unwrap();
    assert_eq!(read, [1; 100], "who waits for it can read it");
    drop(other.shelve(Flush::None).unwrap());
    assert_eq!((files(dir.path()), held(&shelf)), (2, blocks(2)));
    assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);

    let again = open(dir.path(), 1000);
    // Left there by another process, which came later.
    drop(shelved(&open_as(Tenure::Guest, dir.path(), 1000), of("b", 3)).shelve(Flush::None).unwrap());
    assert_eq!(again.purge(&Scope::new("maps", Some("b"))), Dropped { entries: 3, bytes: 300 });
    assert_eq!((files(dir.path()), held(&again)), (0, 0));
}

#[test]
fn what_is_purged_before_it_is_found_goes_when_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 1000);
    ["a", "b"].iter().for_each(|item| drop(shelved(&shelf, of(item, 1)).shelve(Flush::None).unwrap()));
    drop(shelf);
    let shelf = Shelf { room: Arc::new(Room::new("test", dir.path(), 1 << 20, Tenure::Owner)) };
    assert_eq!(shelf.purge(&Scope::new("maps", Some("a"))), Dropped { entries: 1, bytes: 100 });
    // What the search came upon just before.
    let path = of("a", 1).path(dir.path(), 100);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, [1; 100]).unwrap();
    shelf.room.search();
    assert_eq!((files(dir.path()), shelf.room.lock().slots.contains_key(&of("b", 1))), (1, true));
}

/// It takes long where the budget was much larger before.
#[test]
fn who_looks_into_the_index_does_not_wait_for_files_to_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..2000_u16 {
        let path = Name::of(&Key::new(["many", n.to_string().as_str()])).path(dir.path(), 1);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let shelf = Shelf::open("test", dir.path(), BLOCK, Tenure::Owner).unwrap();
    let (mut seen, mut written) = (HashSet::new(), 0);
    while shelf.room.lock().makes_room {
        let is_scanned = shelf.is_scanned();
        if seen.insert(shelf.bytes()) && is_scanned && written < 5 {
            // Who writes leaves the rest to the one who is at it.
            shelve(&shelf, written, 10);
            written += 1;
        }
    }
    assert!(seen.len() > 5 && written == 5, "{seen:?}");
    assert_eq!((held(&shelf), files(dir.path())), (blocks(1), 1));
    assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
}

/// A disk may take seconds to give a file its name, or to take one away.
#[test]
fn who_looks_into_the_index_does_not_wait_for_names() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 300);
    (1..=2).for_each(|n| shelve(&shelf, n, blocks(100)));
    let (late, .., pin) = shelf.pin(name(2)).unwrap();
    let turn = shelf.room.turn();
    thread::scope(|scope| {
        let waiting: [thread::ScopedJoinHandle<'_, ()>; 3] = [
            scope.spawn(|| shelf.remove(name(1))),
            scope.spawn(|| shelve(&shelf, 2, blocks(50))),
            scope.spawn(|| _ = shelf.purge(&Scope::new("maps", None))),
        ];
        while held(&shelf) != blocks(250) {
            thread::yield_now();
        }
        assert!(shelf.is_scanned() && shelf.has_room(1) && !waiting.iter().any(|one| one.is_finished()));
        let (path, bytes, _) = shelf.pin(name(1)).unwrap();
        assert_eq!(fs::metadata(path).unwrap().len(), bytes);
        assert_eq!(shelf.find(name(2)), Some(late.clone()));
        drop(turn);
    });
    assert_eq!((present(&shelf), held(&shelf), files(dir.path())), (vec![2], blocks(50), 1));
    // It is another one by now.
    pin.discard();
    assert!(!late.exists() && shelf.find(name(2)).is_some());
}

/// Looks, while others replace, drop and purge: what is told to be there is whole, or was there a moment ago.
#[test]
fn index_and_folder_agree_whoever_writes() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 12);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let shelf = &shelf;
            scope.spawn(move || {
                for round in 0..200_usize {
                    let n = (seed * 7 + round * 3) % 10;
                    let name = of(["a", "b"][n % 2], n as u8);
                    match round % 9 {
                        0 => shelf.remove(name),
                        1 => _ = shelf.purge(&Scope::new("maps", Some("a"))),
                        2 => shelf.pin(name).into_iter().for_each(|(.., pin)| pin.discard()),
                        _ => {
                            let mut draft = shelf.draft(name).unwrap();
                            draft.write(&vec![1; 1 + (seed + round) % 5000]).unwrap();
                            draft.shelve(Flush::None).unwrap();
                        }
                    }
                }
            });
        }
    });
    // Files that were held open while room was made go with the next one.
    shelve(&shelf, 1, 1);
    let index = shelf.room.lock();
    assert_eq!((files(dir.path()), index.drafted), (index.slots.len(), 0));
    for (name, slot) in &index.slots {
        assert_eq!(fs::metadata(name.path(dir.path(), slot.bytes)).unwrap().len(), slot.bytes);
    }
    assert!(index.taken() <= blocks(12) as u64);
    assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
}

#[test]
fn a_draft_that_is_cleared_away_as_it_begins_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 1000);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                clear(&dir.path().join(DRAFTS)).unwrap();
            }
        });
        (0..200).for_each(|_| shelve(&shelf, 1, 10));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(files(dir.path()), 1);
}

#[test]
fn a_guest_drops_nothing_and_takes_only_room_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let owner = open(dir.path(), 300);
    (1..=2).for_each(|n| shelve(&owner, n, blocks(100)));
    let guest = open_as(Tenure::Guest, dir.path(), 300);
    assert_eq!(present(&guest), [1, 2]);
    shelve(&guest, 3, blocks(100));
    assert!(!guest.has_room(1));
    let mut draft = guest.draft(name(4)).unwrap();
    let error = draft.write(&[0]).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    drop(draft);
    assert_eq!((present(&guest), held(&guest), files(dir.path())), (vec![1, 2, 3], blocks(300), 3));
    // With a smaller budget than what is there, too, and beside what is no file of ours.
    fs::write(name(1).path(dir.path(), 0).with_file_name("foreign"), "x").unwrap();
    let guest = open_as(Tenure::Guest, dir.path(), 100);
    assert_eq!((present(&guest), files(dir.path())), (vec![1, 2, 3], 4));
}

#[test]
fn what_another_left_there_is_found_by_looking() {
    let dir = tempfile::tempdir().unwrap();
    let owner = open(dir.path(), 250);
    shelve(&owner, 1, blocks(100));
    let guest = open_as(Tenure::Guest, dir.path(), 250);
    shelve(&guest, 2, blocks(100));
    assert!(owner.find(name(2)).is_none() && !owner.adopt(name(3)));
    assert!(owner.adopt(name(2)) && owner.find(name(2)).is_some());
    assert_eq!(held(&owner), blocks(200));
    // From then on it is like any other.
    shelve(&owner, 4, blocks(100));
    assert_eq!((present(&owner), held(&owner)), (vec![2, 4], blocks(200)));
    assert!(!owner.adopt(name(1)));
}

#[test]
fn of_two_lengths_of_a_file_the_later_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (open(dir.path(), 1000), open(dir.path(), 1000));
    shelve(&one, 1, blocks(100));
    shelve(&other, 1, blocks(120));
    let past = SystemTime::now() - std::time::Duration::from_secs(10);
    let earlier = fs::File::options().append(true).open(name(1).path(dir.path(), blocks(100) as u64));
    earlier.unwrap().set_modified(past).unwrap();
    assert_eq!(held(&open_as(Tenure::Guest, dir.path(), 1000)), blocks(120));
    assert_eq!(files(dir.path()), 2);
    assert_eq!((held(&open(dir.path(), 1000)), files(dir.path())), (blocks(120), 1));
}

#[test]
fn at_start_it_knows_its_files_again_and_drops_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = open(dir.path(), 1000);
    (1..=4).for_each(|n| shelve(&shelf, n, blocks(100)));
    drop(shelf);
    let path = |n: u8| name(n).path(dir.path(), blocks(100) as u64);
    fs::write(dir.path().join(DRAFTS).join("left over"), "x").unwrap();
    fs::write(path(1), "cut short").unwrap();
    fs::write(path(2).with_file_name("foreign"), "x").unwrap();
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    for (n, age) in [(2, 10), (3, 30), (4, 20)] {
        let time = SystemTime::now() - std::time::Duration::from_secs(age);
        fs::File::options().append(true).open(path(n)).unwrap().set_modified(time).unwrap();
    }

    let shelf = open(dir.path(), 250);
    assert_eq!(present(&shelf), [2, 4]);
    assert_eq!((held(&shelf), files(dir.path())), (blocks(200), 2));
    assert!(dir.path().join("notes.txt").exists(), "what lies beside the folders is not ours to remove");
    assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
}
