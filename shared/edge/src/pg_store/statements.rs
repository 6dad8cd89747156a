//! The text of every statement.
//!
//! One that writes passes its gates first, which count and lock what is throttled; then comes its deed, whose conditions stand on
//! the row that they guard; then the audit row; last, a few idle counts go. Each part waits for the one before, so that rows are
//! always locked in one order: generations, address, name, account. Times are parameters: the functions' clock counts, never the
//! database's.

use super::compact::{compact, compact_length, sql};

/// The latest migration that these statements know.
pub const SCHEMA_VERSION: i64 = 4;

/// A statement that returns a row, whatever is stored. Only what is put together below is one: a list of columns of
/// `(SELECT 1) one`, to which everything else is joined on the left. Spin 4.0 never answers a `query` without rows.
#[derive(Clone, Copy)]
pub(super) struct Reads {
    name: &'static str,
    text: &'static str,
}

/// A statement that writes and returns one row: its parts stand between the gates that every one passes first and the audit row
/// that every one adds. All of them are constants; putting them together when they are sent keeps the gates in a component once.
#[derive(Clone, Copy)]
pub(super) struct Writes {
    name: &'static str,
    parts: &'static str,
    result: &'static str,
}

/// A statement that is executed: it returns no row.
#[derive(Clone, Copy)]
pub(super) struct Executes {
    name: &'static str,
    text: &'static str,
}

/// The text of a statement, as it is sent: its name comes first, for who looks at the server or at a trace.
pub(super) trait Statement: Copy {
    fn text(self) -> String;
}

impl Statement for Reads {
    fn text(self) -> String {
        named(self.name, &[self.text])
    }
}

impl Statement for Writes {
    fn text(self) -> String {
        named(self.name, &[GATES, self.parts, AUDIT, self.result])
    }
}

impl Statement for Executes {
    fn text(self) -> String {
        named(self.name, &[self.text])
    }
}

fn named(name: &str, parts: &[&str]) -> String {
    ["/* ", name, " */ ", &parts.concat()].concat()
}

/// The parameters that every writing statement shares, see `parameters.rs`:
/// `$1` action, `$2` name, `$3` address, `$4` agent, `$5` now, `$6` account (none for a new one; it may be gone by now),
/// `$7` reason if the deed is not done, `$8` proof, `$9` reason even if it is done (then it is no success);
/// generations: `$10` subject (none: not counted), `$11` limit, `$12` window;
/// the address: `$13` subject (none: not counted), `$14` what is added, `$15` limit, `$16` window;
/// the name: `$17` subject (none: not counted), `$18` place, `$19` what is done with its count, `$20` limit, `$21` first lock,
/// `$22` longest lock, `$23` how long it is remembered. A statement's own begin at `$24`.
///
/// A parameter's type is said where it first stands, and known from there on.
const GATES: &str = sql!(
    "WITH generation_gate AS (
         INSERT INTO throttles AS t (subject, place, failures, since, idle_at)
         SELECT $10::text, '', 1, $5::bigint, $5 + $12::bigint WHERE $10 IS NOT NULL
         ON CONFLICT (subject, place) DO UPDATE SET
             failures = CASE WHEN t.since + $12 > $5 THEN t.failures + 1 ELSE 1 END,
             since = CASE WHEN t.since + $12 > $5 THEN t.since ELSE $5 END,
             idle_at = CASE WHEN t.since + $12 > $5 THEN t.since ELSE $5 END + $12
         WHERE t.since + $12 <= $5 OR t.failures < $11::bigint
         RETURNING 1
     ), address_gate AS (
         INSERT INTO throttles AS t (subject, place, failures, since, idle_at)
         SELECT $13::text, '', $14::bigint, $5, $5 + $16::bigint
         WHERE $13 IS NOT NULL AND ($10 IS NULL OR EXISTS (SELECT FROM generation_gate))
         ON CONFLICT (subject, place) DO UPDATE SET
             failures = CASE WHEN t.since + $16 > $5 THEN t.failures ELSE 0 END + $14,
             since = CASE WHEN t.since + $16 > $5 THEN t.since ELSE $5 END,
             idle_at = CASE WHEN t.since + $16 > $5 THEN t.since ELSE $5 END + $16
         WHERE t.since + $16 <= $5 OR t.failures < $15::bigint
         RETURNING 1
     ), name_gate AS (
         INSERT INTO throttles AS t (subject, place, failures, since, locked_until, idle_at)
         SELECT $17::text, $18::text, CASE $19::text WHEN 'count' THEN 1 ELSE 0 END, $5,
                CASE WHEN $19 = 'count' AND $20::bigint <= 1 THEN $5 + $21::bigint ELSE 0 END,
                $5 + CASE $19 WHEN 'count' THEN $23::bigint ELSE 0 END
         WHERE $17 IS NOT NULL AND ($10 IS NULL OR EXISTS (SELECT FROM generation_gate))
               AND ($13 IS NULL OR EXISTS (SELECT FROM address_gate))
         ON CONFLICT (subject, place) DO UPDATE SET
             failures = CASE $19 WHEN 'count' THEN CASE WHEN t.idle_at > $5 THEN t.failures ELSE 0 END + 1
                                 WHEN 'keep' THEN t.failures ELSE 0 END,
             locked_until = CASE $19
                 WHEN 'count' THEN CASE
                     WHEN t.idle_at > $5 AND t.failures + 1 >= $20
                     THEN $5 + least($22::bigint, $21 << least(t.failures + 1 - $20, 16)::integer)
                     WHEN $20 <= 1 THEN $5 + $21
                     ELSE 0 END
                 WHEN 'keep' THEN t.locked_until ELSE 0 END,
             idle_at = CASE $19 WHEN 'count' THEN $5 + $23
                                WHEN 'keep' THEN t.idle_at ELSE $5 END,
             since = $5
         WHERE t.locked_until <= $5 OR $19 = 'forgive'
         RETURNING 1
     ), gate AS (
         SELECT 1 WHERE ($10 IS NULL OR EXISTS (SELECT FROM generation_gate))
                        AND ($13 IS NULL OR EXISTS (SELECT FROM address_gate))
                        AND ($17 IS NULL OR EXISTS (SELECT FROM name_gate))
     ), "
);

