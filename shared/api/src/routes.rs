//! The table of all routes. `spin.toml`, what `deploy/` says of routes, `openapi.json`, `docs/api.md`, the envelope around each function and
//! the tests' lists come from it.

use crate::route::{Application, Audience, BearerOf, BodyIs, Operation, Parameter, Route, SessionUse, schema_of};
use crate::variables::{ADMIN_TOKEN, DATABASE_HOST, DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET, METRICS_TOKEN};
use crate::{
    activity, administer_account, audit_log, authenticate_user_v2, authentication, create_account_secure, generate_mfa,
    generate_mfa_v2, generate_password, generate_password_v2, health, jwks, maintain, rotate_keys, second_factor,
    session, sessions, verify_mfa,
};

const LOGIN: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET];
const ISSUANCE: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET, ADMIN_TOKEN];
const SESSION_KEYS: &[&str] = &[DATABASE_URL, JWT_SECRET];
const ADMINISTRATION: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, ADMIN_TOKEN];

/// The two paths of a function.
macro_rules! function {
    ($name:literal) => {
        &[concat!("/function/", $name), concat!("/f/", $name)]
    };
}

/// What most routes have in common; each entry says the rest.
const PLAIN: Route = Route {
    component: "",
    paths: &[],
    summary: "",
    operations: &[],
    body: BodyIs::Ignored,
    session: SessionUse::Ignored,
    bearer: BearerOf::Nobody,
    variables: &[],
    audience: Audience::Everyone,
    application: Application::Second,
};

/// A function that takes a JSON body.
const JSON: Route = Route { body: BodyIs::Json, ..PLAIN };

/// A function that issues a credential.
const ISSUING: Route =
    Route { session: SessionUse::Accepted, bearer: BearerOf::SessionOrOperator, variables: ISSUANCE, ..JSON };

/// A function that takes a session and no body.
const OF_SESSION: Route =
    Route { session: SessionUse::Accepted, bearer: BearerOf::Session, variables: SESSION_KEYS, ..PLAIN };

/// A function of the operators' that takes a JSON body.
const OF_OPERATOR: Route =
    Route { bearer: BearerOf::Operator, variables: ADMINISTRATION, audience: Audience::Operators, ..JSON };

/// `generate-password-v2`
pub const GENERATE_PASSWORD_V2: Route = Route {
    component: "generate-password-v2",
    paths: function!("generate-password-v2"),
    summary: "Gives an account a generated password, as a QR code",
    operations: &[Operation::post(
        "A new account's password, a fresh start for an account that never logged in, or with proof an active \
         account's new password",
        &[401, 403, 409, 429],
        schema_of::<generate_password_v2::Request>(),
        schema_of::<generate_password_v2::Response>(),
    )],
    ..ISSUING
};

/// `generate-2fa-v2`
pub const GENERATE_MFA_V2: Route = Route {
    component: "generate-mfa-v2",
    paths: function!("generate-2fa-v2"),
    summary: "Gives an account the secret of its one-time codes, as a QR code",
    operations: &[Operation::post(
        "The secret of an account's one-time codes; on an active account it waits for its first code",
        &[401, 403, 404, 409, 429],
        schema_of::<generate_mfa_v2::Request>(),
        schema_of::<generate_mfa_v2::Response>(),
    )],
    ..ISSUING
};

/// `authenticate-user-v2`
pub const AUTHENTICATE_USER_V2: Route = Route {
    component: "authenticate-user-v2",
    paths: function!("authenticate-user-v2"),
    summary: "Logs in with password and code",
    operations: &[Operation::post(
        "Checks a password and a code together",
        &[401, 403, 429],
        schema_of::<authenticate_user_v2::Request>(),
        schema_of::<authenticate_user_v2::Response>(),
    )],
    session: SessionUse::Issued,
    variables: LOGIN,
    ..JSON
};

/// `create-account-secure`
pub const CREATE_ACCOUNT_SECURE: Route = Route {
    component: "create-account-secure",
    paths: function!("create-account-secure"),
    summary: "Creates an account with a chosen password (API version 1)",
    operations: &[Operation::post(
        "An account with a password that its owner chose; the operator's token is only needed where only they create \
         accounts",
        &[403, 409, 429],
        schema_of::<create_account_secure::Request>(),
        schema_of::<create_account_secure::Response>(),
    )],
    bearer: BearerOf::OperatorMaybe,
    variables: ISSUANCE,
    application: Application::First,
    ..JSON
};

