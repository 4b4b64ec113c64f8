//! Parts of values: `.[]`, `.a`, `.[1:]`, and changing them; what jaq asks of a value type.

use std::ops::Range;
use std::sync::Arc;

use jaq_core::path::Opt;
use jaq_core::{Exn, ValX};

use super::{Array, Error, Fallible, Object, Value, own};

const ITERABLE: &str = "iterable (array or object)";

impl Value {
    /// The part under `index`, if there is one.
    pub(in crate::jq) fn part(&self, index: &Self) -> Result<Option<Self>, Error> {
        Ok(match (self, index) {
            (Self::Null, Self::Null | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Object(_)) => {
                None
            }
            (Self::Object(object), Self::Text(key)) => object.get(key).cloned(),
            (Self::Array(array), Self::Int(_) | Self::Float(_)) => {
                position(index, array.items.len()).map(|at| array.items[at].clone())
            }
            (Self::Array(array), Self::Array(part)) => {
                Some(array.find_all(&part.items).map(Self::from).collect())
            }
            (Self::Text(_) | Self::Array(_), Self::Object(range)) => {
                let range = range.get("start")..range.get("end");
                Some(jaq_core::ValT::range(self.clone(), range)?)
            }
            _ => return Err(Error::index(self.clone(), index.clone())),
        })
    }

    fn into_items(self) -> Result<Vec<Self>, Error> {
        match self {
            Self::Array(array) => Ok(unshared(array).items),
            value => Err(Error::typ(value, "array")),
        }
    }
}

/// The contents, copied only where somebody else holds them too.
fn unshared<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone())
}