const AUDIT: &str = sql!(
    ", audit AS (
         INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
         SELECT coalesce((SELECT id FROM deed), (SELECT id FROM users_v2 WHERE id = $6::bigint)), $1, $3::text::inet,
                $4, EXISTS (SELECT FROM deed) AND $9::text IS NULL,
                jsonb_strip_nulls(jsonb_build_object(
                    'username', $2::text,
                    'proof', $8::text,
                    'reason', CASE WHEN NOT EXISTS (SELECT FROM gate) THEN 'too_many_attempts'
                                   WHEN EXISTS (SELECT FROM deed) THEN $9 ELSE $7::text END)),
                to_timestamp($5) AT TIME ZONE 'UTC'
         RETURNING 1
     ), swept AS (
         DELETE FROM throttles WHERE (subject, place) IN (
             SELECT subject, place FROM throttles
             WHERE idle_at < $5 AND EXISTS (SELECT FROM audit)
                   AND subject NOT IN (coalesce($10, ''), coalesce($13, ''), coalesce($17, ''))
             ORDER BY idle_at LIMIT 4 FOR UPDATE SKIP LOCKED)
     )
     SELECT EXISTS (SELECT FROM gate), "
);

/// The account's counters after the deed.
const COUNTERS: &str = sql!(
    "d.id::bigint, d.password_generation, d.mfa_generation, d.login_counter, d.security_counter, d.session_epoch
     FROM (SELECT 1) one LEFT JOIN deed d ON TRUE"
);

macro_rules! writes {
    ($name:literal: $first:expr $(, $more:expr)* ; $result:expr) => {
        Writes { name: $name, parts: sql!(concat!($first $(, ", ", $more)*)), result: $result }
    };
    ($name:literal: $($parts:expr),+) => {
        writes!($name: $($parts),+ ; COUNTERS)
    };
}

/// `with` may be empty; `joins` are left joins to the one row, so that there is always one.
macro_rules! reads {
    ($name:literal: $with:expr, $columns:expr, $joins:expr) => {
        Reads { name: $name, text: sql!(concat!($with, "SELECT ", $columns, " FROM (SELECT 1) one ", $joins)) }
    };
}

/// What [`COUNTERS`] reads of a deed.
macro_rules! counters {
    () => {
        "RETURNING id, password_generation, mfa_generation, login_counter, security_counter, session_epoch"
    };
}

