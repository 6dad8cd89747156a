// Calling the functions.

/** What a function did not do, by its code; the words are the page's. */
export class Refusal extends Error {
  constructor(code, { retryAfter, answer = {} } = {}) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
    this.answer = answer;
  }
}

/** Calls a function with the session of this browser, if there is one. */
export function call(name, { method = "POST", body } = {}) {
  return send(name, { method, body, credentials: "same-origin" });
}

/** Calls a function as somebody whom nobody knows: what the body says is all that counts. */
export function callUnknown(name, body) {
  return send(name, { method: "POST", body, credentials: "omit" });
}

async function send(name, { method, body, credentials }) {
  let response;
  let answer;
  try {
    response = await fetch(`/function/${name}`, {
      method,
      credentials,
      cache: "no-store",
      // The session stays where no script can read it.
      headers: { "Content-Type": "application/json", "Cofrap-Session": "cookie" },
      body: body && JSON.stringify(body),
    });
    answer = await response.json();
  } catch {
    // No network, or an answer that broke off or that something in between gave: what was asked for may have been done.
    throw new Refusal(response ? "outcome_unknown" : "unreachable");
  }
  if (response.ok && answer) return answer;
  throw new Refusal(answer?.code ?? "outcome_unknown", { retryAfter: Number(response.headers.get("Retry-After")), answer });
}
