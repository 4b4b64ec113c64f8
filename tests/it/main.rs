//! All integration tests in one binary: it links once and shares its helpers.