/// The keys that rows need after the deed; the argument is the parameter with their names.
macro_rules! registers {
    ($keys:literal) => {
        concat!(
            "registered AS (
                 INSERT INTO encryption_keys (id, registered_at)
                 SELECT unnest(string_to_array(",
            $keys,
            ", ',')), $5 FROM deed ON CONFLICT DO NOTHING
             )"
        )
    };
}

/// What every replacement of a credential changes besides: see `Own::grant` and `Own::change`.
macro_rules! replacement_changes {
    () => {
        "security_counter = security_counter + CASE WHEN $31::boolean THEN 0 ELSE 1 END,
         mfa_last_step = greatest(mfa_last_step, $30::bigint),
         otp_failures = CASE WHEN $31::boolean OR $30::bigint IS NOT NULL THEN 0 ELSE otp_failures END,
         operator_touched = $32::boolean, standing_key = $33, standing_binding = $34,
         expired = $35::boolean, expired_since = $36::bigint, legacy = legacy OR $37::boolean,"
    };
}

/// What the grant of a replacement stood on must still be so; the arguments are the parameters with the limit of wrong codes and
/// the mark that was seen.
macro_rules! grant_stands {
    ($limit:literal, $mark:literal) => {
        concat!(
            "WHERE id = $6::bigint AND EXISTS (SELECT FROM gate)
                   AND password_generation = $24::bigint AND mfa_generation = $25::bigint AND login_counter = $26::bigint
                   AND security_counter = $27::bigint AND session_epoch = $28::bigint AND state = $29
                   AND ($30::bigint IS NULL OR (mfa_last_step IS NULL OR mfa_last_step < $30::bigint)
                                           AND (", $limit, "::bigint = 0 OR otp_failures < ", $limit, "::bigint))
                   AND coalesce(expired, FALSE) = ", $mark, "::boolean"
        )
    };
}

/// The names of the keys that stored secrets need, and some tokens that other programs wrote.
macro_rules! stored_keys {
    () => {
        "(SELECT string_agg(id, ',') FROM encryption_keys),
         (SELECT string_agg(password, ',') FROM (
              SELECT password FROM users_v2
              WHERE password_key IS NULL AND length(password) >= 100 AND password LIKE 'gAAAAA%'
              ORDER BY id DESC LIMIT 3) newest)"
    };
}

/// What `read_account` reads, in its order.
macro_rules! account_columns {
    () => {
        "u.id::bigint, u.username, u.password, u.password_key, u.password_binding, u.state, u.origin, u.operator_touched,
         u.disabled_at IS NOT NULL, u.standing_binding, u.gendate::bigint, nullif(u.mfa, ''), u.mfa_key, u.mfa_binding,
         u.mfa_gendate, u.pending_mfa, u.pending_mfa_key, u.pending_mfa_binding, u.pending_mfa_gendate, u.enrolment_ends,
         coalesce(u.expired, FALSE), u.expired_since, u.password_generation, u.mfa_generation, u.login_counter,
         u.security_counter, u.session_epoch, u.mfa_last_step, u.otp_failures, u.generated_at, u.generated_from"
    };
}

/// What a secret that is not as it should be looks like; `$1` is the first key's name.
macro_rules! stale_account {
    () => {
        "(u.password_key IS DISTINCT FROM $1 OR u.standing_key IS DISTINCT FROM $1
          OR nullif(u.mfa, '') IS NOT NULL AND u.mfa_key IS DISTINCT FROM $1
          OR u.pending_mfa IS NOT NULL AND u.pending_mfa_key IS DISTINCT FROM $1)"
    };
}

pub(super) const FIND: Reads = reads!(
    "find":
    "WITH account AS (
         SELECT *, username = $1 AS is_exact, username = $1 AND $3 = ANY (login_places) AS is_known_place
         FROM users_v2 WHERE username = $1 OR username_key = $2
         ORDER BY username = $1 DESC LIMIT 1
     )
     ",
    concat!(
        "a.failures, a.since, g.failures, g.since, n.locked_until, coalesce(u.is_known_place, FALSE), ",
        stored_keys!(),
        ", u.is_exact, ",
        account_columns!()
    ),
    "LEFT JOIN account u ON TRUE
     LEFT JOIN throttles a ON a.subject = $4 AND a.place = ''
     LEFT JOIN throttles g ON g.subject = $5 AND g.place = ''
     LEFT JOIN throttles n ON n.subject = $6 AND n.place = CASE WHEN u.is_known_place THEN $3 ELSE '' END"
);

