//! `loggia warm`: pyramids and headers of a source, made before anybody asks for them.

use std::fs::{self, File, TryLockError};
use std::io::{Write, stderr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::thread::available_parallelism;

use sha2::{Digest, Sha256};

use super::serve::{LAST, stop};
use super::{Config, Failure};
use crate::adapter::catalogue::Driver;
use crate::settings::Settings;
use crate::settings::load::Environment;
use crate::store::Key;
use crate::{assemble, telemetry};

mod journal;
mod progress;
mod rate;
mod tally;
mod wanted;
mod work;

use journal::{Begin, Failures, Journal};
use progress::Progress;
use rate::Rate;
use tally::{Report, Tally};
use work::{Ended, Work};

/// More images at a time than any machine has cores.
const MOST_JOBS: usize = 256;

/// Arguments of `warm`.
#[derive(Debug, clap::Args)]
pub(super) struct Warm {
    /// The source, as the settings name it
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Items, as the source names them; all that it lists where none are named
    #[arg(value_name = "ID", conflicts_with = "list")]
    ids: Vec<String>,
    /// A file with the ids of items, one a line, `-` for standard input; empty lines and those that begin with # are left out
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Images that are worked on at a time; as many as there are cores where this is left out
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// How often the source is asked at most: 5/s, 30/m, 2000/h; its own `rate` holds all the same
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Look at everything anew, also at what an earlier run has finished
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    config: Config,
}

impl Warm {
    pub(super) fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        let mut settings = Settings::load(&self.config.file, environment)?;
        super::find_source(&settings, &self.source)?;
        let jobs = self.slow_down(&mut settings)?;
        telemetry::log(&settings.log.brief()).map_err(Failure::other)?;
        let runtime = super::runtime()?;
        let warmed = runtime.block_on(self.warm(&settings, jobs, out));
        // Pyramids that are being made are given up at their next row.
        runtime.shutdown_timeout(LAST);
        warmed
    }

    /// Sets the rate, and how many may work under it.
    fn slow_down(&self, settings: &mut Settings) -> Result<usize, Failure> {
        let cores = || available_parallelism().map_or(2, usize::from);
        let jobs = self.jobs.map_or_else(cores, usize::from).min(MOST_JOBS);
        let (Some(rate), Some(source)) = (self.rate, settings.sources.get_mut(&self.source)) else {
            return Ok(jobs);
        };
        if let Some(Driver::Folder) = settings.catalogue.get(&source.adapter) {
            return Err(Failure::Usage(format!(
                "source `{}` is a folder: nobody is asked, so `--rate` slows nothing down; `--jobs 1` works on one image at a time",
                self.source
            )));
        }
        source.rate = Some(rate.within(source.rate));
        Ok(rate.workers(jobs))
    }

    async fn warm(&self, settings: &Settings, jobs: usize, out: &mut impl Write) -> Result<(), Failure> {
        let mut stop = pin!(stop()?);
        let place = Place::enter(&settings.cache.dir, &self.source)?;
        let (masters, failures) = (place.masters(), Failures::begin(&place.failed())?);
        let (warming, without) = tokio::select! {
            warming = assemble::warming(settings, &self.source, &masters, jobs) => warming.map_err(Failure::other)?,
            () = &mut stop => return Err(interrupted()),
        };
        if let Some(reason) = without {
            writeln!(stderr(), "note: {reason}")?;
        }
        let (items, total) = match &self.list {
            Some(list) => (wanted::of_list(list)?, None),
            None if !self.ids.is_empty() => (wanted::named(&self.ids), Some(self.ids.len() as u64)),
            None if warming.can_list() => (wanted::all(&warming), None),
            None => return Err(self.cannot_list()),
        };
        let begin = if self.again { Begin::Again } else { Begin::GoOn };
        let there = tokio::select! {
            there = warming.in_bucket() => there,
            () = &mut stop => return Err(interrupted()),
        };
        let holds = |key: &Key| warming.holds(key) || there.holds(key);
        let journal = Journal::open(&place.journal(&warming.setting()), begin, holds)?;
        drop(there);
        let mut work = Work {
            warming: &warming,
            journal,
            failures,
            tally: Tally::default(),
            progress: Progress::begin(total),
            jobs,
        };
        let ended = work.run(items, stop).await?;
        let Work { failures, tally, progress, .. } = work;
        progress.end();
        match ended {
            Ended::Done => {
                failures.replace_last()?;
                // What an earlier run had fetched when it was killed, and nobody wants any more.
                _ = fs::remove_dir_all(&masters);
            }
            // Nobody looked at the others.
            _ => failures.add_to_last()?,
        }
        let report = Report {
            source: &self.source,
            tally: &tally,
            took: progress.took(),
            room: warming.room(),
            disk: settings.cache.disk,
            failed: place.failed(),
        };
        write!(out, "{report}")?;
        out.flush()?;
        self.end(ended, &tally)
    }

    fn cannot_list(&self) -> Failure {
        Failure::Usage(format!(
            "source `{0}` cannot name its items: name some, `loggia warm {0} ID…` or `--list FILE`",
            self.source
        ))
    }

    fn end(&self, ended: Ended, tally: &Tally) -> Result<(), Failure> {
        let source = &self.source;
        match ended {
            Ended::Stopped => Err(interrupted()),
            Ended::Away(error) => Err(Failure::Source(format!(
                "stopped after {} failures in a row: {error}; the next run goes on where this one was",
                work::AWAY
            ))),
            Ended::Lost(failure) => Err(failure),
            Ended::Done if tally.is_whole() => Ok(()),
            Ended::Done => Err(Failure::Other(format!("not everything of source `{source}` could be made"))),
        }
    }
}

fn interrupted() -> Failure {
    Failure::Interrupted("interrupted; the next run goes on where this one was".to_owned())
}

/// A folder in the cache for what is known of earlier runs. One run has it at a time.
struct Place {
    dir: PathBuf,
    _lock: File,
}

impl Place {
    fn enter(cache: &Path, source: &str) -> Result<Self, Failure> {
        let dir = cache.join("warm").join(source);
        fs::create_dir_all(&dir)?;
        let lock = File::create(dir.join("lock"))?;
        // Where files cannot be locked, nobody keeps two runs apart.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Failure::Other(format!("another `loggia warm` is at work on source `{source}`")));
        }
        Ok(Self { dir, _lock: lock })
    }

    /// Masters while they are needed.
    fn masters(&self) -> PathBuf {
        self.dir.join("masters")
    }

    fn failed(&self) -> PathBuf {
        self.dir.join("failed")
    }

    /// What was done for pyramids that look otherwise counts for nothing.
    fn journal(&self, setting: &str) -> PathBuf {
        self.dir.join(format!("journal-{}", hex::encode(&Sha256::digest(setting)[..8])))
    }
}
