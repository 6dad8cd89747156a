// Asking who replaces a credential, for the pages of both.

import { onSubmit, say } from "./form.js";
import { journey } from "./journey.js";
import { identify } from "./login.js";
import { showStep, showWho } from "./shown.js";
import { t } from "./texts.js";

/**
 * The form of a page whose journey has no new credential yet. A login of the last minutes is proof: where there is none, the
 * form asks for what makes one, and an account that cannot log in yet, or not any more, is offered what it needs first.
 */
export function askWho(main, { page, path, go, signal }, issue) {
  const form = main.querySelector("[data-ask]");
  const proof = form.querySelector("[data-proof]");
  const show = () => {
    showStep(main, path, signal);
    showWho(form);
    proof.hidden = journey.bySession;
  };
  /** Without sessions, what was typed must be the proof; but its code is used up. */
  let isItself = false;
  const refused = ({ code }) => {
    // What was asked for may be done, and its answer lost: the password before proves once more, and never as a login.
    if (code === "outcome_unknown" && journey.username) {
      isItself = true;
      journey.bySession = false;
      show();
      say(form, t("code.outcome_unknown"));
      return true;
    }
    if (code !== "proof_required" || isItself || !journey.username) return false;
    isItself = !journey.bySession;
    journey.bySession = false;
    show();
    say(form, t(isItself ? "code.next_code" : "code.login_too_old"));
    proof.querySelector(isItself ? "#code" : "input").focus();
    return true;
  };
  form.hidden = false;
  show();
  onSubmit(form, { page, signal, refused }, async (typed) => {
    if (isItself) {
      journey.proof = { password: typed.password, "2FA_code": typed.code };
    } else if (typed.password) {
      const known = await identify({ username: journey.username, ...typed });
      journey.begin({ steps: [path, "/check-2fa"], ...known });
      if (known.offer) return go("/login");
      // What was typed is the password that the first code of a new second factor needs.
      journey.password = { text: typed.password };
      show();
    }
    await issue();
    form.reset();
    main.querySelector("h1").focus();
  });
}