/// Of a disabled account, as of one that is gone, only NULLs.
pub(super) const FIND_SESSION: Reads = reads!(
    "find_session":
    "",
    "u.id::bigint, u.username, u.session_epoch, least(u.gendate, u.mfa_gendate)",
    "LEFT JOIN users_v2 u ON u.id = $1::bigint AND u.disabled_at IS NULL"
);

pub(super) const CREATE_ACCOUNT: Writes = writes!(
    "create_account":
    concat!("deed AS (
         INSERT INTO users_v2 (username, username_key, password, password_key, password_binding, gendate, expired, state,
                               origin, operator_touched, standing_key, standing_binding, legacy, password_generation,
                               generated_at, generated_from, created_at, updated_at)
         SELECT $2, $24, $25, $26, $27, $5, FALSE, $28, $29, $30::boolean, $26, $31, $32::boolean, 1, $5, $33,
                to_timestamp($5) AT TIME ZONE 'UTC', to_timestamp($5) AT TIME ZONE 'UTC'
         WHERE EXISTS (SELECT FROM gate)
         ON CONFLICT DO NOTHING
         ", counters!(), "
     )"),
    "history AS (
         INSERT INTO password_history_v2 (user_id, password, password_key, password_binding, gendate, expired, created_at)
         SELECT id, $25, $26, $34, $5, FALSE, to_timestamp($5) AT TIME ZONE 'UTC' FROM deed
     )",
    registers!("$35")
);

/// Own parameters from `$24`: five counters and the state as they were seen, the code's step, whether it is a renewal,
/// standing (operator, key, binding), expiry (mark, moment), legacy, place; then the new password with key and both bindings,
/// and whether the account starts over.
pub(super) const REPLACE_PASSWORD: Writes = writes!(
    "replace_password":
    concat!("deed AS (
         UPDATE users_v2
         SET password = $38, password_key = $33, password_binding = $39, gendate = $5,
             password_generation = password_generation + 1,
             mfa = CASE WHEN $41::boolean THEN NULL ELSE mfa END,
             mfa_key = CASE WHEN $41::boolean THEN NULL ELSE mfa_key END,
             mfa_binding = CASE WHEN $41::boolean THEN NULL ELSE mfa_binding END,
             mfa_gendate = CASE WHEN $41::boolean OR nullif(mfa, '') IS NULL THEN NULL
                                ELSE coalesce(mfa_gendate, gendate) END,
             mfa_generation = mfa_generation + CASE WHEN $41::boolean THEN 1 ELSE 0 END,
             pending_mfa = CASE WHEN $31::boolean THEN pending_mfa END,
             pending_mfa_key = CASE WHEN $31::boolean THEN pending_mfa_key END,
             pending_mfa_binding = CASE WHEN $31::boolean THEN pending_mfa_binding END,
             pending_mfa_gendate = CASE WHEN $31::boolean THEN pending_mfa_gendate END,
             session_epoch = session_epoch + 1,
             ", replacement_changes!(), "
             generated_at = $5, generated_from = $42, updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         ", grant_stands!("$44", "$45"), "
         ", counters!(), "
     )"),
    "retired AS (
         UPDATE password_history_v2 SET expired = TRUE
         WHERE user_id = (SELECT id FROM deed) AND expired IS NOT TRUE
     )",
    "history AS (
         INSERT INTO password_history_v2 (user_id, password, password_key, password_binding, gendate, expired, created_at)
         SELECT id, $38, $33, $40, $5, FALSE, to_timestamp($5) AT TIME ZONE 'UTC' FROM deed
     )",
    registers!("$43")
);

/// Own parameters as [`REPLACE_PASSWORD`], up to the place; then the new secret with its binding, and the one that was seen.
pub(super) const REPLACE_SECOND_FACTOR: Writes = writes!(
    "replace_second_factor":
    concat!("deed AS (
         UPDATE users_v2
         SET mfa = $38, mfa_key = $33, mfa_binding = $39, mfa_gendate = $5, mfa_generation = mfa_generation + 1,
             pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL,
             session_epoch = session_epoch + 1,
             ", replacement_changes!(), " enrolment_ends = NULL,
             generated_at = $5, generated_from = coalesce(generated_from, $41), updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         ", grant_stands!("$43", "$44"), "
               AND nullif(mfa, '') IS NOT DISTINCT FROM $40
         ", counters!(), "
     )"),
    registers!("$42")
);

