//! Presentation API 3.0: what its JSON Schema lets pass and readers trip over.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Complaints, is_address, is_instant, list, looks_like_markup, text};

const CONTEXT: &str = "http://iiif.io/api/presentation/3/context.json";

const TAGS: [&str; 10] = ["a", "b", "br", "i", "img", "p", "small", "span", "sub", "sup"];

/// Properties whose values are lists also when they have one item.
const LISTS: [&str; 13] = [
    "metadata",
    "provider",
    "thumbnail",
    "behavior",
    "seeAlso",
    "service",
    "services",
    "homepage",
    "rendering",
    "partOf",
    "structures",
    "annotations",
    "logo",
];

/// Of each set at most one behavior may be given (*Presentation API 3.0, 3.2*).
const DISJOINT: [&[&str]; 6] = [
    &["unordered", "individuals", "continuous", "paged"],
    &["paged", "facing-pages", "non-paged"],
    &["auto-advance", "no-auto-advance"],
    &["repeat", "no-repeat"],
    &["multi-part", "together"],
    &["sequence", "thumbnail-nav", "no-nav"],
];

/// Everything that is wrong with a document.
pub(crate) fn check_v3(document: &Value) -> Vec<String> {
    let mut checker = Checker::default();
    checker.note_canvases(document);
    checker.context(document);
    checker.visit(document, &Place { path: "$", property: "", canvas: None, comments: false });
    checker.complaints.0
}

#[derive(Default)]
struct Checker<'a> {
    complaints: Complaints,
    canvases: HashMap<&'a str, &'a Value>,
    defined: HashSet<&'a str>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    path: &'p str,
    property: &'p str,
    canvas: Option<&'p str>,
    /// Below `annotations`, where nothing is painted.
    comments: bool,
}

