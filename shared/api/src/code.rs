//! The codes of errors, with their statuses and texts.

use serde::Serialize;

/// The code of an error, for programs. Codes never change; texts may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The body is not a JSON object in UTF-8.
    InvalidJson,
    /// A required field is absent, `null` or empty.
    MissingField,
    /// A field is ill-formed; the text names it.
    InvalidField,
    /// The credentials are wrong.
    InvalidCredentials,
    /// The bearer token is missing, invalid or expired.
    InvalidToken,
    /// The caller must prove something first.
    ProofRequired,
    /// Both factors are right, and one of them is too old.
    PasswordExpired,
    /// The password is right and the account has no second factor yet.
    MfaEnrollmentRequired,
    /// The proof is right, and an operator disabled the account.
    AccountDisabled,
    /// The request has a browser's cookie and does not come from a page of this site.
    CrossSiteRequest,
    /// There is no such account.
    UnknownUser,
    /// No function has this path.
    NotFound,
    /// The function takes another method; `Allow` says which.
    MethodNotAllowed,
    /// People cannot tell the name from another account's.
    UsernameTaken,
    /// Another request replaced the credentials first.
    Overtaken,
    /// Somebody edited the account's row; only an operator learns this.
    AlteredAccount,
    /// The body is larger than 16 KiB.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// A rate limit was reached; `Retry-After` says how many seconds to wait.
    TooManyAttempts,
    /// The database or the keys cannot be used; nothing was changed.
    Unavailable,
    /// The connection to the database was lost; the change may have been made.
    OutcomeUnknown,
}

impl Code {
    /// Its HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidJson | Self::MissingField | Self::InvalidField => 400,
            Self::InvalidCredentials | Self::InvalidToken => 401,
            Self::ProofRequired
            | Self::PasswordExpired
            | Self::MfaEnrollmentRequired
            | Self::AccountDisabled
            | Self::CrossSiteRequest => 403,
            Self::UnknownUser | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::UsernameTaken | Self::Overtaken | Self::AlteredAccount => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyAttempts => 429,
            Self::Unavailable | Self::OutcomeUnknown => 503,
        }
    }

    /// The text for people, unless the route has its own.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::InvalidJson => "Le corps de la requête doit être un objet JSON en UTF-8",
            Self::MissingField => "Un champ requis est absent",
            Self::InvalidField => "Un champ est invalide",
            Self::InvalidCredentials => "Mot de passe incorrect",
            Self::ProofRequired => {
                "Ce compte est actif : joignez le mot de passe actuel et le code 2FA, ou un jeton de renouvellement"
            }
            Self::PasswordExpired => "Mot de passe expiré",
            Self::MfaEnrollmentRequired => "Double authentification requise : générez le secret 2FA",
            Self::InvalidToken => "Jeton invalide ou expiré",
            Self::AccountDisabled => "Ce compte est désactivé",
            Self::CrossSiteRequest => "Requête refusée : elle ne vient pas d'une page de ce site",
            Self::UnknownUser => "Utilisateur inexistant",
            Self::NotFound => "Fonction inconnue",
            Self::MethodNotAllowed => "Méthode non autorisée",
            Self::TooManyAttempts => "Trop de tentatives : réessayez plus tard",
            Self::UsernameTaken => "Ce nom d'utilisateur est déjà pris, ou se confond avec un autre",
            Self::Overtaken => "Une autre requête a remplacé ces identifiants entre-temps",
            Self::AlteredAccount => "Ce compte a été modifié hors du service : vérifiez sa ligne dans la base",
            Self::BodyTooLarge => "Le corps de la requête dépasse 16 Kio",
            Self::UnsupportedMediaType => "Le corps de la requête doit être déclaré Content-Type: application/json",
            Self::Unavailable => "Service momentanément indisponible, rien n'a été modifié",
            Self::OutcomeUnknown => "La réponse s'est perdue : la demande a peut-être été prise en compte",
        }
    }
}
