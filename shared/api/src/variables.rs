//! The application's variables.

/// The variable that every component reads.
pub const SETTINGS: &str = "settings";

/// The URL of the database. A component that reads it may connect there.
pub const DATABASE_URL: &str = "database_url";

/// The only host and port that components may connect to.
pub const DATABASE_HOST: &str = "database_host";

/// The keys that encrypt stored secrets.
pub const ENCRYPTION_KEY: &str = "encryption_key";

/// The keys that sign tokens.
pub const JWT_SECRET: &str = "jwt_secret";

/// The operator's token.
pub const ADMIN_TOKEN: &str = "admin_token";

/// The monitoring system's token.
pub const METRICS_TOKEN: &str = "metrics_token";
