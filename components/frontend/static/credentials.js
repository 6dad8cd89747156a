// Asking for new credentials. What comes back is shown once; the journey remembers it until the document goes.

import { call, callUnknown } from "./api.js";
import { journey } from "./journey.js";
import { readQrCode } from "./qr.js";

/** What an expired login gave proves more than a session; a journey that has neither is one of a new account. */
function ask(name) {
  const { username, renewalToken, proof, bySession } = journey;
  if (renewalToken) return callUnknown(name, { username, renewal_token: renewalToken });
  if (bySession) return call(name, { body: { username } });
  return callUnknown(name, { username, ...proof });
}

/** From the moment that it is asked for, a new credential may be the only one that works. */
async function issue(name, keep) {
  journey.isIssuing = true;
  try {
    await keep(await ask(name));
  } finally {
    journey.isIssuing = false;
  }
}

/** Replaces the password. The text is read out of the image, which alone has it; it is absent if that fails. */
export function issuePassword() {
  return issue("generate-password-v2", async ({ qr_code: image }) => {
    const text = await readQrCode(image).catch(() => undefined);
    journey.password = { image, text };
  });
}

/** Replaces the second factor. */
export function issueSecondFactor() {
  return issue("generate-2fa-v2", ({ qr_code: image, provisioning_uri: link }) => {
    journey.secondFactor = { image, link, secret: new URL(link).searchParams.get("secret") };
  });
}
