// The first code of a new second factor, or of an account with a new password: with it the login is complete.

import { Refusal } from "./api.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { enter, identify } from "./login.js";
import { showStep, showWho } from "./shown.js";
import { t } from "./texts.js";

export function start(main, { go, signal }) {
  const form = main.querySelector("form");
  const changesPhone = journey.isFinishing || Boolean(journey.secondFactor && journey.bySession);
  showStep(main, "/check-2fa", signal);
  showWho(form);
  form.querySelector("#code").required = true;
  if (changesPhone) main.querySelector("[data-lead]").textContent = t("check_2fa.new_phone");
  if (!changesPhone && !journey.secondFactor) main.querySelector("h1").textContent = t("check_2fa.any_code");
  // Who came here by a journey has the password in it already, unless it could not be read.
  const password = journey.password?.text;
  form.querySelector('[data-field="password"]').hidden = Boolean(password);
  onSubmit(form, { page: "check_2fa", signal }, async (typed) => {
    const known = await identify({ username: journey.username, password, ...typed });
    // The old phone's code logs in as well. Whoever changes phones is not done then, and is not sent away.
    if (changesPhone && !known.offer && known.factor !== "new") throw new Refusal(known.pendingUntil ? "old_phone" : "no_phone");
    if (!known.offer) return enter(known, go, done());
    // What was shown on the way here stays: it was only the code of another entry, or a wrong one.
    if (journey.holdsSecrets() && known.offer === "renew") throw new Refusal("old_entry");
    if (journey.holdsSecrets() && known.offer === "enrol") throw new Refusal("invalid_credentials");
    journey.begin(known);
    await go("/login");
  });

  /** What the journey came to, for the sentence that says so. */
  function done() {
    if (changesPhone) return "phone";
    if (journey.renewalToken) return "renewal";
    if (journey.password?.image) return journey.steps.includes("/generate-2fa") ? "account" : "password";
    return journey.secondFactor ? "second_factor" : "";
  }
}
