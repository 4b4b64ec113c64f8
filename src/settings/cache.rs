//! `cache.dir`: whether something can be kept there, found out without leaving a trace.

use std::io;
use std::path::{Path, PathBuf};

use super::problem::{Key, Problem};
use super::{NO_PATH, Settings};
use crate::adapter::input::Kind;

/// What becomes of a folder that is to be made and written in.
#[derive(Debug, PartialEq, Eq)]
enum Prospect {
    /// It can.
    Fine,
    /// It cannot; a sentence says why.
    Hopeless(String),
    /// Not by this user as things are. Somebody else may make it in time: systemd's `CacheDirectory`, a volume.
    Open(String),
}

/// What cannot be.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let dir = &settings.cache.dir;
    if dir.as_os_str().is_empty() {
        return vec![Problem::new(key(), NO_PATH)];
    }
    let hopeless = match prospect(dir) {
        Prospect::Hopeless(sentence) => Some(Problem::new(key(), sentence)),
        Prospect::Fine | Prospect::Open(_) => None,
    };
    hopeless.into_iter().chain(inside(settings)).collect()
}

/// What cannot be told before the gateway is started.
pub(super) fn remark(settings: &Settings) -> Option<Problem> {
    match prospect(&settings.cache.dir) {
        Prospect::Open(sentence) => Some(
            Problem::new(key(), sentence)
                .hint("start `serve` as a user who can, or once somebody has made it"),
        ),
        Prospect::Fine | Prospect::Hopeless(_) => None,
    }
}

fn key() -> Key {
    Key::of(["cache", "dir"])
}

/// The sources in whose folders it lies.
fn inside(settings: &Settings) -> impl Iterator<Item = Problem> {
    let dir = &settings.cache.dir;
    settings.sources.iter().filter_map(|(name, source)| {
        let inputs = settings.catalogue.get(&source.adapter)?.inputs();
        let folder = inputs.iter().find(|input| input.kind == Kind::Folder)?.name;
        let folder = real(Path::new(source.inputs.get(folder)?.as_str()?))?;
        real(dir)?.starts_with(folder).then(|| {
            let sentence = format!("this lies inside the folder of source `{name}`");
            Problem::new(key(), sentence).hint("what is cached would be served as if it were a master")
        })
    })
}

/// A path without links and `..`, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    })
}

/// Looks for the nearest folder that is there, and tries to write in it.
fn prospect(dir: &Path) -> Prospect {
    let hopeless = |why: String| Prospect::Hopeless(format!("cannot create `{}`: {why}", dir.display()));
    for above in dir.ancestors() {
        let above = if above == Path::new("") { Path::new(".") } else { above };
        match above.metadata() {
            Ok(found) if found.is_dir() => return writing(dir, above),
            Ok(_) => return hopeless(format!("`{}` is a file", above.display())),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
                io::ErrorKind::PermissionDenied => return open(dir, &error),
                _ => return hopeless(error.to_string()),
            },
        }
    }
    Prospect::Fine
}

/// Writes a file that has no name and is gone at once.
fn writing(dir: &Path, above: &Path) -> Prospect {
    let Err(error) = tempfile::tempfile_in(above) else { return Prospect::Fine };
    let (dir_shown, above_shown, why) = (dir.display(), above.display(), error.kind());
    match why {
        _ if above == dir => Prospect::Hopeless(format!("cannot write in `{dir_shown}`: {why}")),
        io::ErrorKind::PermissionDenied => open(dir, &error),
        _ => {
            Prospect::Hopeless(format!("cannot create `{dir_shown}`: cannot write in `{above_shown}`: {why}"))
        }
    }
}

fn open(dir: &Path, error: &io::Error) -> Prospect {
    Prospect::Open(format!("this user cannot create `{}`: {}", dir.display(), error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_do_not_hide_where_a_path_leads() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("masters/a")).unwrap();
        std::os::unix::fs::symlink("masters", folder.join("link")).unwrap();
        let cache = folder.join("masters/cache/b");
        for detour in ["masters/a/../cache/b", "link/cache/b", "link/a/../../masters/cache/b"] {
            assert_eq!(real(&folder.join(detour)), Some(cache.clone()), "{detour}");
        }
    }

    #[test]
    fn looking_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(prospect(folder.path()), Prospect::Fine);
        assert_eq!(prospect(&folder.path().join("a/b/c")), Prospect::Fine);
        assert!(matches!(prospect(&folder.path().join("file/b")), Prospect::Hopeless(_)));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
