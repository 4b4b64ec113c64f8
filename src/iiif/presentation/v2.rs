//! Writes the model as Presentation API 2.1, property by property.
//!
//! What 2.1 has no word for is left out (`placeholderCanvas`, behaviors of 3.0) or moves to the
//! nearest place that readers show: a provider's name to the attribution, its page to `related`.

use serde_json::{Value, json};

use super::document::{Document, each};
use super::html::html_for_2;
use super::model::{
    Annotation, Body, Canvas, Collection, Description, Entry, Image, ImageService, Kind, Link, Manifest,
    Paging, Reference, Thumbnail,
};
use super::text::LanguageMap;
use crate::iiif::image::levels::THUMBNAIL;

/// What makes a document one of 2.1; also the profile of its media type.
pub const CONTEXT: &str = "http://iiif.io/api/presentation/2/context.json";

/// A whole manifest with its one sequence.
pub fn manifest(manifest: &Manifest) -> Value {
    let about = &manifest.about;
    let (direction, hint) = order(about);
    described(&manifest.id, "sc:Manifest", about)
        .with("navDate", about.nav_date.map(|date| date.to_string()))
        .with("viewingDirection", direction)
        .with("viewingHint", hint)
        .with("within", within(&about.part_of))
        .with_list("sequences", vec![write_sequence(manifest).into()])
        .under(CONTEXT)
}

/// The order of the canvases as a document of its own.
pub fn sequence(manifest: &Manifest) -> Value {
    let (direction, hint) = order(&manifest.about);
    write_sequence(manifest)
        .with("viewingDirection", direction)
        .with("viewingHint", hint)
        .with("within", manifest.id.as_str())
        .under(CONTEXT)
}

/// One canvas as a document of its own.
pub fn canvas(canvas: &Canvas) -> Value {
    write_canvas(canvas).under(CONTEXT)
}

/// One annotation as a document of its own. There is no document for the page of paintings:
/// 2.1 has images in the canvas itself and forbids them in lists (*Presentation API 2.1, 5.5*).
pub fn annotation(annotation: &Annotation) -> Value {
    write_annotation(annotation).under(CONTEXT)
}

/// A collection. `members` keeps the order of mixed kinds; `collections` and `manifests` say the
/// same to readers that know only 2.0.
pub fn collection(collection: &Collection) -> Value {
    let about = &collection.about;
    let of = |kind| {
        let some = collection.members.iter().filter(move |member| member.kind == kind);
        some.map(|member| write_member(member).into()).collect::<Vec<Value>>()
    };
    paged(described(&collection.id, "sc:Collection", about), collection.paging.as_ref())
        .with("navDate", about.nav_date.map(|date| date.to_string()))
        .with("viewingHint", hint(about, &["individuals", "multi-part"]))
        .with("within", within(&about.part_of))
        .with_list("members", each(&collection.members, write_member))
        .with("collections", of(Kind::Collection))
        .with("manifests", of(Kind::Manifest))
        .under(CONTEXT)
}

fn described(id: &str, kind: &str, about: &Description) -> Document {
    let logo = about.provider.iter().find_map(|agent| agent.logo.as_deref());
    Document::default()
        .with("@id", id)
        .with("@type", kind)
        .with("label", text(&about.label))
        .with("description", text(&about.summary))
        .with("metadata", each(&about.metadata, write_entry))
        .with("attribution", text(&attribution(about)))
        .with("license", about.rights.as_deref())
        .with("logo", logo)
        .with("thumbnail", about.thumbnail.as_ref().map(write_thumbnail))
        .with("related", one_or_many(related(about)))
        .with("seeAlso", one_or_many(each(&about.see_also, write_see_also)))
        .with("rendering", one_or_many(renderings(about)))
}

fn write_sequence(manifest: &Manifest) -> Document {
    Document::default()
        .with("@id", manifest.sequence.as_str())
        .with("@type", "sc:Sequence")
        .with_list("canvases", each(&manifest.canvases, write_canvas))
}

fn write_canvas(canvas: &Canvas) -> Document {
    let painted = canvas.painting.iter().flat_map(|page| &page.items);
    described(&canvas.id, "sc:Canvas", &canvas.about)
        .with("viewingHint", hint(&canvas.about, &["non-paged", "facing-pages"]))
        .with("within", within(&canvas.about.part_of))
        .with("height", canvas.height)
        .with("width", canvas.width)
        .with_list("images", painted.map(|annotation| write_annotation(annotation).into()).collect())
}

fn write_annotation(annotation: &Annotation) -> Document {
    let (motivation, resource) = match &annotation.body {
        Body::Image(image) => ("sc:painting", write_image(image)),
    };
    Document::default()
        .with("@id", annotation.id.as_str())
        .with("@type", "oa:Annotation")
        .with("motivation", motivation)
        .with("resource", resource)
        .with("on", annotation.target.as_str())
}

