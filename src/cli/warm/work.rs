//! Item by item, several at a time, until all are done or there is a reason to stop.

use std::future::Future;
use std::io;
use std::pin::pin;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use super::journal::{End, Failures, Journal, Line};
use super::progress::Progress;
use super::tally::Tally;
use super::wanted::{Items, Wanted};
use crate::cli::Failure;
use crate::serve::ServeError;
use crate::serve::warming::{Outcome, Warmed, Warming};

/// So many items in a row that nothing could be heard of: their source is away, and more questions help nobody.
pub(super) const AWAY: u32 = 10;

/// What a run works with.
pub(super) struct Work<'a> {
    pub(super) warming: &'a Warming,
    pub(super) journal: Journal,
    pub(super) failures: Failures,
    pub(super) tally: Tally,
    pub(super) progress: Progress,
    /// Items at a time.
    pub(super) jobs: usize,
}

/// An item in work.
type Running<'a> = LocalBoxFuture<'a, (Wanted, Result<Warmed, ServeError>)>;

/// Why a run ended.
pub(super) enum Ended {
    /// There is nothing left.
    Done,
    /// Somebody said so.
    Stopped,
    /// The source is away; the last that was heard.
    Away(String),
    /// Nobody knows what else is to be done.
    Lost(Failure),
}

impl<'a> Work<'a> {
    /// Takes items until `stop` ends; those that are in work then are left as they are.
    pub(super) async fn run(
        &mut self,
        mut items: Items,
        stop: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        let mut stop = pin!(stop);
        let (mut running, mut ended, mut in_a_row) = (FuturesUnordered::<Running<'_>>::new(), None, 0);
        loop {
            if ended.is_some() && running.is_empty() {
                return Ok(ended.unwrap_or(Ended::Done));
            }
            tokio::select! {
                biased;
                () = &mut stop => return Ok(Ended::Stopped),
                Some((wanted, warmed)) = running.next() => {
                    in_a_row = if is_away(&warmed) { in_a_row + 1 } else { 0 };
                    let line = self.tally.count(&wanted.id, &warmed);
                    self.keep(&wanted, line)?;
                    if in_a_row >= AWAY {
                        return Ok(Ended::Away(last_word(&warmed)));
                    }
                }
                () = self.progress.due() => self.progress.show(&self.tally, self.warming.images()),
                item = items.next(), if ended.is_none() && running.len() < self.jobs => match item {
                    None => ended = Some(Ended::Done),
                    Some(Err(failure)) => ended = Some(Ended::Lost(failure)),
                    Some(Ok(wanted)) => running.extend(self.begin(wanted)?),
                },
            }
        }
    }

    /// Begins an item, unless no question is needed to know what becomes of it.
    fn begin(&mut self, wanted: Wanted) -> io::Result<Option<Running<'a>>> {
        if self.journal.is_done(&wanted.id, wanted.version.as_deref()) {
            self.tally.items.before += 1;
            return Ok(None);
        }
        if wanted.is_closed {
            let line = self.tally.count(&wanted.id, &Ok(Warmed::Closed));
            self.keep(&wanted, line)?;
            return Ok(None);
        }
        let warming = self.warming;
        let warm = async move {
            let warmed = warming.item(&wanted.id).await;
            (wanted, warmed)
        };
        Ok(Some(warm.boxed_local()))
    }

    fn keep(&mut self, wanted: &Wanted, line: Line<'_>) -> io::Result<()> {
        if line.end == End::Failed {
            self.failures.add(&wanted.id)?;
        }
        self.journal.add(&Line { version: wanted.version.as_deref().map(Into::into), ..line })
    }
}

/// Whether nothing was heard of the item but that its source is away, or does not answer us.
fn is_away(warmed: &Result<Warmed, ServeError>) -> bool {
    let temporary = |error: &ServeError| {
        matches!(error, ServeError::Unreachable { .. } | ServeError::Timeout { .. } | ServeError::Busy)
    };
    match warmed {
        Ok(Warmed::Closed) => false,
        Ok(Warmed::Images(images)) => {
            let lost = |outcome: &Outcome| matches!(outcome, Outcome::Failed(error) if temporary(error));
            !images.is_empty() && images.iter().all(|(_, outcome)| lost(outcome))
        }
        // What was found was said of this item. The next one may make more sense, in this run and the ones to come.
        Err(error) => temporary(error) || matches!(error, ServeError::BadAnswer { found: None, .. }),
    }
}

fn last_word(warmed: &Result<Warmed, ServeError>) -> String {
    let of_image = |(_, outcome): &(_, Outcome)| match outcome {
        Outcome::Failed(error) => Some(error.to_string()),
        _ => None,
    };
    match warmed {
        Err(error) => error.to_string(),
        Ok(Warmed::Images(images)) => images.iter().rev().find_map(of_image).unwrap_or_default(),
        Ok(Warmed::Closed) => String::new(),
    }
}
