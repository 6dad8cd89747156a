// The first code of a new second factor, or of an account with a new password: with it the login is complete.

import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { enter, identify } from "./login.js";
import { showStep, showWho } from "./shown.js";

export function start(main, { go, signal }) {
  const form = main.querySelector("form");
  showStep(main, "/check-2fa");
  showWho(form);
  form.querySelector("#code").required = true;
  // Who came here by a journey has the password in it already, unless it could not be read.
  const password = journey.password?.text;
  form.querySelector('[data-field="password"]').hidden = Boolean(password);
  onSubmit(form, { page: "check_2fa", signal }, async (typed) => {
    const known = await identify({ username: journey.username, password, ...typed });
    if (!known.offer) return enter(known, go);
    journey.begin(known);
    await go("/login");
  });
}
