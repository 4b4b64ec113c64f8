//! What is wrong with descriptions, as the operator was told: once, until it changes.

use std::path::{Path, PathBuf};

use quick_cache::sync::Cache;

/// Complaints that are remembered; more than anybody reads.
const REMEMBERED: usize = 1000;

/// The last complaint about each file. A folder is read every few seconds: nobody wants to read the same as often.
#[derive(Debug)]
pub(super) struct Complaints(Cache<PathBuf, String>);

impl Default for Complaints {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Complaints {
    /// Whether this is another problem than the file had when it was last looked at.
    pub(super) fn is_news(&self, file: &Path, problem: &str) -> bool {
        let is_news = self.0.get(file).is_none_or(|known| known != problem);
        if is_news {
            self.0.insert(file.to_path_buf(), problem.to_owned());
        }
        is_news
    }

    /// The file is there and can be read, or is gone.
    pub(super) fn settle(&self, file: &Path) {
        self.0.remove(file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_once_until_it_changes() {
        let (complaints, file) = (Complaints::default(), Path::new("book/info.toml"));
        assert!(complaints.is_news(file, "line 1"));
        assert!(!complaints.is_news(file, "line 1"), "told already");
        assert!(complaints.is_news(Path::new("info.toml"), "line 1"), "another file");
        assert!(complaints.is_news(file, "line 2"), "another problem");
        assert!(complaints.is_news(file, "line 1"), "the first one again");
        complaints.settle(file);
        assert!(complaints.is_news(file, "line 1"), "mended in between");
    }
}
