//! The behaviour suite: every definition in `adapters/`, held to its fixture folder and to its abilities, both ways.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::TryStreamExt;
use loggia::adapter::declared::{BUILTIN, Declared, Definition};
use loggia::adapter::record::{Access, Cursor, ItemId, Leaf, Listed, MediaId, Record};
use loggia::adapter::{Adapter, AdapterError, Content, Heard, Media};
use loggia::upstream::{Settings, Upstream, UpstreamError};
use serde::Deserialize;

use crate::support::fake_dam::{FakeDam, Fault};

/// `expect.toml` of a fixture folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Settings of the source.
    settings: toml::Table,
    /// Ids that the source does not have.
    absent: Vec<String>,
    /// Ids that it refuses.
    #[serde(default)]
    denied: Vec<String>,
    /// Ids for which the source asks to come back in five seconds.
    #[serde(default)]
    busy: Vec<String>,
    /// Ids of records that are there, but not for everybody.
    #[serde(default)]
    closed: Vec<Closed>,
    /// What a wrong answer is called.
    shape: Shape,
    /// Whole records; an empty version stands for any.
    record: Vec<Record>,
    file: Vec<File>,
    /// Media ids that give no bytes.
    no_file: Vec<String>,
    /// Everything that the listing names, in its order.
    #[serde(default)]
    listed: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Closed {
    id: String,
    access: Access,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    id: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    media: String,
    item: String,
    bytes: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    version: Option<String>,
    label: Option<String>,
    access: Option<Access>,
}

/// One definition with its fixtures.
struct Case {
    name: String,
    definition: Arc<Definition>,
    folder: PathBuf,
    expect: Expect,
}

/// A definition that is bound to a fake of its system.
struct Bound {
    dam: FakeDam,
    source: Declared,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn definitions() -> BTreeSet<PathBuf> {
    fs::read_dir(root().join("adapters")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn cases() -> impl Iterator<Item = Case> {
    definitions().into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let definition =
            Definition::parse(&format!("{name}.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        let folder = root().join("tests/fixtures").join(&name);
        let expect = fs::read_to_string(folder.join("expect.toml")).unwrap_or_else(|error| {
            panic!("adapter `{name}` has no fixtures in `tests/fixtures/{name}`: {error}")
        });
        let expect = toml::from_str(&expect).unwrap_or_else(|error| panic!("{name}/expect.toml: {error}"));
        Case { name, definition: Arc::new(definition), folder, expect }
    })
}

impl Case {
    async fn start(&self) -> Bound {
        self.start_on(&self.folder).await
    }

    /// With other answers than those that were recorded.
    async fn start_on(&self, folder: &Path) -> Bound {
        let dam = FakeDam::start(folder).await;
        let settings: toml::Table =
            toml::from_str(&dam.here(&toml::to_string(&self.expect.settings).unwrap())).unwrap();
        let operator = Settings { retries: 0, ..Settings::default() };
        let operator = self.definition.upstream(&settings, operator).unwrap();
        let upstream = Upstream::new(&self.name, operator).unwrap();
        let source = Declared::new(Arc::clone(&self.definition), &settings, upstream).unwrap();
        Bound { dam, source }
    }
}

impl Bound {
    /// The record with its own address replaced by the placeholder, as it was written down.
    async fn record(&self, id: &ItemId) -> Result<Record, AdapterError> {
        let record = self.source.record(id, &Heard::default()).await?;
        Ok(serde_json::from_str(&self.dam.recorded(&serde_json::to_string(&record).unwrap())).unwrap())
    }

    async fn read(&self, media: &str, range: Option<Range<u64>>) -> Result<(Media, Vec<u8>), AdapterError> {
        let mut media = self.source.media(&MediaId::from(media), range).await?;
        let bytes = match std::mem::replace(
            &mut media.content,
            Content::Stream(Box::pin(futures_util::stream::empty())),
        ) {
            Content::Stream(stream) => stream.try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            }),
            Content::Local(_) => panic!("a remote file is no local one"),
        };
        let bytes = bytes.await?;
        Ok((media, bytes))
    }
}

#[test]
fn every_definition_is_built_in_and_the_same() {
    let built_in: Vec<_> =
        BUILTIN.iter().map(|(name, text)| (format!("{name}.toml"), (*text).to_owned())).collect();
    let files: Vec<_> = definitions()
        .into_iter()
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    assert_eq!(built_in, files);
}

#[tokio::test]
async fn records_are_as_written_down() {
    let mut different = String::new();
    for case in cases() {
        let bound = case.start().await;
        for expected in &case.expect.record {
            let mut record = bound.record(&expected.id).await.unwrap();
            assert!(!record.version.is_empty(), "{}", case.name);
            assert_eq!(
                record.version,
                bound.record(&expected.id).await.unwrap().version,
                "{}: the version changed",
                case.name
            );
            if expected.version.is_empty() {
                record.version.clear();
            }
            if record != *expected {
                different += &format!("{}: found\n{}\n", case.name, toml::to_string(&record).unwrap());
            }
        }
        bound.dam.assert_all_known();
    }
    assert!(different.is_empty(), "{different}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for case in cases() {
        let bound = case.start().await;
        for id in case.expect.absent.iter().map(String::as_str).chain(["", "..", "."]) {
            let answer = bound.record(&ItemId::from(id)).await;
            assert!(
                matches!(answer, Err(AdapterError::NotFound(_))),
                "{}: `{id}` gave {answer:?}",
                case.name
            );
        }
        bound.dam.assert_all_known();
    }
}

#[tokio::test]
async fn what_is_refused_is_denied_and_what_is_closed_is_not_open() {
    for case in cases() {
        let bound = case.start().await;
        for id in &case.expect.denied {
            let answer = bound.record(&ItemId::from(id.as_str())).await;
            assert!(matches!(answer, Err(AdapterError::Denied(_))), "{}: `{id}` gave {answer:?}", case.name);
        }
        for closed in &case.expect.closed {
            let record = bound.record(&ItemId::from(closed.id.as_str())).await.unwrap();
            assert_eq!(record.access, closed.access, "{}: `{}`", case.name, closed.id);
            assert_ne!(record.access, Access::Open, "{}: `{}`", case.name, closed.id);
        }
        bound.dam.assert_all_known();
    }
}

#[tokio::test]
async fn who_asks_to_come_back_later_is_not_misread() {
    for case in cases() {
        let bound = case.start().await;
        for id in &case.expect.busy {
            let error = bound.record(&id.as_str().into()).await.unwrap_err();
            assert!(matches!(error, AdapterError::Later { .. }) && error.is_temporary(), "{error:?}");
            assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(5), "{error:?}");
        }
        bound.dam.assert_all_known();
    }
}

