//! `deploy.sh`, with stubs that record what `kubectl` is asked and given.

use cofrap_tests::{Folder, checkout};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const KEY: &str = "a2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3RzIG9ubHk=";
const OTHER_KEY: &str = "c2lnbmluZyBrZXkgb2YgYWNjZXB0YW5jZSB0ZXN0cyE=";
const PASSWORD: &str = "canary p@ssword/of:the?database";

/// A place where programs are stubs.
struct Stage {
    folder: Folder,
}

/// Records its arguments, and what it is given if that is a file on standard input; answers what a cluster would. What it was given as the
/// Secret `auth` it has from then on.
const KUBECTL: &str = r#"#!/bin/bash
if [[ $1 == kustomize ]]; then exec "$REAL_KUBECTL" "$@"; fi
printf '%s\n' "kubectl $*" >>"$STAGE/log"
# The call that a test has fail.
[[ $(wc -l <"$STAGE/log") != "${FAILS:-0}" ]] || { echo "the server is not there" >&2; exit 1; }
all="$*"
case "$all" in
    *"version --client"*) echo '{"clientVersion": {"major": "1", "minor": "33"}}' ;;
    "apply --server-side"*"--filename -")
        text=$(cat)
        name=$(sed -n 's/^  name: //p' <<<"$text")
        cmp -s "$STAGE/secret-$name" - <<<"$text" || echo "$RANDOM$RANDOM" >"$STAGE/version-$name"
        cat >"$STAGE/secret-$name" <<<"$text"
        ;;
    "apply --filename -") echo "metadata.annotations: Too long" >&2 && exit 1 ;;
    "get secret accounts-authority"*) printf 'LS0tLS1DRVJUSUZJQ0FURS0tLS0t' ;;
    "get secret auth authorities"*) cat "$STAGE/version-auth" "$STAGE/version-authorities" | tr '\n' ' ' ;;
    "get secret auth"*"--output name") [[ ! -f $STAGE/secret-auth ]] || echo secret/auth ;;
    "get secret"*.annotations.*)
        field=${all##*cofrap/}
        sed -n "s#^    cofrap/${field%\}}: ##p" "$STAGE/secret-$3" 2>/dev/null
        ;;
    "get secret"*)
        field=${all##*.data.}
        sed -n "s/^  ${field%\}}: //p" "$STAGE/secret-$3" 2>/dev/null
        ;;
    "get job migrate"*) echo "${JOB:-Complete}" ;;
    "apply --kustomize"*"component=functions") "$REAL_KUBECTL" kustomize "$3" | sed -n 's/^ *cofrap.secrets: //p' | head -n 1 >>"$STAGE/pods" ;;
esac
exit 0
"#;

/// What is not asked for is not there.
const STUB: &str = "#!/bin/bash\nprintf '%s\\n' \"$(basename \"$0\") $*\" >>\"$STAGE/log\"\n";

