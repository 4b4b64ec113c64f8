//! What the gateway says to its operator, heard by one test alone.

use std::cell::RefCell;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Once;

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::prelude::*;

thread_local! {
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Hears what is logged on the thread of a test, from its start to its end.
///
/// One subscriber serves all tests: `tracing` remembers of each line whether anybody wants it, and where subscribers
/// come and go with tests that run side by side, it may remember wrongly.
pub(crate) struct Logs {
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

impl Logs {
    /// Hears from here on.
    pub(crate) fn start() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            let heard = dynamic_filter_fn(|_, _| HEARD.with_borrow(Option::is_some));
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Lines);
            tracing_subscriber::registry().with(lines.with_filter(heard)).init();
        });
        HEARD.set(Some(Vec::new()));
        Self { _here: PhantomData }
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        HEARD.with_borrow(|heard| String::from_utf8(heard.clone().unwrap_or_default()).unwrap())
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        HEARD.set(None);
    }
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(|heard| heard.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
