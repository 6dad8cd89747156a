// A new second factor: asked for where the journey has none yet, then shown once.

import { askWho } from "./ask.js";
import { issueSecondFactor } from "./credentials.js";
import { onSubmit } from "./form.js";
import { journey } from "./journey.js";
import { offerCopy, showImage, showStep } from "./shown.js";
import { t } from "./texts.js";

const path = "/generate-2fa";

export function start(main, { go, signal }) {
  if (journey.secondFactor) {
    showIssued();
  } else {
    askWho(main, { page: "generate_2fa", path, go, signal }, async () => {
      await issueSecondFactor();
      showIssued();
    });
  }

  function showIssued() {
    const issued = main.querySelector("[data-issued]");
    const { image, link, secret, entry } = journey.secondFactor;
    showStep(main, path, signal);
    main.querySelector("[data-ask]").hidden = true;
    issued.hidden = false;
    showImage(issued, image);
    issued.querySelector("[data-link]").href = link;
    issued.querySelector("[data-entry]").textContent = t("generate_2fa.entry", { entry, username: journey.username });
    issued.querySelector("[data-secret]").textContent = secret.replace(/.{4}(?=.)/g, "$& ");
    offerCopy(issued, secret, signal, "generate_2fa.copied");
    onSubmit(issued.querySelector("[data-continue]"), { page: "generate_2fa", signal }, () => go(journey.after(path)));
  }
}
