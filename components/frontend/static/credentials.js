// Asking for new credentials. What comes back is shown once; the journey remembers it until the document goes.

import { call, callUnknown } from "./api.js";
import { journey } from "./journey.js";
import { readQrCode } from "./qr.js";

/** What proves that the account is the caller's: the renewal of an expired login, else what was typed, else nothing. */
function shown({ password, code } = journey.proof ?? {}) {
  if (journey.renewalToken) return { renewal_token: journey.renewalToken };
  return { ...(password && { password }), ...(code && { "2FA_code": code }) };
}

/** A request counts on the session only where it shows nothing else, and is about the session's own account. */
function ask(name, proof) {
  const body = { username: journey.username, ...proof };
  return journey.bySession && !Object.keys(proof).length ? call(name, { body }) : callUnknown(name, body);
}

/** Replaces the password. The text is read out of the image, which alone has it; it is absent if that fails. */
export async function issuePassword(typed) {
  const { qr_code: image } = await ask("generate-password-v2", shown(typed));
  const text = await readQrCode(image).catch(() => undefined);
  journey.password = { image, text };
}

/** Replaces the second factor. */
export async function issueSecondFactor(typed) {
  const { qr_code: image, provisioning_uri: link } = await ask("generate-2fa-v2", shown(typed));
  journey.secondFactor = { image, link, secret: new URL(link).searchParams.get("secret") };
}
