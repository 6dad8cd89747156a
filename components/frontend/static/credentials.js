// Asking for new credentials. What comes back is shown once; the journey remembers it until the document goes.

import { call, callUnknown } from "./api.js";
import { journey } from "./journey.js";

/** What authenticator apps call the entry: with the month, so that an old one is told from a new one. */
function issuer() {
  return `MSPR2-COFRAP ${new Date().toISOString().slice(0, 7)}`;
}

/** What an expired login gave proves more than a session; a journey that has neither is one of a new account. */
function ask(name, more) {
  const { username, renewalToken, proof, bySession } = journey;
  if (renewalToken) return callUnknown(name, { username, renewal_token: renewalToken, ...more });
  if (bySession) return call(name, { body: { username, ...more } });
  // Of an account that nobody has logged in to yet, the password proves that an answer which got lost was asked for.
  const known = journey.password?.image && { password: journey.password.text };
  return callUnknown(name, { username, ...(proof ?? known), ...more });
}

/** From the moment that it is asked for, a new credential may be the only one that works. */
async function issue(name, keep, more) {
  journey.isIssuing = true;
  try {
    await keep(await ask(name, more));
  } finally {
    journey.isIssuing = false;
  }
}

/** Replaces the password. The text is read out of the image, which alone has it; it is absent if that fails. */
export function issuePassword() {
  const reader = import("./qr.js").catch(() => undefined);
  return issue("generate-password-v2", async ({ qr_code: image }) => {
    const text = await (await reader)?.readQrCode(image).catch(() => undefined);
    journey.password = { image, text };
  });
}

/** Replaces the second factor. */
export function issueSecondFactor() {
  const keep = ({ qr_code: image, provisioning_uri: link }) => {
    const parameters = new URL(link).searchParams;
    journey.secondFactor = { image, link, secret: parameters.get("secret"), entry: parameters.get("issuer") };
  };
  return issue("generate-2fa-v2", keep, { issuer: issuer() });
}
