//! The JSON value that expressions work on: shared, counted, and aware of its own size.
//!
//! jaq leaves the value type to its host. Ours differs from jaq's own in three ways that bound what
//! an expression can do: every step counts against the budget of the run; every list and object
//! knows how large and how deep it is *written out*, so that neither a small tree of shared parts
//! nor a tower of brackets can be made that explodes when it is compared, printed or dropped; and
//! numbers are integers of 128 bits, so that no identifier loses a digit.

use std::sync::Arc;

use indexmap::IndexMap;

use super::budget;

mod access;
mod arithmetic;
mod json;
mod order;

/// How large a value may be, as [`Value::weight`] counts.
pub(super) const MAX_WEIGHT: usize = 128 << 20;
/// How many lists and objects may stand within each other; what serde_json accepts when it reads.
pub(super) const MAX_DEPTH: u16 = 128;

/// What a value costs beside its text, in bytes.
const CELL: usize = size_of::<Value>();

/// An error that an expression may catch.
pub(super) type Error = jaq_core::Error<Value>;
/// A value or such an error.
pub(super) type Fallible = jaq_core::ValR<Value>;

/// A JSON value. Cloning it is cheap.
#[derive(Debug, Default)]
pub(super) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i128),
    /// Never a whole number that an integer could hold exactly; see [`Value::float`].
    Float(f64),
    Text(Arc<String>),
    Array(Arc<Array>),
    Object(Arc<Object>),
}

/// A list and its size.
#[derive(Clone, Debug, Default)]
pub(super) struct Array {
    items: Vec<Value>,
    size: Size,
}

/// An object and its size; keys in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    entries: IndexMap<Arc<str>, Value>,
    size: Size,
}

/// The size of a value written out in full, shared parts counted as often as they occur.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    weight: usize,
    depth: u16,
}

impl Size {
    /// Takes a part in; ends the run if the whole grows too large.
    fn add(&mut self, part: &Value) {
        self.weight = self.weight.saturating_add(part.weight());
        self.depth = self.depth.max(part.depth());
        self.check();
    }

    /// Takes the parts of another list or object in.
    fn merge(&mut self, other: Self) {
        self.weight = self.weight.saturating_add(other.weight);
        self.depth = self.depth.max(other.depth);
        self.check();
    }

    /// The depth stays: it may now be less, which only another walk over all parts could tell.
    fn remove(&mut self, part: &Value) {
        self.weight = self.weight.saturating_sub(part.weight());
    }

    fn check(self) {
        if self.depth >= MAX_DEPTH {
            budget::exceed("nesting", format!("{MAX_DEPTH} levels"));
        }
        if self.weight > MAX_WEIGHT {
            budget::exceed("data in one value", format!("{} MiB", MAX_WEIGHT >> 20));
        }
    }
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        budget::charge(text.len());
        Self::Text(Arc::new(text))
    }

    /// A number that is kept as an integer where that loses nothing: `4000.0` is a width like `4000`.
    pub(super) fn float(number: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Self::Int(number as i128)
        } else {
            Self::Float(number)
        }
    }

    /// How large the value is written out, in bytes of memory.
    pub(super) fn weight(&self) -> usize {
        CELL + match self {
            Self::Text(text) => text.len(),
            Self::Array(array) => array.size.weight,
            Self::Object(object) => object.size.weight,
            _ => 0,
        }
    }

    /// How many lists and objects stand within each other.
    pub(super) fn depth(&self) -> u16 {
        match self {
            Self::Array(array) => array.size.depth.saturating_add(1),
            Self::Object(object) => object.size.depth.saturating_add(1),
            _ => 0,
        }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        budget::step();
        match self {
            Self::Null => Self::Null,
            Self::Bool(truth) => Self::Bool(*truth),
            Self::Int(number) => Self::Int(*number),
            Self::Float(number) => Self::Float(*number),
            Self::Text(text) => Self::Text(Arc::clone(text)),
            Self::Array(array) => Self::Array(Arc::clone(array)),
            Self::Object(object) => Self::Object(Arc::clone(object)),
        }
    }
}