/// Own parameters as [`REPLACE_SECOND_FACTOR`].
pub(super) const PUT_SECOND_FACTOR_BESIDE: Writes = writes!(
    "put_second_factor_beside":
    concat!("deed AS (
         UPDATE users_v2
         SET pending_mfa = $38, pending_mfa_key = $33, pending_mfa_binding = $39, pending_mfa_gendate = $5,
             ", replacement_changes!(), "
             generated_at = $5, generated_from = coalesce(generated_from, $41), updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         ", grant_stands!("$43", "$44"), "
               AND nullif(mfa, '') IS NOT DISTINCT FROM $40
         ", counters!(), "
     )"),
    registers!("$42")
);

/// A login that was right, in time or too late. Own parameters from `$24`: the step, whether it is late, whether the second
/// factor that waited is in force from now on, the place; password and second factor sealed again, with key and binding, each
/// none if it stays; the second factor's birth, the state, the standing's key and binding, the mark's moment; then what was
/// seen: both generations, the security counter, the mark, the password, the second factor, the one that waited; the keys that rows
/// need, the limit of wrong codes, and the login counter that a challenge stood on.
pub(super) const CONCLUDE_LOGIN: Writes = writes!(
    "conclude_login":
    concat!("deed AS (
         UPDATE users_v2
         SET state = CASE WHEN $25::boolean THEN state ELSE $35 END, mfa_last_step = coalesce($24::bigint, mfa_last_step),
             otp_failures = CASE WHEN $25::boolean THEN otp_failures ELSE 0 END,
             expired = $25::boolean, expired_since = CASE WHEN $25::boolean THEN $38::bigint END,
             login_counter = login_counter + 1,
             session_epoch = session_epoch + CASE WHEN $26::boolean THEN 1 ELSE 0 END,
             mfa_generation = mfa_generation + CASE WHEN $26::boolean THEN 1 ELSE 0 END,
             login_places = CASE WHEN $25::boolean THEN login_places
                                 ELSE (ARRAY[$27::text] || array_remove(login_places, $27::text))[1:3] END,
             password = coalesce($28, password), password_key = coalesce($29, password_key),
             password_binding = coalesce($30, password_binding),
             mfa = coalesce($31, mfa), mfa_key = coalesce($32, mfa_key), mfa_binding = coalesce($33, mfa_binding),
             mfa_gendate = CASE WHEN $26::boolean THEN $34::bigint ELSE mfa_gendate END,
             pending_mfa = CASE WHEN $26::boolean THEN NULL ELSE pending_mfa END,
             pending_mfa_key = CASE WHEN $26::boolean THEN NULL ELSE pending_mfa_key END,
             pending_mfa_binding = CASE WHEN $26::boolean THEN NULL ELSE pending_mfa_binding END,
             pending_mfa_gendate = CASE WHEN $26::boolean THEN NULL ELSE pending_mfa_gendate END,
             standing_key = CASE WHEN $25::boolean THEN standing_key ELSE $36 END,
             standing_binding = CASE WHEN $25::boolean THEN standing_binding ELSE $37 END, updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate)
               AND password_generation = $39::bigint AND mfa_generation = $40::bigint AND security_counter = $41::bigint
               AND coalesce(expired, FALSE) = $42::boolean AND password = $43 AND nullif(mfa, '') IS NOT DISTINCT FROM $44
               AND (NOT $26::boolean OR pending_mfa IS NOT DISTINCT FROM $45)
               AND ($24::bigint IS NULL OR mfa_last_step IS NULL OR mfa_last_step < $24::bigint)
               AND ($24::bigint IS NULL OR $47::bigint = 0 OR otp_failures < $47::bigint)
               AND ($48::bigint IS NULL OR login_counter = $48::bigint)
         ", counters!(), "
     )"),
    "retired AS (
         UPDATE password_history_v2 SET expired = TRUE
         WHERE user_id = (SELECT id FROM deed) AND $25::boolean AND expired IS NOT TRUE
     )",
    registers!("$46")
);

