//! Reads settings structs from layered values, knowing at every moment which key it stands at.
//!
//! The `config` crate merges file and environment; its own deserializer forgets the key of a missing or
//! unknown field and takes numbers for texts and texts for numbers wherever it can. This one is strict with
//! what a file says, and lenient only with the environment, which has nothing but texts.

use std::path::Path;

use config::{Value, ValueKind};
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::fault::{Cause, Fault};
use super::load::Environment;
use super::problem::{Segment, either};
use crate::secret::{Reference, Secret};

/// The origin that `config` gives to values from the environment.
const ENVIRONMENT: &str = "the environment";

/// Where relative paths and references to secrets lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The folder of the settings file.
    pub folder: &'a Path,
    /// All variables, not only those that override settings.
    pub environment: &'a Environment,
}

/// A value that is about to become part of a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub value: &'a Value,
    pub around: Surroundings<'a>,
}

impl<'a> Reader<'a> {
    fn with(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// The text of a variable, which may stand for any kind of value.
    fn spoken(&self) -> Option<&'a str> {
        match (&self.value.kind, self.value.origin()) {
            (ValueKind::String(text), Some(ENVIRONMENT)) => Some(text.trim()),
            _ => None,
        }
    }

    /// `{ env = … }` or `{ file = … }`.
    fn is_reference(&self) -> bool {
        match &self.value.kind {
            ValueKind::Table(table) => {
                table.len() == 1 && (table.contains_key("env") || table.contains_key("file"))
            }
            _ => false,
        }
    }

    fn resolve(self) -> Result<Secret, Fault> {
        let reference = Reference::deserialize(self)?;
        reference
            .resolve(self.around.folder, self.around.environment)
            .map_err(|error| Fault::new(Cause::Wrong(error.to_string())))
    }

    /// A secret's value never gets into a message.
    fn secret(self) -> Result<Secret, Fault> {
        match &self.value.kind {
            ValueKind::String(text) => Ok(Secret::from(text.as_str())),
            _ if self.is_reference() => self.resolve(),
            _ => Err(Fault::new(Cause::Hidden)),
        }
    }
}

/// The elements of a list that a variable gives as one text.
pub(super) fn spoken_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A deserializer of nothing but this text.
fn text(text: &str) -> StringDeserializer<Fault> {
    text.to_owned().into_deserializer()
}

/// Numbers and switches from the environment come as texts.
macro_rules! also_from_text {
    ($($method:ident => $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.spoken().and_then(|text| text.parse().ok()) {
                Some(value) => visitor.$visit(value),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(*value),
            ValueKind::I64(value) => visitor.visit_i64(*value),
            ValueKind::I128(value) => visitor.visit_i128(*value),
            ValueKind::U64(value) => visitor.visit_u64(*value),
            ValueKind::U128(value) => visitor.visit_u128(*value),
            ValueKind::Float(value) => visitor.visit_f64(*value),
            ValueKind::String(value) => visitor.visit_str(value).map_err(|fault: Fault| fault.found(value)),
            ValueKind::Table(table) => {
                visitor.visit_map(Entries { rest: table.iter(), current: None, reader: self })
            }
            ValueKind::Array(array) => {
                visitor.visit_seq(Elements { rest: array.iter().enumerate(), reader: self })
            }
        }
    }

    also_from_text! {
        deserialize_bool => visit_bool
        deserialize_i8 => visit_i64 deserialize_i16 => visit_i64 deserialize_i32 => visit_i64 deserialize_i64 => visit_i64
        deserialize_u8 => visit_u64 deserialize_u16 => visit_u64 deserialize_u32 => visit_u64 deserialize_u64 => visit_u64
        deserialize_f32 => visit_f64 deserialize_f64 => visit_f64
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Some(text) = self.spoken() else { return self.deserialize_any(visitor) };
        let origin = ENVIRONMENT.to_owned();
        let parts: Vec<Value> = spoken_list(text).map(|part| Value::new(Some(&origin), part)).collect();
        visitor.visit_seq(Elements { rest: parts.iter().enumerate(), reader: self })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            Secret::NAME => visitor.visit_newtype_struct(text(self.secret()?.reveal())),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value.kind {
            ValueKind::String(variant) => text(variant).deserialize_enum(name, variants, visitor),
            ValueKind::Table(table) if table.keys().any(|key| variants.contains(&key.as_str())) => visitor
                .visit_enum(MapAccessDeserializer::new(Entries {
                    rest: table.iter(),
                    current: None,
                    reader: self,
                })),
            _ => Err(Fault::new(Cause::Wrong(format!("expected {}", either(variants))))),
        }
    }

    /// A derived struct would take a list for its fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value.kind {
            ValueKind::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"a table")),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The entries of a table; those that were struck out are passed over.
struct Entries<'a, I> {
    rest: I,
    current: Option<(&'a String, &'a Value)>,
    reader: Reader<'a>,
}

impl<'de, 'a, I: Iterator<Item = (&'a String, &'a Value)>> MapAccess<'de> for Entries<'a, I> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.by_ref().find(|(_, value)| value.kind != ValueKind::Nil);
        let Some((name, _)) = self.current else { return Ok(None) };
        seed.deserialize(text(name)).map(Some).map_err(|fault| fault.at(Segment::Name(name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) =
            self.current.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(self.reader.with(value)).map_err(|fault| fault.at(Segment::Name(name.clone())))
    }
}

/// The elements of a list; those that were struck out are passed over and keep their number.
struct Elements<'a, I> {
    rest: I,
    reader: Reader<'a>,
}

impl<'de, 'a, I: Iterator<Item = (usize, &'a Value)>> SeqAccess<'de> for Elements<'_, I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.rest.by_ref().find(|(_, value)| value.kind != ValueKind::Nil) else {
            return Ok(None);
        };
        let reader = Reader { value, around: self.reader.around };
        seed.deserialize(reader).map(Some).map_err(|fault| fault.at(Segment::Index(index)))
    }
}
