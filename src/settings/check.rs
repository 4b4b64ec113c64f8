//! Rules across sections: what is well-formed but would not work. Opens no socket.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use url::Url;

use super::Settings;
use super::problem::{Key, Problem};
use super::source::Source;
use crate::adapter::input::Kind;
use crate::serve::offer::{ImageOverride, ImageSettings};
use crate::{http, imaging};

/// Everything that is wrong with settings as a whole.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = server(&settings.server);
    problems.extend(cache(settings));
    problems.extend(limits(&settings.limits));
    problems.extend(image(&settings.image));
    problems.extend(height_without_width(settings.image.max_height, &settings.image));
    if settings.sources.is_empty() {
        let problem = Problem::missing(Key::default(), "sources");
        problems.push(
            problem.hint("add one, for example:\n[sources.maps]\nadapter = \"folder\"\npath = \"/srv/maps\""),
        );
    }
    for (name, source) in &settings.sources {
        let table = Key::of(["sources", name]);
        problems.extend(source_name(name));
        let height = height_without_width(source.image.max_height, &settings.image.with(&source.image));
        problems.extend(common(source).into_iter().chain(height).map(|problem| problem.within(&table)));
    }
    problems
}

fn server(server: &http::Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if server.admin == Some(server.listen) {
        let sentence = format!("`{}` is the address of `server.listen` already", server.listen);
        problems.push(Problem::new(Key::of(["server", "admin"]), sentence).hint("give it a port of its own"));
    }
    let times = [
        ("header_timeout", server.header_timeout, "no request could arrive in time"),
        ("request_timeout", server.request_timeout, "no answer could be made in time"),
    ];
    for (name, time, why) in times.into_iter().filter(|(_, time, _)| time.is_zero()) {
        let sentence = format!("expected a time longer than `0s`, found `{time}`");
        problems.push(Problem::new(Key::of(["server", name]), sentence).hint(why));
    }
    problems
}

fn limits(limits: &imaging::Settings) -> Vec<Problem> {
    let numbers = [("memory", *limits.memory), ("max_pixels", limits.max_pixels)];
    let none = numbers.into_iter().filter(|(_, number)| *number == 0);
    none.map(|(name, _)| {
        Problem::new(Key::of(["limits", name]), "expected more than `0`, found `0`")
            .hint("no picture could be made")
    })
    .collect()
}

fn cache(settings: &Settings) -> Vec<Problem> {
    let dir = &settings.cache.dir;
    let key = Key::of(["cache", "dir"]);
    let uncreatable = creatable(dir)
        .err()
        .map(|error| Problem::new(key.clone(), format!("cannot create `{}`: {error}", dir.display())));
    let inside = settings.sources.iter().filter_map(|(name, source)| {
        let inputs = settings.catalogue.get(&source.adapter)?.inputs();
        let folder = inputs.iter().find(|input| input.kind == Kind::Folder)?.name;
        let folder = real(Path::new(source.inputs.get(folder)?.as_str()?))?;
        real(dir)?.starts_with(folder).then(|| {
            let sentence = format!("this lies inside the folder of source `{name}`");
            Problem::new(key.clone(), sentence).hint("what is cached would be served as if it were a master")
        })
    });
    uncreatable.into_iter().chain(inside).collect()
}

/// A path without links and `..`, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    })
}