impl Array {
    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }

    fn push(&mut self, item: Value) {
        budget::charge(CELL);
        self.size.add(&item);
        self.items.push(item);
    }

    fn append(&mut self, other: &Self) {
        self.size.merge(other.size);
        budget::charge(other.items.len() * CELL);
        self.items.extend(other.items.iter().cloned());
    }

    fn replace(&mut self, at: usize, item: Value) -> Value {
        self.size.remove(&self.items[at]);
        self.size.add(&item);
        std::mem::replace(&mut self.items[at], item)
    }

    fn remove(&mut self, at: usize) {
        let item = self.items.remove(at);
        self.size.remove(&item);
    }
}

impl Object {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    fn insert(&mut self, key: Arc<str>, value: Value) {
        budget::charge(2 * CELL);
        self.size.weight = self.size.weight.saturating_add(CELL + key.len());
        self.size.add(&value);
        if let Some(old) = self.entries.insert(Arc::clone(&key), value) {
            self.size.remove(&old);
            self.size.weight = self.size.weight.saturating_sub(CELL + key.len());
        }
    }

    /// Takes a value out and leaves null in its place.
    fn take(&mut self, key: &str) -> Option<Value> {
        let old = std::mem::take(self.entries.get_mut(key)?);
        self.size.remove(&old);
        self.size.add(&Value::Null);
        Some(old)
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.entries.shift_remove(key) {
            self.size.remove(&old);
            self.size.weight = self.size.weight.saturating_sub(CELL + key.len());
        }
    }
}

/// Makes a list, an object or a text ours to change: copied, and paid for, if somebody else holds it too.
fn own<T: Clone>(shared: &mut Arc<T>, bytes: usize) -> &mut T {
    if Arc::strong_count(shared) > 1 {
        budget::charge(bytes);
    }
    Arc::make_mut(shared)
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let mut array = Array::default();
        items.into_iter().for_each(|item| array.push(item));
        Self::Array(Arc::new(array))
    }
}

impl FromIterator<(Arc<str>, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(entries: I) -> Self {
        let mut object = Object::default();
        entries.into_iter().for_each(|(key, value)| object.insert(key, value));
        Self::Object(Arc::new(object))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<isize> for Value {
    fn from(number: isize) -> Self {
        budget::step();
        Self::Int(number as i128)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(number as i128)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::float(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        items.into_iter().collect()
    }

    #[test]
    fn a_shared_part_weighs_as_often_as_it_occurs() {
        let text = Value::text("x".repeat(1000));
        let once = list([text.clone()]).weight();
        let twice = list([text.clone(), text]).weight();
        assert_eq!(twice - once, CELL + 1000);
    }

    #[test]
    fn depth_counts_brackets() {
        assert_eq!(Value::Null.depth(), 0);
        assert_eq!(list([list([]), list([list([])])]).depth(), 3);
    }

    #[test]
    fn changing_in_place_keeps_the_weight_right() {
        let mut object = Object::default();
        object.insert("a".into(), Value::text("long enough"));
        object.insert("a".into(), Value::Null);
        object.insert("b".into(), Value::text("x"));
        object.remove("b");
        assert_eq!(object.size.weight, 2 * CELL + 1);

        let mut array = Array::default();
        array.push(Value::text("long enough"));
        array.push(Value::Null);
        array.replace(0, Value::Null);
        array.remove(1);
        assert_eq!(array.size.weight, CELL);
    }

    #[test]
    fn whole_floats_are_integers() {
        assert!(matches!(Value::float(4000.0), Value::Int(4000)));
        assert!(matches!(Value::float(0.5), Value::Float(_)));
        assert!(matches!(Value::float(1e300), Value::Float(_)));
        assert!(matches!(Value::float(f64::NAN), Value::Float(_)));
    }
}
