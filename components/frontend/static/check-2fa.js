// The first code of a new second factor, or of an account with a new password: with it the login is complete.

import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { logIn } from "./login.js";
import { showStep, showWho } from "./shown.js";

export function start(main, { signal }) {
  const form = main.querySelector("form");
  showStep(main, "/check-2fa");
  showWho(form);
  form.querySelector("#code").required = true;
  // Who came here by a journey has the new password in it already, unless it could not be read.
  const password = journey.password?.text;
  form.querySelector('[data-field="password"]').hidden = Boolean(password);
  onSubmit(form, { page: "check_2fa", signal }, (typed) => logIn({ username: journey.username, password, ...typed }));
}
