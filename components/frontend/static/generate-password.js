// A new password: asked for where the journey has none yet, then shown once.

import { askWho } from "./ask.js";
import { issuePassword, issueSecondFactor } from "./credentials.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { offerCopy, showImage, showStep } from "./shown.js";

const path = "/generate-password";

export function start(main, { go, signal }) {
  if (journey.password?.image) {
    showIssued();
  } else {
    askWho(main, { page: "generate_password", path, go, signal }, async () => {
      await issuePassword();
      showIssued();
    });
  }

  function showIssued() {
    const issued = main.querySelector("[data-issued]");
    const { image, text } = journey.password;
    showStep(main, path, signal);
    main.querySelector("[data-ask]").hidden = true;
    issued.hidden = false;
    showImage(issued, image);
    if (text) offerText(issued, text);
    else for (const action of issued.querySelectorAll("[data-text-actions]")) action.hidden = true;
    onSubmit(issued.querySelector("[data-continue]"), { page: journey.renewalToken ? "renewal" : "generate_2fa", signal }, async () => {
      if (journey.after(path) === "/generate-2fa" && !journey.secondFactor) await issueSecondFactor();
      await go(journey.after(path));
    });
  }

  /** For password managers, which keep what stands in the form that is sent; it is only shown when asked for. */
  function offerText(issued, text) {
    issued.querySelector("#owner").value = journey.username;
    issued.querySelector("[data-host]").textContent = location.host;
    issued.querySelector("#secret").value = text;
    offerCopy(issued, text, signal);
  }
}
