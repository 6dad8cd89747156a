// A new account begins with its name.

import { issuePassword } from "./credentials.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";

export function start(main, { go, signal }) {
  const form = main.querySelector("form");
  onSubmit(form, { page: "signup", signal }, async ({ username }) => {
    journey.begin({ username, steps: ["/generate-password", "/generate-2fa", "/check-2fa"] });
    await issuePassword();
    await go("/generate-password");
  });
}
