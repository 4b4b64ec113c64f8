//! What a source keeps to itself never comes out here, whichever address is tried.

use std::fs;
use std::path::Path;
use std::time::Duration;

use loggia::serve::metrics::ASKED;
use serde::Deserialize;

use crate::support::counts::Counts;
use crate::support::fake_dam::{FakeDam, Fault};
use crate::support::gateway::TestGateway;
use crate::support::masters::quarters;

/// What `expect.toml` of a fixture folder says of records that are not for everybody.
#[derive(Deserialize)]
struct Expect {
    settings: toml::Table,
    absent: Vec<String>,
    #[serde(default)]
    denied: Vec<String>,
    #[serde(default)]
    closed: Vec<Closed>,
}

#[derive(Deserialize)]
struct Closed {
    id: String,
    access: String,
}

/// A gateway in front of recorded answers, as source `dam`.
async fn in_front_of(adapter: &str) -> (TestGateway, FakeDam, Expect) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(adapter);
    in_front_of_answers(adapter, &folder).await
}

async fn in_front_of_answers(adapter: &str, folder: &Path) -> (TestGateway, FakeDam, Expect) {
    let expect: Expect =
        toml::from_str(&std::fs::read_to_string(folder.join("expect.toml")).unwrap()).unwrap();
    let dam = FakeDam::start(folder).await;
    let inputs = dam.here(&toml::to_string(&expect.settings).unwrap());
    let gateway = TestGateway::start(&format!("[sources.dam]\nadapter = '{adapter}'\n{inputs}")).await;
    (gateway, dam, expect)
}

/// Every address that an item with its one file could have, with names that its canvas and file might have.
fn addresses(item: &str, files: &[&str]) -> Vec<(String, bool)> {
    let encoded = loggia::iiif::identifier::encode(item);
    let mut all = vec![format!("/iiif/manifest/dam/{encoded}"), format!("/item/dam/{encoded}")];
    all.push(format!("/iiif/2/sequence/dam/{encoded}/normal"));
    for version in [2, 3] {
        let base = format!("/iiif/{version}");
        all.push(format!("{base}/manifest/dam/{encoded}"));
        all.push(format!("{base}/collection/dam/{encoded}"));
        for canvas in [encoded.as_str(), "1", "placeholder"] {
            all.push(format!("{base}/canvas/dam/{encoded}/{canvas}"));
            all.push(format!("{base}/annotations/dam/{encoded}/{canvas}/painting"));
            all.push(format!("{base}/annotations/dam/{encoded}/{canvas}/painting/1"));
        }
    }
    let mut told: Vec<_> = all.into_iter().map(|address| (address, false)).collect();
    for version in [2, 3] {
        for file in files {
            let media = if file.is_empty() { item.to_owned() } else { format!("{item}/{file}") };
            let base = format!("/iiif/{version}/image/dam/{}", loggia::iiif::identifier::encode(&media));
            told.push((format!("{base}/info.json"), version == 2));
            told.push((format!("{base}/full/max/0/default.jpg"), true));
            told.push((format!("{base}/0,0,1,1/1,/0/default.png"), true));
        }
    }
    told
}

/// Hidden is as good as absent; restricted is described and shows no pixel.
async fn nothing_comes_out(adapter: &str, files: &[&str]) {
    let (gateway, _dam, expect) = in_front_of(adapter).await;
    let missing = expect.absent.iter().chain(&expect.denied);
    let hidden = expect.closed.iter().filter(|closed| closed.access == "hidden").map(|closed| &closed.id);
    let hidden: Vec<_> = hidden.collect();
    assert!(!hidden.is_empty() || !expect.denied.is_empty(), "{adapter} has nothing to hide");
    for item in missing.chain(hidden.iter().copied()) {
        for (address, _) in addresses(item, files) {
            let res = gateway.get(&address).await;
            assert_eq!(res.status(), 404, "{address}: {}", String::from_utf8_lossy(res.body()));
        }
    }
    for closed in expect.closed.iter().filter(|closed| closed.access == "restricted") {
        for (address, pixels) in addresses(&closed.id, files).into_iter().filter(|(_, pixels)| *pixels) {
            let status = gateway.get(&address).await.status();
            assert!(pixels && (status == 401 || status == 404), "{address}: {status}");
        }
        let manifest = gateway.document(&format!("/iiif/3/manifest/dam/{}", closed.id)).await;
        assert_eq!(manifest.get("thumbnail"), None, "{manifest}");
    }
    for version in [2, 3] {
        let listed = gateway.document(&format!("/iiif/{version}/collection/dam")).await.to_string();
        for item in &hidden {
            let address = format!("/manifest/dam/{}\"", loggia::iiif::identifier::encode(item));
            assert!(!listed.contains(&address), "{listed}");
        }
        gateway.document(&format!("/iiif/{version}/collection/top")).await;
    }
}

#[tokio::test]
async fn confidential_resources_of_resourcespace_stay_there() {
    nothing_comes_out("resourcespace", &["original", "hpr", "scr", ""]).await;
}

