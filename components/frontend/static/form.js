// Forms: what is typed becomes values, what is wrong is said where it is, what is refused is said once, in the page's words.

import { Refusal } from "./api.js";
import { count, firstOf, learnHelpdesk, moment, t } from "./texts.js";

/** Until when a page's form waits, and for which name; also after a change of language. */
const waits = {};

/** What a field's text becomes; a problem is the key of a sentence. */
const fields = {
  username(text) {
    const name = text.trim().normalize("NFC");
    if (!name) return { problem: "username_missing" };
    if ([...name].length > 50) return { problem: "username_long" };
    return /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name) ? { problem: "username_characters" } : { value: name };
  },
  /** A name that does not exist yet: what people can see, type and tell apart. */
  new_username(text) {
    // Phones type an apostrophe of their own.
    const read = fields.username(text.replaceAll("\u2019", "'"));
    const plain = read.value?.normalize("NFKC");
    if (plain !== read.value) return { problem: "username_plain", values: { plain } };
    const isPlain = /^[\p{L}\p{Mn}\p{Mc}\p{Nd}._\-'@+]+( [\p{L}\p{Mn}\p{Mc}\p{Nd}._\-'@+]+)*$/u;
    const isSeen = !/\p{Default_Ignorable_Code_Point}/u.test(text);
    return read.problem || (isPlain.test(read.value) && isSeen) ? read : { problem: "username_new" };
  },
  password(text) {
    if (!text) return { problem: "password_missing" };
    return [...text].length > 100 ? { problem: "password_long" } : { value: text };
  },
  code(text, { required }) {
    const digits = digitsOf(text);
    if (!digits && !required) return { value: "" };
    if (!digits) return { problem: "code_missing" };
    return /^\d{6}$/.test(digits) ? { value: digits } : { problem: "code_ill_formed" };
  },
  kept(_, { checked }) {
    return checked ? { value: true } : { problem: "kept_missing" };
  },
};

/**
 * Calls `send` with the values of a form's visible fields when it is submitted. A refusal is said in the words of the page
 * (`page.code.<code>`), else in everybody's (`code.<code>`), unless `refused` deals with it and says so.
 */
export function onSubmit(form, { page, signal, refused = () => false }, send) {
  const button = form.querySelector("[type=submit]");
  form.addEventListener(
    "submit",
    async (event) => {
      event.preventDefault();
      if (button.hasAttribute("aria-busy")) return;
      if (waits[page]?.end > Date.now() && holdsFor(waits[page], nameIn(form))) return sayWait(form, page);
      delete waits[page];
      const values = read(form);
      if (!values) return;
      button.setAttribute("aria-busy", "true");
      say(form, "");
      form.querySelector("[data-busy]").textContent = t("layout.busy");
      try {
        await send(values);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (!signal.aborted && !refused(error)) tell(form, page, error, signal);
      } finally {
        button.removeAttribute("aria-busy");
        form.querySelector("[data-busy]").textContent = "";
      }
    },
    { signal },
  );
  for (const button of form.querySelectorAll("[data-show]")) showTyped(button, signal);
  if (waits[page]?.end > Date.now()) wait(form, page, signal);
}

/** Says a refusal in the place for it, and counts down if waiting helps. */
export async function tell(place, page, { code, retryAfter, answer }, signal) {
  if (code === "too_many_attempts") {
    waits[page] = { end: Date.now() + retryAfter * 1000, name: nameIn(place), scope: answer?.scope };
    return wait(place, page, signal);
  }
  const keys = [`${page}.code.${code}`, `code.${code}`, "code.unknown"];
  await learnHelpdesk(...keys);
  if (signal.aborted) return;
  say(place, firstOf(...keys));
  if (code === "invalid_field") {
    const isNew = place.querySelector('[data-as="new_username"]');
    mark(place, "username", t(isNew ? "problem.username_new" : "problem.username_characters"));
  }
  // A code serves once: the next one is typed into an empty field.
  const input = place.querySelector("#code");
  if (!input?.checkVisibility() || !["invalid_credentials", "old_phone", "no_phone", "old_entry"].includes(code)) return;
  input.value = "";
  input.focus();
}