/// Own parameters: what is added to the wrong codes in a row, the step of a right one, and the limit of wrong codes.
pub(super) const REFUSE: Writes = writes!(
    "refuse":
    concat!(
    "deed AS (
         UPDATE users_v2
         SET otp_failures = otp_failures + $24::bigint, mfa_last_step = greatest(mfa_last_step, $25::bigint)
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate) AND ($24::bigint > 0 OR $25::bigint IS NOT NULL)
               AND ($24::bigint = 0 OR $26::bigint = 0 OR otp_failures < $26::bigint)
         ",
    counters!(),
    "
     )"
));

/// One factor that was right. Own parameters: the code's step, and whether the account is marked as expired; then what was seen: both generations, the security counter, the password, the second factor; the limit of wrong codes.
pub(super) const NOTE_FACTOR: Writes = writes!(
    "note_factor":
    concat!(
    "deed AS (
         UPDATE users_v2
         SET mfa_last_step = coalesce($24::bigint, mfa_last_step),
             expired_since = CASE WHEN $25::boolean AND expired IS NOT TRUE THEN $5 ELSE expired_since END,
             expired = expired IS TRUE OR $25::boolean
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate)
               AND password_generation = $26::bigint AND mfa_generation = $27::bigint AND security_counter = $28::bigint
               AND password = $29 AND nullif(mfa, '') IS NOT DISTINCT FROM $30
               AND ($24::bigint IS NULL OR mfa_last_step IS NULL OR mfa_last_step < $24::bigint)
               AND ($31::bigint = 0 OR otp_failures < $31::bigint)
         ",
    counters!(),
    "
     )"
));

/// By an insert alone: nothing is judged, counted or locked. The first of the shared parameters, and the proof as `$8`.
pub(super) const REFUSE_LOCKED: Executes = Executes {
    name: "refuse_locked",
    text: sql!(
        "INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
    VALUES ((SELECT id FROM users_v2 WHERE id = $6::bigint), $1, $3::text::inet, $4, FALSE,
            jsonb_strip_nulls(jsonb_build_object('username', $2::text, 'proof', $8::text, 'reason', $7::text)),
            to_timestamp($5::bigint) AT TIME ZONE 'UTC')"
    ),
};

/// Own parameter: the epoch that was seen.
pub(super) const RENEW_SESSION: Writes = writes!(
    "renew_session":
    "deed AS (
         SELECT id, password_generation, mfa_generation, login_counter, security_counter, session_epoch FROM users_v2
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate) AND session_epoch = $24::bigint AND disabled_at IS NULL
     )"
);

/// Own parameter: the epoch that was seen.
pub(super) const END_SESSIONS: Writes = writes!(
    "end_sessions":
    concat!(
    "deed AS (
         UPDATE users_v2
         SET session_epoch = session_epoch + 1, security_counter = security_counter + 1,
             pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL,
             updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate) AND session_epoch = $24::bigint AND disabled_at IS NULL
         ",
    counters!(),
    "
     )"
));

/// Own parameters: the digest of the name, whether the account is disabled after it, the standing's key and binding; then the
/// security counter and the state that were seen. What is done follows from `$1`, the action.
pub(super) const ADMINISTER: Writes = writes!(
    "administer":
    "forgotten AS (
         DELETE FROM throttles
         WHERE subject = $24 AND $1::text = 'account_unlocked' AND EXISTS (SELECT FROM gate)
         RETURNING 1
     )",
    concat!(
        "deed AS (
         UPDATE users_v2
         SET disabled_at = CASE WHEN $25::boolean THEN coalesce(disabled_at, $5) END,
             expired = coalesce(expired, FALSE) OR $1::text = 'account_expired',
             expired_since = CASE WHEN $1::text = 'account_expired' THEN $5 ELSE expired_since END,
             mfa = CASE WHEN $1::text = '2fa_reset' THEN NULL ELSE mfa END,
             mfa_key = CASE WHEN $1::text = '2fa_reset' THEN NULL ELSE mfa_key END,
             mfa_binding = CASE WHEN $1::text = '2fa_reset' THEN NULL ELSE mfa_binding END,
             mfa_gendate = CASE WHEN $1::text = '2fa_reset' THEN NULL ELSE mfa_gendate END,
             mfa_generation = mfa_generation + CASE WHEN $1::text = '2fa_reset' THEN 1 ELSE 0 END,
             enrolment_ends = CASE WHEN $1::text = '2fa_reset' THEN $5 + 86400 ELSE enrolment_ends END,
             otp_failures = CASE WHEN $1::text = 'account_unlocked' THEN 0 ELSE otp_failures END,
             pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL,
             security_counter = security_counter + 1,
             session_epoch = session_epoch
                 + CASE WHEN $1::text IN ('account_unlocked', 'account_enabled') THEN 0 ELSE 1 END,
             operator_touched = TRUE, standing_key = $26, standing_binding = $27,
             updated_at = to_timestamp($5) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND EXISTS (SELECT FROM gate) AND (SELECT count(*) FROM forgotten) >= 0
               AND security_counter = $28::bigint AND state = $29
         ",
        counters!(),
        "
     )"
    ),
    registers!("$30")
);

