//! A JSON object under construction: keys in the order of writing, nothing that is empty.

use serde_json::{Map, Value};

use super::text::LanguageMap;

/// An object whose properties are added one after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(Map<String, Value>);

impl Document {
    /// Adds a property, unless there is nothing to say: `null`, an empty text, list or object.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(properties) => properties.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a list that is written even when it has no items.
    pub(super) fn with_list(mut self, name: &str, items: Vec<Value>) -> Self {
        self.0.insert(name.to_owned(), Value::Array(items));
        self
    }

    /// The document with its context, the first property of whatever stands at the top.
    pub(super) fn under(self, context: &str) -> Value {
        Value::Object([("@context".to_owned(), Value::from(context))].into_iter().chain(self.0).collect())
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Self {
        Self::Object(document.0)
    }
}

impl From<&LanguageMap> for Value {
    /// A language map as 3.0 writes it, without languages that have no text.
    fn from(texts: &LanguageMap) -> Self {
        let spoken = texts.iter().filter(|(_, texts)| !texts.is_empty());
        Self::Object(spoken.map(|(language, texts)| (language.to_owned(), Self::from(texts))).collect())
    }
}

/// Each item as a value.
pub(super) fn each<T>(items: &[T], write: impl Fn(&T) -> Document) -> Vec<Value> {
    items.iter().map(|item| write(item).into()).collect()
}
