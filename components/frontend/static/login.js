// Logging in; and what is offered to who cannot yet, or not any more.

import { call, Refusal } from "./api.js";
import { issuePassword, issueSecondFactor } from "./credentials.js";
import { onSubmit } from "./form.js";
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

/** What is offered instead of a login: what it begins with, and the page that shows it. */
const offers = {
  renew: { issue: issuePassword, path: "/generate-password" },
  enrol: { issue: issueSecondFactor, path: "/generate-2fa" },
};

export function start(main, { go, signal }) {
  const form = main.querySelector("[data-login]");
  main.querySelector("[data-status]").textContent = journey.ended ? firstOf(`login.${journey.ended}`) : "";
  // Also after a change of language.
  if (journey.offer) showOffer();
  let typed;
  const refused = ({ code, answer }) => {
    const { username, password } = typed;
    if (code === "password_expired") {
      const steps = ["/generate-password", "/generate-2fa", "/check-2fa"];
      journey.begin({ offer: "renew", username, renewalToken: answer.renewal_token, steps });
    } else if (code === "mfa_enrollment_required") {
      const steps = ["/generate-2fa", "/check-2fa"];
      journey.begin({ offer: "enrol", username, proof: { password }, password: { text: password }, steps });
    } else {
      return false;
    }
    showOffer();
    main.querySelector("#offer-title").focus();
    return true;
  };
  onSubmit(form, { page: "login", signal, refused }, async (values) => {
    typed = values;
    await logIn(values, () => !signal.aborted);
  });

  /** In the form's place, the way on. */
  function showOffer() {
    const offer = main.querySelector("[data-offer]");
    const { issue, path } = offers[journey.offer];
    const page = `login.${journey.offer}`;
    form.hidden = true;
    offer.hidden = false;
    offer.querySelector("#offer-title").textContent = t(`${page}.title`);
    offer.querySelector("[data-offer-text]").textContent = t(`${page}.text`);
    offer.querySelector("[data-offer-button]").textContent = t(`${page}.button`);
    onSubmit(offer, { page, signal }, async () => {
      await issue();
      await go(path);
    });
  }
}
