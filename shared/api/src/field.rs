//! One field of a request, before it is checked.

use crate::{Code, Problem};
use cofrap_accounts::{SubmittedCode, Username};
use cofrap_crypto::{Password, TotpCode};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// A field, unchecked.
#[derive(Default)]
pub enum Field {
    /// Absent or `null`.
    #[default]
    Absent,
    /// A string.
    Text(Zeroizing<String>),
    /// A whole number.
    Integer(i64),
    /// Any other JSON value.
    Other,
}

impl Field {
    /// Whether the field is present, of any type.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// The field's text; `None` when it is absent or `null`.
    ///
    /// # Errors
    /// [`Code::InvalidField`] when it is anything but a string.
    pub fn optional_text(self, name: &'static str) -> Result<Option<Zeroizing<String>>, Problem> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Integer(_) | Self::Other => {
                Err(Problem::invalid_field(name, "une chaîne de caractères est attendue"))
            }
        }
    }

    /// The field's number; `None` when it is absent or `null`.
    ///
    /// # Errors
    /// [`Code::InvalidField`] when it is anything but a whole number from 0 on.
    pub fn optional_count(self, name: &'static str) -> Result<Option<i64>, Problem> {
        match self {
            Self::Absent => Ok(None),
            Self::Integer(number) if number >= 0 => Ok(Some(number)),
            Self::Integer(_) | Self::Text(_) | Self::Other => {
                Err(Problem::invalid_field(name, "un entier est attendu"))
            }
        }
    }

    /// The field's text; an empty one counts as absent.
    ///
    /// # Errors
    /// [`Code::MissingField`] with the text that the route has for it; [`Code::InvalidField`] when it is no string.
    pub fn required_text(self, name: &'static str, if_missing: &'static str) -> Result<Zeroizing<String>, Problem> {
        self.optional_text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Problem::new(Code::MissingField).with_text(if_missing))
    }

    /// The field `username`.
    ///
    /// # Errors
    /// As [`Self::required_text`], and [`Code::InvalidField`] when it is no name that an account may have.
    pub fn required_username(self, if_missing: &'static str) -> Result<Username, Problem> {
        parse_username(&self.required_text("username", if_missing)?)
    }

    /// The field `password` of a proof, which may be absent.
    ///
    /// # Errors
    /// [`Code::InvalidField`] when it is no string, or longer than any password.
    pub fn optional_password(self) -> Result<Option<Password>, Problem> {
        self.optional_text("password")?.filter(|text| !text.is_empty()).map(parse_password).transpose()
    }

    /// A one-time code. A text that is not six digits is no malformed request: it is refused like a wrong code.
    ///
    /// # Errors
    /// [`Code::InvalidField`] when it is no string.
    pub fn code(self, name: &'static str) -> Result<SubmittedCode, Problem> {
        Ok(match self.optional_text(name)?.filter(|text| !text.is_empty()) {
            None => SubmittedCode::Missing,
            Some(text) => TotpCode::parse(&text).map_or(SubmittedCode::Malformed, SubmittedCode::Digits),
        })
    }
}

/// A name that an account may have.
pub(crate) fn parse_username(text: &str) -> Result<Username, Problem> {
    text.to_owned().try_into().map_err(|_| {
        Problem::invalid_field(
            "username",
            "1 à 50 caractères en forme normale NFC, sans caractère de contrôle, de format ou de saut de ligne, \
             sans espace au début ni à la fin",
        )
    })
}

/// A submitted password.
pub(crate) fn parse_password(text: Zeroizing<String>) -> Result<Password, Problem> {
    Password::submitted(text).map_err(|_| Problem::invalid_field("password", "100 caractères au plus"))
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Field(absent)",
            Self::Text(_) | Self::Integer(_) | Self::Other => "Field(redacted)",
        })
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Field {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<String>::json_schema(generator)
    }
}

/// Takes every JSON value, so that a field of the wrong type is an error that names the field.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Absent)
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(Zeroizing::new(text)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field, E> {
        Ok(Field::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field, E> {
        Ok(i64::try_from(number).map_or(Field::Other, Field::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Field, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Field, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Field::Text("hunter2".to_owned().into())), "Field(redacted)");
    }
}
