// What people read, in the language of the page. Sentences are in `texts/`, one file for each language.

let texts = {};

/** Whom to ask for help; nothing as long as nobody knows. */
let helpdesk;

/** Loads a language. */
export async function speak(language) {
  texts = (await import(`./texts.${language}.js`)).default;
}

/** The sentence of a key like `login.title`, with `{name}` replaced by values. */
export function t(key, values = {}) {
  const text = find(key);
  if (text === undefined) throw new Error(`there is no text ${key}`);
  const all = { helpdesk: helpdesk || find("layout.administrator"), ...values };
  return text.replace(/\{(\w+)\}/g, (_, name) => all[name]);
}

/** The same for a number: `key.one` for 1 (in French for 0 too), else `key.other`. */
export function count(key, number, more) {
  const form = new Intl.PluralRules(language()).select(number);
  const written = new Intl.NumberFormat(language()).format(number);
  return t(`${key}.${form === "one" ? "one" : "other"}`, { number: written, ...more });
}

/** Learns whom to ask for help, if the sentence that will be said names them. */
export async function learnHelpdesk(...keys) {
  if (helpdesk !== undefined || !find(keys.find((key) => find(key) !== undefined)).includes("{helpdesk}")) return;
  helpdesk = await fetch("/helpdesk", { signal: AbortSignal.timeout(3000) }).then((answer) => (answer.ok ? answer.text() : ""), () => "");
}

/** The first of the keys that there is a sentence for. */
export function firstOf(...keys) {
  return t(keys.find((key) => find(key) !== undefined));
}

/** A moment as people write it; `seconds` since the Unix epoch. */
export function moment(seconds, format) {
  return new Intl.DateTimeFormat(language(), format).format(new Date(seconds * 1000));
}

/** The language of the page, as the reader's country writes it. */
function language() {
  const { lang } = document.documentElement;
  return navigator.languages.find((liked) => liked.split("-")[0] === lang) ?? lang;
}

function find(key) {
  return key.split(".").reduce((found, part) => found?.[part], texts);
}
