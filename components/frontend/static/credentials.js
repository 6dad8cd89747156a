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

/** Replaces the password. The text is read out of the image, which alone has it; it is absent if that fails. */
export async function issuePassword() {
  const { qr_code: image } = await ask("generate-password-v2");
  const text = await readQrCode(image).catch(() => undefined);
  journey.password = { image, text };
}

/** Replaces the second factor. */
export async function issueSecondFactor() {
  const { qr_code: image, provisioning_uri: link } = await ask("generate-2fa-v2");
  journey.secondFactor = { image, link, secret: new URL(link).searchParams.get("secret") };
}