/// Where an index points to within a list; negative ones count from its end, fractions are cut off.
fn position(index: &Value, length: usize) -> Option<usize> {
    let index = whole(index)?;
    let at = if index < 0 { index.checked_add(length as i128)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

fn whole(number: &Value) -> Option<i128> {
    match number {
        Value::Int(number) => Some(*number),
        Value::Float(number) => Some(number.floor() as i128),
        _ => None,
    }
}

/// The bounds of a slice within `length` parts.
fn slice(range: &Range<Option<&Value>>, length: usize) -> Result<Range<usize>, Error> {
    let bound = |bound: Option<&Value>, default: usize| match bound {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            let at = whole(value).ok_or_else(|| Error::typ(value.clone(), "integer"))?;
            let at = if at < 0 { at.saturating_add(length as i128).max(0) } else { at };
            Ok(usize::try_from(at).unwrap_or(usize::MAX).min(length))
        }
    };
    let start = bound(range.start, 0)?;
    Ok(start..bound(range.end, length)?.max(start))
}

/// The same in bytes of a text whose letters are counted.
fn text_slice(range: &Range<Option<&Value>>, text: &str) -> Result<Range<usize>, Error> {
    let letters = slice(range, text.chars().count())?;
    let byte = |letter| text.char_indices().nth(letter).map_or(text.len(), |(at, _)| at);
    Ok(byte(letters.start)..byte(letters.end))
}

fn key(value: Value) -> Result<Arc<str>, Error> {
    match value {
        Value::Text(text) => Ok(Arc::from(text.as_str())),
        value => Err(Error::typ(value, "key of an object")),
    }
}

impl jaq_core::ValT for Value {
    fn from_num(number: &str) -> Fallible {
        Ok(match number.parse() {
            Ok(number) => Self::Int(number),
            Err(_) => number.parse().map_or(Self::Null, Self::float),
        })
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> Fallible {
        entries.into_iter().map(|(name, value)| Ok((key(name)?, value))).collect()
    }

    fn key_values(self) -> Box<dyn Iterator<Item = Result<(Self, Self), Error>>> {
        match self {
            Self::Array(array) => {
                Box::new((0..array.items.len()).map(move |at| Ok((Self::from(at), array.items[at].clone()))))
            }
            Self::Object(object) => Box::new((0..object.entries.len()).map(move |at| {
                let entry = object.entries.get_index(at);
                Ok(entry.map(|(name, value)| (Self::text(&**name), value.clone())).unwrap_or_default())
            })),
            value => Box::new(std::iter::once(Err(Error::typ(value, ITERABLE)))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = Fallible>> {
        match self {
            Self::Array(array) => Box::new((0..array.items.len()).map(move |at| Ok(array.items[at].clone()))),
            Self::Object(object) => {
                Box::new((0..object.entries.len()).map(move |at| Ok(object.entries[at].clone())))
            }
            value => Box::new(std::iter::once(Err(Error::typ(value, ITERABLE)))),
        }
    }

    fn index(self, index: &Self) -> Fallible {
        Ok(self.part(index)?.unwrap_or_default())
    }

    fn range(self, range: Range<Option<&Self>>) -> Fallible {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Text(text) => Ok(Self::text(&text[text_slice(&range, &text)?])),
            Self::Array(array) => {
                Ok(array.items[slice(&range, array.items.len())?].iter().cloned().collect())
            }
            value => Err(Error::typ(value, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(array) => unshared(array).items.into_iter().flat_map(f).collect(),
            Self::Object(object) => {
                let entries = unshared(object).entries.into_iter();
                entries
                    .filter_map(|(name, value)| Some(f(value).next()?.map(|value| (name, value))))
                    .collect()
            }
            value => opt.fail(value, |value| Exn::from(Error::typ(value, ITERABLE))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (value @ (Self::Text(_) | Self::Array(_)), Self::Object(range)) => {
                value.map_range(range.get("start")..range.get("end"), opt, f)
            }
            (Self::Object(object), Self::Text(name)) => map_entry(object, name, f),
            // jq makes an object where there is none, so that `reduce` may begin with null.
            (Self::Null, Self::Text(name)) => map_entry(Arc::default(), name, f),
            (Self::Array(array), Self::Int(_) | Self::Float(_)) => match position(index, array.items.len()) {
                Some(at) => map_item(array, at, f),
                None => opt.fail(Self::Array(array), |_| {
                    Exn::from(Error::str(format_args!("index {index} out of bounds")))
                }),
            },
            (value, _) => opt.fail(value, |value| Exn::from(Error::index(value, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(array) => {
                let bounds = match slice(&range, array.items.len()) {
                    Ok(bounds) => bounds,
                    Err(error) => return opt.fail(Self::Array(array), |_| Exn::from(error)),
                };
                let part = array.items[bounds.clone()].iter().cloned().collect();
                let new = f(part).next().transpose()?.map_or(Ok(Vec::new()), Self::into_items)?;
                let mut items = unshared(array).items;
                items.splice(bounds, new);
                Ok(items.into_iter().collect())
            }
            Self::Text(text) => {
                let bounds = match text_slice(&range, &text) {
                    Ok(bounds) => bounds,
                    Err(error) => return opt.fail(Self::Text(text), |_| Exn::from(error)),
                };
                let new = match f(Self::text(&text[bounds.clone()])).next().transpose()? {
                    None => Arc::default(),
                    Some(Self::Text(new)) => new,
                    Some(value) => return Err(Exn::from(Error::typ(value, "string"))),
                };
                Ok(Self::text([&text[..bounds.start], &new, &text[bounds.end..]].concat()))
            }
            value => opt.fail(value, |value| Exn::from(Error::typ(value, "array"))),
        }
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            value => Self::text(value.to_string()),
        }
    }
}

/// The old value is taken out before it is changed: it would be copied as long as the object holds it too.
fn map_entry<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut object: Arc<Object>,
    name: &str,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let weight = object.size.weight;
    let changed = own(&mut object, weight);
    let old = changed.take(name);
    match f(old.unwrap_or_default()).next().transpose()? {
        Some(new) => changed.insert(Arc::from(name), new),
        None => changed.remove(name),
    }
    Ok(Value::Object(object))
}

fn map_item<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut array: Arc<Array>,
    at: usize,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let weight = array.size.weight;
    let changed = own(&mut array, weight);
    let old = changed.replace(at, Value::Null);
    match f(old).next().transpose()? {
        Some(new) => drop(changed.replace(at, new)),
        None => changed.remove(at),
    }
    Ok(Value::Array(array))
}

impl From<Range<Option<Self>>> for Value {
    fn from(range: Range<Option<Self>>) -> Self {
        let bounds = [("start", range.start), ("end", range.end)];
        bounds.into_iter().filter_map(|(name, bound)| Some((Arc::from(name), bound?))).collect()
    }
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(array) => Ok(unshared(array).items.into_iter().collect()),
            value => Err(value),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    /// Only as far as microseconds since 1970 go: the date filters multiply without looking. What is
    /// larger they take as a float, and refuse.
    fn as_isize(&self) -> Option<isize> {
        const LARGEST: u128 = 9_000_000_000_000;
        match self {
            Self::Int(number) if number.unsigned_abs() <= LARGEST => isize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.number()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self::text(String::from_utf8_lossy(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(bytes.as_ref()))
    }
}