/// Switched off, moved, or behind a wall: that says nothing of any item, and nothing of what there is.
#[tokio::test]
async fn an_api_that_is_gone_takes_nothing_with_it() {
    for case in cases() {
        for status in [403, 404] {
            let answers = refusing(&case.folder, status);
            let bound = case.start_on(answers.path()).await;
            let listed = bound.source.list(None).await.unwrap_err();
            assert!(matches!(listed, AdapterError::Status { .. }), "{}: {listed:?}", case.name);
            let record = bound.record(&case.expect.record[0].id).await.unwrap_err();
            match case.name.as_str() {
                // Their answers say what is absent, so a status does not.
                "mediawiki" | "resourcespace" => {
                    assert!(matches!(record, AdapterError::Status { .. }), "{}: {record:?}", case.name);
                }
                _ => assert!(
                    matches!(record, AdapterError::NotFound(_) | AdapterError::Denied(_)),
                    "{}: {record:?}",
                    case.name
                ),
            }
        }
    }
}

/// The routes of a fixture folder, all of which have this status and nothing to say.
fn refusing(folder: &Path, status: i64) -> tempfile::TempDir {
    let mut routes: toml::Table =
        toml::from_str(&fs::read_to_string(folder.join("routes.toml")).unwrap()).unwrap();
    for route in routes["route"].as_array_mut().unwrap() {
        let route = route.as_table_mut().unwrap();
        route.retain(|key, _| matches!(key, "path" | "query" | "method"));
        route.insert("status".to_owned(), status.into());
        route.insert("text".to_owned(), "no".into());
    }
    let changed = tempfile::tempdir().unwrap();
    fs::write(changed.path().join("routes.toml"), routes.to_string()).unwrap();
    changed
}

