// The last days of an account as bars: what was done, and on top of it what was refused.

import { moment, t } from "./texts.js";

const DAYS = 7;
const HEIGHT = 64;
const WIDTH = 32;

/** Draws `entries` of the activity up to `now`, in seconds since the Unix epoch; a day is the reader's own. */
export function drawChart(place, entries, now) {
  const days = Array.from({ length: DAYS }, (_, index) => {
    const at = noon(now, DAYS - 1 - index);
    const day = entries.filter((entry) => dayOf(entry.at) === dayOf(at));
    const done = day.filter(({ success }) => success);
    return { at, done: attempts(done), refused: attempts(day) - attempts(done) };
  });
  const most = Math.max(1, ...days.map(({ done, refused }) => done + refused));
  const chart = element("svg", { viewBox: `0 0 ${DAYS * WIDTH} ${HEIGHT + 34}`, role: "img" });
  const busy = days.filter(({ done, refused }) => done + refused);
  chart.setAttribute("aria-label", busy.map(describe).join(" ") || t("dashboard.chart_empty"));
  days.forEach((day, index) => {
    const x = index * WIDTH;
    const scale = HEIGHT / most;
    const [done, refused] = [day.done * scale, day.refused * scale];
    const foot = HEIGHT + 14;
    chart.append(
      element("rect", { class: "done", x: x + 6, y: foot - done, width: WIDTH - 12, height: done }),
      element("rect", { class: "refused", x: x + 6, y: foot - done - refused, width: WIDTH - 12, height: refused }),
      label(x, foot - done - refused - 3, day.done + day.refused || ""),
      label(x, foot + 14, moment(day.at, { weekday: "short" })),
    );
  });
  place.replaceChildren(chart);
}

/** How many attempts entries stand for: what was locked has one for a whole minute. */
export function attempts(entries) {
  return entries.reduce((sum, { attempts: times }) => sum + (times ?? 1), 0);
}

function describe({ at, done, refused }) {
  return t("dashboard.chart_day", { day: moment(at, { weekday: "long", day: "numeric", month: "long" }), done, refused });
}

/** Noon of so many days ago, whatever the clocks did since. */
function noon(now, days) {
  const date = new Date(now * 1000);
  date.setHours(12, 0, 0, 0);
  date.setDate(date.getDate() - days);
  return date.getTime() / 1000;
}

function dayOf(seconds) {
  return new Date(seconds * 1000).toDateString();
}

function label(x, y, text) {
  const label = element("text", { x: x + WIDTH / 2, y, "text-anchor": "middle" });
  label.textContent = text;
  return label;
}

function element(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
