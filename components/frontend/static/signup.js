// A new account begins with its name.

import { issuePassword } from "./credentials.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";

export function start(main, { go, signal }) {
  onSubmit(main.querySelector("form"), { page: "signup", signal }, async ({ username }) => {
    // If only the way to the next page failed, the password is there already.
    if (journey.username !== username || !journey.password) {
      journey.begin({ username, steps: ["/generate-password", "/generate-2fa", "/check-2fa"] });
      await issuePassword();
    }
    await go("/generate-password");
  });
}