#[tokio::test]
async fn every_item_is_listed_once() {
    for case in cases() {
        let bound = case.start().await;
        if !bound.source.abilities().listing {
            let answer = bound.source.list(None).await;
            assert!(matches!(answer, Err(AdapterError::Unsupported(_))), "{}", case.name);
            continue;
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        let mut pages = 0;
        loop {
            let page = bound.source.list(cursor.as_ref()).await.unwrap();
            rows.extend(page.items.iter().map(row));
            pages += 1;
            assert!(pages < 100, "{}: the listing does not end", case.name);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(rows, case.expect.listed, "{}", case.name);
        assert!(pages > 1, "{}: the fixtures show no second page", case.name);
        let strange = bound.source.list(Some(&Cursor::from("strange"))).await;
        assert!(matches!(strange, Err(AdapterError::Field { .. })), "{}", case.name);
        bound.dam.assert_all_known();
    }
}

fn row(listed: &Listed) -> Row {
    Row {
        id: listed.id.to_string(),
        version: listed.version.clone(),
        label: listed.label.as_ref().and_then(|label| label.first()).map(str::to_owned),
        access: listed.access,
    }
}

#[tokio::test]
async fn collections_that_are_not_claimed_are_unsupported() {
    for case in cases() {
        let bound = case.start().await;
        assert!(!bound.source.abilities().collections, "{}: the suite has no case for it yet", case.name);
        let answer = bound.source.collection(&Leaf::root(), None).await;
        assert!(matches!(answer, Err(AdapterError::Unsupported(_))), "{}", case.name);
        assert_eq!(bound.dam.requests(), 0, "{}", case.name);
    }
}

#[tokio::test]
async fn files_are_found_through_their_item() {
    for case in cases() {
        let bound = case.start().await;
        for record in &case.expect.record {
            for image in record.canvases.iter().filter_map(|canvas| canvas.image.as_ref()) {
                assert_eq!(bound.source.item_of(&image.media).as_ref(), Some(&record.id), "{}", case.name);
            }
        }
        for file in &case.expect.file {
            assert_eq!(
                bound.source.item_of(&file.media.as_str().into()),
                Some(file.item.as_str().into()),
                "{}",
                case.name
            );
            let (media, bytes) = bound.read(&file.media, None).await.unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), file.bytes, "{}", case.name);
            assert_eq!((media.start, media.total), (0, Some(file.bytes.len() as u64)), "{}", case.name);
            assert_eq!(media.format.as_deref(), Some("image/jpeg"), "{}", case.name);
        }
        bound.dam.assert_all_known();
    }
}

#[tokio::test]
async fn what_is_no_file_of_an_item_gives_no_bytes() {
    for case in cases() {
        let bound = case.start().await;
        for media in &case.expect.no_file {
            for _ in 0..2 {
                let answer = bound.read(media, None).await;
                let closed = matches!(answer, Err(AdapterError::NotFound(_) | AdapterError::Denied(_)));
                assert!(closed, "{}: `{media}` gave {answer:?}", case.name);
            }
        }
        bound.dam.assert_all_known();
    }
}

#[tokio::test]
async fn ranges_are_honoured_where_they_are_claimed() {
    for case in cases() {
        let bound = case.start().await;
        let file = &case.expect.file[0];
        let (media, bytes) = bound.read(&file.media, Some(2..5)).await.unwrap();
        assert_eq!(media.total, Some(file.bytes.len() as u64), "{}", case.name);
        if bound.source.abilities().ranges {
            assert_eq!((media.start, bytes.as_slice()), (2, &file.bytes.as_bytes()[2..5]), "{}", case.name);
        } else {
            assert_eq!((media.start, bytes.as_slice()), (0, file.bytes.as_bytes()), "{}", case.name);
        }
    }
}

#[tokio::test]
async fn a_record_tells_where_its_files_are() {
    for case in cases() {
        let bound = case.start().await;
        let file = &case.expect.file[0];
        bound.record(&file.item.as_str().into()).await.unwrap();
        bound.dam.requests();
        for _ in 0..3 {
            bound.read(&file.media, None).await.unwrap();
        }
        assert_eq!(
            bound.dam.requests(),
            3,
            "{}: one request for each reading, none to find the address",
            case.name
        );
    }
}

#[tokio::test]
async fn many_who_want_files_of_an_item_ask_for_addresses_once() {
    for case in cases() {
        let bound = case.start().await;
        let file = &case.expect.file[0];
        bound.read(&file.media, None).await.unwrap();
        let alone = bound.dam.requests();
        let fresh = case.start().await;
        let all = (0..16).map(|_| fresh.read(&file.media, None));
        futures_util::future::try_join_all(all).await.unwrap();
        assert_eq!(fresh.dam.requests(), alone + 15, "{}", case.name);
    }
}