impl<'a> Checker<'a> {
    fn note_canvases(&mut self, value: &'a Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.note_canvases(item)),
            Value::Object(properties) => {
                if text(value, "type") == "Canvas"
                    && ["width", "duration"].iter().any(|side| value.get(side).is_some())
                {
                    self.canvases.insert(text(value, "id"), value);
                }
                properties.values().for_each(|value| self.note_canvases(value));
            }
            _ => {}
        }
    }

    fn context(&mut self, document: &Value) {
        let first = document.as_object().and_then(|properties| properties.keys().next());
        self.complaints.unless(
            first.is_some_and(|key| key == "@context"),
            "$",
            "`@context` must be the first property",
        );
        let last = match document.get("@context") {
            Some(Value::Array(contexts)) => contexts.last(),
            context => context,
        };
        let known = last.and_then(Value::as_str) == Some(CONTEXT);
        self.complaints.unless(known, "$", "the context of 3.0 must be the only or the last one");
    }

    fn visit(&mut self, value: &'a Value, place: &Place<'_>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, &Place { path: &format!("{}[{index}]", place.path), ..*place });
                }
            }
            // Services of older APIs speak their own language.
            Value::Object(properties) if properties.contains_key("@type") => {
                self.complaints.unless(
                    place.property == "service",
                    place.path,
                    "only services may have `@type`",
                );
                self.complaints.unless(
                    is_address(text(value, "@id")),
                    place.path,
                    "a service needs an `@id`",
                );
            }
            Value::Object(properties) => self.object(value, properties, place),
            _ => {}
        }
    }

    fn object(&mut self, object: &'a Value, properties: &'a Map<String, Value>, place: &Place<'_>) {
        self.keys(properties, place);
        self.texts(object, place.path);
        self.values(object, place.path);
        self.typed(object, place);
        let here = text(object, "id");
        let canvas = if self.canvases.contains_key(here) { Some(here) } else { place.canvas };
        for (name, value) in properties {
            if matches!(
                name.as_str(),
                "label" | "summary" | "metadata" | "requiredStatement" | "navPlace" | "feature"
            ) {
                continue;
            }
            let comments = name == "annotations" || place.comments;
            let path = format!("{}.{name}", place.path);
            self.visit(value, &Place { path: &path, property: name, canvas, comments });
        }
    }

    fn keys(&mut self, properties: &Map<String, Value>, place: &Place<'_>) {
        for (name, value) in properties {
            let ours = !name.starts_with('@') || (place.path == "$" && name == "@context");
            self.complaints.unless(
                ours,
                place.path,
                &format!("`{name}` belongs to the top or to older versions"),
            );
            let listed = !LISTS.contains(&name.as_str()) || value.is_array();
            self.complaints.unless(listed, place.path, &format!("`{name}` must be a list"));
        }
    }

    fn texts(&mut self, object: &Value, path: &str) {
        self.texts_of(object.get("label"), &format!("{path}.label"), false);
        self.texts_of(object.get("summary"), &format!("{path}.summary"), true);
        let statement = object.get("requiredStatement").into_iter();
        for entry in list(object, "metadata").iter().chain(statement) {
            let pair = entry.get("label").is_some() && entry.get("value").is_some();
            self.complaints.unless(pair, path, "a label and value pair needs both");
            self.texts_of(entry.get("label"), &format!("{path}.metadata.label"), false);
            self.texts_of(entry.get("value"), &format!("{path}.metadata.value"), true);
        }
    }

    fn texts_of(&mut self, texts: Option<&Value>, path: &str, markup: bool) {
        let Some(texts) = texts else { return };
        let languages = texts.as_object();
        let spoken = languages.is_some_and(|languages| !languages.is_empty());
        self.complaints.unless(spoken, path, "must be a language map with a text");
        for (language, texts) in languages.into_iter().flatten() {
            let tag = !language.is_empty()
                && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            self.complaints.unless(tag, path, &format!("`{language}` is no language"));
            let texts = texts.as_array().map_or(&[][..], Vec::as_slice);
            self.complaints.unless(!texts.is_empty(), path, "a language needs a list of texts");
            for text in texts {
                let text = text.as_str().unwrap_or_default();
                self.complaints.unless(!text.is_empty(), path, "a text must not be empty");
                match markup {
                    true => self.complaints.markup(text, path, &TAGS),
                    false => {
                        self.complaints.unless(!looks_like_markup(text), path, "a label must not be markup")
                    }
                }
            }
        }
    }

    fn values(&mut self, object: &Value, path: &str) {
        self.complaints.side(object, "width", path);
        self.complaints.side(object, "height", path);
        let dated = object.get("navDate").is_none_or(|date| date.as_str().is_some_and(is_instant));
        self.complaints.unless(dated, path, "`navDate` must be a date and time with a zone");
        let rights = text(object, "rights");
        let known = rights.is_empty()
            || rights.starts_with("http://creativecommons.org/")
            || rights.starts_with("http://rightsstatements.org/vocab/");
        self.complaints.unless(
            known,
            path,
            "`rights` must be a Creative Commons or RightsStatements URI with http",
        );
        for set in DISJOINT {
            let given =
                list(object, "behavior").iter().filter(|behavior| set.iter().any(|one| *behavior == one));
            self.complaints.unless(given.count() < 2, path, &format!("at most one behavior of {set:?}"));
        }
    }

    fn typed(&mut self, object: &'a Value, place: &Place<'_>) {
        let (path, kind) = (place.path, text(object, "type"));
        let labelled = matches!(place.property, "homepage" | "rendering" | "provider");
        let member = matches!(kind, "Manifest" | "Collection") && matches!(place.property, "" | "items");
        let complaints = &mut self.complaints;
        complaints.unless(!(labelled || member) || object.get("label").is_some(), path, "needs a label");
        let resource = matches!(
            kind,
            "Manifest" | "Collection" | "Canvas" | "AnnotationPage" | "Annotation" | "Range" | "Agent"
        );
        complaints.unless(!resource || is_address(text(object, "id")), path, "needs an http(s) id");
        match kind {
            "Manifest" if place.property.is_empty() => {
                complaints.unless(!list(object, "items").is_empty(), path, "needs a canvas")
            }
            "Range" => complaints.unless(!list(object, "items").is_empty(), path, "an empty range"),
            "SpecificResource" => complaints.unless(object.get("id").is_some(), path, "needs an id"),
            "Canvas" => self.canvas(object, place),
            "Annotation" => self.annotation(object, place),
            "Image" => self.image(object, path),
            _ => {}
        }
        let complete = object.get("items").is_some()
            || kind == "Annotation"
            || self.canvases.contains_key(text(object, "id"));
        if resource && complete && !matches!(kind, "Agent") && !is_reference(kind, object, place) {
            let fresh = self.defined.insert(text(object, "id"));
            self.complaints.unless(fresh, path, &format!("`{}` is described twice", text(object, "id")));
        }
    }

    fn canvas(&mut self, canvas: &Value, place: &Place<'_>) {
        let id = text(canvas, "id");
        if is_reference("Canvas", canvas, place) {
            let known = id.split('#').next().is_some_and(|id| self.canvases.contains_key(id));
            let holds = known || self.canvases.is_empty();
            return self.complaints.unless(holds, place.path, &format!("canvas `{id}` does not exist"));
        }
        self.complaints.unless(!id.contains('#'), place.path, "the id of a canvas has no fragment");
        let sides = ["width", "height"].map(|side| canvas.get(side).is_some());
        let sized = sides == [true, true] || (sides == [false, false] && canvas.get("duration").is_some());
        self.complaints.unless(sized, place.path, "a canvas needs width and height or a duration");
        self.complaints.unless(
            canvas.get("items").is_some(),
            place.path,
            "a canvas says what is painted, if only `[]`",
        );
    }

    fn annotation(&mut self, annotation: &Value, place: &Place<'_>) {
        let painting = text(annotation, "motivation") == "painting";
        let complaints = &mut self.complaints;
        complaints.unless(annotation.get("motivation").is_some(), place.path, "needs a motivation");
        complaints.unless(
            !(painting && place.comments),
            place.path,
            "painting stands under `items`, not `annotations`",
        );
        let only_painting = painting || place.canvas.is_none() || place.comments;
        complaints.unless(only_painting, place.path, "only painting stands under the `items` of a canvas");
        let Some(target) = annotation.get("target") else {
            return complaints.unless(false, place.path, "needs a target");
        };
        for target in target.as_array().map_or(std::slice::from_ref(target), Vec::as_slice) {
            let source = target.get("source").unwrap_or(target);
            let source = source.as_str().unwrap_or_else(|| text(source, "id"));
            self.target(source, painting, place);
        }
    }

    fn target(&mut self, target: &str, painting: bool, place: &Place<'_>) {
        let (id, fragment) = target.split_once('#').unwrap_or((target, ""));
        if self.canvases.is_empty() {
            return;
        }
        let Some(canvas) = self.canvases.get(id).copied() else {
            let elsewhere = !painting && !id.contains("/canvas/");
            return self.complaints.unless(elsewhere, place.path, &format!("canvas `{id}` does not exist"));
        };
        let own = !painting || place.canvas.is_none_or(|canvas| canvas == id);
        self.complaints.unless(own, place.path, "a painting must target its own canvas");
        let inside =
            fragment.split('&').filter_map(|part| part.strip_prefix("xywh=")).all(|area| fits(area, canvas));
        self.complaints.unless(inside, place.path, &format!("`{fragment}` leads out of the canvas"));
    }

    fn image(&mut self, image: &Value, path: &str) {
        let bare = list(image, "service")
            .iter()
            .any(|service| [text(service, "id"), text(service, "@id")].contains(&text(image, "id")));
        self.complaints.unless(!bare, path, "the id of an image must not be its service");
        self.complaints.unless(is_address(text(image, "id")), path, "needs an http(s) id");
    }
}

/// The same canvas may be named in many places, and a manifest in several collections.
fn is_reference(kind: &str, object: &Value, place: &Place<'_>) -> bool {
    match kind {
        "Canvas" => {
            !["", "placeholderCanvas", "accompanyingCanvas"].contains(&place.property)
                && object.get("items").is_none()
                && object.get("width").is_none()
        }
        "Manifest" => !place.property.is_empty(),
        _ => place.property == "partOf",
    }
}

fn fits(area: &str, canvas: &Value) -> bool {
    let sides = match area.strip_prefix("percent:") {
        Some(_) => Some((100.0, 100.0)),
        None => canvas.get("width").and_then(Value::as_f64).zip(canvas.get("height").and_then(Value::as_f64)),
    };
    let numbers: Result<Vec<f64>, _> =
        area.trim_start_matches("percent:").split(',').map(str::parse).collect();
    match (numbers.as_deref(), sides) {
        (Ok([x, y, w, h]), Some((width, height))) => {
            *x >= 0.0 && *y >= 0.0 && x + w <= width && y + h <= height
        }
        _ => false,
    }
}
