// What somebody who is logged in sees of their account, and does with it.

import { call, Refusal } from "./api.js";
import { attempts, drawChart } from "./chart.js";
import { say, tell } from "./form.js";
import { journey } from "./journey.js";
import { logOutEverywhere } from "./logout.js";
import { count, firstOf, moment, t } from "./texts.js";
import { forgetSession, onChange } from "./who.js";

/** Seconds before its end that a session asks whether it shall last. */
const WARNING = 120;

/** Days before the renewal that its date stands out. */
const SOON = 14;

/** Lines of the activity that are shown at first. */
const FEW = 5;

/** Seconds of a day. */
const DAY = 86_400;

export async function start(main, { go, signal }) {
  const content = main.querySelector("[data-content]");
  const status = main.querySelector("[data-status]");
  let session;
  let clock;
  let timer;
  let isWarned = false;

  for (const selector of ["[data-extend]", "[data-extend-now]"]) {
    onClick(selector, async () => {
      await call("session");
      show(await readSession());
      tellDone(t("dashboard.extended"));
    });
  }
  onClick("[data-end]", end);
  main.querySelector("[data-retry]").addEventListener("click", () => location.reload(), { signal });
  onClick("[data-all-activity]", () => showAll(main.querySelector("[data-activity]")));
  onClick("[data-finish]", () => {
    journey.begin({ username: session.username, bySession: true, isFinishing: true });
    return go("/check-2fa");
  });
  onClick("[data-cancel]", async () => {
    await call("second-factor", { method: "DELETE" });
    show(await readSession());
    tellDone(t("dashboard.cancelled"));
  });
  onClick("[data-new-password]", () => replace("/generate-password"));
  onClick("[data-new-second-factor]", () => replace("/generate-2fa"));
  await attempt(async () => {
    const [read, { entries }, { sessions }] = await Promise.all([
      readSession(),
      call("activity", { method: "GET" }),
      call("sessions", { method: "GET" }),
    ]);
    if (signal.aborted) return;
    goOn(read);
    listActivity(main.querySelector("[data-activity]"), entries);
    main.querySelector("[data-all-activity]").hidden = entries.length <= FEW;
    drawChart(main.querySelector("[data-chart]"), entries, clock());
    listSessions(main.querySelector("[data-sessions]"), sessions);
    // Advice to act is for where somebody else may have got in.
    const others = sessions.filter(({ current }) => !current).length;
    main.querySelector("[data-sessions-lead]").textContent = t(others ? "dashboard.sessions_others" : "dashboard.sessions_alone");
    main.querySelector("[data-since]").textContent = sinceLastLogin(entries);
    status.textContent = done();
    content.hidden = false;
    signal.addEventListener("abort", () => clearInterval(timer));
  });

  // Another tab may have logged out, or in as somebody else.
  onChange(async () => {
    if (!session) return;
    const read = await readSession().catch((error) => error);
    if (read.code === "invalid_token") return leave();
    if (read.user_id === undefined) return;
    if (read.user_id !== session.user_id) return location.reload();
    show(read);
  }, signal);

  /** Says what was done, where the button that did it may be gone. */
  function tellDone(text) {
    status.textContent = text;
    if (!document.activeElement?.checkVisibility() || document.activeElement === document.body) status.focus();
  }

  /** What a journey that has led here came to; said once. */
  function done() {
    const what = new URLSearchParams(location.search).get("done");
    if (!what) return "";
    history.replaceState(null, "", location.pathname);
    return ["account", "password", "phone", "renewal", "second_factor"].includes(what) ? t(`dashboard.did.${what}`) : "";
  }

  /** One thing at a time, and for whom the page speaks of: somebody else may have logged in beside it. */
  function onClick(selector, work) {
    const button = main.querySelector(selector);
    const act = async (event) => {
      event.preventDefault();
      if (main.querySelector("[aria-busy]")) return;
      button.setAttribute("aria-busy", "true");
      status.textContent = t("layout.busy");
      await attempt(async () => {
        const { user_id: id } = await readSession();
        if (id !== session.user_id) return location.reload();
        await work();
      });
      button.removeAttribute("aria-busy");
      if (status.textContent === t("layout.busy")) status.textContent = "";
    };
    button.addEventListener("click", act, { signal });
  }

  /** Whatever a function refuses is said here; a session that is over leads to the login. */
  async function attempt(work) {
    try {
      say(main, "");
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (signal.aborted) return;
      if (error.code === "invalid_token") return leave();
      status.textContent = "";
      main.querySelector("[data-retry]").hidden = !content.hidden;
      tell(main, "dashboard", error, signal);
    }
  }

  function readSession() {
    return call("session", { method: "GET" });
  }

  function show(read) {
    session = read;
    isWarned = false;
    main.querySelector("[data-ending]").hidden = true;
    // The functions' clock, whatever this machine's says.
    const ahead = read.expires_at - read.expires_in - Date.now() / 1000;
    clock = () => Date.now() / 1000 + ahead;
    main.querySelector("[data-username]").textContent = read.username;
    showEnd(read.expires_at - ahead);
    const days = Math.max(0, Math.floor((read.renewal_due_at - clock()) / DAY));
    const renewal = main.querySelector("[data-renewal]");
    renewal.textContent = t("dashboard.renewal_until", {
      date: moment(read.renewal_due_at, { dateStyle: "long" }),
      left: days === 0 ? t("dashboard.today") : count("dashboard.days", days),
    });
    renewal.classList.toggle("soon", days < SOON);
    const { pending_second_factor_until: until } = read;
    main.querySelector("[data-pending]").hidden = !until;
    if (until) {
      const time = moment(until - ahead, { timeStyle: "short" });
      main.querySelector("[data-pending-text]").textContent = t("dashboard.pending", { time });
    }
  }

  /** `end` is of this machine's clock. */
  function showEnd(end) {
    const text = t("dashboard.session_until", {
      time: moment(end, { timeStyle: "short" }),
      left: count("dashboard.minutes", Math.ceil((end - Date.now() / 1000) / 60)),
    });
    const place = main.querySelector("[data-session]");
    if (place.textContent !== text) place.textContent = text;
  }

  /** The end is said in time. When it has come, the session may have been extended elsewhere. */
  function watch() {
    const left = session.expires_at - clock();
    if (left <= 0) {
      clearInterval(timer);
      return readSession().then(goOn, leave);
    }
    showEnd(Date.now() / 1000 + left);
    if (left > WARNING || isWarned) return;
    isWarned = true;
    status.textContent = t("dashboard.ends_soon");
    main.querySelector("[data-ending]").hidden = false;
  }

  function goOn(read) {
    if (signal.aborted) return;
    show(read);
    timer = setInterval(watch, 1000);
  }

  /** Nothing stays on the screen. */
  function leave() {
    if (signal.aborted) return;
    clearInterval(timer);
    content.remove();
    forgetSession();
    journey.begin({ ended: session ? "session_over" : "not_logged_in" });
    return go("/login", { replace: true });
  }

  async function end() {
    await logOutEverywhere();
    forgetSession();
    clearInterval(timer);
    journey.begin({ ended: "logged_out_everywhere" });
    await go("/logout", { replace: true });
  }

  function replace(path) {
    journey.begin({ username: session.username, bySession: true, steps: [path, "/check-2fa"] });
    return go(path);
  }
}

