//! The calls of the database's functions, written by the build script from the functions' own files in `migrations/sql/functions`.

use spin_sdk::pg4::ParameterValue;

/// A call of one function of the database.
pub(super) trait Call {
    /// Its name.
    const NAME: &'static str;
    /// Its text. The name comes first, for people who read the server's log or a trace.
    const TEXT: &'static str;
    /// Whether it only reads, so that it may be repeated.
    const IS_READ_ONLY: bool;

    fn parameters(self) -> Vec<ParameterValue>;
}

/// A type that a parameter may have.
trait Parameter {
    fn push(self, parameters: &mut Vec<ParameterValue>);
}

impl Parameter for &str {
    fn push(self, parameters: &mut Vec<ParameterValue>) {
        parameters.push(ParameterValue::Str(self.to_owned()));
    }
}

impl Parameter for i64 {
    fn push(self, parameters: &mut Vec<ParameterValue>) {
        parameters.push(ParameterValue::Int64(self));
    }
}

impl Parameter for bool {
    fn push(self, parameters: &mut Vec<ParameterValue>) {
        parameters.push(ParameterValue::Boolean(self));
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn push(self, parameters: &mut Vec<ParameterValue>) {
        match self {
            Some(value) => value.push(parameters),
            None => parameters.push(ParameterValue::DbNull),
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/calls.rs"));
