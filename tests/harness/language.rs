//! The languages of the interface, and their sentences.

use serde_json::Value;

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// French
    French,
    /// English
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// Its tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// All of its sentences, as JSON.
    pub const fn texts(self) -> &'static str {
        match self {
            Self::French => include_str!("../../components/frontend/texts/fr.json"),
            Self::English => include_str!("../../components/frontend/texts/en.json"),
        }
    }

    /// The sentence of a key like `login.title`.
    #[track_caller]
    pub fn text(self, key: &str) -> String {
        let texts: Value = serde_json::from_str(self.texts()).expect("JSON");
        let text = texts.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("there is no text {key}"));
        // Where no setting names anybody.
        let helpdesk = texts.pointer("/layout/administrator").and_then(Value::as_str).expect("a text");
        text.replace("{helpdesk}", helpdesk)
    }
}