#[tokio::test]
async fn deleted_and_suppressed_files_of_mediawiki_stay_there() {
    nothing_comes_out("mediawiki", &[""]).await;
}

#[tokio::test]
async fn private_items_of_omeka_stay_there() {
    nothing_comes_out("omeka-s", &["8", "9", ""]).await;
    nothing_comes_out("omeka-classic", &["1", "2", ""]).await;
}

/// An item that its source closes, by one word in one of its answers.
struct Closing {
    adapter: &'static str,
    item: &'static str,
    media: &'static str,
    file: &'static str,
    open: &'static str,
    closed: &'static str,
    /// What else is asked for, by a part of its address.
    others: &'static [&'static str],
}

const CLOSINGS: [Closing; 5] = [
    Closing {
        adapter: "resourcespace",
        item: "1",
        media: "1/original",
        file: "record-1.json",
        open: "\"access\": 0",
        closed: "\"access\": 2",
        others: &["get_resource_field_data", "get_resource_all_image_sizes", "get_resource_access"],
    },
    Closing {
        adapter: "resourcespace",
        item: "1",
        media: "1/original",
        file: "access-1.json",
        open: "0",
        closed: "\"0\"",
        others: &["get_resource_field_data", "get_resource_all_image_sizes"],
    },
    Closing {
        adapter: "omeka-s",
        item: "7",
        media: "7/9",
        file: "item-7.json",
        open: "\"o:is_public\": true",
        closed: "\"o:is_public\": false",
        others: &["/api/media"],
    },
    Closing {
        adapter: "omeka-classic",
        item: "1",
        media: "1/2",
        file: "item-1.json",
        open: "\"public\": true",
        closed: "\"public\": null",
        others: &["/api/files"],
    },
    Closing {
        adapter: "mediawiki",
        item: "P1.jpg",
        media: "P1.jpg",
        file: "page.json",
        open: "\"url\": \"https://wiki.example.org/images",
        closed: "\"filehidden\": true, \"was\": \"",
        others: &[],
    },
];

impl Closing {
    /// The recorded answers in a folder of their own, with pictures for files.
    fn answers(&self) -> tempfile::TempDir {
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(self.adapter);
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(recorded).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let routes = fs::read_to_string(folder.path().join("routes.toml")).unwrap();
        let lines = routes.lines().map(|line| match line.starts_with("bytes = ") {
            true => "image = 'master.png'",
            false => line,
        });
        // Of ResourceSpace, what its account may see of the first.
        let routes = lines.collect::<Vec<_>>().join("\n").replacen("text = '0'", "file = 'access-1.json'", 1);
        fs::write(folder.path().join("routes.toml"), routes).unwrap();
        fs::write(folder.path().join("access-1.json"), "0").unwrap();
        fs::write(folder.path().join("master.png"), quarters(300, 200)).unwrap();
        folder
    }

    fn close(&self, folder: &Path) {
        let file = folder.join(self.file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(self.open), "{}: {text}", self.file);
        fs::write(file, text.replacen(self.open, self.closed, 1)).unwrap();
    }
}

/// The word of one answer holds when the others fail, and is not forgotten when all fail afterwards.
#[tokio::test]
async fn what_was_open_and_is_closed_stays_closed_whatever_else_fails() {
    for closing in &CLOSINGS {
        let faults = closing
            .others
            .iter()
            .flat_map(|other| [Fault::Broken, Fault::Html, Fault::Cut].map(|fault| Some((*other, fault))));
        for fault in faults.chain([None]) {
            let case = format!("{} {} {fault:?}", closing.adapter, closing.file);
            let folder = closing.answers();
            let (gateway, dam, _) = in_front_of_answers(closing.adapter, folder.path()).await;
            let media = loggia::iiif::identifier::encode(closing.media);
            gateway.document(&format!("/iiif/3/manifest/dam/{}", closing.item)).await;
            gateway.image(&format!("/iiif/3/image/dam/{media}/full/150,/0/default.jpg")).await;

            closing.close(folder.path());
            if let Some((part, fault)) = fault {
                dam.fault_at(part, fault);
            }
            gateway.advance(Duration::from_secs(11 * 60));
            // And as if nobody had ever asked for it: no other than an item that is not there.
            let (unheard, other, _) = in_front_of_answers(closing.adapter, folder.path()).await;
            if let Some((part, fault)) = fault {
                other.fault_at(part, fault);
            }
            let files = [closing.media.rsplit('/').next().unwrap(), ""];
            let mut told = addresses(closing.item, &files);
            told.push((format!("/iiif/3/image/dam/{media}/full/150,/0/default.jpg"), true));
            told.push((format!("/iiif/3/image/dam/{media}/full/77,/0/default.jpg"), true));
            for (address, _) in &told {
                assert_eq!(gateway.get(address).await.status(), 404, "{case}: {address}");
                assert_eq!(unheard.get(address).await.status(), 404, "{case}: {address}, unheard of");
            }

            dam.fault(Some(Fault::Broken));
            gateway.advance(Duration::from_secs(11 * 60));
            let gateway = gateway.restart().await;
            for (address, _) in &told {
                let status = gateway.get(address).await.status().as_u16();
                assert!(matches!(status, 404 | 503), "{case}: {address} afterwards: {status}");
            }
        }
    }
}

