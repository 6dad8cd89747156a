// Pages and the way between them: each is a page of its own for the server and without script. With script the next one is
// put in the place of the last, so that what a journey must remember stays in this document's memory and nowhere else.

import * as checkSecondFactor from "./check-2fa.js";
import * as dashboard from "./dashboard.js";
import * as generatePassword from "./generate-password.js";
import * as generateSecondFactor from "./generate-2fa.js";
import { journey } from "./journey.js";
import * as login from "./login.js";
import * as logout from "./logout.js";
import * as signup from "./signup.js";
import { speak } from "./texts.js";

const pages = {
  "/login": login,
  "/signup": signup,
  "/dashboard": dashboard,
  "/generate-password": generatePassword,
  "/generate-2fa": generateSecondFactor,
  "/check-2fa": checkSecondFactor,
  "/logout": logout,
};

/** Ends what the page before began: its listeners, its timers. */
let leaving = new AbortController();

/** Where the page is that the document shows. */
let shown;

/** Starts the page that the document shows. */
function start() {
  leaving.abort();
  leaving = new AbortController();
  shown = location.pathname;
  document.querySelector(".language").addEventListener("click", switchLanguage);
  pages[shown.replace(/(.)\/$/, "$1")]?.start(document.querySelector("main"), { go, signal: leaving.signal });
}

/** Shows another page, in this document. */
async function go(path, { replace = false } = {}) {
  const page = await fetchPage(path);
  if (!page) return;
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  show(page);
  scrollTo(0, 0);
  document.querySelector("h1").focus({ preventScroll: true });
}

function show(page) {
  document.title = page.title;
  document.documentElement.lang = page.documentElement.lang;
  document.body.replaceWith(document.adoptNode(page.body));
  start();
}

/** The page in the same language and of the same version as this document; where there is none, the browser goes there itself. */
async function fetchPage(path) {
  try {
    const page = await request(path);
    const { version } = page.documentElement.dataset;
    if (version !== document.documentElement.dataset.version) throw new Error("another version is served now");
    await speak(page.documentElement.lang);
    return page;
  } catch {
    location.assign(path);
  }
}

/** `fetch` gives no document, and a parser for text would have to be trusted with markup. */
function request(path) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    request.responseType = "document";
    request.onload = () => (request.response ? resolve(request.response) : reject(new Error("no page")));
    request.onerror = () => reject(new Error("no answer"));
    request.send();
  });
}

/** The same page in the other language, with what was typed and what the journey has come to. */
async function switchLanguage(event) {
  event.preventDefault();
  const page = await fetchPage(location.pathname + event.currentTarget.getAttribute("href"));
  if (!page) return;
  const typed = [...document.querySelectorAll("input")].map(({ name, value, checked }) => ({ name, value, checked }));
  show(page);
  for (const { name, value, checked } of typed) {
    const input = document.querySelector(`input[name="${name}"]`);
    if (input) Object.assign(input, { value, checked });
  }
  document.querySelector(".language").focus();
}

addEventListener("popstate", async () => {
  // A jump within the page is no other page.
  const page = location.pathname !== shown && (await fetchPage(location.pathname));
  if (page) show(page);
});

// Browsers keep the pages that one leaves as they were. Of these, nothing is to be kept.
addEventListener("pagehide", () => {
  journey.forget();
  leaving.abort();
  document.querySelector("main").replaceChildren();
});
// What was shown once cannot be shown again.
addEventListener("beforeunload", (event) => {
  if (journey.holdsSecrets()) event.preventDefault();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

await speak(document.documentElement.lang);
start();
