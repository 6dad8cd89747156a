//! Every route, described once: `spin.toml` is written from this table (`cargo xtask manifest`), and a test compares what each
//! component reads with what it is granted here.

use crate::{
    Route, SessionUse, activity, administer_account, audit_log, authenticate_user_v2, authentication,
    create_account_secure, frontend, generate_mfa, generate_mfa_v2, generate_password, generate_password_v2, health,
    jwks, maintain, metrics, openapi, rotate_keys, second_factor, session, sessions, verify_mfa,
};

/// A component and the paths that lead to it.
#[derive(Debug)]
pub struct RouteDescription {
    /// Spin's id of the component: the name of its folder, its module here and its acceptance tests, which say `mfa` where a path
    /// says `2fa`, because Spin refuses ids in which a word starts with a digit.
    pub component: &'static str,
    /// As the manifest has them.
    pub paths: &'static [&'static str],
    /// The methods that are answered with anything but 405; none: all of them.
    pub methods: &'static [&'static str],
    /// What the route has to do with sessions.
    pub session: SessionUse,
    /// The variables that its component reads besides [`SETTINGS`]: it is granted no others.
    pub variables: &'static [&'static str],
    /// What it does, for who lists the application's routes.
    pub summary: &'static str,
    /// Whom it is for: a gateway's public host name leads to nothing of the operators'.
    pub audience: Audience,
    /// Which application of a cluster runs it.
    pub application: Application,
}

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People and programs, from anywhere.
    Everyone,
    /// Those who run the service.
    Operators,
}

/// A cluster runs the components as two applications of one image, so that the hashes of the first generation take the processors of
/// their own pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// The second generation, sessions, pages and the operators' functions.
    Second,
    /// The first generation, where passwords are hashes.
    First,
    /// In each.
    Both,
}

impl RouteDescription {
    const fn for_operators(self) -> Self {
        Self { audience: Audience::Operators, ..self }
    }

    const fn in_application(self, application: Application) -> Self {
        Self { application, ..self }
    }
}

/// The variable that every component reads.
pub const SETTINGS: &str = "settings";

/// The variable that leads to the database: who reads it may connect there.
pub const DATABASE_URL: &str = "database_url";

/// The one place that components may connect to.
pub const DATABASE_HOST: &str = "database_host";

/// What protects stored secrets.
pub const ENCRYPTION_KEY: &str = "encryption_key";

/// What signs tokens.
pub const JWT_SECRET: &str = "jwt_secret";

/// What tells the operator from others.
pub const ADMIN_TOKEN: &str = "admin_token";

/// What tells a monitoring system from others.
pub const METRICS_TOKEN: &str = "metrics_token";

/// A function's two paths.
macro_rules! function {
    ($name:literal) => {
        &[concat!("/function/", $name), concat!("/f/", $name)]
    };
}

const fn route<R: Route>(
    component: &'static str,
    paths: &'static [&'static str],
    variables: &'static [&'static str],
    summary: &'static str,
) -> RouteDescription {
    RouteDescription { session: R::SESSION, ..plain(component, paths, R::METHODS, variables, summary) }
}

const fn plain(
    component: &'static str,
    paths: &'static [&'static str],
    methods: &'static [&'static str],
    variables: &'static [&'static str],
    summary: &'static str,
) -> RouteDescription {
    RouteDescription {
        component,
        paths,
        methods,
        session: SessionUse::Ignored,
        variables,
        summary,
        audience: Audience::Everyone,
        application: Application::Second,
    }
}

const LOGIN: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET];
const CREDENTIALS: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET, ADMIN_TOKEN];
const SESSIONS: &[&str] = &[DATABASE_URL, JWT_SECRET];
const ADMINISTRATION: &[&str] = &[DATABASE_URL, ENCRYPTION_KEY, ADMIN_TOKEN];

