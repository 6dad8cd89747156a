// Who is logged in, in this browser: in the header of every page, and the same in all tabs.

import { call, Refusal } from "./api.js";

/** Tabs tell each other when somebody logs in or out. */
const tabs = new BroadcastChannel("session");

/** The session of this browser, as far as this document knows; nothing where there is none. */
let session;

/** Looks are numbered: what came of an earlier one says nothing once somebody logged out. */
let looks = 0;

/** Looks who is logged in, and shows it. Where nobody answers, nothing is known that was not before. */
export async function look() {
  const own = ++looks;
  let found = session;
  try {
    found = await call("session", { method: "GET" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.code === "invalid_token") found = undefined;
  }
  if (own !== looks) return;
  session = found;
  showSession();
}

/** There is no session any more: here, and so that the other tabs look. */
export function forgetSession() {
  looks += 1;
  session = undefined;
  showSession();
  tellTabs();
}

/** Has the other tabs look who is logged in. */
export function tellTabs() {
  tabs.postMessage("changed");
}

/** Calls `work` when another tab, or another hour, may have changed who is logged in. */
export function onChange(work, signal) {
  tabs.addEventListener("message", work, { signal });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && work(), { signal });
}

/** Shows on the page who is logged in: the name, and the ways on where somebody is. */
export function showSession() {
  for (const place of document.querySelectorAll("[data-logged-in]")) {
    place.hidden = !session;
    place.querySelector("[data-logged-in-name]").textContent = session?.username ?? "";
  }
}
