// What a page shows once: an image, a text for who cannot scan it, and the way on.

import { journey } from "./journey.js";
import { count, t } from "./texts.js";

/** Which step of its journey a page is, and how long a renewal may take; nothing where it is none. */
export function showStep(main, path, signal) {
  const index = journey.steps.indexOf(path);
  if (index < 0) return;
  const step = main.querySelector("[data-step]");
  step.textContent = t("layout.step", { number: index + 1, of: journey.steps.length });
  // Once both are there, the login may take its time.
  if (!journey.renewalEnds || journey.secondFactor) return;
  const left = main.querySelector("[data-left]");
  const tick = () => {
    const minutes = Math.ceil((journey.renewalEnds - Date.now()) / 60_000);
    left.textContent = minutes > 0 ? count("layout.left", minutes) : t("layout.left_over");
  };
  const timer = setInterval(tick, 5000);
  signal.addEventListener("abort", () => clearInterval(timer));
  tick();
}

/** Whose account a form is about: the journey's, or whoever is typed. */
export function showWho(form) {
  const isKnown = Boolean(journey.username);
  form.querySelector("[data-who]").hidden = !isKnown;
  form.querySelector("[data-username]").textContent = journey.username;
  form.querySelector('[data-field="username"]').hidden = isKnown;
}

/** A PNG in base64. */
export function showImage(place, image) {
  place.querySelector("[data-image]").src = `data:image/png;base64,${image}`;
}

/** A button that copies a text, and says whether it did; where it is to be pasted is the page's to say. */
export function offerCopy(place, text, signal, copied = "layout.copied") {
  const copy = async () => {
    const status = place.querySelector("[data-status]");
    try {
      await navigator.clipboard.writeText(text);
      status.textContent = t(copied);
    } catch {
      status.textContent = t("layout.not_copied");
    }
  };
  place.querySelector("[data-copy]").addEventListener("click", copy, { signal });
}