/// `authentication`
pub const AUTHENTICATION: Route = Route {
    component: "authentication",
    paths: function!("authentication"),
    summary: "Checks a password, the first step of a login (API version 1)",
    operations: &[Operation::post(
        "The first step of a login: checks a password, and issues a challenge for the second step",
        &[401, 403, 429],
        schema_of::<authentication::Request>(),
        schema_of::<authentication::Response>(),
    )],
    variables: LOGIN,
    application: Application::First,
    ..JSON
};

/// `generate-password`
pub const GENERATE_PASSWORD: Route = Route {
    component: "generate-password",
    paths: function!("generate-password"),
    summary: "Gives an account a generated password (API version 1)",
    operations: &[Operation::post(
        "As `generate-password-v2`, for accounts that exist; the password is in the answer",
        &[401, 403, 404, 409, 429],
        schema_of::<generate_password_v2::Request>(),
        schema_of::<generate_password::Response>(),
    )],
    application: Application::First,
    ..ISSUING
};

/// `generate-2fa`
pub const GENERATE_MFA: Route = Route {
    component: "generate-mfa",
    paths: function!("generate-2fa"),
    summary: "Gives an account the secret of its one-time codes (API version 1)",
    operations: &[Operation::post(
        "As `generate-2fa-v2`, with the issuer `MSPR-App` whatever `issuer` says; the secret is in the answer",
        &[401, 403, 404, 409, 429],
        schema_of::<generate_mfa_v2::Request>(),
        schema_of::<generate_mfa::Response>(),
    )],
    application: Application::First,
    ..ISSUING
};

/// `verify-2fa`
pub const VERIFY_MFA: Route = Route {
    component: "verify-mfa",
    paths: function!("verify-2fa"),
    summary: "Checks a code, the second step of a login (API version 1)",
    operations: &[Operation::post(
        "Checks a code, and uses it up; with a challenge, that is the second step of a login",
        &[401, 403, 429],
        schema_of::<verify_mfa::Request>(),
        schema_of::<verify_mfa::Response>(),
    )],
    session: SessionUse::Issued,
    variables: LOGIN,
    application: Application::First,
    ..JSON
};

/// `session`
pub const SESSION: Route = Route {
    component: "session",
    paths: function!("session"),
    summary: "Shows, renews and ends sessions",
    operations: &[
        Operation::get("Whose session it is", &[401], schema_of::<session::Current>()),
        Operation::post(
            "Renews a session, until 12 hours after its login at most",
            &[401, 403, 413, 415],
            None,
            schema_of::<session::Renewed>(),
        ),
        Operation {
            query: &[Parameter {
                name: "this",
                kind: "integer",
                meaning: "`1`: this one alone; any other value is refused",
            }],
            ..Operation::delete(
                "Ends all sessions of the account, or this one alone",
                &[400, 401, 403, 413, 415],
                schema_of::<session::Ended>(),
            )
        },
    ],
    ..OF_SESSION
};

/// `sessions`
pub const SESSIONS: Route = Route {
    component: "sessions",
    paths: function!("sessions"),
    summary: "The account's sessions that may still be valid",
    operations: &[Operation::get(
        "The account's sessions that may still be valid",
        &[401],
        schema_of::<sessions::Response>(),
    )],
    ..OF_SESSION
};

/// `second-factor`
pub const SECOND_FACTOR: Route = Route {
    component: "second-factor",
    paths: function!("second-factor"),
    summary: "Drops a new second factor that waits for its first code",
    operations: &[Operation::delete(
        "Drops a new second factor that waits for its first code; the session's login is at most 5 minutes ago",
        &[401, 403, 413, 415],
        schema_of::<second_factor::Response>(),
    )],
    ..OF_SESSION
};

/// `activity`
pub const ACTIVITY: Route = Route {
    component: "activity",
    paths: function!("activity"),
    summary: "The last attempts on the bearer's own account",
    operations: &[Operation::get(
        "The last attempts on the bearer's own account",
        &[401],
        schema_of::<activity::Response>(),
    )],
    ..OF_SESSION
};

/// `administer-account`
pub const ADMINISTER_ACCOUNT: Route = Route {
    component: "administer-account",
    paths: function!("administer-account"),
    summary: "An operator's actions on an account",
    operations: &[Operation::post(
        "An operator's action on an account; 404 where no operator's token is configured",
        &[401, 404, 409, 429],
        schema_of::<administer_account::Request>(),
        schema_of::<administer_account::Response>(),
    )],
    ..OF_OPERATOR
};

