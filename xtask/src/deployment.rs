//! What `deploy/` says of routes, from their table: which application runs which components, and which paths lead where.

use crate::checkout::checkout;
use crate::dashboards;
use anyhow::{Context, Result};
use cofrap_api::routes::ROUTES;
use cofrap_api::{Application, Audience, Route};
use std::fmt::Write;
use std::fs;

const HEAD: &str = "# Written by `cargo xtask manifest` from shared/api/src/routes.rs: change that, not this.\n";

/// The rules of alerts, as Prometheus reads them.
const ALERTS: &str = "deploy/components/monitoring/alerts.yaml";

/// The files, with what belongs in them.
fn files() -> Result<Vec<(String, String)>> {
    let files = [
        ("deploy/base/components.yaml", components()),
        ("deploy/base/routes.yaml", routes()),
        ("deploy/components/nginx-ingress/ingresses.yaml", ingresses()),
        ("deploy/components/monitoring/rules.yaml", rules()?),
    ];
    Ok(files.map(|(path, text)| (path.to_owned(), text)).into_iter().chain(dashboards::files()).collect())
}

/// The alerts as Prometheus' operator takes them.
fn rules() -> Result<String> {
    let alerts = fs::read_to_string(checkout().join(ALERTS)).with_context(|| format!("cannot read {ALERTS}"))?;
    let groups = alerts.split_once("groups:\n").with_context(|| format!("{ALERTS} has no groups"))?.1;
    let mut text = format!(
        "# Written by `cargo xtask manifest` from {ALERTS}: change that, not this.\napiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\nmetadata:\n  name: cofrap\n  namespace: cofrap\n  labels:\n    app.kubernetes.io/part-of: cofrap\n    \
         app.kubernetes.io/component: functions\nspec:\n  groups:\n"
    );
    for line in groups.lines() {
        let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "  {line}") };
    }
    Ok(text)
}

/// Writes them.
pub(crate) fn write() -> Result<()> {
    for (path, text) in files()? {
        fs::write(checkout().join(&path), text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// Which of them are not what the table says.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (path, text) in files()? {
        if fs::read_to_string(checkout().join(&path)).with_context(|| format!("cannot read {path}"))? != text {
            problems.push(format!("{path} is not what the table of routes says: run `cargo xtask manifest`"));
        }
    }
    Ok(problems)
}

/// The applications of a cluster, by the names of their Services.
const APPLICATIONS: [(&str, Application); 2] = [("auth-v1", Application::First), ("auth", Application::Second)];

/// Whatever under these is not said to be for everyone is nobody's on the public host name.
const CLOSED: [&str; 4] = ["/function", "/f", "/metrics", "/.well-known/spin"];

/// Where the functions answer 404 `not_found`, with their headers.
const NOWHERE: &str = "/function/none";

fn is_in(application: Application, other: Application) -> bool {
    application == other || application == Application::Both
}

/// The exact paths of an application that are for everyone.
fn public_paths(application: Application) -> impl Iterator<Item = &'static str> {
    exact_paths(application, |route| route.audience == Audience::Everyone)
}

/// The exact paths of those routes of an application that are wanted.
fn exact_paths(application: Application, is_wanted: fn(&Route) -> bool) -> impl Iterator<Item = &'static str> {
    let routes = ROUTES.iter().filter(move |route| route.application == application && is_wanted(route));
    routes.flat_map(|route| route.paths).copied().filter(|path| !path.ends_with("..."))
}

fn components() -> String {
    let mut text = HEAD.to_owned();
    for (name, application) in APPLICATIONS {
        let _ = write!(
            text,
            "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata:\n  name: {name}\nspec:\n  components:\n"
        );
        for route in ROUTES.iter().filter(|route| is_in(route.application, application)) {
            let _ = writeln!(text, "    - {}", route.component);
        }
    }
    text
}