impl Stage {
    fn new() -> Self {
        let stage = Self { folder: Folder::new("deploy") };
        let bin = stage.folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for (name, text) in [("kubectl", KUBECTL), ("python3", STUB), ("helm", STUB), ("spin", STUB)] {
            let path = bin.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        stage
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let path = |name: &str| Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap().stdout;
        let real = String::from_utf8(path("kubectl")).unwrap();
        let images = ["a", "b"].map(|letter| format!("registry.example/cofrap@sha256:{}", letter.repeat(64)));
        let mut command = Command::new("bash");
        // Traced: what a shell says of itself must hold no secret either.
        command
            .arg("-x")
            .arg(checkout().join("deploy.sh"))
            .args(["--image", &images[0], "--migrate-image", &images[1], "--host", "auth.example.org"])
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder.path().join("bin").display()))
            .env("STAGE", self.folder.path())
            .envs([
                ("BACKUP_BUCKET", "gs://backups/accounts"),
                ("BACKUP_IDENTITY", "backups@project"),
                ("DEPLOY_POLL_SECONDS", "0"),
            ])
            .env("REAL_KUBECTL", real.trim())
            .env("HOME", self.folder.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What a Secret holds, in clear.
    fn secret(&self, name: &str) -> BTreeMap<String, String> {
        use base64::Engine as _;
        let text = fs::read_to_string(self.folder.path().join(format!("secret-{name}"))).unwrap();
        let (_, data) = text.split_once("\ndata:\n").unwrap();
        let pairs = data.lines().filter_map(|line| line.trim().split_once(": "));
        let read = |value: &str| base64::engine::general_purpose::STANDARD.decode(value).unwrap();
        pairs.map(|(name, value)| (name.to_owned(), String::from_utf8(read(value)).unwrap())).collect()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Given, left out at the end, or `-`, with or without the environment: sixteen ways to say four things, twice.
#[test]
fn every_combination_of_arguments_deploys_with_what_was_given_and_makes_up_the_rest() {
    let values = ["postgres", PASSWORD, OTHER_KEY, KEY];
    for given in 0..16_u32 {
        for from_environment in [false, true] {
            let stage = Stage::new();
            let is_given = |index: usize| given & (1 << index) != 0;
            let mut arguments: Vec<_> =
                (0..4).map(|index| if is_given(index) && !from_environment { values[index] } else { "-" }).collect();
            while arguments.last() == Some(&"-") {
                arguments.pop();
            }
            let names = ["POSTGRES_HOST", "POSTGRES_PASSWORD", "JWT_SECRET", "ENCRYPTION_KEY"];
            let environment: Vec<_> = (0..4)
                .filter(|index| from_environment && is_given(*index))
                .map(|index| (names[index], values[index]))
                .collect();
            let output = stage.run(&arguments, &environment);
            assert!(output.status.success(), "{given:04b} {from_environment}: {}", said(&output));

            let secret = stage.secret("auth");
            let url = &secret["database_url"];
            assert!(url.starts_with("postgres://mspr2_cofrap_functions:"), "{url}");
            assert!(url.ends_with("@accounts-pooler.cofrap.svc:5432/mspr2_cofrap?sslmode=require"), "{url}");
            assert_eq!(url.contains(":canary%20p%40ssword%2Fof%3Athe%3Fdatabase@"), is_given(1), "{url}");
            assert_eq!(secret["jwt_secret"] == OTHER_KEY, is_given(2));
            assert_eq!(secret["encryption_key"] == KEY, is_given(3));
            assert_ne!(secret["jwt_secret"], secret["encryption_key"]);
            assert!(secret["admin_token"].len() >= 32);
            assert!(
                stage.secret("authorities")["ca-certificates.crt"].starts_with("-----CERTIFICATE-----\n-----BEGIN")
            );

            let warns = said(&output).contains("is for every user of this machine to see");
            assert_eq!(warns, !from_environment && (1..4).any(is_given), "{given:04b}");
            for text in [stage.log(), said(&output)] {
                for value in secret.values().map(String::as_str).chain([PASSWORD]) {
                    // What was an argument is one; nothing else shows it.
                    assert!(!text.contains(value), "{given:04b}: {text}");
                }
            }
        }
    }
}

#[test]
fn the_steps_come_in_order_and_end_with_a_login_through_the_public_address() {
    let stage = Stage::new();
    assert!(stage.run(&[], &[]).status.success());
    let log = stage.log();
    let mut rest = log.as_str();
    for step in [
        "component=namespace",
        "apply --server-side",
        "component=database",
        "wait --namespace cofrap --for=condition=Ready cluster/accounts",
        "delete job migrate",
        "component=migration",
        "get job migrate",
        "component=functions",
        "rollout status --namespace cofrap deployment/auth ",
        "rollout status --namespace cofrap deployment/auth-v1",
        "condition=Ready certificate/public",
        "test_v2_functions.py https://auth.example.org",
    ] {
        let (_, after) = rest.split_once(step).unwrap_or_else(|| panic!("{step} is not where it belongs: {log}"));
        rest = after;
    }
    assert!(!log.contains("component=retirement"), "{log}");
}

/// What the pods of each deployment were told of the Secrets: another text is another generation of pods.
fn pods(stage: &Stage) -> Vec<String> {
    let text = fs::read_to_string(stage.folder.path().join("pods")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn deploying_again_keeps_every_secret_and_a_secret_that_changes_starts_the_pods_anew() {
    let stage = Stage::new();
    assert!(stage.run(&[], &[]).status.success());
    let first = stage.secret("auth");
    let again = stage.run(&[], &[]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(stage.secret("auth"), first);
    let told = pods(&stage);
    assert!(told.len() == 2 && told[0] == told[1] && told[0].len() > 3, "{told:?}");

    let both = format!("{KEY},{}", first["encryption_key"]);
    assert!(stage.run(&["-", "-", "-", &both], &[]).status.success());
    assert_eq!(stage.secret("auth")["encryption_key"], both);
    assert_eq!(stage.secret("auth")["jwt_secret"], first["jwt_secret"]);
    assert_eq!(stage.secret("auth-before")["encryption_key"], first["encryption_key"]);
    assert_ne!(pods(&stage)[2], told[0]);
}

/// Without it no stored secret can be read again.
#[test]
fn a_deployed_key_leaves_its_list_only_when_that_is_said() {
    let stage = Stage::new();
    assert!(stage.run(&[], &[]).status.success());
    let first = stage.secret("auth");
    for (arguments, environment) in [(vec!["-", "-", "-", KEY], vec![]), (vec![], vec![("ENCRYPTION_KEY", KEY)])] {
        let refused = stage.run(&arguments, &environment);
        assert!(
            !refused.status.success() && said(&refused).contains("lacks a key that is deployed"),
            "{}",
            said(&refused)
        );
        assert_eq!(stage.secret("auth"), first);
    }
    assert!(stage.run(&["--drop-keys", "-", "-", "-", KEY], &[]).status.success());
    assert_eq!(stage.secret("auth")["encryption_key"], KEY);
    assert_eq!(stage.secret("auth-before")["encryption_key"], first["encryption_key"]);
}

/// Whatever call of the cluster's fails, and whenever.
#[test]
fn a_cluster_that_does_not_answer_costs_no_key() {
    let stage = Stage::new();
    assert!(stage.run(&[], &[]).status.success());
    let first = stage.secret("auth");
    for fails in 1..60 {
        fs::remove_file(stage.folder.path().join("log")).unwrap();
        let output = stage.run(&[], &[("FAILS", &fails.to_string())]);
        for name in ["encryption_key", "jwt_secret", "admin_token", "database_url"] {
            assert_eq!(stage.secret("auth")[name], first[name], "call {fails}: {}", stage.log());
            assert!(!said(&output).contains(&first[name]), "call {fails} says {name}");
        }
        if stage.log().lines().count() < fails {
            assert!(fails > 20, "{}", stage.log());
            return;
        }
    }
    panic!("a deployment has no end");
}

#[test]
fn where_the_accounts_are_is_remembered() {
    let stage = Stage::new();
    assert!(stage.run(&["--overlay", "local", "db.example.org", PASSWORD], &[]).status.success());
    let first = stage.secret("auth");
    let again = stage.run(&["-", PASSWORD], &[]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(stage.secret("auth"), first);
    for arguments in [vec!["postgres"], vec!["--overlay", "gke", "-", PASSWORD]] {
        let refused = stage.run(&arguments, &[]);
        assert!(
            !refused.status.success() && said(&refused).contains("was deployed with another"),
            "{}",
            said(&refused)
        );
        assert_eq!(stage.secret("auth"), first);
    }
}

#[test]
fn a_migration_that_failed_is_said_at_once() {
    let stage = Stage::new();
    let failed = stage.run(&[], &[("JOB", "Failed")]);
    assert!(!failed.status.success() && said(&failed).contains("the migration failed"), "{}", said(&failed));
    assert!(stage.log().contains("logs --namespace cofrap job/migrate"));
    assert!(!stage.log().contains("component=functions"), "{}", stage.log());
}

#[test]
fn samples_and_what_is_no_key_are_refused_with_the_remedy_before_anything_is_done() {
    let short = "dG9vIHNob3J0";
    for (arguments, remedy) in [
        (["postgres", "password", OTHER_KEY, KEY], "db-password is a sample that everybody knows: leave it out"),
        (
            ["postgres", "-", "secret123", KEY],
            "jwt-secret is a sample that everybody knows: make one with `openssl rand -base64 32`",
        ),
        (["postgres", "-", "-", "votre-cle-secrete-jwt-super-securisee"], "encryption-key is a sample"),
        (["postgres", "-", "-", short], "encryption-key is not 32 bytes in base64: make one with"),
        (["postgres", "-", KEY, KEY], "jwt-secret and encryption-key have the same key"),
        (["postgres", "-", "-", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], "encryption-key is a sample"),
        (["postgres", "-", "-", "a2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3RzIG9ubHk=!!!"], "encryption-key is not 32 bytes"),
        (["db:5432", "-", "-", "-"], "a host name is expected, without a port"),
        (["db example", "-", "-", "-"], "a host name is expected"),
    ] {
        let stage = Stage::new();
        let output = stage.run(&arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(said(&output).contains(remedy), "{arguments:?}: {}", said(&output));
        assert!(!stage.log().contains("apply"), "{arguments:?}: {}", stage.log());
    }
    let stage = Stage::new();
    let from_environment = stage.run(&[], &[("JWT_SECRET", "secret123")]);
    assert!(said(&from_environment).contains("jwt-secret is a sample"), "{}", said(&from_environment));
}

#[test]
fn a_dry_run_and_an_uninstallation_do_what_they_say() {
    let stage = Stage::new();
    let dry = stage.run(&["--dry-run", "postgres", "-", "-", KEY], &[]);
    assert!(dry.status.success() && said(&dry).contains("dry run: nothing was done"), "{}", said(&dry));
    let asked = stage.log();
    assert!(asked.lines().all(|line| line.contains("version --client")), "{asked}");

    let gone = stage.run(&["--uninstall"], &[]);
    assert!(gone.status.success() && said(&gone).contains("the secrets stay"), "{}", said(&gone));
    let log = stage.log();
    assert!(log.contains("delete") && log.contains("component=functions"), "{log}");
    assert!(!log.contains("component=database") && !log.contains("component=namespace"), "{log}");
}

#[test]
fn a_server_of_ones_own_takes_the_place_of_the_cluster_s() {
    let stage = Stage::new();
    let environment = [("POSTGRES_DB", "accounts"), ("POSTGRES_USER", "owner")];
    let output = stage.run(&["db.example.org", PASSWORD, "-", "-"], &environment);
    assert!(output.status.success(), "{}", said(&output));
    let url = stage.secret("auth")["database_url"].clone();
    assert!(url.starts_with("postgres://accounts_functions:"), "{url}");
    assert!(url.ends_with("@db.example.org:5432/accounts?sslmode=require") && !url.contains("canary"), "{url}");
    assert_eq!(stage.secret("database-owner")["username"], "owner");
    assert_eq!(stage.secret("database-owner")["password"], PASSWORD);
    assert!(
        !stage.log().contains("cluster/accounts") && !stage.log().contains("component=database"),
        "{}",
        stage.log()
    );
    let without = Stage::new().run(&["db.example.org"], &[]);
    assert!(said(&without).contains("the password of the owner on db.example.org is needed"), "{}", said(&without));
}

#[test]
fn options_and_overlays_that_are_not_there_are_said() {
    for (arguments, problem) in [
        (vec!["--overlay", "nowhere"], "there is no overlay nowhere"),
        (vec!["--overlay", "../../etc"], "there is no overlay"),
        (vec!["--force"], "there is no option --force"),
        (vec!["--host"], "--host needs a value"),
        (vec!["a", "b", "c", "d", "e"], "more than four arguments"),
    ] {
        let output = Stage::new().run(&arguments, &[]);
        assert!(!output.status.success() && said(&output).contains(problem), "{arguments:?}: {}", said(&output));
    }
    // The seed's name, and every overlay.
    let alias = fs::read_to_string(checkout().join("deploy-v2.sh")).unwrap();
    assert!(alias.contains("exec \"$(dirname \"${BASH_SOURCE[0]}\")/deploy.sh\" \"$@\""));
    for overlay in ["gke", "gke-autopilot", "gke-recovery", "gke-scale-to-zero", "local", "nginx"] {
        let output = Stage::new().run(&["--dry-run", "--overlay", overlay], &[]);
        assert!(output.status.success(), "{overlay}: {}", said(&output));
    }
}
