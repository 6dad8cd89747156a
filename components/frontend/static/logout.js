// The end of a session, and with it of all others of the account.

import { call, Refusal } from "./api.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { t } from "./texts.js";

/** Ends the sessions of the account. Where there is none any more, there is nothing to end. */
export async function logOut() {
  try {
    await call("session", { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "invalid_token")) throw error;
  }
}

export function start(main, { signal }) {
  const showDone = () => {
    main.querySelector("h1").textContent = t("logout.done");
    document.title = document.title.replace(/.* (?=–)/, `${t("logout.done")} `);
    main.querySelector("[data-ask]").hidden = true;
    main.querySelector("[data-done]").hidden = false;
  };
  // Also after a change of language.
  if (journey.ended === "logged_out") return showDone();
  onSubmit(main.querySelector("form"), { page: "logout", signal }, async () => {
    await logOut();
    journey.begin({ ended: "logged_out" });
    showDone();
    main.querySelector("h1").focus();
  });
}
