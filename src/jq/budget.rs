//! What one run may use: time and memory, counted by the values themselves.
//!
//! jaq has no hook to interrupt a filter. But whatever a filter does, it makes, copies or compares
//! values, and those are ours: each such step comes here, and the step that is one too many unwinds
//! the run. An unwinding cannot be caught by `try` or `?`, as an error could. Not interrupted is
//! what a single native filter does inside: one regular expression over one text, whose size is
//! bounded for that reason.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use super::JqError;

/// The clock is read once in so many steps: reading it costs more than a step.
const STEPS_PER_LOOK: u32 = 256;

/// What one run may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) time: Duration,
    /// Bytes of all values that are made, also of those that are dropped again.
    pub(super) memory: usize,
}

#[derive(Clone, Copy)]
struct Left {
    until: Instant,
    memory: usize,
    steps: u32,
    budget: Budget,
}

thread_local! {
    // A run stays on its thread from beginning to end, and values have no other way to know their run.
    static LEFT: Cell<Option<Left>> = const { Cell::new(None) };
}

/// Does `work` within `budget`.
pub(super) fn spend<T>(budget: Budget, work: impl FnOnce() -> Result<T, JqError>) -> Result<T, JqError> {
    let left =
        Left { until: Instant::now() + budget.time, memory: budget.memory, steps: STEPS_PER_LOOK, budget };
    LEFT.set(Some(left));
    // Nothing that `work` could leave half done is used again: inputs are shared, hence never changed in place.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    LEFT.set(None);
    outcome.unwrap_or_else(|payload| {
        Err(payload.downcast::<JqError>().map_or_else(
            |_| JqError::Run { message: "the interpreter failed on this expression".to_owned() },
            |error| *error,
        ))
    })
}

/// Counts one step.
pub(super) fn step() {
    charge(0);
}

/// Counts one step that makes so many bytes.
pub(super) fn charge(bytes: usize) {
    LEFT.with(|cell| {
        let Some(mut left) = cell.get() else { return };
        let Some(memory) = left.memory.checked_sub(bytes) else {
            exceed("memory", format!("{} MiB", left.budget.memory >> 20));
            return;
        };
        left.memory = memory;
        left.steps -= 1;
        if left.steps == 0 {
            left.steps = STEPS_PER_LOOK;
            if Instant::now() >= left.until {
                exceed("time", format!("{:?}", left.budget.time));
            }
        }
        cell.set(Some(left));
    });
}

/// Ends the run; does nothing outside one.
pub(super) fn exceed(what: &'static str, limit: impl Into<String>) {
    // Taken away first: what is dropped while unwinding counts no steps.
    if LEFT.take().is_some() {
        panic::resume_unwind(Box::new(JqError::TooMuch { what, limit: limit.into() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { time: Duration::from_millis(20), memory: 1 << 20 };

    fn charging(bytes: usize) -> Result<(), JqError> {
        charge(bytes);
        Ok(())
    }

    #[test]
    fn work_within_its_budget_gives_its_value() {
        assert_eq!(spend(BUDGET, || charging(1 << 20)), Ok(()));
    }

    #[test]
    fn a_byte_too_many_ends_the_run() {
        let outcome = spend(BUDGET, || charging((1 << 20) + 1));
        assert_eq!(outcome.unwrap_err().to_string(), "too much memory: at most 1 MiB");
    }

    #[test]
    fn an_endless_loop_ends() {
        let outcome: Result<(), _> = spend(BUDGET, || {
            loop {
                step();
            }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "too much time: at most 20ms");
    }

    #[test]
    fn a_panic_is_an_error_and_the_next_run_is_not_touched_by_it() {
        let broken: Result<(), _> = spend(BUDGET, || panic::resume_unwind(Box::new("a bug")));
        assert!(matches!(broken, Err(JqError::Run { .. })));
        assert_eq!(spend(BUDGET, || charging(0)), Ok(()));
    }

    #[test]
    fn outside_a_run_nothing_is_counted() {
        charge(usize::MAX);
    }
}
