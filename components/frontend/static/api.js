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

/** How long an answer may take. */
const PATIENCE = 20_000;

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
      signal: AbortSignal.timeout(PATIENCE),
      cache: "no-store",
      // The session stays where no script can read it.
      headers: { "Content-Type": "application/json", "Cofrap-Session": "cookie" },
      body: body && JSON.stringify(body),
    });
    answer = await response.json();
  } catch (error) {
    throw new Refusal(lost(method, response, error));
  }
  if (response.ok && answer) return answer;
  const code = answer?.code ?? lost(method, response);
  throw new Refusal(code, { retryAfter: Number(response.headers.get("Retry-After")), answer });
}

/** What an answer that did not come, broke off, or came from something in between leaves open. Who only reads has changed nothing. */
function lost(method, response, error) {
  if (response?.status === 503) return "unavailable";
  const isLate = error?.name === "TimeoutError";
  if (method === "GET") return response || isLate ? "no_answer" : "unreachable";
  return response || isLate ? "outcome_unknown" : "unreachable";
}
