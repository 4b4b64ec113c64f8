//! Rules for Presentation documents that no public schema checks. An answer of no sentences is praise.

use serde_json::Value;

mod v2;
mod v3;

pub(crate) use v2::check_v2;
pub(crate) use v3::check_v3;

/// Sentences about what is wrong, each with the place.
#[derive(Debug, Default)]
struct Complaints(Vec<String>);

impl Complaints {
    /// Says `rule` of the place unless it holds.
    fn unless(&mut self, holds: bool, place: &str, rule: &str) {
        if !holds {
            self.0.push(format!("{place}: {rule}"));
        }
    }

    /// What looks like markup must be XML of the allowed kind.
    fn markup(&mut self, text: &str, place: &str, allowed: &[&str]) {
        if !looks_like_markup(text) {
            return;
        }
        match roxmltree::Document::parse(text) {
            Err(error) => self.0.push(format!("{place}: markup is not well-formed: {error}")),
            Ok(tree) => {
                self.unless(
                    !tree.descendants().any(|node| node.is_comment() || node.is_pi()),
                    place,
                    "comment in markup",
                );
                for element in tree.descendants().filter(roxmltree::Node::is_element) {
                    self.element(element, place, allowed);
                }
            }
        }
    }

    fn element(&mut self, element: roxmltree::Node<'_, '_>, place: &str, allowed: &[&str]) {
        let name = element.tag_name().name();
        self.unless(allowed.contains(&name), place, &format!("tag `{name}` is not allowed"));
        for attribute in element.attributes() {
            let known = matches!((name, attribute.name()), ("a", "href") | ("img", "src" | "alt"));
            self.unless(
                known,
                place,
                &format!("attribute `{}` of `{name}` is not allowed", attribute.name()),
            );
            let target = matches!(attribute.name(), "href" | "src");
            let harmless = is_address(attribute.value()) || attribute.value().starts_with("mailto:");
            self.unless(
                harmless || !target,
                place,
                &format!("`{}` is no harmless target", attribute.value()),
            );
        }
    }

    fn side(&mut self, object: &Value, name: &str, place: &str) {
        let positive = object.get(name).is_none_or(|side| side.as_u64().is_some_and(|side| side > 0));
        self.unless(positive, place, &format!("`{name}` must be a positive integer"));
    }
}

fn looks_like_markup(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>')
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains([' ', '<', '>', '"']))
}

/// `xsd:dateTime` with a time zone, not before the year 1.
fn is_instant(text: &str) -> bool {
    text.contains('T') && !text.starts_with('-') && text.parse::<jiff::Timestamp>().is_ok()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
