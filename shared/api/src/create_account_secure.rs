//! `POST /function/create-account-secure`

use crate::field::parse_password;
use crate::{Code, Field, JsonBody, Problem};
use cofrap_accounts::{
    Bearer, CharacterClass, ChosenPassword, CreateAccount, CreateAccountError, UnfitPassword, Username, Weakness,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const MISSING: &str = "Username and password are required";
const TOO_LONG: &str = "Input too long";

/// The account to create, with a password of its owner's choice. A bearer is the operator's token, where only they create
/// accounts.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "CreateAccountRequest", extend("required" = ["username", "password"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters in NFC. A new one has letters, marks, digits and `. _ - ' @ +` with single spaces between them, in
    /// scripts that people write together and in its plainest form; 409 if people could take it for another's.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The password: at most 72 bytes; 12 characters with upper case, lower case, digit and special character, or 20
    /// characters; without the name, and no common one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    password: Field,
}

impl JsonBody for Request {
    type Command = CreateAccount;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<CreateAccount, Problem> {
        let username = self.username.required_text("username", MISSING)?;
        let password = self.password.required_text("password", MISSING)?;
        if username.chars().count() > Username::MAX_LENGTH {
            return Err(Problem::new(Code::InvalidField).with_text(TOO_LONG));
        }
        let username = crate::field::parse_username(&username)?;
        let password = choose(password, &username)?;
        Ok(CreateAccount { username, password, bearer })
    }
}

fn choose(password: Zeroizing<String>, username: &Username) -> Result<ChosenPassword, Problem> {
    let has_nul = password.contains('\0');
    let too_long = || Problem::new(Code::InvalidField).with_text(TOO_LONG);
    let password = parse_password(password).map_err(|_| too_long())?;
    ChosenPassword::new(password, username).map_err(|unfit| match unfit {
        UnfitPassword::Unhashable if has_nul => Problem::invalid_field("password", "sans caractère nul"),
        UnfitPassword::Unhashable => too_long(),
        UnfitPassword::Weak(weaknesses) => {
            Problem::new(Code::InvalidField).with_text("Password too weak").because(weaknesses.into_iter().map(advice))
        }
    })
}

/// What to change.
const fn advice(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::Short => "12 caractères au moins avec les quatre classes de caractères, ou 20 caractères",
        Weakness::Lacks(CharacterClass::Uppercase) => "une majuscule au moins, ou 20 caractères",
        Weakness::Lacks(CharacterClass::Lowercase) => "une minuscule au moins, ou 20 caractères",
        Weakness::Lacks(CharacterClass::Digit) => "un chiffre au moins, ou 20 caractères",
        Weakness::Lacks(CharacterClass::Special) => "un caractère spécial au moins, ou 20 caractères",
        Weakness::ContainsName => "sans le nom d'utilisateur",
        Weakness::Common => {
            "ni un mot de passe courant, ni un mot de passe courant déguisé par des substitutions ou des chiffres ajoutés"
        }
    }
}

/// The account was created.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "CreatedAccount", deny_unknown_fields))]
pub struct Response {
    status: &'static str,
}

impl From<()> for Response {
    fn from((): ()) -> Self {
        Self { status: "✅ User created securely" }
    }
}

/// A refusal with this function's texts.
#[must_use]
pub fn refuse(error: CreateAccountError) -> Problem {
    Problem::from(error)
        .in_words_of(Code::UsernameTaken, "⚠️ Username already exists")
        .in_words_of(Code::ProofRequired, "La création de comptes est réservée à l'opérateur")
}
