//! Rows that need care: long passwords, unreadable secrets, printed bytes, names that are taken.

use super::{
    SECRET, add_first, add_second, bcrypt, fernet, keyring, lost, now, old_database, person, run, said, started, table,
};
use cofrap_crypto::Keyring;
use cofrap_migrations::{SCHEMA_VERSION, pending};
use cofrap_take_over::{Expire, Remark, plan_take_over, take_over};
use cofrap_tests::{Database, KEY, Settings, now_at_start};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;

/// Rows of every kind that something is to be said about.
pub(super) async fn awkward_database() -> (Database, Vec<String>) {
    let database = old_database().await;
    let (good, sealed) = (bcrypt("Motdepasse-1"), fernet(SECRET));
    let mut expected = Vec::new();
    let mut expect = |table: &str, id: i64, what: &[&str]| {
        expected.extend(what.iter().map(|what| format!("{table}:{id} {what}")));
    };
    let second = add_second(&database, "in.clear", "Motdepasse-1", Some(SECRET)).await;
    expect("users_v2", second, &["PasswordInClear", "SecondFactorInClear"]);
    let second = add_second(&database, "lost", &lost("x"), Some(&lost("x"))).await;
    expect("users_v2", second, &["UnreadablePassword", "UnreadableSecondFactor"]);
    add_second(&database, "both", &fernet("Motdepasse-1"), Some(&fernet(SECRET))).await;
    let second = add_second(&database, "In.Clear", &fernet("x"), None).await;
    expect("users_v2", second, &["SameNameButForCase"]);
    let second = add_second(&database, "tab\there", &fernet("x"), None).await;
    expect("users_v2", second, &["UnreachableName"]);
    let history =
        "INSERT INTO password_history_v2 (user_id, password, gendate) VALUES (1, 'Motdepasse-0', 1), (2, $1, 1),
                   (3, $2, 1)";
    database.client.execute(history, &[&lost("x"), &fernet("x")]).await.unwrap();
    expect("password_history_v2", 1, &["PasswordInClear"]);
    expect("password_history_v2", 2, &["UnreadablePassword"]);
    let id = add_first(&database, Some(&"é".repeat(51)), Some(&good), Some(&sealed)).await;
    expect("users", id, &["LongName"]);
    let id = add_first(&database, None, Some(&good), Some(&sealed)).await;
    expect("users", id, &["NoName"]);
    let id = add_first(&database, Some("both"), Some(&good), Some(&sealed)).await;
    expect("users", id, &["Duplicate"]);
    let id = add_first(&database, Some("BOTH"), Some(&good), Some(&sealed)).await;
    expect("users", id, &["TakenOver", "SameNameButForCase"]);
    let id = add_first(&database, Some(" padded"), Some(&good), Some(&sealed)).await;
    expect("users", id, &["TakenOver", "UnreachableName"]);
    let id = add_first(&database, Some("no.password"), None, Some(&sealed)).await;
    expect("users", id, &["TakenOver", "NoPassword"]);
    let id = add_first(&database, Some("unreadable"), Some(&lost("x")), Some(&lost(SECRET))).await;
    expect("users", id, &["TakenOver", "UnreadablePassword", "UnreadableSecondFactor"]);
    let id = add_first(&database, Some("half.readable"), Some(&good), Some(&lost(SECRET))).await;
    expect("users", id, &["TakenOver", "UnreadableSecondFactor"]);
    let id = add_first(&database, Some("no.base32"), Some(&good), Some("not base32!")).await;
    expect("users", id, &["TakenOver", "SecondFactorInClear", "UnreadableSecondFactor"]);
    let id = add_first(
        &database,
        Some("costly"),
        Some("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        Some(&sealed),
    )
    .await;
    expect("users", id, &["TakenOver", "UnreadablePassword"]);
    let id = add_first(&database, Some("no.birth"), Some(&good), Some(&sealed)).await;
    database
        .client
        .execute("UPDATE users SET gendate = NULL, expired = NULL WHERE id::bigint = $1", &[&id])
        .await
        .unwrap();
    expect("users", id, &["TakenOver", "NoBirth"]);
    let id = add_first(&database, Some("millis"), Some(&good), Some(&sealed)).await;
    let millis = "UPDATE users SET gendate = gendate * 1000, expired = TRUE WHERE id::bigint = $1";
    database.client.execute(millis, &[&id]).await.unwrap();
    expect("users", id, &["TakenOver", "FutureBirth"]);
    let id = add_first(&database, Some("costlier"), Some(&good.replace("$04$", "$13$")), Some(&sealed)).await;
    expect("users", id, &["TakenOver", "CostlyHash"]);
    for (name, password, mfa, what) in [
        ("wide.sealed", fernet(&"x".repeat(200)), sealed.clone(), &["TakenOver", "LongPassword"][..]),
        ("wide.lost", lost(&"x".repeat(200)), sealed.clone(), &["TakenOver", "UnreadablePassword"]),
        ("wide.hash", format!("$2b$12${}", "x".repeat(300)), sealed.clone(), &["TakenOver", "UnreadablePassword"]),
        ("wide.token", format!("gAAAAA{}", "x".repeat(300)), sealed.clone(), &["TakenOver", "UnreadablePassword"]),
        ("wide.mfa", good.clone(), SECRET.repeat(7), &["TakenOver", "SecondFactorInClear", "UnreadableSecondFactor"]),
        ("wide.lost.mfa", good.clone(), lost(&SECRET.repeat(7)), &["TakenOver", "UnreadableSecondFactor"]),
    ] {
        let id = add_first(&database, Some(name), Some(&password), Some(&mfa)).await;
        expect("users", id, what);
    }
    (database, expected)
}

#[tokio::test]
async fn a_dry_run_says_what_the_take_over_then_does_and_changes_nothing() {
    let (database, expected) = awkward_database().await;
    let before = (table(&database, "users").await, table(&database, "users_v2").await);
    let planned = plan_take_over(&database.client, &keyring(), now(), Expire::Imported).await.unwrap();
    assert_eq!(said(&planned), expected);
    assert_eq!(i64::try_from(pending(&database.client).await.unwrap().len()).unwrap(), SCHEMA_VERSION);
    assert_eq!((table(&database, "users").await, table(&database, "users_v2").await), before);
    assert_eq!(database.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 3);

    let done = run(&database, Expire::Imported).await;
    assert_eq!((said(&done), done.expired), (expected, planned.expired));
    assert!(pending(&database.client).await.unwrap().is_empty());
    let again = plan_take_over(&database.client, &keyring(), now(), Expire::Imported).await.unwrap();
    assert_eq!(again.expired, 0);
}

#[tokio::test]
async fn what_cannot_be_read_keeps_its_name_and_lets_nobody_in_until_its_key_is_there() {
    let (database, _) = awkward_database().await;
    run(&database, Expire::Nobody).await;
    let app = started(database).await;
    let expired = "SELECT concat_ws(' ', gendate, expired) FROM users_v2 WHERE username = 'millis'";
    assert_eq!(app.database.text(expired).await, "0 t");
    for name in [
        "unreadable",
        "half.readable",
        "no.base32",
        "no.password",
        "costly",
        "lost",
        "wide.lost",
        "wide.token",
        "wide.mfa",
        "wide.lost.mfa",
    ] {
        let mut person = person(&app, name, "Motdepasse-1");
        person.log_in().await.problem(401, "invalid_credentials");
        app.generate_password(name).await.problem(403, "proof_required");
        app.generate_mfa(name).await.problem(403, "proof_required");
        let body = json!({ "username": name });
        let given = app.call_as(cofrap_tests::ADMIN_TOKEN, "generate-password-v2", body).await.ok();
        person.password = given.read_qr_code();
    }
    app.generate_password("padded").await.problem(409, "username_taken");
    let mut both = person(&app, "both", "Motdepasse-1");
    both.log_in().await.ok();
    person(&app, "BOTH", "Motdepasse-1").log_in().await.ok();
    person(&app, "in.clear", "Motdepasse-1").log_in().await.ok();
    person(&app, "no.birth", "Motdepasse-1").log_in().await.problem(403, "password_expired");
}

#[tokio::test]
async fn an_account_whose_key_comes_later_logs_in_then() {
    let database = old_database().await;
    add_first(&database, Some("unreadable"), Some(&lost("Motdepasse-1")), Some(&lost(SECRET))).await;
    assert!(run(&database, Expire::Nobody).await.has(Remark::UnreadableSource));
    let app = started(database).await;
    person(&app, "unreadable", "Motdepasse-1").log_in().await.problem(401, "invalid_credentials");
    let list = format!("{},b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=", *KEY);
    let app = app.restart_with(Settings::variable("encryption_key", &list)).await;
    app.clock.advance(30);
    person(&app, "unreadable", "Motdepasse-1").log_in_by_steps().await.ok();
    let bound = "SELECT count(*) FROM users_v2 WHERE password_binding IS NOT NULL AND mfa_binding IS NOT NULL";
    assert_eq!(app.database.count(bound).await, 1);
}

#[tokio::test]
async fn who_had_a_password_of_more_than_72_bytes_is_let_in_to_renew_it() {
    let (first, cut) = ("Motdepasse-1-".repeat(6), "Motdepasse-1-".repeat(12));
    let database = old_database().await;
    add_first(&database, Some("hash"), Some(&bcrypt(&first)), Some(SECRET)).await;
    add_first(&database, Some("clear"), Some(&first), Some(SECRET)).await;
    add_first(&database, Some("very.long"), Some(&cut), Some(SECRET)).await;
    add_second(&database, "second", &cut, Some(SECRET)).await;
    add_second(&database, "fits", &first, Some(SECRET)).await;
    add_second(&database, "sealed", &fernet(&cut[..120]), Some(&fernet(SECRET))).await;
    let report = run(&database, Expire::Nobody).await;
    let long: Vec<_> = said(&report).into_iter().filter(|line| line.contains("LongPassword")).collect();
    assert_eq!(
        long,
        ["users_v2:1 LongPassword", "users_v2:3 LongPassword", "users:2 LongPassword", "users:3 LongPassword"]
    );
    let app = started(database).await;
    for name in ["hash", "clear", "very.long", "second", "sealed"] {
        let typed = if name == "hash" || name == "clear" { first.clone() } else { cut[..100].to_owned() };
        app.begin_login(name, &format!("x{}", &typed[1..])).await.problem(401, "invalid_credentials");
        for by_steps in [true, false] {
            let mut person = person(&app, name, &typed);
            let expired = if by_steps { person.log_in_by_steps().await } else { person.log_in().await };
            let token = expired.problem(403, "password_expired")["renewal_token"].clone();
            assert!(token.is_string(), "{name}");
            app.clock.advance(30);
            if !by_steps {
                let body = json!({ "username": name, "renewal_token": token });
                let changed = app.call("generate-password", body.clone()).await.ok().0;
                person.password = changed["password"].as_str().unwrap().to_owned();
                person.scan(&app.call("generate-2fa", body).await.ok().read_image("qr_base64"));
                person.log_in_by_steps().await.ok();
            }
        }
        app.clock.advance(30);
    }
    person(&app, "fits", &first).log_in().await.ok();
}

#[tokio::test]
async fn a_password_that_is_known_to_be_long_is_renewed_whatever_of_it_is_typed() {
    let long = "Motdepasse-1-".repeat(6);
    let database = old_database().await;
    add_first(&database, Some("clear"), Some(&long), Some(SECRET)).await;
    run(&database, Expire::Nobody).await;
    let app = started(database).await;
    person(&app, "clear", &long[..72]).log_in().await.problem(403, "password_expired");
}

#[tokio::test]
async fn a_hash_in_another_spelling_is_a_hash_and_its_text_logs_nobody_in() {
    let database = old_database().await;
    let hash = bcrypt("Motdepasse-1");
    let hex = hash.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let spellings = [format!(" {hash}\n"), format!("b'{hash}'"), format!("b\"{hash}\""), format!("\\x{hex}")];
    for (number, spelling) in spellings.iter().enumerate() {
        add_first(&database, Some(&format!("first.{number}")), Some(spelling), Some(&fernet(SECRET))).await;
        add_second(&database, &format!("second.{number}"), spelling, Some(&fernet(SECRET))).await;
    }
    let token = fernet("Motdepasse-1");
    let hex: String = token.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let tokens = [format!(" {token}\n"), format!("b'{token}'"), format!("\\x{hex}")];
    for (number, spelling) in tokens.iter().enumerate() {
        let mfa = format!("b'{}'", fernet(SECRET));
        add_first(&database, Some(&format!("sealed.first.{number}")), Some(spelling), Some(&mfa)).await;
        if spelling.len() <= 255 {
            add_second(&database, &format!("sealed.second.{number}"), spelling, Some(&mfa)).await;
        }
    }
    let others = [hash.replace("$2b$", "$2$"), hash.replace("$2b$", "$2B$"), "$6$salt$x".to_owned()];
    for (number, other) in others.iter().enumerate() {
        add_first(&database, Some(&format!("other.{number}")), Some(other), Some(&fernet(SECRET))).await;
    }
    let report = run(&database, Expire::Nobody).await;
    assert_eq!(said(&report).iter().filter(|line| line.contains("UnreadablePassword")).count(), 3, "{report:#?}");
    assert!(!said(&report).iter().any(|line| line.contains("InClear")), "{report:#?}");
    let app = started(database).await;
    for (number, spelling) in spellings.iter().enumerate() {
        for name in [format!("first.{number}"), format!("second.{number}")] {
            let shown: String = spelling.trim().chars().take(100).collect();
            app.begin_login(&name, &shown).await.problem(401, "invalid_credentials");
            person(&app, &name, "Motdepasse-1").log_in().await.ok();
        }
    }
    for (number, spelling) in tokens.iter().enumerate() {
        let shown: String = spelling.trim().chars().take(100).collect();
        for name in ["first", "second"].map(|table| format!("sealed.{table}.{number}")) {
            app.begin_login(&name, &shown).await.problem(401, "invalid_credentials");
            if name.contains("first") || spelling.len() <= 255 {
                person(&app, &name, "Motdepasse-1").log_in().await.ok();
            }
        }
    }
    for (number, other) in others.iter().enumerate() {
        app.begin_login(&format!("other.{number}"), other).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn under_wrong_keys_nothing_is_taken_over_and_the_right_ones_still_fit() {
    let database = old_database().await;
    add_first(&database, Some("first"), Some("Motdepasse-1"), None).await;
    add_second(&database, "second", &lost("Motdepasse-1"), Some(&lost(SECRET))).await;
    assert!(plan_take_over(&database.client, &keyring(), now(), Expire::Nobody).await.unwrap().has(Remark::WrongKeys));
    let mut client = database.connect().await;
    database.migrate().await;
    let refused = take_over(&mut client, &keyring(), &mut UnwrapErr(SysRng), now(), Expire::Nobody).await;
    assert!(refused.unwrap_err().to_string().contains("encryption_key"));
    assert_eq!(database.count("SELECT count(*) FROM encryption_keys").await, 0);
    let right: Keyring = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=".parse().unwrap();
    let taken = take_over(&mut client, &right, &mut UnwrapErr(SysRng), now(), Expire::Nobody).await.unwrap();
    assert_eq!(taken.findings.iter().filter(|finding| finding.table == "users").count(), 3, "{taken:?}");
}

#[tokio::test]
async fn what_the_operator_marked_stays_marked_when_a_long_password_is_typed() {
    let long = "Motdepasse-1-".repeat(6);
    let database = old_database().await;
    add_first(&database, Some("michel.ranu"), Some(&bcrypt(&long)), Some(&fernet(SECRET))).await;
    run(&database, Expire::Nobody).await;
    let app = started(database).await;
    app.administer("michel.ranu", "expire").await.ok();
    app.clock.advance(60);
    app.begin_login("michel.ranu", &long).await.ok();
    assert_eq!(app.database.count("SELECT expired_since FROM users_v2").await, now_at_start());
}
