//! What is done already: one line of JSON for each item that was finished, so that a run goes on where another was.
//!
//! A line is written at once and whole. The last one of an item counts; what a kill cut short is no line. An item is done
//! as long as all its pyramids are there: what was dropped or purged since is made again.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::Key;

/// An open journal, and in memory what it says: sixteen bytes a line, half as much again while it is read.
pub(super) struct Journal {
    file: File,
    entries: Vec<Entry>,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Where the last one was.
    GoOn,
    /// Anew.
    Again,
}

/// A line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) item: Cow<'a, str>,
    /// As the listing tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Cow<'a, str>>,
    pub(super) end: End,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pyramids: Vec<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<Cow<'a, str>>,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    Done,
    /// Not open to everybody; looked at again the next time.
    Closed,
    /// The room for pyramids was used up.
    NoRoom,
    /// A pyramid of it could not be brought into the bucket.
    Unshared,
    /// It, or one of its images.
    Failed,
}

/// A line in memory. Of ten million items no two share their eight bytes of a hash, but for one chance in 370 000.
#[derive(Clone, Copy)]
struct Entry {
    item: u64,
    version: u32,
    is_done: bool,
}

impl Journal {
    /// Opens a journal, which is made if it is missing. `holds` tells whether a pyramid is there.
    pub(super) fn open(path: &Path, begin: Begin, holds: impl Fn(&Key) -> bool) -> io::Result<Self> {
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        if begin == Begin::Again {
            file.set_len(0)?;
        }
        let mut entries = Vec::with_capacity(end_last_line(&mut file)?);
        let (mut lines, mut bytes) = (BufReader::new(&file), Vec::new());
        while lines.read_until(b'\n', &mut bytes)? > 0 {
            if let Ok(line) = serde_json::from_slice::<Line<'_>>(&bytes) {
                let is_done = line.end == End::Done && line.pyramids.iter().all(&holds);
                let version = line.version.as_deref().map_or(0, version);
                entries.push(Entry { item: item(&line.item), version, is_done });
            }
            bytes.clear();
        }
        // In their order where they are of one item.
        entries.sort_by_key(|entry| entry.item);
        Ok(Self { file, entries })
    }

    /// Whether an item was finished in an earlier run, and is in the version that is told of it.
    pub(super) fn is_done(&self, id: &str, told: Option<&str>) -> bool {
        let item = item(id);
        let behind = self.entries.partition_point(|entry| entry.item <= item);
        let last = behind.checked_sub(1).and_then(|last| self.entries.get(last));
        last.is_some_and(|entry| {
            entry.item == item && entry.is_done && told.is_none_or(|told| version(told) == entry.version)
        })
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)
    }
}

