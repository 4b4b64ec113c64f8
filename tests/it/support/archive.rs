//! A small remote archive made up by a test: an Omeka S with one item of some pages.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake_dam::FakeDam;

const HOST: &str = "https://archive.example.org";

/// The system, as long as the test lives.
pub(crate) struct Archive {
    pub(crate) dam: FakeDam,
    folder: TempDir,
}

/// One page of item `7`; its media id is `7/1`, `7/2`, ...
pub(crate) struct Page {
    /// The file.
    pub(crate) image: Vec<u8>,
    /// The size that the system tells, right or wrong.
    pub(crate) told: Option<(u32, u32)>,
    /// Whether its files have a strong validator; `EPOCH` in it goes up as addresses expire.
    pub(crate) tag: Option<&'static str>,
}

impl Page {
    /// A file of which the system tells nothing more.
    pub(crate) fn of(image: Vec<u8>) -> Self {
        Self { image, told: None, tag: Some("\"1\"") }
    }
}

impl Archive {
    /// Starts the system with these pages.
    pub(crate) async fn start(pages: &[Page]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| fs::write(folder.path().join(name), value.to_string());
        let ids = (1..=pages.len()).collect::<Vec<_>>();
        let item = json!({
            "o:id": 7, "o:is_public": true,
            "o:modified": { "@value": "2024-02-01T00:00:00+00:00" },
            "o:media": ids.iter().map(|id| json!({ "o:id": id })).collect::<Vec<_>>(),
            "dcterms:title": [{ "is_public": true, "@value": "Letters", "@language": "en" }],
        });
        write("item.json", &item).unwrap();
        write("list.json", &json!([item])).unwrap();
        let media = ids.iter().zip(pages).map(|(id, page)| medium(*id, page));
        write("media.json", &media.collect()).unwrap();
        // All fits on the first page.
        let last = "headers = { Link = '<https://archive.example.org/api?page=1>; rel=\"first\"' }";
        let mut routes = format!(
            "host = '{HOST}'\n
            [[route]]\npath = '/api/items/7'\nfile = 'item.json'\n
            [[route]]\npath = '/api/items/8'\nstatus = 404\ntext = '{{}}'\n
            [[route]]\npath = '/api/items'\nfile = 'list.json'\n{last}\n
            [[route]]\npath = '/api/media'\nquery = {{ item_id = '7' }}\nfile = 'media.json'\n{last}\n"
        );
        for (id, page) in ids.iter().zip(pages) {
            fs::write(folder.path().join(format!("{id}.png")), &page.image).unwrap();
            let headers = page.tag.map(|tag| format!("headers = {{ ETag = '{tag}' }}\n")).unwrap_or_default();
            writeln!(routes, "[[route]]\npath = '/files/{id}.png'\nimage = '{id}.png'\n{headers}").unwrap();
        }
        fs::write(folder.path().join("routes.toml"), routes).unwrap();
        Self { dam: FakeDam::start(folder.path()).await, folder }
    }

    /// Puts another file in the place of a page's, of which the system says nothing.
    pub(crate) fn swap(&self, page: usize, image: &[u8]) {
        fs::write(self.folder.path().join(format!("{page}.png")), image).unwrap();
    }

    /// From now on the item is not for everybody.
    pub(crate) fn close(&self) {
        let path = self.folder.path().join("item.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"o:is_public\":true", "\"o:is_public\":false")).unwrap();
    }

    /// From now on none of its pages is, while the item stays open.
    pub(crate) fn close_pages(&self) {
        let path = self.folder.path().join("media.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"o:is_public\":true", "\"o:is_public\":false")).unwrap();
    }

    /// The section of a source `dam` that is this system; `more` follows below it.
    pub(crate) fn source(&self, more: &str) -> String {
        format!(
            "[sources.dam]\nadapter = 'omeka-s'\nbase = '{}'\nkey_identity = 'me'\nkey_credential = 's3cret'\n{more}\n",
            self.dam.here(HOST)
        )
    }
}

fn medium(id: usize, page: &Page) -> Value {
    let size = page.told.map(|(width, height)| json!({ "width": width, "height": height }));
    json!({
        "o:id": id, "o:is_public": true, "o:title": format!("p. {id}"), "o:media_type": "image/png",
        "o:sha256": format!("{id:064}"), "o:size": page.image.len(),
        "o:original_url": format!("{HOST}/files/{id}.png"),
        "data": size.map_or(json!([]), |size| json!({ "dimensions": { "original": size } })),
    })
}
