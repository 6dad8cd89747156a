// Logging in; and what is offered to who cannot yet, or not any more.

import { call } from "./api.js";
import { issuePassword, issueSecondFactor } from "./credentials.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { firstOf, t } from "./texts.js";
import { tellTabs } from "./who.js";

/** The pages that what is offered instead of a login leads through. */
const offers = {
  renew: { steps: ["/generate-password", "/generate-2fa", "/check-2fa"] },
  enrol: { steps: ["/generate-2fa", "/check-2fa"] },
};

/** Logs in; what a journey knows then: that there is a session, or what is offered instead of one. */
export async function identify({ username, password, code }) {
  try {
    const answer = await call("authenticate-user-v2", { body: { username, password, "2FA_code": code } });
    // The legacy policy knows no sessions, and asks for no proof.
    const { second_factor: factor, pending_second_factor_until: pendingUntil } = answer;
    return { username, bySession: answer.expires_in !== undefined, factor, pendingUntil };
  } catch (error) {
    const { renew, enrol } = offers;
    if (error.code === "password_expired") {
      const { renewal_token: renewalToken, renewal_expires_in: seconds, renewal_due: due } = error.answer;
      const renewalEnds = Date.now() + seconds * 1000;
      const renewal = { username, offer: "renew", renewalToken, renewalEnds, steps: renew.steps };
      // A password that was renewed already stays what it is.
      if (due.includes("password")) return renewal;
      return { ...renewal, password: { text: password }, steps: enrol.steps };
    }
    if (error.code === "mfa_enrollment_required") {
      return { username, offer: "enrol", proof: { password }, password: { text: password }, steps: enrol.steps };
    }
    throw error;
  }
}

/**
 * Who is logged in begins a new document, which knows nothing of what was typed in this one but what was done. Without sessions that was
 * all.
 */
export async function enter({ bySession }, go, done = "") {
  journey.begin({ ended: bySession ? "" : "no_session" });
  if (!bySession) return go("/login", { replace: true });
  tellTabs();
  location.assign(done ? `/dashboard?done=${done}` : "/dashboard");
  // The form stays busy until the document goes.
  await new Promise(() => {});
}

export function start(main, { go, signal }) {
  const form = main.querySelector("[data-login]");
  main.querySelector("[data-status]").textContent = journey.ended ? firstOf(`login.${journey.ended}`, "login.session_over") : "";
  // Also after a change of language.
  if (journey.offer) showOffer();
  onSubmit(form, { page: "login", signal }, async (values) => {
    main.querySelector("[data-status]").textContent = "";
    const known = await identify(values);
    if (!known.offer) return enter(known, go, known.factor === "new" ? "phone" : "");
    journey.begin(known);
    form.reset();
    showOffer();
    main.querySelector("#offer-title").focus();
  });

  /** In the form's place, the way on. */
  function showOffer() {
    const offer = main.querySelector("[data-offer]");
    const page = `login.${journey.offer}`;
    form.hidden = true;
    offer.hidden = false;
    document.title = document.title.replace(/.* (?=–)/, `${t(`${page}.title`)} `);
    offer.querySelector("#offer-title").textContent = t(`${page}.title`);
    offer.querySelector("[data-offer-text]").textContent = t(`${page}.text`);
    offer.querySelector("[data-offer-button]").textContent = t(`${page}.button`);
    onSubmit(offer, { page, signal }, async () => {
      const [first] = journey.steps;
      if (!journey.holdsSecrets()) await (first === "/generate-2fa" ? issueSecondFactor() : issuePassword());
      await go(first);
    });
  }
}
