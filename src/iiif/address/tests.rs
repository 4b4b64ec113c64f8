//! What addresses mean, and how they are written.

use proptest::prelude::*;

use super::*;
use crate::iiif::image::Version as ImageVersion;
use crate::iiif::presentation::Version;

fn image(media: &str, parameters: [&str; 4]) -> Address {
    let [region, size, rotation, quality_format] = parameters.map(str::to_owned);
    let parameters = Parameters { region, size, rotation, quality_format };
    let (source, media) = ("maps".to_owned(), media.to_owned());
    Address::Image { version: ImageVersion::V3, source, media, parameters }
}

fn base(media: &str) -> Address {
    Address::ImageBase { version: ImageVersion::V3, source: "maps".into(), media: media.into() }
}

fn info(media: &str) -> Address {
    Address::ImageInfo { version: ImageVersion::V3, source: "maps".into(), media: media.into() }
}

fn manifest(version: Option<Version>, item: &str) -> Address {
    Address::Manifest { version, source: "maps".into(), item: item.into() }
}

fn collection(place: Place, part: Option<u32>) -> Address {
    Address::Collection { version: Version::V3, place, part }
}

fn leaf(leaf: &str) -> Place {
    Place::Leaf { source: "maps".into(), leaf: leaf.into() }
}

/// Slashes of an id may come unescaped, and are escaped when it is printed.
#[test]
fn an_address_is_no_longer_read_than_it_can_be_printed() {
    let start = "/iiif/manifest/maps/";
    for segment in ["a/", "%20/"] {
        let path = |count: usize| format!("{start}{}a", segment.repeat(count));
        let most = (LONGEST - start.len() - 1) / 2;
        let address = Address::parse(&path(most)).unwrap();
        assert_eq!(Address::parse(&address.to_string()), Ok(address));
        let told = Address::parse(&path(most + 1)).unwrap_err();
        assert!(matches!(told, AddressError::Malformed(DecodeError::TooLong(_))), "{told}");
    }
}

#[test]
fn images() {
    let whole = ["full", "max", "0", "default.jpg"];
    for (path, address) in [
        ("/iiif/3/image/maps/a%2Fb.tif/full/max/0/default.jpg", image("a/b.tif", whole)),
        // A front server may have decoded the slash: read from the right (3.0, implementation notes 1).
        ("/iiif/3/image/maps/a/b.tif/full/max/0/default.jpg", image("a/b.tif", whole)),
        ("/iiif/3/image/maps/a%2Db/full/max/0/default.jpg", image("a-b", whole)),
        ("/iiif/3/image/maps/%253C/full/max/0/default.jpg", image("%3C", whole)),
        ("/iiif/3/image/maps/[frob]/full/max/0/default.jpg", image("[frob]", whole)),
        ("/iiif/3/image/maps/a%403/full/max/0/default.jpg", image("a@3", whole)),
        ("/iiif/3/image/maps/a@2x/full/max/0/default.jpg", image("a@2x", whole)),
        ("/iiif/3/image/maps/info.json/full/max/0/default.jpg", image("info.json", whole)),
        (
            "/iiif/3/image/maps/a/pct%3A0,0,50,50/%5E%2190,90/%210/default.jpg",
            image("a", ["pct:0,0,50,50", "^!90,90", "!0", "default.jpg"]),
        ),
        ("/iiif/3/image/maps/a", base("a")),
        ("/iiif/3/image/maps/a/", base("a")),
        ("/iiif/3/image/maps/a/b.tif", base("a/b.tif")),
        ("/iiif/3/image/maps/info.json", base("info.json")),
        ("/iiif/3/image/maps/..%2F..%2Fetc", base("../../etc")),
        ("/iiif/3/image/maps/a/info.json", info("a")),
        ("/iiif/3/image/maps/info.json/info.json", info("info.json")),
        ("/iiif/3/image/maps/a/b/c/d/e.tif/info.json", info("a/b/c/d/e.tif")),
    ] {
        assert_eq!(Address::parse(path), Ok(address), "{path}");
    }
}