/** Says something in the place for what went wrong. */
export function say(place, text) {
  place.querySelector("[data-alert]").textContent = text;
  showError(text !== "");
}

/** The title says that something is wrong, for who is elsewhere. */
function showError(isWrong) {
  const title = document.title.replace(t("layout.error"), "");
  document.title = isWrong ? t("layout.error") + title : title;
}

/** Reads the visible fields; nothing if one is ill-formed, which is then said beside it. */
function read(form) {
  const values = {};
  let first;
  for (const field of form.querySelectorAll("[data-field]")) {
    if (!field.checkVisibility()) continue;
    const { field: name } = field.dataset;
    const input = field.querySelector("input");
    const { value, problem, values: said } = fields[input.dataset.as ?? name](input.value, input);
    mark(form, name, problem ? t(`problem.${problem}`, said) : "");
    if (problem) first ??= input;
    values[name] = value;
  }
  first?.focus();
  showError(Boolean(first));
  return first ? undefined : values;
}

/** Digits of any script as people write them, in ASCII: `123-456` and `١٢٣٤٥٦` are six. */
function digitsOf(text) {
  const plain = text.replace(/[\s.\-\u2010-\u2015]/g, "");
  return plain.replace(/\p{Nd}/gu, (digit) => {
    // The ten digits of a script follow each other, beginning with its zero.
    let value = 0;
    while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt(0) - value - 1))) value += 1;
    return String(value);
  });
}

/** Ties a sentence about what is wrong to a field; none unties it. */
function mark(form, name, text) {
  const field = form.querySelector(`[data-field="${name}"]`);
  if (!field) return;
  field.querySelector(".error").textContent = text;
  const input = field.querySelector("input");
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Who is typed, if anybody is. */
function nameIn(place) {
  return place.querySelector("[name=username]")?.value ?? "";
}

function secondsLeft(page) {
  return Math.ceil(((waits[page]?.end ?? 0) - Date.now()) / 1000);
}

/** Whether a wait is for this name too: an address waits whatever the name. */
function holdsFor({ name, scope }, other) {
  return scope === "address" || name === other;
}

function sayWait(place, page) {
  const seconds = secondsLeft(page);
  const why = t(waits[page].scope === "address" ? "wait.too_many_of_address" : "wait.too_many");
  const time = moment(waits[page].end / 1000, { timeStyle: "short" });
  const until = seconds < 60 ? count("wait.seconds", seconds) : count("wait.minutes", Math.ceil(seconds / 60), { time });
  say(place, `${why} ${until}`);
}

/** How long is said when it begins and when it is over; in between it is only shown. */
function wait(place, page, signal) {
  const begun = waits[page];
  const countdown = place.querySelector("[data-countdown]");
  const button = place.querySelector("[type=submit]");
  button?.setAttribute("aria-disabled", "true");
  sayWait(place, page);
  const tick = () => {
    const current = waits[page];
    if (current && current !== begun) return clearInterval(timer);
    const seconds = current ? secondsLeft(page) : 0;
    countdown.hidden = seconds <= 0;
    const left = seconds < 60 ? ["wait.left", seconds] : ["wait.left_minutes", Math.ceil(seconds / 60)];
    countdown.textContent = seconds > 0 ? count(...left) : "";
    if (seconds > 0) return;
    clearInterval(timer);
    button?.removeAttribute("aria-disabled");
    // Another name did not wait.
    if (!current) return;
    say(place, t("wait.over"));
    showError(false);
  };
  const timer = setInterval(tick, 500);
  signal.addEventListener("abort", () => clearInterval(timer));
  tick();
}

function showTyped(button, signal) {
  const input = button.parentElement.querySelector("input");
  const toggleTyped = () => {
    const isShown = input.type === "password";
    input.type = isShown ? "text" : "password";
    button.textContent = t(isShown ? "field.hide_password" : "field.show_password");
    button.setAttribute("aria-label", t(isShown ? "field.hide_password_label" : "field.show_password_label"));
  };
  button.addEventListener("click", toggleTyped, { signal });
}