/// Ends a line that was cut short, so that the next one is whole. Returns how many there are.
fn end_last_line(file: &mut File) -> io::Result<usize> {
    let (mut lines, mut last, mut piece) = (0, b'\n', vec![0; 64 << 10]);
    loop {
        let read = file.read(&mut piece)?;
        let Some(end) = piece[..read].last() else { break };
        last = *end;
        lines += piece[..read].iter().filter(|byte| **byte == b'\n').count();
    }
    if last != b'\n' {
        file.write_all(b"\n")?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(lines)
}

fn item(id: &str) -> u64 {
    let digest = Sha256::digest(id);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Never 0, which stands for none.
fn version(text: &str) -> u32 {
    item(text) as u32 | 1
}

/// The ids of items that failed, one a line, as `--list` takes them. They become the list, or a part of it, when the run
/// ends, so that a run may read the last one's.
pub(super) struct Failures {
    path: PathBuf,
    /// Where those of this run are until it ends.
    new: PathBuf,
    file: Option<File>,
}

impl Failures {
    /// Those of this run. What one that was killed had added belongs to the last one's.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let failures = Self { path: path.to_owned(), new: path.with_extension("new"), file: None };
        if failures.new.exists() {
            failures.join()?;
        }
        Ok(failures)
    }

    pub(super) fn add(&mut self, id: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(&self.new)?),
        };
        // An id of several lines could not be told from several ids.
        if id.contains('\n') { Ok(()) } else { file.write_all(format!("{id}\n").as_bytes()) }
    }

    /// Those of this run are all there are.
    pub(super) fn replace_last(self) -> io::Result<()> {
        let done = match self.file {
            Some(_) => fs::rename(&self.new, &self.path),
            None => fs::remove_file(&self.path),
        };
        done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    /// Those of earlier runs may still fail.
    pub(super) fn add_to_last(self) -> io::Result<()> {
        if self.file.is_some() { self.join() } else { Ok(()) }
    }

    fn join(&self) -> io::Result<()> {
        let mut last = File::options().create(true).read(true).append(true).open(&self.path)?;
        end_last_line(&mut last)?;
        let known: HashSet<String> = BufReader::new(&last).lines().collect::<io::Result<_>>()?;
        for id in BufReader::new(File::open(&self.new)?).lines() {
            let id = id?;
            if !known.contains(&id) {
                writeln!(last, "{id}")?;
            }
        }
        fs::remove_file(&self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: &str, version: Option<&'static str>, end: End, pyramids: &[&str]) -> Line<'static> {
        Line {
            item: item.to_owned().into(),
            version: version.map(Cow::Borrowed),
            end,
            pyramids: pyramids.iter().map(|name| Key::new(["pyramid", name])).collect(),
            failed: Vec::new(),
        }
    }

    fn open(path: &Path) -> Journal {
        Journal::open(path, Begin::GoOn, |key| !key.as_str().contains("gone")).unwrap()
    }

    #[test]
    fn a_run_that_stops_early_loses_no_failure_of_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failed");
        let run = |ids: &[&str], end: fn(Failures) -> io::Result<()>| {
            let mut failures = Failures::begin(&path).unwrap();
            ids.iter().for_each(|id| failures.add(id).unwrap());
            end(failures).unwrap();
            assert!(!path.with_extension("new").exists());
            fs::read_to_string(&path).unwrap_or_default()
        };
        assert_eq!(run(&[], Failures::add_to_last), "");
        assert_eq!(run(&["a"], Failures::add_to_last), "a\n");
        assert_eq!(run(&["a", "b", "c"], Failures::replace_last), "a\nb\nc\n");
        assert_eq!(run(&["b", "d"], Failures::add_to_last), "a\nb\nc\nd\n");
        assert_eq!(run(&[], Failures::add_to_last), "a\nb\nc\nd\n");
        assert_eq!(run(&["d"], Failures::replace_last), "d\n");
        // As by a kill.
        let killed = |ids: &[&str]| {
            let mut failures = Failures::begin(&path).unwrap();
            ids.iter().for_each(|id| failures.add(id).unwrap());
        };
        killed(&["e", "d"]);
        killed(&["f"]);
        killed(&[]);
        assert_eq!(run(&["g"], Failures::add_to_last), "d\ne\nf\ng\n");
        killed(&["h"]);
        assert_eq!(run(&["i"], Failures::replace_last), "i\n");
        assert_eq!(run(&[], Failures::replace_last), "");
    }

    #[test]
    fn what_is_done_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path);
        for line in [
            line("plain", None, End::Done, &["a", "b"]),
            line("dropped", None, End::Done, &["a", "gone"]),
            line("closed", None, End::Closed, &[]),
            line("no room", None, End::NoRoom, &["a"]),
            line("failed", None, End::Failed, &[]),
            line("mended", None, End::Failed, &[]),
            line("mended", None, End::Done, &[]),
            line("broken since", Some("1"), End::Done, &[]),
            line("broken since", Some("2"), End::Failed, &[]),
            line("two\nlines \"and\" more", None, End::Done, &[]),
            line("told", Some("1"), End::Done, &[]),
        ] {
            journal.add(&line).unwrap();
        }
        assert!(!journal.is_done("plain", None), "within a run nothing is looked up");
        let journal = open(&path);
        for (id, version, done) in [
            ("plain", None, true),
            ("plain", Some("1"), false),
            ("dropped", None, false),
            ("closed", None, false),
            ("no room", None, false),
            ("failed", None, false),
            ("mended", None, true),
            ("broken since", None, false),
            ("two\nlines \"and\" more", None, true),
            ("told", Some("1"), true),
            ("told", Some("2"), false),
            ("told", None, true),
            ("never seen", None, false),
            ("", None, false),
        ] {
            assert_eq!(journal.is_done(id, version), done, "{id} {version:?}");
        }
        let journal = Journal::open(&path, Begin::Again, |_| true).unwrap();
        assert!(!journal.is_done("plain", None));
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_line_that_was_cut_short_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path);
        journal.add(&line("one", None, End::Done, &[])).unwrap();
        journal.add(&line("cut", None, End::Done, &[])).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 5).unwrap();
        open(&path).add(&line("two", None, End::Done, &[])).unwrap();
        let journal = open(&path);
        assert_eq!(["one", "cut", "two"].map(|id| journal.is_done(id, None)), [true, false, true]);
        // Whatever else may stand there.
        fs::write(&path, b"\0\0\0\n{}\n[[[[\n\xff\n").unwrap();
        assert!(open(&path).entries.is_empty());
    }

    #[test]
    fn a_list_may_be_read_while_the_next_one_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failed");
        let mut failures = Failures::begin(&path).unwrap();
        failures.add("a").unwrap();
        failures.add("two\nlines").unwrap();
        failures.replace_last().unwrap();
        let mut next = Failures::begin(&path).unwrap();
        next.add("b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
        next.replace_last().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
        Failures::begin(&path).unwrap().replace_last().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