/// The word of one answer holds while others are still waited for.
#[tokio::test]
async fn what_was_open_and_is_closed_is_closed_before_the_other_answers_come() {
    for closing in CLOSINGS.iter().filter(|closing| !closing.others.is_empty()) {
        let folder = closing.answers();
        let (gateway, dam, _) = in_front_of_answers(closing.adapter, folder.path()).await;
        let media = loggia::iiif::identifier::encode(closing.media);
        let picture = format!("/iiif/3/image/dam/{media}/full/150,/0/default.jpg");
        let manifest = format!("/iiif/3/manifest/dam/{}", closing.item);
        gateway.image(&picture).await;
        closing.close(folder.path());
        dam.hold(closing.others[0]);
        gateway.advance(Duration::from_secs(11 * 60));
        for address in [&picture, &manifest, &picture] {
            assert_eq!(gateway.get(address).await.status(), 404, "{} {address}", closing.adapter);
        }
        dam.release();
    }
}

/// Nonsense closes for a moment: it is no word about the item.
#[tokio::test]
async fn nonsense_closes_for_a_moment_and_no_longer() {
    for nonsense in ["[]", "null", "\"x\"", "{}"] {
        let counts = Counts::start();
        // Who asks hears of it before the gateway has read all.
        let read = async |times| {
            while counts.of(ASKED) < times {
                tokio::task::yield_now().await;
            }
        };
        let closing = &CLOSINGS[3];
        let folder = closing.answers();
        let (gateway, dam, _) = in_front_of_answers(closing.adapter, folder.path()).await;
        let picture = "/iiif/3/image/dam/1%2F2/full/150,/0/default.jpg";
        gateway.image(picture).await;
        let good = fs::read(folder.path().join(closing.file)).unwrap();
        fs::write(folder.path().join(closing.file), nonsense).unwrap();
        gateway.advance(Duration::from_secs(11 * 60));
        assert_eq!(gateway.get(picture).await.status(), 404, "{nonsense}");
        read(2).await;
        fs::write(folder.path().join(closing.file), good).unwrap();
        assert_eq!(gateway.get(picture).await.status(), 404, "{nonsense}: not asked for by everybody");
        gateway.advance(Duration::from_secs(31));
        gateway.image(picture).await;
        // What was known is there for a source that is away.
        fs::write(folder.path().join(closing.file), nonsense).unwrap();
        gateway.advance(Duration::from_secs(11 * 60));
        assert_eq!(gateway.get(picture).await.status(), 404, "{nonsense}");
        read(4).await;
        gateway.advance(Duration::from_secs(31));
        dam.fault(Some(Fault::Broken));
        gateway.image(picture).await;
    }
}

/// Restricted, and not described: no picture comes of what was open before, then or later.
#[tokio::test]
async fn what_was_open_and_is_restricted_shows_no_pixel_whatever_else_fails() {
    let closing = Closing { closed: "\"access\": 1", ..CLOSINGS[0] };
    let folder = closing.answers();
    let (gateway, dam, _) = in_front_of_answers(closing.adapter, folder.path()).await;
    let picture = "/iiif/3/image/dam/1%2Foriginal/full/150,/0/default.jpg";
    gateway.image(picture).await;
    closing.close(folder.path());
    for part in ["get_resource_all_image_sizes", ""] {
        dam.fault_at(part, Fault::Broken);
        gateway.advance(Duration::from_secs(11 * 60));
        for address in [picture, "/iiif/3/manifest/dam/1"] {
            assert_eq!(gateway.get(address).await.status(), 503, "{address}");
        }
    }
    dam.fault(None);
    assert_eq!(gateway.get(picture).await.status(), 401);
    gateway.document("/iiif/3/manifest/dam/1").await;
}

/// Neither documents nor refusals hold what the source was told in confidence.
#[tokio::test]
async fn credentials_and_addresses_of_files_stay_here() {
    for (adapter, item, secrets) in [
        ("resourcespace", "1", ["not a real key", "sign=", "OPAQUE-EXPIRING", "download.php"]),
        ("omeka-s", "7", ["credential", "key_identity", "/files/original", "o:owner"]),
        ("mediawiki", "P1.jpg", ["api.php", "/images/6/6a", "aicontinue", "thumburl"]),
    ] {
        let (gateway, ..) = in_front_of(adapter).await;
        for address in [
            format!("/iiif/3/manifest/dam/{item}"),
            format!("/iiif/2/manifest/dam/{item}"),
            "/iiif/3/collection/dam".to_owned(),
        ] {
            let text = gateway.document(&address).await.to_string();
            let told: Vec<_> = secrets.iter().filter(|secret| text.contains(**secret)).collect();
            assert!(told.is_empty(), "{address} tells {told:?}: {text}");
        }
    }
}
