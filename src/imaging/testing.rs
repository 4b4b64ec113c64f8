//! Masters for tests.
