// The end of this session, or of all of the account.

import { call, Refusal } from "./api.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { t } from "./texts.js";
import { forgetSession } from "./who.js";

/** Ends this session. Where there is none any more, there is nothing to end. */
export function logOut() {
  return end("session?this=1");
}

/** Ends the sessions of the account, on all devices. */
export function logOutEverywhere() {
  return end("session");
}

async function end(name) {
  try {
    await call(name, { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "invalid_token")) throw error;
  }
}

export function start(main, { signal }) {
  const showDone = () => {
    const everywhere = journey.ended === "logged_out_everywhere";
    document.title = document.title.replace(/.* (?=–)/, `${t("logout.done")} `);
    main.querySelector("h1").textContent = t("logout.done");
    main.querySelector("[data-done-text]").textContent = t(everywhere ? "logout.done_everywhere" : "logout.done_here");
    main.querySelector("[data-ask]").hidden = true;
    main.querySelector("[data-done]").hidden = false;
  };
  // Also after a change of language.
  if (journey.ended.startsWith("logged_out")) return showDone();
  onSubmit(main.querySelector("form"), { page: "logout", signal }, async () => {
    await logOut();
    forgetSession();
    journey.begin({ ended: "logged_out" });
    showDone();
    main.querySelector("h1").focus();
  });
}
