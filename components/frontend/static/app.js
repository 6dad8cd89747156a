// Pages and the way between them: each is a page of its own for the server and without script. With script the next one is
// put in the place of the last, so that what a journey must remember stays in this document's memory and nowhere else.

import { Refusal } from "./api.js";
import * as checkSecondFactor from "./check-2fa.js";
import * as dashboard from "./dashboard.js";
import * as generatePassword from "./generate-password.js";
import * as generateSecondFactor from "./generate-2fa.js";
import { journey } from "./journey.js";
import * as login from "./login.js";
import * as logout from "./logout.js";
import { logOut } from "./logout.js";
import * as signup from "./signup.js";
import { speak, t } from "./texts.js";
import { forgetSession, look, onChange, showSession } from "./who.js";

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
let shown = location.pathname;

/** Ways are numbered: of several, the last one leads somewhere. */
let ways = 0;

/** Starts the page that the document shows. */
function start() {
  leaving.abort();
  leaving = new AbortController();
  document.documentElement.dataset.started = "";
  showSession();
  document.querySelector(".language").addEventListener("click", switchLanguage);
  document.querySelector("[data-logout]").addEventListener("click", leaveSession);
  const path = shown.replace(/(.)\/$/, "$1");
  pages[path]?.start(document.querySelector("main"), { go, signal: leaving.signal });
}

/** Shows another page, in this document. */
async function go(path, { replace = false } = {}) {
  const page = await fetchPage(path);
  if (!page) return;
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  show(page, path);
  scrollTo(0, 0);
}

/** A page begins at what it has to say first, else at its heading. */
function show(page, path) {
  shown = path;
  document.title = page.title;
  document.documentElement.lang = page.documentElement.lang;
  document.body.replaceWith(document.adoptNode(page.body));
  start();
  const first = [...document.querySelectorAll("[data-first]:not(:empty)")].find((element) => element.checkVisibility());
  (first ?? document.querySelector("h1")).focus({ preventScroll: true });
}

/**
 * A page, nothing if another way was taken meanwhile. Where it does not come, or belongs to another version than this document,
 * the browser goes there itself; but not while the document holds what cannot be shown again.
 */
async function fetchPage(path) {
  const way = ++ways;
  const url = new URL(path, location.origin);
  try {
    const page = await request(url);
    const { version } = page.documentElement.dataset;
    const isSame = version === document.documentElement.dataset.version;
    if (!version || (!isSame && !journey.holdsSecrets())) throw new Error("no page, or of another version");
    await speak(page.documentElement.lang);
    return way === ways ? page : undefined;
  } catch {
    if (journey.holdsSecrets()) throw new Refusal("unreachable");
    if (way === ways) location.assign(url);
  }
}

/** `fetch` gives no document, and a parser for text would have to be trusted with markup. */
function request(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = 20_000;
    request.onload = () => (request.response ? resolve(request.response) : reject(new Error("no page")));
    request.onerror = () => reject(new Error("no answer"));
    request.ontimeout = request.onerror;
    request.send();
  });
}

/** Ends this session, from any page. */
async function leaveSession(event) {
  const button = event.currentTarget;
  if (isBusy() || (journey.holdsSecrets() && !confirm(t("layout.leave")))) return;
  button.setAttribute("aria-busy", "true");
  try {
    await logOut();
  } catch {
    button.removeAttribute("aria-busy");
    // The page for it says what went wrong.
    return void location.assign("/logout");
  }
  forgetSession();
  journey.begin({ ended: "logged_out" });
  await go("/logout", { replace: true });
}

/** The same page in the other language, with what was typed and what the journey has come to; not while an answer is awaited. */
async function switchLanguage(event) {
  event.preventDefault();
  if (isBusy()) return;
  const { pathname, search } = new URL(event.currentTarget.href);
  const page = await fetchPage(location.origin + pathname + search).catch(() => undefined);
  if (!page || isBusy()) return;
  const typed = [...document.querySelectorAll("input")].map(({ name, value, checked }) => ({ name, value, checked }));
  show(page, shown);
  for (const { name, value, checked } of typed) {
    const input = document.querySelector(`input[name="${name}"]`);
    if (input) Object.assign(input, { value, checked });
  }
  document.querySelector(".language").focus();
}

/** Whether an answer is awaited, which the page that asked for it must show. */
function isBusy() {
  return document.querySelector("[aria-busy]") !== null;
}

addEventListener("popstate", async () => {
  const path = location.pathname;
  // A jump within the page, or back to it, is no other page.
  if (path === shown) return void (ways += 1);
  const stay = () => history.pushState(null, "", shown);
  if (isBusy()) return stay();
  const isAway = journey.holdsSecrets() && !journey.steps.includes(path);
  if (isAway && !confirm(t("layout.leave"))) return stay();
  const page = await fetchPage(location.origin + path).catch(stay);
  if (!page) return;
  if (isBusy()) return stay();
  if (isAway) journey.forget();
  show(page, path);
});

// What was shown once cannot be shown again. Opening an app is no leaving.
let opensApp = false;
addEventListener("click", (event) => {
  opensApp = Boolean(event.target.closest?.("[data-link]"));
  setTimeout(() => (opensApp = false), 3000);
});
addEventListener("beforeunload", (event) => {
  if (journey.holdsSecrets() && !opensApp) event.preventDefault();
});

// Browsers keep the pages that one leaves as they were. Of these, nothing is to be kept.
addEventListener("pagehide", () => {
  journey.forget();
  leaving.abort();
  document.querySelector("main").replaceChildren();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

onChange(look);
look();
await speak(document.documentElement.lang);
start();
