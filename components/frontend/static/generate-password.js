// A new password: asked for with proof where the journey has none yet, then shown once.

import { issuePassword, issueSecondFactor } from "./credentials.js";
import { onSubmit, say } from "./form.js";
import { journey } from "./journey.js";
import { offerCopy, showImage, showStep, showWho } from "./shown.js";
import { t } from "./texts.js";

const here = "/generate-password";

export function start(main, { go, signal }) {
  showStep(main, here);
  if (journey.password?.image) showIssued();
  else askForProof(main, { page: "generate_password", signal }, async (typed) => {
    if (!journey.username) journey.begin({ username: typed.username, steps: [here, "/check-2fa"] });
    await issuePassword(typed);
    showStep(main, here);
    showIssued();
    main.querySelector("h1").focus();
  });

  function showIssued() {
    const issued = main.querySelector("[data-issued]");
    const { image, text } = journey.password;
    main.querySelector("[data-ask]").hidden = true;
    issued.hidden = false;
    showImage(issued, image);
    if (text) offerText(issued, text);
    else issued.querySelector("[data-text-actions]").hidden = true;
    onSubmit(issued.querySelector("[data-continue]"), { page: "generate_2fa", signal }, async () => {
      if (journey.after(here) === "/generate-2fa" && !journey.secondFactor) await issueSecondFactor();
      await go(journey.after(here));
    });
  }

  /** The text is for who cannot scan, so it is only shown when asked for. */
  function offerText(issued, text) {
    const secret = issued.querySelector("[data-secret]");
    const reveal = issued.querySelector("[data-reveal]");
    offerCopy(issued, text, signal);
    const toggleText = () => {
      secret.hidden = !secret.hidden;
      secret.textContent = secret.hidden ? "" : text;
      reveal.setAttribute("aria-expanded", String(!secret.hidden));
    };
    reveal.addEventListener("click", toggleText, { signal });
  }
}

/**
 * Asks who replaces a credential, and for proof. With the session of a recent login none is needed: the form asks for it when
 * the function does.
 */
export function askForProof(main, { page, signal }, send) {
  const form = main.querySelector("[data-ask]");
  const proof = form.querySelector("[data-proof]");
  form.hidden = false;
  showWho(form);
  proof.hidden = Boolean(journey.bySession);
  const refused = ({ code }) => {
    if (code !== "proof_required" || !proof.hidden) return false;
    proof.hidden = false;
    say(form, t("code.login_too_old"));
    proof.querySelector("input").focus();
    return true;
  };
  onSubmit(form, { page, signal, refused }, send);
}