/// Whether a folder is there or could be made.
fn creatable(folder: &Path) -> io::Result<()> {
    for above in folder.ancestors().filter(|above| *above != Path::new("")) {
        match above.metadata() {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(io::Error::other(format!("`{}` is a file", above.display())));
            }
            Ok(metadata) if metadata.permissions().readonly() => {
                return Err(io::Error::other(format!("`{}` is read-only", above.display())));
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn image(image: &ImageSettings) -> Vec<Problem> {
    let all =
        ImageOverride { tile: Some(image.tile), max_area: Some(image.max_area), ..ImageOverride::default() };
    picture(&all)
}

/// The rules for the numbers of `[image]`, wherever it stands; keys are counted from the table that holds it.
fn picture(image: &ImageOverride) -> Vec<Problem> {
    let number = |name: &str, expected: &str, found: Option<u64>| {
        found.map(|found| {
            let key = Key::of(["image", name]);
            Problem::new(key, format!("expected {expected}, found the number `{found}`"))
        })
    };
    let tile = image.tile.filter(|tile| !(64..=4096).contains(tile)).map(u64::from);
    let max_area = image.max_area.filter(|area| *area == 0);
    [
        number("tile", "a tile size from 64 to 4096 pixels", tile),
        number("max_area", "a number of pixels, at least 1", max_area),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// *Image API 3.0, 5.2*: `maxHeight` needs `maxWidth` beside it. `own` is the height that the table itself gives,
/// `offered` what holds with all above it; the key is counted from the table that holds `image`.
fn height_without_width(own: Option<NonZeroU32>, offered: &ImageSettings) -> Option<Problem> {
    own.filter(|_| offered.max_width.is_none()).map(|height| {
        Problem::new(Key::of(["image", "max_height"]), format!("`{height}` needs a `max_width` beside it"))
            .hint("with `max_width` alone, the height is limited to the same number")
    })
}

/// Names become parts of addresses and of variables' names.
fn source_name(name: &str) -> Option<Problem> {
    let key = Key::of(["sources", name]);
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name == "top" {
        let problem = Problem::named(key, "a source cannot have the name `top`");
        return Some(problem.hint("`/iiif/3/collection/top` is the collection of all sources"));
    }
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest) {
        return None;
    }
    let problem = Problem::named(key, format!("`{name}` cannot be the name of a source"));
    Some(problem.hint(
        "expected a small letter, then small letters, digits and hyphens: names are parts of addresses",
    ))
}

/// Rules for the keys that every source takes; keys are counted from the source.
fn common(source: &Source) -> Vec<Problem> {
    let mut problems = picture(&source.image);
    if let Some(rate) = source.rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
        let sentence = format!("expected requests per second, more than 0, found `{rate}`");
        problems.push(Problem::new(Key::of(["rate"]), sentence));
    }
    if let Some(rights) = source.rights.as_ref().filter(|rights| !is_uri(rights)) {
        let problem = Problem::new(Key::of(["rights"]), format!("`{rights}` is no http(s) address"));
        problems.push(problem.hint("expected one of creativecommons.org or rightsstatements.org, e.g. `http://rightsstatements.org/vocab/InC/1.0/`"));
    }
    if let Some(provider) = source.provider.as_ref().filter(|provider| !is_uri(&provider.id)) {
        let sentence = format!("`{}` is no http(s) address", provider.id);
        problems.push(
            Problem::new(Key::of(["provider", "id"]), sentence)
                .hint("expected one such as `https://library.example.org`"),
        );
    }
    for (at, host) in source.hosts.iter().enumerate().filter(|(_, host)| !is_host_pattern(host)) {
        let problem = Problem::new(Key::of(["hosts"]).element(at), format!("`{host}` is no host"));
        problems
            .push(problem.hint("expected `files.example.org`, `files.example.org:8443` or `*.example.org`"));
    }
    if let Some((file, error)) =
        source.ca_file.as_ref().and_then(|file| Some((file, std::fs::File::open(file).err()?)))
    {
        let sentence = format!("cannot read `{}`: {error}", file.display());
        problems.push(Problem::new(Key::of(["ca_file"]), sentence));
    }
    problems
}

fn is_uri(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// `host`, `host:port`, `*.host`.
fn is_host_pattern(pattern: &str) -> bool {
    let (host, port) = match pattern.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (pattern, None),
    };
    let host = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(inside)
    };
    host.len() <= 253
        && host.split('.').all(label)
        && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_other_things() {
        for good in [
            "example.org",
            "files.example.org:8443",
            "*.example.org",
            "localhost",
            "192.0.2.1",
            "a_b.example",
        ] {
            assert!(is_host_pattern(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "https://example.org",
            "example.org/path",
            "a..b",
            "-a.org",
            "a:0",
            "a:99999",
            "a b",
            "f*.org",
        ] {
            assert!(!is_host_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn source_names_are_parts_of_addresses() {
        for good in ["a", "maps", "old-maps-2", "a--b"] {
            assert_eq!(source_name(good), None, "{good}");
        }
        for bad in ["top", "Maps", "2maps", "-maps", "old_maps", "a/b", "ä", ""] {
            assert!(source_name(bad).is_some(), "{bad}");
        }
    }

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
    fn a_folder_below_a_file_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(creatable(&folder.path().join("a/b/c")).is_ok());
        assert!(creatable(&folder.path().join("file/b")).is_err());
    }
}