#[test]
fn documents_and_the_rest() {
    let (source, item) = (|| "maps".to_owned(), || "a/b".to_owned());
    let version = Version::V2;
    for (path, address) in [
        ("/", Address::Home),
        ("/health", Address::Health),
        ("/ready", Address::Ready),
        ("/metrics", Address::Metrics),
        ("/admin/purge/maps", Address::Purge { source: source(), item: None }),
        ("/admin/purge/maps/a%2Fb", Address::Purge { source: source(), item: Some(item()) }),
        ("/admin/purge/maps/a/b", Address::Purge { source: source(), item: Some(item()) }),
        ("/item/maps/a%2Fb", Address::Item { source: source(), item: item() }),
        ("/iiif/manifest/maps/a%2Fb", manifest(None, "a/b")),
        ("/iiif/manifest/maps/a/b", manifest(None, "a/b")),
        ("/iiif/2/manifest/maps/a%2Fb", manifest(Some(Version::V2), "a/b")),
        ("/iiif/3/manifest/maps/a%252Fb", manifest(Some(Version::V3), "a%2Fb")),
        (
            "/iiif/2/canvas/maps/a%2Fb/p1",
            Address::Canvas { version, source: source(), item: item(), canvas: "p1".into() },
        ),
        ("/iiif/2/sequence/maps/a%2Fb/normal", Address::Sequence { source: source(), item: item() }),
        ("/iiif/3/collection/top", collection(Place::Top, None)),
        ("/iiif/3/collection/top/part-2", collection(Place::Top, Some(2))),
        ("/iiif/3/collection/maps", collection(Place::Source { source: source() }, None)),
        ("/iiif/3/collection/maps/part-2", collection(Place::Source { source: source() }, Some(2))),
        ("/iiif/3/collection/maps/part%2D2", collection(leaf("part-2"), None)),
        ("/iiif/3/collection/maps/part%2D2/part-3", collection(leaf("part-2"), Some(3))),
        ("/iiif/3/collection/maps/part-02", collection(leaf("part-02"), None)),
        ("/iiif/3/collection/maps/a%2Fb", collection(leaf("a/b"), None)),
    ] {
        assert_eq!(Address::parse(path), Ok(address), "{path}");
    }
}

#[test]
fn nothing_there() {
    for path in [
        "",
        "*",
        "//",
        "/health/",
        "/admin",
        "/admin/purge",
        "/admin/purge/",
        "/admin/purge/top",
        "/admin/purge/maps/",
        "/nowhere",
        "/iiif",
        "/iiif/4/image/maps/a/info.json",
        "/iiif/3/image/maps",
        "/iiif/3/image/maps/",
        "/iiif/3/image/maps//full/max/0/default.jpg",
        "/iiif/3/image/Maps/a/info.json",
        "/iiif/3/image/top/a/info.json",
        "/iiif/3/image/maps/a@3/info.json",
        "/iiif/3/image/maps/a@3/full/max/0/default.jpg",
        "/iiif/3/image/maps/a@3",
        "/iiif/3/image/maps/a/b@3/",
        "/iiif/3/manifest/maps/",
        "/iiif/3/sequence/maps/a/normal",
        "/iiif/2/sequence/maps/normal",
        "/iiif/3/canvas/maps/a/b/c",
        "/iiif/3/canvas/maps/a/",
        "/iiif/3/annotations/maps/a/c/painting/+1",
        "/iiif/3/annotations/maps/a/c/painting/01",
        "/iiif/3/annotations/maps/a/c/painting/4294967296",
        "/iiif/3/collection/top/part-x",
        "/iiif/3/collection/top/a",
        "/iiif/3/collection/maps/a/b",
    ] {
        assert!(matches!(Address::parse(path), Err(AddressError::NotFound(_))), "{path}");
    }
}