pub(super) const NOTE_AUDIT_READ: Writes = writes!(
    "note_audit_read":
    "deed AS (
         SELECT NULL::integer AS id, 0::bigint AS password_generation, 0::bigint AS mfa_generation,
                0::bigint AS login_counter, 0::bigint AS security_counter, 0::bigint AS session_epoch
         WHERE EXISTS (SELECT FROM gate)
     )"
);

/// A row each; where there is none, one of NULLs.
pub(super) const READ_AUDIT: Reads = reads!(
    "read_audit":
    "",
    "l.*",
    "LEFT JOIN (
         SELECT id::bigint, extract(epoch FROM created_at)::bigint, action, details ->> 'username', user_id::bigint,
                host(ip_address), user_agent, success, details ->> 'reason', details ->> 'proof'
         FROM auth_logs_v2
         WHERE ($1::text IS NULL OR left(details ->> 'username', 50) = $1 AND details ->> 'username' = $1)
               AND ($2::bigint IS NULL OR user_id = $2) AND ($3::bigint IS NULL OR auth_logs_v2.id < $3)
         ORDER BY auth_logs_v2.id DESC LIMIT $4::bigint
     ) l ON TRUE ORDER BY l.id DESC"
);

/// Accounts and rows of the history in the same columns; `$1` the first key's name, `$2` and `$3` where the batch before
/// ended, `$4` its size.
pub(super) const FIND_STALE: Reads = reads!(
    "find_stale":
    "",
    concat!("(SELECT count(*) FROM users_v2 u WHERE ",
    stale_account!(),
    ") + (SELECT count(*) FROM password_history_v2 h WHERE h.password_key IS DISTINCT FROM $1), ",
    stored_keys!(),
    ", b.*"),
    concat!("LEFT JOIN (
         (SELECT TRUE AS is_account, ",
    account_columns!(),
    " FROM users_v2 u WHERE u.id > $2::bigint AND ",
    stale_account!(),
    " ORDER BY u.id LIMIT $4::bigint)
         UNION ALL
         (SELECT FALSE, h.id::bigint, coalesce(o.username, ''), h.password, h.password_key, h.password_binding, '', '', FALSE, FALSE,
                 NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, FALSE, NULL, 0, 0, 0, 0, 0, NULL, 0, NULL, NULL
          FROM password_history_v2 h LEFT JOIN users_v2 o ON o.id = h.user_id
          WHERE h.id > $3::bigint AND h.password_key IS DISTINCT FROM $1
          ORDER BY h.id LIMIT $4::bigint)
     ) b ON TRUE")
);

/// Own parameters: accounts and rows of the history as JSON, the first key's name, and whether there was nothing left to
/// move. A key is forgotten when no row needs it.
pub(super) const MOVE_SECRETS: Writes = writes!(
    "move_secrets":
    "moved AS (
         UPDATE users_v2 u
         SET password = n.password, password_key = $26, password_binding = n.password_binding,
             mfa = coalesce(n.mfa, u.mfa), mfa_key = CASE WHEN n.mfa IS NULL THEN u.mfa_key ELSE $26 END,
             mfa_binding = coalesce(n.mfa_binding, u.mfa_binding),
             pending_mfa = coalesce(n.pending_mfa, u.pending_mfa),
             pending_mfa_key = CASE WHEN n.pending_mfa IS NULL THEN u.pending_mfa_key ELSE $26 END,
             pending_mfa_binding = coalesce(n.pending_mfa_binding, u.pending_mfa_binding),
             standing_key = $26, standing_binding = n.standing_binding
         FROM (
             SELECT n.* FROM jsonb_to_recordset($24::text::jsonb) AS n (
                 id bigint, password_old text, password text, password_binding text, mfa_old text, mfa text,
                 mfa_binding text, pending_mfa_old text, pending_mfa text, pending_mfa_binding text, state text,
                 operator_touched boolean, disabled boolean, standing_binding text)
             JOIN users_v2 held ON held.id = n.id ORDER BY n.id FOR NO KEY UPDATE OF held SKIP LOCKED
         ) n
         WHERE u.id = n.id AND EXISTS (SELECT FROM gate) AND u.password = n.password_old
               AND nullif(u.mfa, '') IS NOT DISTINCT FROM n.mfa_old
               AND u.pending_mfa IS NOT DISTINCT FROM n.pending_mfa_old AND u.state = n.state
               AND u.operator_touched = n.operator_touched AND (u.disabled_at IS NOT NULL) = n.disabled
         RETURNING 1
     )",
    "moved_history AS (
         UPDATE password_history_v2 h SET password = n.password, password_key = $26, password_binding = n.password_binding
         FROM (
             SELECT n.* FROM jsonb_to_recordset($25::text::jsonb) AS n (
                 id bigint, password_old text, password text, password_binding text)
             JOIN password_history_v2 held ON held.id = n.id ORDER BY n.id FOR NO KEY UPDATE OF held SKIP LOCKED
         ) n
         WHERE h.id = n.id AND EXISTS (SELECT FROM gate) AND h.password = n.password_old
         RETURNING 1
     )",
    "registered AS (
         INSERT INTO encryption_keys (id, registered_at)
         SELECT $26, $5 WHERE EXISTS (SELECT FROM moved) OR EXISTS (SELECT FROM moved_history)
         ON CONFLICT DO NOTHING
     )",
    "forgotten AS (
         DELETE FROM encryption_keys k
         WHERE k.id <> $26 AND $27::boolean AND EXISTS (SELECT FROM gate)
               AND NOT EXISTS (SELECT FROM users_v2 WHERE k.id IN (password_key, mfa_key, pending_mfa_key, standing_key))
               AND NOT EXISTS (SELECT FROM password_history_v2 WHERE password_key = k.id OR password_key IS NULL)
               AND NOT EXISTS (SELECT FROM users_v2
                               WHERE password_key IS NULL OR mfa_key IS NULL AND nullif(mfa, '') IS NOT NULL)
     )",
    "deed AS (
         SELECT NULL::integer AS id WHERE EXISTS (SELECT FROM gate)
                AND (SELECT count(*) FROM moved) + (SELECT count(*) FROM moved_history) >= 0
     )" ;
    "(SELECT count(*) FROM moved) + (SELECT count(*) FROM moved_history)"
);

