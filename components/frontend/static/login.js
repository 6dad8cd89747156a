// Logging in; and what is offered to who cannot yet, or not any more.

import { call, Refusal } from "./api.js";
import { issuePassword, issueSecondFactor } from "./credentials.js";
import { onSubmit, tell } from "./form.js";
import { journey } from "./journey.js";
import { firstOf, t } from "./texts.js";

/** Who logged in begins a new document, which knows nothing of what was typed in this one. */
export async function logIn({ username, password, code }, isCurrent = () => true) {
  const answer = await call("authenticate-user-v2", { body: { username, password, "2FA_code": code } });
  // The legacy policy knows no sessions.
  if (answer.expires_in === undefined) throw new Refusal("no_session");
  if (!isCurrent()) return;
  journey.forget();
  location.assign("/dashboard");
}

export function start(main, { go, signal }) {
  const form = main.querySelector("form");
  main.querySelector("[data-status]").textContent = journey.ended ? firstOf(`login.${journey.ended}`) : "";
  let typed;
  const refused = ({ code, answer }) => {
    if (code === "password_expired") {
      const steps = ["/generate-password", "/generate-2fa", "/check-2fa"];
      journey.begin({ username: typed.username, renewalToken: answer.renewal_token, steps });
      offer("renew", issuePassword, "/generate-password");
      return true;
    }
    if (code === "mfa_enrollment_required") {
      const { username, password } = typed;
      journey.begin({ username, proof: { password }, password: { text: password }, steps: ["/generate-2fa", "/check-2fa"] });
      offer("enrol", issueSecondFactor, "/generate-2fa");
      return true;
    }
    return false;
  };
  onSubmit(form, { page: "login", signal, refused }, async (values) => {
    typed = values;
    await logIn(values, () => !signal.aborted);
  });

  /** In the form's place, the way on. */
  function offer(what, issue, path) {
    const next = main.querySelector("[data-next]");
    form.hidden = true;
    next.hidden = false;
    next.querySelector("[data-next-title]").textContent = t(`login.${what}.title`);
    next.querySelector("[data-next-text]").textContent = t(`login.${what}.text`);
    const button = next.querySelector("[data-next-button]");
    button.textContent = t(`login.${what}.button`);
    button.addEventListener("click", proceed, { signal });
    next.querySelector("[data-next-title]").focus();

    async function proceed() {
      try {
        await issue();
        await go(path);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        tell(next, `login.${what}`, error, signal);
      }
    }
  }
}
