//! Which component answers a path.

use crate::manifest::HttpTrigger;
use anyhow::{Result, anyhow};
use routefinder::Router;
use std::collections::BTreeMap;

/// The routes of a manifest. An exact route comes before one with `:parameters`, that before a trailing `/...`.
pub(crate) struct Routes(Router<Route>);

struct Route {
    component: String,
    /// As the manifest has it.
    raw: String,
}

/// A path's component, and what Spin tells it about the match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RouteMatch {
    pub(crate) component: String,
    pub(crate) raw_route: String,
    /// What a trailing `/...` stood for; none for other routes.
    pub(crate) path_info: Option<String>,
    /// What each `:parameter` stood for.
    pub(crate) captures: BTreeMap<String, String>,
}

impl Routes {
    /// The last of several equal routes wins.
    pub(crate) fn new(triggers: &[HttpTrigger]) -> Result<Self> {
        let triggers: BTreeMap<_, _> = triggers.iter().map(|trigger| (trigger.route.as_str(), trigger)).collect();
        let mut router = Router::new();
        for (raw, trigger) in triggers {
            let spec = trigger.route.to_spec().map_err(|error| anyhow!("route {raw}: {error}"))?;
            let route = Route { component: trigger.component.get_ref().as_str().to_owned(), raw: raw.to_owned() };
            router.add(spec, route).map_err(|error| anyhow!("route {raw}: {error}"))?;
        }
        Ok(Self(router))
    }

    /// The path is taken as it came: nothing is decoded, one trailing slash is ignored.
    pub(crate) fn find(&self, path: &str) -> Option<RouteMatch> {
        let found = self.0.best_match(path)?;
        let route = found.handler();
        let captures = found.captures();
        let path_info = route.raw.ends_with("/...").then(|| path_info(captures.wildcard().unwrap_or(""), path));
        Some(RouteMatch {
            component: route.component.clone(),
            raw_route: route.raw.clone(),
            path_info,
            captures: captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }
}

impl RouteMatch {
    /// The route without a trailing `/...`.
    pub(crate) fn route_or_prefix(&self) -> &str {
        self.raw_route.strip_suffix("/...").unwrap_or(&self.raw_route)
    }
}

/// Spin gives the wildcard back with the slashes around it.
fn path_info(wildcard: &str, path: &str) -> String {
    let end = if path.ends_with('/') { "/" } else { "" };
    if wildcard.is_empty() { end.to_owned() } else { format!("/{wildcard}{end}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[(&str, &str)]) -> Routes {
        let triggers: Vec<HttpTrigger> = list
            .iter()
            .map(|(route, component)| toml::from_str(&format!("route = '{route}'\ncomponent = '{component}'")).unwrap())
            .collect();
        Routes::new(&triggers).unwrap()
    }

    fn check(list: &[(&str, &str)], path: &str, expected: Option<(&str, Option<&str>)>) {
        let found = routes(list).find(path);
        let found = found.as_ref().map(|found| (found.component.as_str(), found.path_info.as_deref()));
        assert_eq!(found, expected, "{path}");
    }

    const ALL: &[(&str, &str)] = &[
        ("/...", "rest"),
        ("/a/...", "below-a"),
        ("/a/:name", "parameter"),
        ("/a/b", "exact"),
        ("/c/:name/d", "inner"),
    ];

    #[test]
    fn exact_comes_before_parameter_before_wildcard() {
        check(ALL, "/a/b", Some(("exact", None)));
        check(ALL, "/a/x", Some(("parameter", None)));
        check(ALL, "/a/x/y", Some(("below-a", Some("/x/y"))));
        check(ALL, "/z", Some(("rest", Some("/z"))));
    }

    #[test]
    fn a_wildcard_also_matches_its_prefix() {
        check(&[("/a/...", "below-a")], "/a", Some(("below-a", Some(""))));
        check(&[("/a/...", "below-a")], "/a/", Some(("below-a", Some("/"))));
    }

    #[test]
    fn one_trailing_slash_is_ignored() {
        check(ALL, "/a/b/", Some(("exact", None)));
    }

    #[test]
    fn the_path_is_not_decoded_and_case_counts() {
        check(&[("/a/b", "exact")], "/a/%62", None);
        check(&[("/a/b", "exact")], "/A/b", None);
    }

    #[test]
    fn of_equal_routes_the_last_wins() {
        check(&[("/a", "first"), ("/a", "second")], "/a", Some(("second", None)));
    }

    #[test]
    fn no_route_is_no_match() {
        check(&[("/a", "exact")], "/b", None);
        check(&[("/a/...", "below-a")], "/ab", None);
    }

    #[test]
    fn parameters_are_captured() {
        let found = routes(ALL).find("/c/me/d").unwrap();
        assert_eq!(found.captures, BTreeMap::from([("name".into(), "me".into())]));
    }
}