/// All of them.
pub const ROUTES: [RouteDescription; 22] = [
    route::<generate_password_v2::Request>(
        "generate-password-v2",
        function!("generate-password-v2"),
        CREDENTIALS,
        "Gives an account a generated password, as a QR code",
    ),
    route::<generate_mfa_v2::Request>(
        "generate-mfa-v2",
        function!("generate-2fa-v2"),
        CREDENTIALS,
        "Gives an account the secret of its one-time codes, as a QR code",
    ),
    route::<authenticate_user_v2::Request>(
        "authenticate-user-v2",
        function!("authenticate-user-v2"),
        LOGIN,
        "Logs in with password and code",
    ),
    route::<create_account_secure::Request>(
        "create-account-secure",
        function!("create-account-secure"),
        CREDENTIALS,
        "Creates an account with a chosen password (first generation)",
    )
    .in_application(Application::First),
    route::<authentication::Request>(
        "authentication",
        function!("authentication"),
        LOGIN,
        "Judges a password, the first step of a login (first generation)",
    )
    .in_application(Application::First),
    route::<generate_password::Request>(
        "generate-password",
        function!("generate-password"),
        CREDENTIALS,
        "Gives an account a generated password (first generation)",
    )
    .in_application(Application::First),
    route::<generate_mfa::Request>(
        "generate-mfa",
        function!("generate-2fa"),
        CREDENTIALS,
        "Gives an account the secret of its one-time codes (first generation)",
    )
    .in_application(Application::First),
    route::<verify_mfa::Request>(
        "verify-mfa",
        function!("verify-2fa"),
        LOGIN,
        "Judges a code, the second step of a login (first generation)",
    )
    .in_application(Application::First),
    route::<session::Request>("session", function!("session"), SESSIONS, "Shows, renews and ends sessions"),
    route::<sessions::Request>(
        "sessions",
        function!("sessions"),
        SESSIONS,
        "The bearer's sessions that may still hold",
    ),
    route::<second_factor::Request>(
        "second-factor",
        function!("second-factor"),
        SESSIONS,
        "Drops a new second factor that waits for its first code",
    ),
    route::<activity::Request>("activity", function!("activity"), SESSIONS, "The bearer's own last attempts"),
    route::<administer_account::Request>(
        "administer-account",
        function!("administer-account"),
        ADMINISTRATION,
        "What an operator does with an account",
    )
    .for_operators(),
    route::<audit_log::Request>(
        "audit-log",
        function!("audit-log"),
        &[DATABASE_URL, ADMIN_TOKEN],
        "Every attempt, for the operator",
    )
    .for_operators(),
    route::<rotate_keys::Request>(
        "rotate-keys",
        function!("rotate-keys"),
        ADMINISTRATION,
        "Seals stored secrets under the first key of the list",
    )
    .for_operators(),
    route::<maintain::Request>(
        "maintain",
        function!("maintain"),
        ADMINISTRATION,
        "Counts, tidies and removes what is older than it is kept, a batch at a time",
    )
    .for_operators(),
    plain(
        "metrics",
        &["/metrics"],
        metrics::METHODS,
        &[DATABASE_URL, METRICS_TOKEN],
        "What a monitoring system asks for",
    )
    .for_operators(),
    plain(
        "health",
        function!("health"),
        health::METHODS,
        &[DATABASE_URL, DATABASE_HOST, ENCRYPTION_KEY, JWT_SECRET, ADMIN_TOKEN],
        "Whether the functions can work",
    )
    .for_operators()
    .in_application(Application::Both),
    plain("jwks", &["/.well-known/jwks.json"], jwks::METHODS, &[JWT_SECRET], "The public keys of sessions"),
    plain("openapi", &["/openapi.json"], openapi::METHODS, &[], "The contract, as an OpenAPI document"),
    plain("not-found", &["/function/...", "/f/..."], &[], &[], "Answers every other path under both prefixes")
        .in_application(Application::Both),
    plain("frontend", &["/..."], frontend::METHODS, &[], "The web interface"),
];