/// `audit-log`
pub const AUDIT_LOG: Route = Route {
    component: "audit-log",
    paths: function!("audit-log"),
    summary: "Every attempt, for the operator",
    operations: &[Operation {
        query: &[
            Parameter { name: "username", kind: "string", meaning: "Attempts under this name only" },
            Parameter { name: "limit", kind: "integer", meaning: "At most so many, 1 to 500; 100 if absent" },
            Parameter { name: "before", kind: "integer", meaning: "Older than the entry of this number" },
        ],
        ..Operation::get(
            "The attempts, the newest first; 404 where no operator's token is configured",
            &[400, 401, 404, 429],
            schema_of::<audit_log::Response>(),
        )
    }],
    body: BodyIs::Ignored,
    variables: &[DATABASE_URL, ADMIN_TOKEN],
    ..OF_OPERATOR
};

/// `rotate-keys`
pub const ROTATE_KEYS: Route = Route {
    component: "rotate-keys",
    paths: function!("rotate-keys"),
    summary: "Encrypts stored secrets again under the first key of the list",
    operations: &[Operation::post(
        "Encrypts a batch of stored secrets again under the first key; 404 where no operator's token is configured",
        &[401, 404, 429],
        schema_of::<rotate_keys::Request>(),
        schema_of::<rotate_keys::Response>(),
    )],
    ..OF_OPERATOR
};

/// `maintain`
pub const MAINTAIN: Route = Route {
    component: "maintain",
    paths: function!("maintain"),
    summary: "Maintains the database, a batch at a time",
    operations: &[Operation::post(
        "A batch of maintenance: partitions of the audit, expired rows, counts; 404 where no operator's token is \
         configured",
        &[401, 404, 429],
        schema_of::<maintain::Request>(),
        schema_of::<maintain::Response>(),
    )],
    ..OF_OPERATOR
};

/// `/metrics`
pub const METRICS: Route = Route {
    component: "metrics",
    paths: &["/metrics"],
    summary: "The metrics for a monitoring system",
    operations: &[Operation::get(
        "The metrics in the text format of Prometheus; 404 unless the monitoring system's token is configured and shown",
        &[404],
        None,
    )],
    bearer: BearerOf::Monitoring,
    variables: &[DATABASE_URL, METRICS_TOKEN],
    audience: Audience::Operators,
    ..PLAIN
};

/// `health`
pub const HEALTH: Route = Route {
    component: "health",
    paths: function!("health"),
    summary: "Whether the functions can work",
    operations: &[Operation::get(
        "Whether the functions can work, and which part is missing if they cannot",
        &[],
        schema_of::<health::Response>(),
    )],
    variables: &[DATABASE_URL, DATABASE_HOST, ENCRYPTION_KEY, JWT_SECRET, ADMIN_TOKEN],
    audience: Audience::Operators,
    application: Application::Both,
    ..PLAIN
};

/// `/.well-known/jwks.json`
pub const JWKS: Route = Route {
    component: "jwks",
    paths: &["/.well-known/jwks.json"],
    summary: "The public keys of sessions",
    operations: &[Operation::get(
        "The public keys of sessions, the one that signs first",
        &[],
        schema_of::<jwks::Response>(),
    )],
    variables: &[JWT_SECRET],
    ..PLAIN
};

/// `/openapi.json`
pub const OPENAPI: Route = Route {
    component: "openapi",
    paths: &["/openapi.json"],
    summary: "The contract, as an OpenAPI document",
    operations: &[Operation::get("This document", &[], None)],
    ..PLAIN
};

/// Every other path under both prefixes.
pub const NOT_FOUND: Route = Route {
    component: "not-found",
    paths: &["/function/...", "/f/..."],
    summary: "Answers every other path under both prefixes",
    application: Application::Both,
    ..PLAIN
};

/// The web interface.
pub const FRONTEND: Route = Route {
    component: "frontend",
    paths: &["/..."],
    summary: "The web interface",
    operations: &[
        Operation::get("A page", &[], None),
        Operation { method: "HEAD", ..Operation::get("The headers of a page", &[], None) },
    ],
    ..PLAIN
};

/// All of them.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    GENERATE_PASSWORD_V2, GENERATE_MFA_V2, AUTHENTICATE_USER_V2, CREATE_ACCOUNT_SECURE, AUTHENTICATION,
    GENERATE_PASSWORD, GENERATE_MFA, VERIFY_MFA, SESSION, SESSIONS, SECOND_FACTOR, ACTIVITY, ADMINISTER_ACCOUNT,
    AUDIT_LOG, ROTATE_KEYS, MAINTAIN, METRICS, HEALTH, JWKS, OPENAPI, NOT_FOUND, FRONTEND,
];
