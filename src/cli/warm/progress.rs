//! How far it is, on standard error: a bar for eyes, a line now and then for logs.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::tally::{Tally, size};

/// Between two looks of a bar.
const GLANCE: Duration = Duration::from_millis(200);
/// Between two lines.
const LINE: Duration = Duration::from_secs(10);

/// Where it is shown.
pub(super) struct Progress {
    shown: Shown,
    ticks: Interval,
    begun: Instant,
}

enum Shown {
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    /// Begins; the number of items is known where they are named.
    pub(super) fn begin(total: Option<u64>) -> Self {
        let shown = if stderr().is_terminal() { Shown::Bar(bar(total)) } else { Shown::Lines };
        let period = if matches!(shown, Shown::Bar(_)) { GLANCE } else { LINE };
        let begun = Instant::now();
        let mut ticks = interval_at(begun + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { shown, ticks, begun }
    }

    /// Ends when it is time to [`Self::show`] something.
    pub(super) async fn due(&mut self) {
        self.ticks.tick().await;
    }

    pub(super) fn show(&self, tally: &Tally, images: u64) {
        let text = said(tally, images, self.took());
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_position(tally.items.total());
                bar.set_message(text);
                bar.tick();
            }
            // A closed standard error changes nothing about the work.
            Shown::Lines => _ = writeln!(stderr(), "{} items, {text}", tally.items.total()),
        }
    }

    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{elapsed_precise} [{bar:24}] {pos} of {len} items, {msg}, {eta} left")
        }
        None => (ProgressBar::no_length(), "{elapsed_precise} {spinner} {pos} items, {msg}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

fn said(tally: &Tally, images: u64, took: Duration) -> String {
    let speed = images as f64 * 60.0 / took.as_secs_f64().max(0.001);
    let (made, bytes, failed) = (tally.images.made, size(tally.bytes), tally.items.failed);
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{images} images, {made} pyramids ({bytes}), {speed:.0} images a minute{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nobody looks, as in tests, a line comes every ten seconds, however long one of them took.
    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_every_ten_seconds() {
        let mut progress = Progress { shown: Shown::Lines, ..Progress::begin(None) };
        progress.ticks = interval_at(progress.begun + LINE, LINE);
        for seconds in [10, 20, 30] {
            progress.due().await;
            assert_eq!(progress.took(), Duration::from_secs(seconds));
        }
        let mut tally = Tally::default();
        tally.images.made = 30;
        tally.bytes = 45 << 20;
        let text = said(&tally, 40, progress.took());
        assert_eq!(text, "40 images, 30 pyramids (45 MiB), 80 images a minute");
        tally.items.failed = 2;
        assert!(said(&tally, 40, progress.took()).ends_with(", 2 failed"));
    }

    #[test]
    fn templates_are_understood() {
        for total in [None, Some(3)] {
            let bar = bar(total);
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
            assert_eq!(bar.length(), total);
        }
    }
}