/// The latest migration, and the keys that stored secrets need.
pub(super) const READ_HEALTH: Reads = reads!(
    "read_health":
    "",
    concat!("(SELECT max(version)::bigint FROM refinery_schema_history), ", stored_keys!()),
    ""
);

/// A statement's text, for who prepares or runs it from outside.
#[derive(Debug)]
pub struct StatementText {
    /// Its name.
    pub name: &'static str,
    /// As it is sent.
    pub text: String,
    /// Whether it is queried: then it returns a row whatever is stored.
    pub returns_a_row: bool,
}

/// What health reads, for who has no store yet.
#[must_use]
pub fn health_statement() -> String {
    READ_HEALTH.text()
}

/// Every statement: a test prepares each one on the migrated schema, and runs each that is queried where nothing is stored.
#[must_use]
pub fn statements() -> Vec<StatementText> {
    let reads = [FIND, FIND_SESSION, READ_AUDIT, FIND_STALE, READ_HEALTH];
    let writes = [
        CREATE_ACCOUNT,
        REPLACE_PASSWORD,
        REPLACE_SECOND_FACTOR,
        PUT_SECOND_FACTOR_BESIDE,
        CONCLUDE_LOGIN,
        NOTE_FACTOR,
        REFUSE,
        RENEW_SESSION,
        END_SESSIONS,
        ADMINISTER,
        NOTE_AUDIT_READ,
        MOVE_SECRETS,
    ];
    let executes = [REFUSE_LOCKED];
    let reads = reads.map(|reads| StatementText { name: reads.name, text: reads.text(), returns_a_row: true });
    let writes = writes.map(|writes| StatementText { name: writes.name, text: writes.text(), returns_a_row: true });
    let executes = executes.map(|run| StatementText { name: run.name, text: run.text(), returns_a_row: false });
    reads.into_iter().chain(writes).chain(executes).collect()
}