fn routes() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "# Public: what is for everyone. Every other path under the functions' prefixes, metrics and the platform's own answers 404.\n",
    );
    text.push_str(&http_route("public", "public", "https", "host"));
    for (name, application) in APPLICATIONS {
        text.push_str(&rule(public_paths(application).map(|path| ("Exact", path)), name, None));
    }
    for prefix in CLOSED {
        text.push_str(&rule([("PathPrefix", prefix)].into_iter(), "auth", Some(NOWHERE)));
    }
    text.push_str(&rule([("PathPrefix", "/")].into_iter(), "auth", None));

    text.push_str("---\n# For those who run the service: every function.\n");
    text.push_str(&http_route("operators", "operators", "https", "operators.host"));
    text.push_str(&rule(exact_paths(Application::First, |_| true).map(|path| ("Exact", path)), "auth-v1", None));
    text.push_str(&rule([("PathPrefix", "/")].into_iter(), "auth", None));

    text.push_str("---\n# Whoever comes in clear is sent to HTTPS.\n");
    text.push_str(&http_route("to-https", "public", "http", "host"));
    text.push_str("    - filters:\n        - type: RequestRedirect\n          requestRedirect: {scheme: https, statusCode: 301}\n");
    text
}

fn http_route(name: &str, gateway: &str, listener: &str, host: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {name}\nspec:\n  parentRefs:\n\
         \x20   - name: {gateway}\n      sectionName: {listener}\n  hostnames:\n    - {host}\n  rules:\n"
    )
}

/// Browsers stay with HTTPS for two years, which is what they ask for to know a site beforehand.
const HSTS: &str = "{name: Strict-Transport-Security, value: max-age=63072000}";

fn rule(paths: impl Iterator<Item = (&'static str, &'static str)>, service: &str, rewrite: Option<&str>) -> String {
    let mut text = "    - matches:\n".to_owned();
    for (kind, path) in paths {
        let _ = writeln!(text, "        - path: {{type: {kind}, value: {path}}}");
    }
    text.push_str("      filters:\n");
    if let Some(prefix) = rewrite {
        let _ = write!(
            text,
            "        - type: URLRewrite\n          urlRewrite:\n            path: {{type: ReplacePrefixMatch, replacePrefixMatch: {prefix}}}\n"
        );
    }
    let _ = write!(
        text,
        "        - type: ResponseHeaderModifier\n          responseHeaderModifier:\n            set:\n              - {HSTS}\n\
         \x20     backendRefs:\n        - name: {service}\n          port: 80\n"
    );
    text
}

/// A rewriting ingress makes every path of its host a regular expression without regard to case, the longest first: so they are written as
/// such, with their ends.
fn ingresses() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&ingress("public", ""));
    for (name, application) in APPLICATIONS {
        for path in public_paths(application) {
            text.push_str(&ingress_path(&format!("{}$", escaped(path)), name));
        }
    }
    text.push_str(&ingress_path("/", "auth"));
    text.push_str("---\n# What is not for everyone is answered 404.\n");
    let rewrite = format!("    nginx.ingress.kubernetes.io/rewrite-target: {NOWHERE}\n");
    text.push_str(&ingress("closed", &rewrite));
    for prefix in CLOSED {
        text.push_str(&ingress_path(&format!("{}(/|$)", escaped(prefix)), "auth"));
    }
    text
}

fn escaped(path: &str) -> String {
    path.replace('.', "\\.")
}

/// The controller takes the addresses that clients claim out of `X-Forwarded-For` and puts in the one that it saw: one hop.
fn ingress(name: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  namespace: cofrap\n  labels:\n\
         \x20   app.kubernetes.io/part-of: cofrap\n    app.kubernetes.io/component: functions\n  annotations:\n\
         \x20   nginx.ingress.kubernetes.io/use-regex: \"true\"\n{more}\
         \x20   nginx.ingress.kubernetes.io/ssl-redirect: \"true\"\n\
         \x20   nginx.ingress.kubernetes.io/proxy-body-size: 64k\n\
         \x20   nginx.ingress.kubernetes.io/proxy-read-timeout: \"20\"\n\
         \x20   nginx.ingress.kubernetes.io/limit-rps: \"50\"\n\
         spec:\n  ingressClassName: nginx\n  tls:\n    - hosts: [host]\n      secretName: public-tls\n  rules:\n\
         \x20   - host: host\n      http:\n        paths:\n"
    )
}

fn ingress_path(expression: &str, service: &str) -> String {
    format!(
        "          - {{path: '{expression}', pathType: ImplementationSpecific, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}\n"
    )
}