/// `full` is refused where the limits are narrower than the image (*Image API 2.1, 5.3*).
fn write_image(image: &Image) -> Document {
    let (width, height) = image.size;
    let size = if image.reduced { format!("{width},{height}") } else { "full".to_owned() };
    Document::default()
        .with("@id", format!("{}/full/{size}/0/default.jpg", image.service.v2))
        .with("@type", "dctypes:Image")
        .with("format", "image/jpeg")
        .with("height", height)
        .with("width", width)
        .with("service", write_service(&image.service))
}

/// `w,` is the canonical size of 2.1. The server derives the height, so none is promised here.
fn write_thumbnail(thumbnail: &Thumbnail) -> Document {
    let size = match thumbnail.size {
        Some((width, _)) => format!("{width},"),
        None => format!("!{THUMBNAIL},{THUMBNAIL}"),
    };
    Document::default()
        .with("@id", format!("{}/full/{size}/0/default.jpg", thumbnail.service.v2))
        .with("@type", "dctypes:Image")
        .with("format", "image/jpeg")
        .with("service", write_service(&thumbnail.service))
}

/// A service brings its own context (*Presentation API 2.1, Linked Data Context*).
fn write_service(service: &ImageService) -> Value {
    json!({
        "@context": "http://iiif.io/api/image/2/context.json",
        "@id": service.v2,
        "profile": "http://iiif.io/api/image/2/level2.json",
    })
}

fn write_entry(entry: &Entry) -> Document {
    Document::default().with("label", text(&entry.label)).with("value", text(&entry.value))
}

fn write_see_also(link: &Link) -> Document {
    write_link(link).with("profile", link.profile.as_deref())
}

fn write_link(link: &Link) -> Document {
    Document::default()
        .with("@id", link.id.as_str())
        .with("label", text(&link.label))
        .with("format", link.format.as_deref())
}

/// A member that is a collection needs a hint; `individuals` promises nothing about its members.
fn write_member(member: &Reference) -> Document {
    let (kind, hint) = match member.kind {
        Kind::Manifest => ("sc:Manifest", None),
        Kind::Collection => ("sc:Collection", Some("individuals")),
    };
    Document::default()
        .with("@id", member.id.as_str())
        .with("@type", kind)
        .with("label", text(&member.label))
        .with("thumbnail", member.thumbnail.as_ref().map(write_thumbnail))
        .with("viewingHint", hint)
}

fn paged(document: Document, paging: Option<&Paging>) -> Document {
    match paging {
        None => document,
        Some(Paging::Whole { total, first }) => document.with("total", *total).with("first", first.as_str()),
        Some(Paging::Part { start, next }) => {
            document.with("startIndex", *start).with("next", next.as_deref())
        }
    }
}

/// A text of 2.1: a string, or a value with its language, or a list of these.
fn text(texts: &LanguageMap) -> Value {
    let tagged = texts.iter().flat_map(|(language, texts)| texts.iter().map(move |text| (language, text)));
    one_or_many(tagged.map(|(language, text)| in_language(language, html_for_2(text))).collect())
}

fn in_language(language: &str, text: String) -> Value {
    match language {
        "none" => Value::String(text),
        _ => json!({ "@value": text, "@language": language }),
    }
}

fn one_or_many(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

/// Whatever has to be shown, and who provides it.
fn attribution(about: &Description) -> LanguageMap {
    let statement = about.required_statement.iter().map(|statement| &statement.value);
    let names = about.provider.iter().map(|agent| &agent.label);
    statement.chain(names).fold(LanguageMap::default(), LanguageMap::joined)
}

/// Pages about the object, then its providers' pages, then renderings that `rendering` cannot take.
fn related(about: &Description) -> Vec<Value> {
    let providers = about.provider.iter().flat_map(|agent| &agent.homepage);
    let renderings = about.rendering.iter().filter(|link| link.format.is_none());
    let links = about.homepage.iter().chain(providers).chain(renderings);
    links.map(|link| write_link(link).into()).collect()
}

/// `rendering` must have a format (*Presentation API 2.1, 3.4*); one without is among `related`.
fn renderings(about: &Description) -> Vec<Value> {
    let links = about.rendering.iter().filter(|link| link.format.is_some());
    links.map(|link| write_link(link).into()).collect()
}

fn within(parents: &[Reference]) -> Value {
    one_or_many(parents.iter().map(|parent| Value::from(parent.id.as_str())).collect())
}

/// Direction and hint of a manifest or its sequence. `continuous` must come with a direction, so
/// the one that 3.0 leaves unsaid is said.
fn order(about: &Description) -> (Option<&str>, Value) {
    let scroll = about.behavior.iter().any(|behavior| behavior == "continuous");
    let direction = about.viewing_direction.as_deref().or(scroll.then_some("left-to-right"));
    (direction, hint(about, &["individuals", "paged", "continuous"]))
}

fn hint(about: &Description, known: &[&str]) -> Value {
    let kept = about.behavior.iter().filter(|behavior| known.contains(&behavior.as_str()));
    one_or_many(kept.map(|behavior| Value::from(behavior.as_str())).collect())
}
