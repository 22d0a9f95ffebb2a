//! The form of a type as postcard sees it, found without a value: the type is deserialized from a source that grants
//! every wish and takes note of it.

use std::fmt;

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, SeqAccess,
    VariantAccess, Visitor,
};

/// Names and types of all that a `T` is made of, one a line. Of an enum with content the first variant's is shown.
pub(super) fn form_of<T: DeserializeOwned>() -> String {
    let mut text = String::new();
    T::deserialize(Tracer { text: &mut text, depth: 0 }).expect("every wish was granted");
    text
}

struct Tracer<'a> {
    text: &'a mut String,
    depth: usize,
}

impl Tracer<'_> {
    fn note(&mut self, what: &str) {
        self.text.push_str(what);
        self.text.push('\n');
    }

    fn inner(&mut self, label: &str) -> Tracer<'_> {
        let depth = self.depth + 1;
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(label);
        Tracer { text: self.text, depth }
    }
}

/// Elements in a row, each under its label.
struct Elements<'a, 'b> {
    tracer: &'b mut Tracer<'a>,
    labels: std::vec::IntoIter<String>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Wish;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wish> {
        let Some(label) = self.labels.next() else { return Ok(None) };
        seed.deserialize(self.tracer.inner(&label)).map(Some)
    }
}

struct First;

impl<'de> EnumAccess<'de> for First {
    type Error = Wish;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Wish> {
        let index: U32Deserializer<Wish> = 0_u32.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for First {
    type Error = Wish;

    fn unit_variant(self) -> Result<(), Wish> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Wish> {
        Err(Wish("an enum whose first variant has content".into()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Wish> {
        Err(Wish("an enum whose first variant has content".into()))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Wish> {
        Err(Wish("an enum whose first variant has content".into()))
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wish> {
            self.note(stringify!($method).trim_start_matches("deserialize_"));
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Wish;

    plain! {
        deserialize_bool visit_bool false,
        deserialize_i8 visit_i8 0, deserialize_i16 visit_i16 0,
        deserialize_i32 visit_i32 0, deserialize_i64 visit_i64 0,
        deserialize_u8 visit_u8 0, deserialize_u16 visit_u16 0,
        deserialize_u32 visit_u32 0, deserialize_u64 visit_u64 0,
        deserialize_f32 visit_f32 0.0, deserialize_f64 visit_f64 0.0,
        deserialize_char visit_char 'x',
        deserialize_str visit_str "", deserialize_string visit_str "",
        deserialize_bytes visit_bytes b"", deserialize_byte_buf visit_bytes b"",
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wish> {
        self.note("option");
        visitor.visit_some(self.inner(""))
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wish> {
        self.note("unit");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wish> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wish> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wish> {
        self.note("list");
        let labels = vec![String::new()].into_iter();
        visitor.visit_seq(Elements { tracer: &mut self, labels })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Wish> {
        self.note(&format!("{length} in a row"));
        let labels = vec![String::new(); length].into_iter();
        visitor.visit_seq(Elements { tracer: &mut self, labels })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Wish> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wish> {
        Err(Wish("a map".into()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wish> {
        self.note(name);
        let labels: Vec<_> = fields.iter().map(|field| format!("{field}: ")).collect();
        visitor.visit_seq(Elements { tracer: &mut self, labels: labels.into_iter() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wish> {
        self.note(&format!("{name} {}", variants.join("|")));
        visitor.visit_enum(First)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wish> {
        Err(Wish("a type that describes itself, which postcard cannot read".into()))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wish> {
        Err(Wish("a field by its name, which postcard cannot read".into()))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wish> {
        Err(Wish("a value to be skipped, which postcard cannot do".into()))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// What cannot be granted.
#[derive(Debug)]
pub(super) struct Wish(String);

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wish {}

impl serde::de::Error for Wish {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}