function listActivity(list, entries) {
  const items = entries.map(({ at, action, success, reason, ip_address: address, attempts: times }, index) => {
    const item = document.createElement("li");
    item.className = success ? "done" : "refused";
    item.hidden = index >= FEW;
    const what = document.createElement("strong");
    what.textContent = firstOf(`action.${action}`, "action.other");
    const outcome = document.createElement("span");
    outcome.textContent = success ? t("dashboard.done") : firstOf(`reason.${reason}`, "dashboard.refused");
    if (times > 1) outcome.textContent += ` (${count("dashboard.times", times)})`;
    item.append(what, outcome, ...whenAndWhere(at, address));
    return item;
  });
  list.replaceChildren(...items);
}

/** The last two parts of a line: when, and from where. */
function whenAndWhere(at, address) {
  const time = document.createElement("time");
  time.dateTime = new Date(at * 1000).toISOString();
  time.textContent = moment(at, { dateStyle: "medium", timeStyle: "short" });
  const where = document.createElement("span");
  where.className = "where";
  where.textContent = address ? t("dashboard.from", { address }) : "";
  return [time, where];
}

/** The rest of the activity, in the place of the button that asked for it. */
function showAll(list) {
  const rest = [...list.children].filter((item) => item.hidden);
  for (const item of rest) item.hidden = false;
  document.querySelector("[data-all-activity]").hidden = true;
  rest[0]?.setAttribute("tabindex", "-1");
  rest[0]?.focus();
}

/** What failed between this login and the one before, and from where; as far as the activity goes back. */
function sinceLastLogin(entries) {
  const logins = entries.flatMap(({ action, success }, index) => (action === "login" && success ? [index] : []));
  const isWhole = logins.length > 1;
  const between = entries.slice(0, isWhole ? logins[1] : undefined);
  const failed = between.filter(({ success }) => !success);
  if (failed.length === 0) return isWhole ? t("dashboard.since_none") : "";
  const places = [...new Set(failed.map(({ ip_address: address }) => address ?? t("dashboard.unknown_place")))];
  return count(isWhole ? "dashboard.since" : "dashboard.since_at_least", attempts(failed), { places: new Intl.ListFormat(document.documentElement.lang).format(places) });
}

/** The open sessions, this one first. */
function listSessions(list, sessions) {
  const items = sessions.map(({ authenticated_at: at, ip_address: address, user_agent: agent, current }) => {
    const item = document.createElement("li");
    const what = document.createElement("strong");
    what.textContent = browserOf(agent ?? "");
    const mark = document.createElement("span");
    mark.textContent = current ? t("dashboard.this_session") : "";
    item.append(what, mark, ...whenAndWhere(at, address));
    return [current, item];
  });
  list.replaceChildren(...items.toSorted(([one], [other]) => other - one).map(([, item]) => item));
}

/** A browser's name, as far as its claim goes; the first that fits, since each claims to be those before it. */
function browserOf(agent) {
  const known = [
    [/Edg(e|A|iOS)?\//, "Edge"],
    [/OPR\//, "Opera"],
    [/Firefox|FxiOS/, "Firefox"],
    [/Chrom(e|ium)|CriOS/, "Chrome"],
    [/Safari/, "Safari"],
  ];
  const systems = [
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Windows/, "Windows"],
    [/Mac OS/, "macOS"],
    [/Linux/, "Linux"],
  ];
  const named = (list) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const [browser, system] = [named(known), named(systems)];
  if (!browser) return agent.slice(0, 40) || t("dashboard.unknown_browser");
  return system ? t("dashboard.browser_on", { browser, system }) : browser;
}
