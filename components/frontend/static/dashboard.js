// What somebody who is logged in sees of their account, and does with it.

import { call, Refusal } from "./api.js";
import { drawChart } from "./chart.js";
import { say, tell } from "./form.js";
import { journey } from "./journey.js";
import { logOut } from "./logout.js";
import { count, firstOf, moment, t } from "./texts.js";

/** Seconds before its end that a session asks whether it shall last. */
const WARNING = 120;

/** Days before the renewal that its date stands out. */
const SOON = 14;

/** Seconds of a day. */
const DAY = 86_400;

export async function start(main, { go, signal }) {
  const content = main.querySelector("[data-content]");
  const status = main.querySelector("[data-status]");
  let session;
  let clock;
  let timer;
  let isWarned = false;

  onClick("[data-extend]", async () => {
    show(await call("session"));
    status.textContent = t("dashboard.extended");
  });
  onClick("[data-end]", end);
  onClick("[data-logout]", end);
  onClick("[data-new-password]", () => replace("/generate-password"));
  onClick("[data-new-second-factor]", () => replace("/generate-2fa"));
  await attempt(async () => {
    const [read, { entries }] = await Promise.all([readSession(), call("activity", { method: "GET" })]);
    if (signal.aborted) return;
    goOn(read);
    listActivity(main.querySelector("[data-activity]"), entries);
    drawChart(main.querySelector("[data-chart]"), entries, clock());
    status.textContent = "";
    content.hidden = false;
    signal.addEventListener("abort", () => clearInterval(timer));
  });

  /** One thing at a time, and for whom the page speaks of: somebody else may have logged in beside it. */
  function onClick(selector, work) {
    const button = main.querySelector(selector);
    const act = async (event) => {
      event.preventDefault();
      if (main.querySelector("[aria-busy]")) return;
      button.setAttribute("aria-busy", "true");
      await attempt(async () => {
        const { user_id: id } = await readSession();
        if (id !== session.user_id) return location.reload();
        await work();
      });
      button.removeAttribute("aria-busy");
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
      tell(main, "dashboard", error, signal);
    }
  }

  function readSession() {
    return call("session", { method: "GET" });
  }

  function show(read) {
    session = read;
    isWarned = false;
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
  }

  /** `end` is of this machine's clock. */
  function showEnd(end) {
    const text = t("dashboard.session_until", {
      time: moment(end, { timeStyle: "short" }),
      left: count("dashboard.minutes", Math.ceil((end - Date.now() / 1000) / 60)),
    });
    const place = main.querySelector("[data-session]");
    if (place.textContent === text) return;
    place.textContent = text;
    if (!isWarned) status.textContent = "";
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
    journey.begin({ ended: session ? "session_over" : "not_logged_in" });
    return go("/login", { replace: true });
  }

  async function end() {
    await logOut();
    clearInterval(timer);
    journey.begin({ ended: "logged_out" });
    await go("/logout", { replace: true });
  }

  function replace(path) {
    journey.begin({ username: session.username, bySession: true, steps: [path, "/check-2fa"] });
    return go(path);
  }
}

function listActivity(list, entries) {
  const items = entries.map(({ at, action, success, reason, ip_address: address }) => {
    const item = document.createElement("li");
    item.className = success ? "done" : "refused";
    const time = document.createElement("time");
    time.dateTime = new Date(at * 1000).toISOString();
    time.textContent = moment(at, { dateStyle: "medium", timeStyle: "short" });
    const what = document.createElement("strong");
    what.textContent = firstOf(`action.${action}`, "action.other");
    const outcome = document.createElement("span");
    outcome.textContent = success ? t("dashboard.done") : firstOf(`reason.${reason}`, "dashboard.refused");
    const where = document.createElement("span");
    where.className = "where";
    where.textContent = address ? t("dashboard.from", { address }) : "";
    item.append(what, outcome, time, where);
    return item;
  });
  list.replaceChildren(...items);
}
