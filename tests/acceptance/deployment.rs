//! What `deploy/` and `runtime-class/` say, as kustomize renders it.

use cofrap_api::routes::ROUTES;
use cofrap_api::{Application, Audience};
use cofrap_host::Manifest;
use cofrap_tests::checkout;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// The overlays, with how many proxies stand before each application.
const OVERLAYS: [(&str, [u32; 2]); 7] = [
    ("gke", [2, 2]),
    ("gke-monitoring", [2, 2]),
    ("gke-recovery", [2, 2]),
    ("gke-autopilot", [2, 2]),
    ("gke-scale-to-zero", [2, 3]),
    ("local", [1, 1]),
    ("nginx", [1, 1]),
];

const APPLICATIONS: [&str; 2] = ["auth", "auth-v1"];

/// Spin's own bound on the connections of one component of one process.
const POOL: usize = 64;

/// The objects of a folder with a kustomization.
fn render(folder: &str) -> Vec<Value> {
    let output = Command::new("kubectl").args(["kustomize", folder]).current_dir(checkout()).output();
    let output = output.expect("kubectl is installed: see CONTRIBUTING.md");
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_saphyr::from_multiple(&text).expect("kustomize writes YAML")
}

fn overlays() -> impl Iterator<Item = (&'static str, Vec<Value>)> {
    OVERLAYS.into_iter().map(|(name, _)| (name, render(&format!("deploy/overlays/{name}"))))
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn named<'a>(objects: &'a [Value], kind: &'a str, name: &str) -> &'a Value {
    let found = of_kind(objects, kind).find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Every text anywhere in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn images_are_named_by_digest_and_nothing_is_left_to_replace() {
    for (overlay, objects) in overlays() {
        let images: Vec<_> = of_kind(&objects, "SpinApp")
            .map(|app| &app["spec"]["image"])
            .chain(of_kind(&objects, "Job").map(|job| &job["spec"]["template"]["spec"]["containers"][0]["image"]))
            .map(|image| image.as_str().unwrap_or_default())
            .collect();
        assert_eq!(images.len(), 4, "{overlay}");
        for image in images {
            let digest = image.split_once("@sha256:").map_or("", |(_, digest)| digest);
            assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{overlay}: {image}");
        }
        for text in objects.iter().flat_map(texts) {
            let placeholder = text == "host" || text == "operators.host" || text == "replaced-by-overlay";
            assert!(!placeholder, "{overlay}: {text} was not replaced");
        }
    }
}

#[test]
fn secrets_are_referred_to_and_never_there() {
    for (overlay, objects) in overlays() {
        for secret in of_kind(&objects, "Secret") {
            let values = texts(&secret["data"]).into_iter().chain(texts(&secret["stringData"]));
            assert!(values.into_iter().all(str::is_empty), "{overlay}: {}", secret["metadata"]["name"]);
        }
        for app in of_kind(&objects, "SpinApp") {
            let variables = list(&app["spec"]["variables"]);
            let names: BTreeSet<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
            let manifest = Manifest::read(&checkout().join("spin.toml")).unwrap();
            // The metrics are of the second application alone.
            let expected = if app["metadata"]["name"] == "auth" { 7 } else { 6 };
            assert!(
                names.iter().all(|name| manifest.declares(name)) && names.len() == expected,
                "{overlay}: {names:?}"
            );
            for variable in variables {
                let from = &variable["valueFrom"];
                let place = if ["settings", "database_host"].contains(&variable["name"].as_str().unwrap()) {
                    // Its name changes with what it holds, so that a change starts the pods anew.
                    let name = from["configMapKeyRef"]["name"].as_str().unwrap_or_default();
                    named(&objects, "ConfigMap", name)["data"].get(variable["name"].as_str().unwrap()).is_some()
                } else {
                    from["secretKeyRef"]["name"] == "auth" && from["secretKeyRef"]["key"] == variable["name"]
                };
                assert!(place && variable.get("value").is_none(), "{overlay}: {variable}");
            }
            let restarts = app["spec"]["deploymentAnnotations"]["secret.reloader.stakater.com/reload"].as_str();
            assert!(restarts.is_some_and(|names| names.split(',').any(|name| name == "auth")), "{overlay}");
        }
    }
}

#[test]
fn every_component_runs_in_the_application_that_its_route_says() {
    for (overlay, objects) in overlays() {
        for (name, application) in [("auth", Application::Second), ("auth-v1", Application::First)] {
            let components: Vec<_> =
                texts(&named(&objects, "SpinApp", name)["spec"]["components"]).into_iter().collect();
            let expected: Vec<_> = ROUTES
                .iter()
                .filter(|route| route.application == application || route.application == Application::Both)
                .map(|route| route.component)
                .collect();
            assert_eq!(components, expected, "{overlay}: {name}");
        }
    }
}

#[test]
fn each_overlay_trusts_as_many_proxies_as_there_are() {
    for (overlay, hops) in OVERLAYS {
        let objects = render(&format!("deploy/overlays/{overlay}"));
        for (name, hops) in APPLICATIONS.into_iter().zip(hops) {
            let app = named(&objects, "SpinApp", name);
            let from = list(&app["spec"]["variables"]).iter().find(|variable| variable["name"] == "settings").unwrap();
            let map = from["valueFrom"]["configMapKeyRef"]["name"].as_str().unwrap();
            let settings = named(&objects, "ConfigMap", map)["data"]["settings"].as_str().unwrap();
            assert_eq!(settings, format!("policy=strict trusted_proxy_hops={hops}"), "{overlay}: {name}");
        }
    }
}

/// The most pods of an application that an overlay ever has.
fn most_pods(objects: &[Value], name: &str) -> usize {
    let scalers = of_kind(objects, "HorizontalPodAutoscaler").map(|scaler| (scaler, "maxReplicas"));
    let scalers = scalers.chain(of_kind(objects, "ScaledObject").map(|scaler| (scaler, "maxReplicaCount")));
    let most = scalers
        .filter(|(scaler, _)| scaler["spec"]["scaleTargetRef"]["name"] == name)
        .find_map(|(scaler, field)| scaler["spec"][field].as_u64());
    let most = most.or_else(|| named(objects, "SpinApp", name)["spec"]["replicas"].as_u64());
    usize::try_from(most.expect("pods are counted")).unwrap()
}

/// Docs/operations/scale.md has the same sums for people.
#[test]
fn every_connection_that_pods_may_open_fits_one_pooler_and_the_poolers_fit_the_server() {
    for (overlay, objects) in overlays() {
        let clients: usize = APPLICATIONS
            .into_iter()
            .map(|name| {
                let components = texts(&named(&objects, "SpinApp", name)["spec"]["components"]);
                let with_database = ROUTES
                    .iter()
                    .filter(|route| components.contains(&route.component) && route.variables.contains(&"database_url"));
                with_database.count() * POOL * most_pods(&objects, name)
            })
            .sum();
        let pooler = &named(&objects, "Pooler", "accounts-pooler")["spec"];
        let parameter =
            |name: &str| -> usize { pooler["pgbouncer"]["parameters"][name].as_str().unwrap().parse().unwrap() };
        // The autoscaler's roll-out may have a quarter more for a while.
        assert!(parameter("max_client_conn") >= clients * 5 / 4, "{overlay}: {clients}");
        assert_eq!(pooler["pgbouncer"]["poolMode"], "transaction");
        assert!(parameter("max_prepared_statements") > 0, "every statement of Spin's is a named one");

        let cluster = &of_kind(&objects, "Cluster").next().unwrap()["spec"];
        let server: usize = cluster["postgresql"]["parameters"]["max_connections"].as_str().unwrap().parse().unwrap();
        let instances = usize::try_from(pooler["instances"].as_u64().unwrap()).unwrap();
        // Twenty are for people, migrations, backups and the operator of the cluster.
        assert!(instances * parameter("default_pool_size") + 20 <= server, "{overlay}");
    }
}

#[test]
fn pods_have_what_a_careful_operator_gives_them() {
    for (overlay, objects) in overlays() {
        let labels = &named(&objects, "Namespace", "cofrap")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline", "{overlay}");
        assert_eq!(named(&objects, "ServiceAccount", "auth")["automountServiceAccountToken"], false, "{overlay}");
        for app in of_kind(&objects, "SpinApp") {
            let spec = &app["spec"];
            let name = &app["metadata"]["name"];
            assert_eq!(spec["serviceAccountName"], "auth", "{overlay}: {name}");
            // A liveness check that asked the database would restart every pod when that is away.
            assert_eq!(spec["checks"]["liveness"]["httpGet"]["path"], "/.well-known/spin/health", "{overlay}: {name}");
            assert_eq!(spec["checks"]["readiness"]["httpGet"]["path"], "/function/health", "{overlay}: {name}");
            for resource in ["cpu", "memory", "ephemeral-storage"] {
                assert!(spec["resources"]["requests"][resource].is_string(), "{overlay}: {name} asks for {resource}");
            }
            assert!(spec["resources"]["limits"]["memory"].is_string(), "{overlay}: {name}");
            assert!(spec["invocationLimits"]["memory"].is_string(), "{overlay}: {name}");
            let sleeps =
                of_kind(&objects, "ScaledObject").any(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == *name);
            let guarded = of_kind(&objects, "PodDisruptionBudget")
                .any(|budget| budget["spec"]["selector"]["matchLabels"]["core.spinkube.dev/app-name"] == *name);
            assert!(guarded || sleeps, "{overlay}: {name} has no disruption budget");
        }
        // What old pods need goes when somebody says so, not with whatever is applied.
        assert_eq!(named(&objects, "Job", "retire")["spec"]["suspend"], true, "{overlay}");
        let job = &named(&objects, "Job", "migrate")["spec"]["template"]["spec"];
        assert_eq!(job["securityContext"]["runAsNonRoot"], true, "{overlay}");
        assert_eq!(job["automountServiceAccountToken"], false, "{overlay}");
        assert_eq!(job["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true, "{overlay}");
    }
}

#[test]
fn nobody_speaks_to_anybody_but_who_is_named() {
    for (overlay, objects) in overlays() {
        let nobody = &named(&objects, "NetworkPolicy", "nobody")["spec"];
        assert_eq!(nobody["podSelector"], serde_json::json!({}), "{overlay}");
        assert!(nobody.get("ingress").is_none() && nobody.get("egress").is_none(), "{overlay}");
        // Certificates come by way of a pod in this namespace.
        let challenges = &named(&objects, "NetworkPolicy", "challenges")["spec"];
        let solver = &challenges["podSelector"]["matchLabels"]["acme.cert-manager.io/http01-solver"];
        assert!(solver == "true" && challenges["ingress"][0]["ports"][0]["port"] == 8089, "{overlay}");
        for policy in of_kind(&objects, "NetworkPolicy") {
            for rule in list(&policy["spec"]["ingress"]) {
                let from = list(&rule["from"]);
                let all = |peer: &Value| {
                    let empty =
                        |field: &str| peer.get(field).is_some_and(|selector| *selector == serde_json::json!({}));
                    peer["ipBlock"]["cidr"] == "0.0.0.0/0" || empty("namespaceSelector") || empty("podSelector")
                };
                assert!(!from.is_empty() && !from.iter().any(all), "{overlay}: {rule}");
                assert!(!list(&rule["ports"]).is_empty(), "{overlay}: {rule}");
            }
        }
        // To the database come the pooler, the other instances and Jobs; not the functions.
        let database = texts(&named(&objects, "NetworkPolicy", "database")["spec"]["ingress"]);
        assert!(!database.iter().any(|text| text.starts_with("auth")), "{overlay}");
    }
}

/// Where a path leads: to a service, with the path that it sees.
#[derive(Debug, PartialEq, Eq)]
struct Destination {
    service: String,
    path: String,
}

/// A rule's match, as the Gateway API and Ingress have it: exact before prefix, longer before shorter.
struct Match<'a> {
    is_exact: bool,
    path: &'a str,
    service: &'a str,
    rewrite: Option<&'a str>,
}

fn lead(matches: &[Match<'_>], path: &str) -> Option<Destination> {
    let applies = |rule: &&Match<'_>| {
        let prefix = rule.path.trim_end_matches('/');
        let is_prefix = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if rule.is_exact { path == rule.path } else { is_prefix }
    };
    let best = matches.iter().filter(applies).max_by_key(|rule| (rule.is_exact, rule.path.len()))?;
    let path = best.rewrite.map_or(path, |to| to).to_owned();
    Some(Destination { service: best.service.to_owned(), path })
}

fn gateway_matches<'a>(objects: &'a [Value], route: &str) -> Vec<Match<'a>> {
    let rules = list(&named(objects, "HTTPRoute", route)["spec"]["rules"]);
    rules
        .iter()
        .flat_map(|rule| {
            let filters = list(&rule["filters"]);
            let rewrite = filters.iter().find_map(|filter| filter["urlRewrite"]["path"]["replacePrefixMatch"].as_str());
            let header = filters.iter().find_map(|filter| filter["responseHeaderModifier"]["set"][0]["name"].as_str());
            assert_eq!(header, Some("Strict-Transport-Security"), "{rule}");
            let service = rule["backendRefs"][0]["name"].as_str().unwrap();
            list(&rule["matches"]).iter().map(move |one| Match {
                is_exact: one["path"]["type"] == "Exact",
                path: one["path"]["value"].as_str().unwrap(),
                service,
                rewrite,
            })
        })
        .collect()
}

/// Where an ingress controller of nginx's kind leads: with `use-regex`, every path of a host is an expression without regard to case, tried the
/// longest first. Ours are a prefix, a prefix that ends with a part of the path, or a whole path.
fn lead_by_ingress(objects: &[Value], path: &str) -> Option<Destination> {
    let mut found = Vec::new();
    for ingress in of_kind(objects, "Ingress") {
        let annotations = &ingress["metadata"]["annotations"];
        assert_eq!(annotations["nginx.ingress.kubernetes.io/use-regex"], "true", "{ingress}");
        let rewrite = annotations["nginx.ingress.kubernetes.io/rewrite-target"].as_str();
        for one in list(&ingress["spec"]["rules"][0]["http"]["paths"]) {
            let expression = one["path"].as_str().unwrap();
            let plain = expression.trim_end_matches("(/|$)").trim_end_matches('$').replace("\\.", ".");
            let rest = path.to_lowercase().strip_prefix(&plain).map(str::to_owned);
            let applies = rest.is_some_and(|rest| match expression {
                prefix if prefix.ends_with("(/|$)") => rest.is_empty() || rest.starts_with('/'),
                whole if whole.ends_with('$') => rest.is_empty(),
                _ => true,
            });
            if applies {
                let service = one["backend"]["service"]["name"].as_str().unwrap();
                found.push((expression.len(), service, rewrite.unwrap_or(path)));
            }
        }
    }
    let (_, service, path) = found.into_iter().max_by_key(|(length, ..)| *length)?;
    Some(Destination { service: service.into(), path: path.into() })
}

#[test]
fn the_public_host_name_leads_to_what_is_for_everyone_and_to_nothing_else() {
    for (overlay, objects) in overlays() {
        let by_gateway = if overlay == "nginx" { Vec::new() } else { gateway_matches(&objects, "public") };
        let destination = |path: &str| {
            if overlay == "nginx" { lead_by_ingress(&objects, path) } else { lead(&by_gateway, path) }
        };
        let first = if overlay == "gke-scale-to-zero" { "keda-add-ons-http-interceptor-proxy" } else { "auth-v1" };
        let exact = |path: &&&str| !path.ends_with("...");
        for route in ROUTES {
            for path in route.paths.iter().filter(exact) {
                let led = destination(path).unwrap();
                if route.audience == Audience::Operators {
                    assert_eq!(led.path, "/function/none", "{overlay}: {path}");
                } else {
                    let service = if route.application == Application::First { first } else { "auth" };
                    assert_eq!(led, Destination { service: service.into(), path: (*path).into() }, "{overlay}: {path}");
                }
            }
        }
        for path in ["/metrics", "/function/health", "/f/health", "/.well-known/spin/info", "/function/anything/else"] {
            assert_eq!(destination(path).unwrap().path, "/function/none", "{overlay}: {path}");
        }
        for path in ["/", "/login", "/.well-known/change-password", "/assets/x/app.js", "/functional", "/favicon.ico"] {
            let led = Destination { service: "auth".into(), path: path.into() };
            assert_eq!(destination(path).unwrap(), led, "{overlay}: {path}");
        }
    }
}

#[test]
fn the_operators_host_name_leads_to_every_function_and_is_another_gateway_s() {
    for (overlay, objects) in overlays().filter(|(overlay, _)| *overlay != "nginx") {
        let matches = gateway_matches(&objects, "operators");
        for route in ROUTES {
            for path in route.paths.iter().filter(|path| !path.ends_with("...")) {
                let led = lead(&matches, path).unwrap();
                assert_eq!(led.path, **path, "{overlay}");
                let is_second = ["auth", "auth-operators"].contains(&led.service.as_str());
                assert_eq!(is_second, route.application != Application::First, "{overlay}: {path}");
            }
        }
        let gateway = |name: &str| named(&objects, "Gateway", name)["spec"].clone();
        assert_eq!(named(&objects, "HTTPRoute", "operators")["spec"]["parentRefs"][0]["name"], "operators");
        let hosts =
            [gateway("public"), gateway("operators")].map(|gateway| gateway["listeners"][0]["hostname"].clone());
        assert_eq!(hosts[1].as_str().unwrap(), format!("operators.{}", hosts[0].as_str().unwrap()), "{overlay}");
        let is_inside = gateway("operators")["gatewayClassName"] == "gke-l7-rilb"
            || gateway("operators")["infrastructure"]["parametersRef"]["name"] == "operators";
        assert!(is_inside, "{overlay}: the operators' gateway has an address outside");
    }
}

#[test]
fn who_comes_in_clear_is_sent_to_https() {
    for (overlay, objects) in overlays().filter(|(overlay, _)| *overlay != "nginx") {
        let route = &named(&objects, "HTTPRoute", "to-https")["spec"];
        assert_eq!(route["parentRefs"][0]["sectionName"], "http", "{overlay}");
        assert_eq!(route["rules"][0]["filters"][0]["requestRedirect"]["scheme"], "https", "{overlay}");
        assert!(route["rules"][0].get("backendRefs").is_none(), "{overlay}");
        assert_eq!(named(&objects, "HTTPRoute", "public")["spec"]["parentRefs"][0]["sectionName"], "https");
    }
}

/// Runtime-class-manager makes a class of the same name: what both say must be the same.
#[test]
fn the_runtime_class_is_the_shim_s() {
    let objects = render("runtime-class");
    let (class, shim) = (named(&objects, "RuntimeClass", "wasmtime-spin-v2"), named(&objects, "Shim", "spin-v2"));
    assert_eq!(class["handler"], shim["spec"]["runtimeClass"]["handler"]);
    assert_eq!(class["metadata"]["name"], shim["spec"]["runtimeClass"]["name"]);
    assert_eq!(class["scheduling"]["nodeSelector"], shim["spec"]["nodeSelector"]);
    assert_eq!(shim["spec"]["containerdRuntimeOptions"]["SystemdCgroup"], "true");
    for platform in list(&shim["spec"]["fetchStrategy"]["platforms"]) {
        assert_eq!(platform["sha256"].as_str().map(str::len), Some(64), "the shim is named by its checksum");
    }
    for (overlay, objects) in overlays().filter(|(overlay, _)| *overlay != "gke-autopilot") {
        let executor = &named(&objects, "SpinAppExecutor", "spin")["spec"]["deploymentConfig"];
        assert_eq!(executor["runtimeClassName"], class["metadata"]["name"], "{overlay}");
    }
}

/// The configuration for machines of their own knows the same functions.
#[test]
fn nginx_lets_through_what_is_for_everyone() {
    let text = std::fs::read_to_string(checkout().join("deploy/nginx/cofrap.conf")).unwrap();
    let (_, rest) = text.split_once("location ~ ^/(function|f)/(").unwrap();
    let (names, _) = rest.split_once(')').unwrap();
    let names: BTreeSet<_> = names.split('|').collect();
    let expected: BTreeSet<_> = ROUTES
        .iter()
        .filter(|route| route.audience == Audience::Everyone)
        .flat_map(|route| route.paths)
        .filter_map(|path| path.strip_prefix("/function/").filter(|name| *name != "..."))
        .collect();
    assert_eq!(names, expected);
}

/// A restored database must be treated before the functions are told of it, must not write over the archive that it came from, and is another
/// one to everybody.
#[test]
fn a_recovery_is_another_cluster_that_is_treated_first() {
    let objects = render("deploy/overlays/gke-recovery");
    let cluster = &of_kind(&objects, "Cluster").next().unwrap();
    let name = cluster["metadata"]["name"].as_str().unwrap();
    assert_eq!(name, "accounts-restored");
    let source = &cluster["spec"]["externalClusters"][0]["plugin"]["parameters"]["serverName"];
    assert_ne!(*source, cluster["spec"]["plugins"][0]["parameters"]["serverName"]);
    assert!(cluster["spec"]["bootstrap"].get("initdb").is_none());
    assert_eq!(named(&objects, "Pooler", "accounts-pooler")["spec"]["cluster"]["name"], name);
    assert_eq!(named(&objects, "ScheduledBackup", "accounts")["spec"]["cluster"]["name"], name);
    let container = &named(&objects, "Job", "migrate")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], serde_json::json!(["--after-restore"]));
    for text in texts(container).into_iter().filter(|text| text.starts_with("accounts-")) {
        assert!(text.starts_with("accounts-restored-"), "{text}");
    }
    let usual = render("deploy/overlays/gke");
    assert!(named(&usual, "Job", "migrate")["spec"]["template"]["spec"]["containers"][0].get("args").is_none());
    let plugin = &of_kind(&usual, "Cluster").next().unwrap()["spec"]["plugins"][0];
    assert_eq!(plugin["isWALArchiver"], true);
    assert_eq!(named(&usual, "ScheduledBackup", "accounts")["spec"]["method"], "plugin");
    assert!(named(&usual, "ObjectStore", "accounts")["spec"]["configuration"].get("serverName").is_none());
}
