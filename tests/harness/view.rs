//! Checks what a page looks like: accessibility, widths, large letters.

use crate::browser::Browser;
use crate::checkout::checkout;
use crate::language::Language;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

impl Browser {
    /// Checks what is shown: no rule of accessibility is broken, nothing is cut off on a phone or a screen, not with letters
    /// twice as large either. In French also in the dark, and with pictures of it in `target/screenshots`.
    pub async fn check_view(&self, name: &str) {
        if self.run("return globalThis.axe === undefined", &[]).await == true {
            self.run(&axe(), &[]).await;
        }
        let is_pictured = self.language == Language::French;
        for scheme in if is_pictured { &["light", "dark"][..] } else { &["light"] } {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
            let broken = self.run_async(AXE_RUN, &[]).await;
            assert_eq!(broken, json!([]), "{name}, {scheme}, {}: {broken:#}", self.language.tag());
            for width in [320, 768, 1440] {
                self.resize(width).await;
                self.check_width(name, width).await;
                if is_pictured && (*scheme == "light" || width == 768) {
                    self.keep_picture(&format!("{name}-{width}-{scheme}.png")).await;
                }
            }
        }
        self.run("document.documentElement.style.fontSize = '200%'", &[]).await;
        for width in [320, 1280] {
            self.resize(width).await;
            self.check_width(name, width).await;
        }
        self.run("document.documentElement.style.fontSize = ''", &[]).await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    }

    async fn keep_picture(&self, file: &str) {
        let folder = checkout().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(file), self.whole_page().await).expect("a file");
    }

    async fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn check_width(&self, name: &str, width: u32) {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let beyond = self.run(script, &[]).await;
        assert_eq!(beyond, 0, "{name} at {width} is wider than the screen, {}", self.language.tag());
    }

    async fn whole_page(&self) -> Vec<u8> {
        let picture = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        STANDARD.decode(picture["data"].as_str().expect("base64")).expect("base64")
    }
}

/// Every rule that axe has, those that are only good advice included; what breaks one.
const AXE_RUN: &str = "const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]) }));";

fn axe() -> String {
    let path = checkout().join("tests/browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(path).expect("axe-core: `npm ci` in tests/browser, which `cargo xtask test` runs")
}