#[tokio::test]
async fn an_expired_address_is_asked_for_again() {
    for case in cases() {
        let bound = case.start().await;
        if !bound.dam.expires() {
            continue;
        }
        let file = &case.expect.file[0];
        bound.read(&file.media, None).await.unwrap();
        bound.dam.expire();
        bound.dam.requests();
        let (_, bytes) = bound.read(&file.media, Some(0..3)).await.unwrap();
        assert_eq!(bytes, file.bytes.as_bytes()[..3], "{}", case.name);
        assert_eq!(bound.dam.requests(), 3, "{}: refused, asked again, fetched", case.name);
    }
}

#[tokio::test]
async fn strange_media_ids_are_nobodys() {
    for case in cases() {
        let bound = case.start().await;
        for media in ["", "/", "a/", "/a", "a/b/c/d"] {
            let item = bound.source.item_of(&media.into());
            // Where the id of the item is that of its file, any text may be one.
            assert!(
                item.is_none_or(|item| item.as_str() == media && !media.is_empty()),
                "{}: `{media}`",
                case.name
            );
        }
        let file = &case.expect.file[0];
        let strange = format!("{}/none", file.media);
        let answer = bound.read(&strange, None).await;
        assert!(matches!(answer, Err(AdapterError::NotFound(_))), "{}: {answer:?}", case.name);
    }
}

#[tokio::test]
async fn faults_are_told_apart() {
    for case in cases() {
        let id = case.expect.record[0].id.clone();
        let check = async |fault: Fault| {
            let bound = case.start().await;
            bound.dam.fault(Some(fault));
            let error = bound.record(&id).await.unwrap_err();
            // Whatever the fault, it passes: nothing of it is kept.
            bound.dam.fault(None);
            bound.record(&id).await.unwrap();
            error
        };
        let name = &case.name;
        let cut = check(Fault::Cut).await;
        assert!(matches!(cut, AdapterError::Upstream(UpstreamError::Cut { .. })), "{name}: {cut:?}");
        let too_many = check(Fault::TooMany).await;
        assert!(too_many.is_temporary(), "{name}: {too_many:?}");
        assert_eq!(too_many.retry_after().map(|wait| wait.as_secs()), Some(7), "{name}: {too_many:?}");
        let broken = check(Fault::Broken).await;
        assert!(broken.is_temporary(), "{name}: {broken:?}");
        let elsewhere = check(Fault::Elsewhere).await;
        let refused = matches!(
            elsewhere,
            AdapterError::Upstream(UpstreamError::HostRefused { .. } | UpstreamError::Redirected { .. })
        );
        assert!(refused && !elsewhere.is_temporary(), "{name}: {elsewhere:?}");
        let html = check(Fault::Html).await;
        assert!(matches!(html, AdapterError::Field { expected: "JSON", .. }), "{name}: {html:?}");
    }
}

/// Where answers tell who may see an item, those that do not close it: of another shape it is nobody's.
#[tokio::test]
async fn a_wrong_shape_is_named() {
    let mut different = Vec::new();
    for case in cases() {
        let bound = case.start().await;
        bound.dam.fault(Some(Fault::Shape));
        let error = bound.record(&case.expect.shape.id.as_str().into()).await.unwrap_err();
        let closes = matches!(error, AdapterError::Unclear(_) | AdapterError::Senseless(_));
        assert_eq!(closes, case.name != "mediawiki", "{error:?}");
        let message = error.to_string();
        if !message.contains(&case.expect.shape.message) {
            different.push((case.name.clone(), message, case.expect.shape.message.clone()));
        }
        let file = &case.expect.file[0];
        let answer = bound.read(&file.media, None).await;
        assert!(answer.is_err(), "{}: {answer:?}", case.name);
    }
    assert!(different.is_empty(), "{different:#?}");
}

/// A system that no definition of ours describes: what the language can do beside them.
const SAMPLE: &str = r#"
[adapter]
name = "sample"
version = "1"
system = "Sample"
[settings]
base = { type = "url", required = true }
[http]
base = "{+base}/api"
headers = { x-app = "loggia" }
[[fetch]]
name = "book"
url = "/books/{id}?full=1"
query = { embed = ["pages", "notes"] }
access = '.access'
[[fetch]]
name = "notes"
url = "/notes"
method = "POST"
query = { book = "{id}" }
optional = true
[[fetch]]
name = "pages"
each = '.book.pages'
url = "/pages/{each.uuid}"
optional = true
[record]
id = '.book.id'
label = '.book.title'
summary = '.notes.text'
[canvas]
each = '[.pages[] | select(. != null)]'
id = '.uuid'
image = '{file: .uuid}'
[file]
url = "{+base}/files/{id}/{file}"
"#;