#[test]
fn no_text() {
    for path in ["/iiif/3/image/maps/%zz/info.json", "/%", "/item/maps/a%00", "/item/maps/%ff%fe"] {
        assert!(matches!(Address::parse(path), Err(AddressError::Malformed(_))), "{path}");
    }
}

#[test]
fn an_at_sign_of_the_id_is_escaped_when_printed() {
    assert_eq!(base("a@3").to_string(), "/iiif/3/image/maps/a%403");
    assert_eq!(
        image("a", ["full", "^!9,9", "!0", "default.jpg"]).to_string(),
        "/iiif/3/image/maps/a/full/^!9,9/!0/default.jpg"
    );
}

fn source() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}".prop_filter("reserved", |name| name != "top")
}

fn id() -> impl Strategy<Value = String> {
    const NASTY: &[&str] =
        &["/", "%", "%2F", "@3", "..", ".", "info.json", " ", "+", "part-2", "normal", "top", "a//b/", "明"];
    prop_oneof![proptest::sample::select(NASTY).prop_map(str::to_owned), "([^\0]|[/%@.+ 0-9]|é){1,20}",]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    // No address of an image ends in `info.json`: it is a request for that document.
    let last = ".{0,12}".prop_filter("info.json", |last| last != "info.json" && !last.contains('\0'));
    ("[^\0]{0,12}", "[^\0]{0,12}", "[^\0]{0,12}", last).prop_map(
        |(region, size, rotation, quality_format)| Parameters { region, size, rotation, quality_format },
    )
}

fn image_address() -> impl Strategy<Value = Address> {
    let version = prop_oneof![Just(ImageVersion::V2), Just(ImageVersion::V3)];
    (version, source(), id(), proptest::option::of(parameters()), any::<bool>()).prop_map(
        |(version, source, media, parameters, base)| match (parameters, base) {
            (Some(parameters), _) => Address::Image { version, source, media, parameters },
            (None, false) => Address::ImageInfo { version, source, media },
            (None, true) => Address::ImageBase { version, source, media },
        },
    )
}

fn address() -> impl Strategy<Value = Address> {
    let version = || prop_oneof![Just(Version::V2), Just(Version::V3)];
    let place = prop_oneof![
        Just(Place::Top),
        source().prop_map(|source| Place::Source { source }),
        (source(), id()).prop_map(|(source, leaf)| Place::Leaf { source, leaf }),
    ];
    prop_oneof![
        image_address(),
        proptest::sample::select(vec![
            Address::Home,
            Address::Health,
            Address::Ready,
            Address::Metrics,
            Address::Problems
        ]),
        (proptest::option::of(version()), source(), id())
            .prop_map(|(version, source, item)| Address::Manifest { version, source, item }),
        (version(), source(), id(), id()).prop_map(|(version, source, item, canvas)| Address::Canvas {
            version,
            source,
            item,
            canvas
        }),
        (version(), source(), id(), id(), id()).prop_map(|(version, source, item, canvas, page)| {
            Address::AnnotationPage { version, source, item, canvas, page }
        }),
        (version(), source(), id(), id(), id(), any::<u32>()).prop_map(
            |(version, source, item, canvas, page, number)| {
                Address::Annotation { version, source, item, canvas, page, number }
            }
        ),
        (source(), id()).prop_map(|(source, item)| Address::Sequence { source, item }),
        (source(), id()).prop_map(|(source, item)| Address::Item { source, item }),
        (source(), proptest::option::of(id())).prop_map(|(source, item)| Address::Purge { source, item }),
        (version(), place, proptest::option::of(any::<u32>()))
            .prop_map(|(version, place, part)| Address::Collection { version, place, part }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_itself(address in address()) {
        prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn any_path_is_read_or_refused_and_read_the_same_again(
        path in "(/|iiif|[23]|image|manifest|collection|top|maps|@[0-9]|part-[0-9]|%[0-9a-f]{2}|.){0,16}"
    ) {
        if let Ok(address) = Address::parse(&path) {
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }
    }
}
