//! Who may see what. One pure function, [`decide()`], asked before every cache look-up.

mod decide;

pub use decide::{Action, Verdict, decide, of_canvas};