const SAMPLE_ROUTES: &str = r#"
host = "https://sample.example.org"
[[route]]
path = "/api/books/a%2Fb"
query = { full = "1", embed = "notes" }
text = '{"id": "a/b", "title": null, "access": "whatever", "pages": [{"uuid": "p/1"}, {"uuid": "p2"}, {"uuid": "gone"}]}'
[[route]]
method = "POST"
path = "/api/notes"
status = 404
text = '{}'
[[route]]
path = "/api/pages/p%2F1"
text = '{"uuid": "p/1"}'
[[route]]
path = "/api/pages/p2"
text = '{"uuid": "p2"}'
[[route]]
path = "/api/pages/gone"
status = 404
text = '{}'
[[route]]
path = "/files/a%2Fb/p%2F1"
bytes = "the pixels of p/1"
"#;

/// A source of its own definition, and its system.
async fn sample(definition: &str, routes: &str) -> Bound {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes).unwrap();
    let dam = FakeDam::start(folder.path()).await;
    let definition = Definition::parse("sample.toml", definition).unwrap();
    let settings: toml::Table = toml::from_str(&dam.here("base = 'https://sample.example.org/'")).unwrap();
    let upstream = definition.upstream(&settings, Settings::default()).unwrap();
    let upstream = Upstream::new("sample", upstream).unwrap();
    let source = Declared::new(Arc::new(definition), &settings, upstream).unwrap();
    Bound { dam, source }
}

/// A system whose listings do not end.
const ENDLESS: &str = r#"
[adapter]
name = "sample"
version = "1"
system = "Sample"
[settings]
base = { type = "url", required = true }
[http]
base = "{+base}/api"
[[fetch]]
name = "pages"
url = "/{id}"
paging = "PAGING"
[record]
id = '$id'
label = '"never"'
[canvas]
each = '.pages'
id = '.'
[list]
url = "/same"
paging = "told"
id = '.'
[file]
url = "{+base}/files/{file}"
[paging.told]
kind = "continue"
items = '.rows'
next = '.go_on'
[paging.counted]
kind = "page"
param = "page"
end = "empty"
items = '.rows'
"#;

const ENDLESS_ROUTES: &str = r#"
host = "https://sample.example.org"
[[route]]
path = "/api/same"
text = '{"rows": [], "go_on": {"from": "B", "n": 2}}'
[[route]]
path = "/api/circle"
query = { from = "B" }
text = '{"rows": [], "go_on": {"from": "A"}}'
[[route]]
path = "/api/circle"
text = '{"rows": [], "go_on": {"from": "B"}}'
[[route]]
path = "/api/more"
text = '{"rows": ["x"]}'
"#;

