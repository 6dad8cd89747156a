// A new second factor: asked for with proof where the journey has none yet, then shown once.

import { issueSecondFactor } from "./credentials.js";
import { onSubmit } from "./form.js";
import { askForProof } from "./generate-password.js";
import { journey } from "./journey.js";
import { offerCopy, showImage, showStep, showWho } from "./shown.js";

const here = "/generate-2fa";

export function start(main, { go, signal }) {
  showStep(main, here);
  if (journey.secondFactor) showIssued();
  else askForProof(main, { page: "generate_2fa", signal }, async (typed) => {
    if (!journey.username) journey.begin({ username: typed.username, steps: [here, "/check-2fa"] });
    await issueSecondFactor(typed);
    // What was typed as proof is still the password that the first code needs.
    if (typed.password) journey.password = { text: typed.password };
    showStep(main, here);
    showIssued();
    main.querySelector("h1").focus();
  });

  function showIssued() {
    const issued = main.querySelector("[data-issued]");
    const { image, link, secret } = journey.secondFactor;
    main.querySelector("[data-ask]").hidden = true;
    issued.hidden = false;
    showImage(issued, image);
    issued.querySelector("[data-link]").href = link;
    issued.querySelector("[data-secret]").textContent = secret.replace(/.{4}(?=.)/g, "$& ");
    offerCopy(issued, secret, signal);
    onSubmit(issued.querySelector("[data-continue]"), { page: "generate_2fa", signal }, () => go(journey.after(here)));
  }
}
