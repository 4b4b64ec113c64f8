//! What became of everything, in numbers, and the report that is made of them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::journal::{End, Line};
use crate::serve::ServeError;
use crate::serve::warming::{Outcome, Warmed};
use crate::store::Key;
use crate::units;

/// Failures that are printed; the journal has all.
const PRINTED: usize = 20;

/// Counts of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) items: Items,
    pub(super) images: Images,
    /// Of the pyramids that were made.
    pub(super) bytes: u64,
    /// Pyramids that could not be brought into the bucket.
    pub(super) unshared: u64,
    /// The first ones: whose, and why.
    failures: Vec<(String, String)>,
    /// Failures beyond those.
    more: u64,
}

/// Items by what became of them.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) done: u64,
    /// In an earlier run.
    pub(super) before: u64,
    pub(super) closed: u64,
    pub(super) failed: u64,
}

/// Images by what became of them.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) made: u64,
    pub(super) there: u64,
    pub(super) not_needed: u64,
    pub(super) closed: u64,
    pub(super) no_room: u64,
    pub(super) failed: u64,
}

impl Items {
    pub(super) fn total(&self) -> u64 {
        self.done + self.before + self.closed + self.failed
    }
}

impl Images {
    fn total(&self) -> u64 {
        let Self { made, there, not_needed, closed, no_room, failed } = self;
        made + there + not_needed + closed + no_room + failed
    }
}

impl Tally {
    /// Counts an item, and says what is to be written down of it.
    pub(super) fn count(&mut self, id: &str, warmed: &Result<Warmed, ServeError>) -> Line<'static> {
        let mut line = Line {
            item: id.to_owned().into(),
            version: None,
            end: End::Done,
            pyramids: Vec::new(),
            failed: Vec::new(),
        };
        match warmed {
            Ok(Warmed::Closed) => {
                self.items.closed += 1;
                line.end = End::Closed;
            }
            Ok(Warmed::Images(images)) => {
                for (media, outcome) in images {
                    let name =
                        if media.as_str() == id { id.to_owned() } else { format!("{id}, file {media}") };
                    self.image(name, outcome, &mut line);
                }
                match line.end {
                    End::Failed => self.items.failed += 1,
                    _ => self.items.done += 1,
                }
            }
            Err(error) => {
                self.items.failed += 1;
                self.fail(id.to_owned(), error, &mut line);
            }
        }
        line
    }

    fn image(&mut self, name: String, outcome: &Outcome, line: &mut Line<'_>) {
        match outcome {
            Outcome::Unshared(key, made) => {
                self.unshared += 1;
                if line.end == End::Done {
                    line.end = End::Unshared;
                }
                self.pyramid(key, *made, line);
            }
            Outcome::Pyramid(key, made) => self.pyramid(key, *made, line),
            Outcome::NotNeeded => self.images.not_needed += 1,
            Outcome::Closed => self.images.closed += 1,
            Outcome::NoRoom => {
                self.images.no_room += 1;
                if line.end == End::Done {
                    line.end = End::NoRoom;
                }
            }
            Outcome::Failed(error) => {
                self.images.failed += 1;
                self.fail(name, error, line);
            }
        }
    }

    fn pyramid(&mut self, key: &Key, made: Option<u64>, line: &mut Line<'_>) {
        line.pyramids.push(key.clone());
        match made {
            Some(bytes) => {
                self.images.made += 1;
                self.bytes += bytes;
            }
            None => self.images.there += 1,
        }
    }

    fn fail(&mut self, name: String, error: &ServeError, line: &mut Line<'_>) {
        let error = error.to_string();
        line.end = End::Failed;
        line.failed.push(error.clone().into());
        match self.failures.len() < PRINTED {
            true => self.failures.push((name, error)),
            false => self.more += 1,
        }
    }

    /// Whether something is left to do.
    pub(super) fn is_whole(&self) -> bool {
        self.items.failed == 0 && self.images.no_room == 0 && self.unshared == 0
    }
}

/// What is printed at the end.
pub(super) struct Report<'a> {
    pub(super) source: &'a str,
    pub(super) tally: &'a Tally,
    pub(super) took: Duration,
    /// Bytes that pyramids take, and that they may.
    pub(super) room: (u64, u64),
    /// `cache.disk`.
    pub(super) disk: units::Bytes,
    /// Where the ids of all that failed are.
    pub(super) failed: PathBuf,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { items, images, bytes, .. } = self.tally;
        let Items { done, before, closed, failed } = items;
        write!(f, "items      {}: {done} done", items.total())?;
        others(f, [(*before, "done before"), (*closed, "closed"), (*failed, "failed")])?;
        let Images { made, there, not_needed, closed, no_room, failed } = images;
        write!(f, "\nimages     {}", images.total())?;
        if images.total() > 0 {
            let shown = made + there + not_needed;
            write!(f, ": {shown} ready")?;
            others(f, [(*closed, "closed"), (*no_room, "without room"), (*failed, "failed")])?;
        }
        write!(f, "\npyramids   {made} made")?;
        if *made > 0 {
            write!(f, " ({})", size(*bytes))?;
        }
        let unshared = self.tally.unshared;
        others(f, [(*there, "there already"), (*not_needed, "not needed"), (unshared, "not in the bucket")])?;
        let seconds = self.took.as_secs_f64();
        let speed = images.total() as f64 * 60.0 / seconds.max(0.001);
        writeln!(f, "\ntime       {}, {speed:.0} images a minute", time(self.took))?;
        self.of_room(f)?;
        self.of_failures(f)
    }
}

impl Report<'_> {
    fn of_room(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Images { made, there, no_room, .. } = self.tally.images;
        if no_room == 0 {
            return Ok(());
        }
        let (ready, wanted) = (made + there, made + there + no_room);
        let (taken, room) = self.room;
        write!(
            f,
            "\nroom for {ready} of {wanted} pyramids: {} of the {} for pyramids are taken",
            size(taken),
            size(room)
        )?;
        if made == 0 || taken == 0 || room == 0 {
            return writeln!(f, "; raise `cache.disk`");
        }
        // As large as those that were made, and a tenth more.
        let missing = self.tally.bytes as f64 / made as f64 * no_room as f64 * 1.1;
        let disk = *self.disk as f64 * (taken as f64 + missing) / room as f64;
        writeln!(f, "; raise `cache.disk` from {} to about {}", self.disk, size(disk as u64))
    }

    fn of_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { failures, more, .. } = self.tally;
        if failures.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nfailed")?;
        for (name, error) in failures {
            writeln!(f, "  {name}: {error}")?;
        }
        if *more > 0 {
            writeln!(f, "  ... and {more} more")?;
        }
        let list = self.failed.display();
        writeln!(
            f,
            "The next run tries these again; `loggia warm {} --list {list}` tries no others.",
            self.source
        )
    }
}

/// What is not nothing.
fn others<const N: usize>(f: &mut fmt::Formatter<'_>, counts: [(u64, &str); N]) -> fmt::Result {
    counts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))
}

/// To three digits or so: `3.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1024.0 {
            break;
        }
        (number, unit) = (number / 1024.0, larger);
    }
    let digits = usize::from(number < 10.0 && unit != "B");
    format!("{number:.digits$} {unit}")
}

/// `2 h 5 min`, `3 min 12 s`, `4.2 s`.
pub(super) fn time(took: Duration) -> String {
    let seconds = took.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", took.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