#[tokio::test]
async fn a_listing_without_an_end_is_left() {
    let cases = [("told", "same", 2), ("told", "circle", 3), ("counted", "more", 2), ("counted", "all", 200)];
    let pages = (1..=200).map(|page| {
        format!(
            "[[route]]\npath = '/api/all'\nquery = {{ page = '{page}' }}\ntext = '{{\"rows\": [{page}]}}'\n"
        )
    });
    let routes = ENDLESS_ROUTES.to_owned() + &pages.collect::<String>();
    let mut messages = Vec::new();
    for (paging, id, requests) in cases {
        let bound = sample(&ENDLESS.replace("PAGING", paging), &routes).await;
        messages.push(bound.record(&id.into()).await.unwrap_err().to_string());
        assert_eq!(bound.dam.requests(), requests, "{id}");
    }
    let bound = sample(&ENDLESS.replace("PAGING", "told"), ENDLESS_ROUTES).await;
    let first = bound.source.list(None).await.unwrap();
    let error = bound.source.list(first.next.as_ref()).await.unwrap_err();
    assert!(matches!(&error, AdapterError::Field { field, .. } if field == "list.paging"), "{error:?}");
    messages.push(error.to_string());
    insta::assert_snapshot!(messages.join("\n"), @r#"
    field `fetch.pages.paging` of `same`: expected another cursor on the next page, found the same again, `{"from":"B","n":2}` (adapter `sample`)
    field `fetch.pages.paging` of `circle`: expected another cursor on the next page, found the same again, `{"from":"B"}` (adapter `sample`)
    field `fetch.pages.paging` of `more`: expected other rows on the next page, found the same again (adapter `sample`)
    field `fetch.pages.paging` of `all`: expected at most 200 pages, found more (adapter `sample`)
    field `list.paging` of `list`: expected another cursor on the next page, found the same again, `{"from":"B","n":2}` (adapter `sample`)
    "#);
}

/// What one answer said of who may see the item holds, whatever becomes of the others.
#[tokio::test]
async fn who_may_see_an_item_is_known_without_the_rest() {
    let broken = SAMPLE_ROUTES.replacen("text = '{\"uuid\": \"p2\"}'", "status = 500\ntext = ''", 1);
    assert_ne!(broken, SAMPLE_ROUTES);
    let cases = [
        ("open", Access::Open),
        ("login", Access::Login),
        ("restricted", Access::Restricted),
        ("hidden", Access::Hidden),
        ("whatever", Access::Unknown),
    ];
    for (word, access) in cases {
        let heard = Heard::default();
        let bound = sample(SAMPLE, &broken.replace("whatever", word)).await;
        match (bound.source.record(&"a/b".into(), &heard).await, access) {
            (Ok(record), Access::Hidden) => {
                assert_eq!((record.access, record.canvases.len()), (access, 0), "{word}");
            }
            (Err(AdapterError::Unclear(error)), Access::Unknown) => {
                assert!(matches!(*error, AdapterError::Status { .. }), "{word}: {error:?}");
            }
            (Err(AdapterError::Status { .. }), Access::Open | Access::Login | Access::Restricted) => {}
            (other, _) => panic!("{word}: {other:?}"),
        }
        assert_eq!(heard.access(), Some(access), "{word}");
    }
}

/// An expression that fails is no word for open, and no reason to tell what was known before.
#[tokio::test]
async fn an_access_that_cannot_be_computed_closes() {
    let odd = SAMPLE.replace("access = '.access'", "access = '.access | error'");
    assert_ne!(odd, SAMPLE);
    let record =
        sample(&odd, SAMPLE_ROUTES).await.source.record(&"a/b".into(), &Heard::default()).await.unwrap();
    assert_eq!(record.access, Access::Unknown);
}

/// One row without an id is left out; when no row has one, the listing is not what it was.
#[tokio::test]
async fn a_listing_whose_rows_have_all_lost_their_ids_is_none() {
    let definition = ENDLESS.replace("PAGING", "told");
    for (rows, expected) in [(r#"["a", 5, "b"]"#, Some(2)), ("[]", Some(0)), ("[5, null]", None)] {
        let routes = format!(
            "host = 'https://sample.example.org'\n[[route]]\npath = '/api/same'\ntext = '{{\"rows\": {rows}}}'"
        );
        let page = sample(&definition, &routes).await.source.list(None).await;
        match (page, expected) {
            (Ok(page), Some(count)) => assert_eq!(page.items.len(), count, "{rows}"),
            (Err(error), None) => {
                insta::assert_snapshot!(error, @"field `list[0].id` of `list`: expected a text, found the number 5 (adapter `sample`)");
            }
            (other, _) => panic!("{rows}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_language_can_ask_for_each_page_and_do_without_some() {
    let Bound { dam, source } = sample(SAMPLE, SAMPLE_ROUTES).await;

    let record = source.record(&"a/b".into(), &Heard::default()).await.unwrap();
    assert_eq!(record.label.first(), Some("a/b"), "an empty label becomes the id");
    assert!(record.summary.is_empty(), "an optional answer that is absent is null");
    assert_eq!(record.access, Access::Unknown, "what is no access is not open");
    let media: Vec<_> =
        record.canvases.iter().map(|canvas| canvas.image.as_ref().unwrap().media.as_str()).collect();
    assert_eq!(media, ["a%2Fb/p%2F1", "a%2Fb/p2"]);
    let bound = Bound { dam, source };
    let (media, bytes) = bound.read("a%2Fb/p%2F1", Some(4..10)).await.unwrap();
    assert_eq!(media.start, 0, "ranges are not claimed, so they are not asked for");
    assert_eq!(bytes, b"the pixels of p/1");
    let unsupported = bound.source.list(None).await;
    assert!(matches!(unsupported, Err(AdapterError::Unsupported("listing"))));
    bound.dam.assert_all_known();
}

/// The clock is paused: a limit that would take seconds is reached as soon as nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_silent_source_is_given_up() {
    for case in cases() {
        let bound = case.start().await;
        bound.dam.fault(Some(Fault::Silent));
        let error = bound.record(&case.expect.record[0].id).await.unwrap_err();
        assert!(
            matches!(error, AdapterError::Upstream(_)) && error.is_temporary(),
            "{}: {error:?}",
            case.name
        );
    }
}
