//! The rules of the folder driver, each on a small tree made for it.

mod access;
mod books;
mod bounds;
mod description;
mod paging;
mod shape;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::adapter::record::{Access, Member, Parent};
use crate::iiif::presentation::text::LanguageMap;

/// The header of a GIF, which is all that a folder looks at.
const IMAGE: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0";

/// An image by its first bytes, without the rest of its header.
const BROKEN: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What is said of a description that is no file, or not one of the source.
const NO_FILE: &str = "expected a regular file, or a link to one inside of the source's folder";

/// A folder of masters, and beside it a place that must stay out of reach.
struct Masters(TempDir);

impl Masters {
    /// With these images.
    fn with(images: &[&str]) -> Self {
        let masters = Self(tempfile::tempdir().unwrap());
        fs::create_dir(masters.0.path().join("masters")).unwrap();
        fs::create_dir(masters.0.path().join("outside")).unwrap();
        images.iter().fold(masters, |masters, path| masters.file(path, IMAGE))
    }

    /// A path among the masters; `../outside/…` is beside them.
    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("masters").join(path)
    }

    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.path(path)).unwrap();
        self
    }

    fn pipe(self, path: &str) -> Self {
        assert!(Command::new("mkfifo").arg(self.path(path)).status().unwrap().success());
        self
    }

    fn open(&self) -> Folder {
        Folder::open(&self.path("")).unwrap()
    }

    async fn record(&self, id: &str) -> Result<Record, AdapterError> {
        self.open().record(&ItemId::from(id), &Heard::default()).await
    }

    async fn media(&self, id: &str) -> Result<Media, AdapterError> {
        self.open().media(&MediaId::from(id), None).await
    }

    async fn collection(&self, leaf: &str) -> Result<Collection, AdapterError> {
        self.open().collection(&Leaf::from(leaf), None).await
    }

    /// The members of a collection, one word each; what is wrong with it instead.
    async fn members(&self, leaf: &str) -> Vec<String> {
        match self.collection(leaf).await {
            Ok(collection) => collection.members.items.iter().map(member).collect(),
            Err(error) => vec![format!("error: {error}")],
        }
    }

    /// Everything that the listing tells.
    async fn listed(&self) -> Vec<String> {
        let page = self.open().list(None).await.unwrap();
        assert_eq!(page.next, None);
        page.items.iter().map(item_word).collect()
    }

    /// What is wrong with a record; its access instead.
    async fn complaint(&self, id: &str) -> String {
        match self.record(id).await {
            Ok(record) => format!("no error, but {:?}", record.access),
            Err(error @ AdapterError::Description { .. }) => error.to_string(),
            Err(error) => format!("another error: {error}"),
        }
    }
}

fn member(member: &Member) -> String {
    match member {
        Member::Item(listed) => item_word(listed),
        Member::Collection { leaf, label } => format!("{leaf}/ ({})", label.first().unwrap_or_default()),
    }
}

/// E.g. `maps/old: Open`.
fn item_word(listed: &Listed) -> String {
    match listed.access {
        Some(access) => format!("{}: {access:?}", listed.id),
        None => format!("{}: untold", listed.id),
    }
}

fn canvases(record: &Record) -> Vec<&str> {
    let files = record.canvases.iter().filter_map(|canvas| Some(canvas.image.as_ref()?.media.as_str()));
    files.map(|media| media.rsplit('/').next().unwrap_or(media)).collect()
}

fn label(record: &Record) -> &str {
    record.label.first().unwrap_or_default()
}

fn is_missing<T>(answer: Result<T, AdapterError>) -> bool {
    matches!(answer, Err(AdapterError::NotFound(_)))
}
