//! SQL as it is sent: each run of white space is one space, which makes a component 10 kB smaller. No statement has two
//! spaces in a literal.

/// The bytes that [`compact`] leaves.
pub(super) const fn compact_length(sql: &str) -> usize {
    let (bytes, mut at, mut length) = (sql.as_bytes(), 0, 0);
    while at < bytes.len() {
        length += is_kept(bytes, at) as usize;
        at += 1;
    }
    length
}

/// The statement with each run of white space as one space.
pub(super) const fn compact<const LENGTH: usize>(sql: &str) -> [u8; LENGTH] {
    let (bytes, mut at, mut length) = (sql.as_bytes(), 0, 0);
    let mut kept = [b' '; LENGTH];
    while at < bytes.len() {
        if is_kept(bytes, at) {
            if !bytes[at].is_ascii_whitespace() {
                kept[length] = bytes[at];
            }
            length += 1;
        }
        at += 1;
    }
    kept
}

const fn is_kept(bytes: &[u8], at: usize) -> bool {
    !bytes[at].is_ascii_whitespace() || (at > 0 && !bytes[at - 1].is_ascii_whitespace())
}

/// A statement as it is sent.
macro_rules! sql {
    ($text:expr) => {{
        const BYTES: [u8; compact_length($text)] = compact($text);
        match str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    }};
}
pub(super) use sql;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_white_space_are_one_space() {
        const TEXT: &str = sql!("\n  one  two,\n\tthree ");
        assert_eq!(TEXT, "one two, three ");
    }
}
