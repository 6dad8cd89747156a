//! What the rules speak of: accounts, names, times, settings, audit entries. Imports no other layer.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod bearer;
pub(crate) mod chosen_password;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod mask;
pub(crate) mod settings;
pub(crate) mod time;
pub(crate) mod username;
