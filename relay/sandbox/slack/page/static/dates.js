// Slack's dates: a moment in the reader's own zone and clock, by a format with tokens.
// https://docs.slack.dev/messaging/formatting-message-text#date-formatting

import { link, make } from "./making.js";

const DAY = 86_400_000;

const as = (options) => (when) => new Intl.DateTimeFormat("en-US", options).format(when);
// Whether a day has 12 hours or 24 is the reader's habit; the words round it are English.
const clock = (options) => (when) => new Intl.DateTimeFormat(navigator.language, options).format(when);
const month = as({ month: "long" });
const weekday = as({ weekday: "long" });

const TOKENS = {
  date_num: (when) => `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`,
  date: (when) => `${month(when)} ${ordinal(when.getDate())}, ${when.getFullYear()}`,
  date_short: as({ month: "short", day: "numeric", year: "numeric" }),
  date_long: (when) => `${weekday(when)}, ${TOKENS.date(when)}`,
  date_long_full: as({ weekday: "long", month: "long", day: "numeric", year: "numeric" }),
  date_pretty: (when) => nearby(when) ?? TOKENS.date(when),
  date_short_pretty: (when) => nearby(when) ?? TOKENS.date_short(when),
  date_long_pretty: (when) => nearby(when) ?? TOKENS.date_long(when),
  day_divider_pretty: (when) => nearby(when) ?? as({ weekday: "long", month: "long", day: "numeric" })(when),
  time: clock({ hour: "numeric", minute: "2-digit" }),
  time_secs: clock({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
  ago: (when) => ago((Date.now() - when) / 1000),
};

const two = (number) => String(number).padStart(2, "0");

function ordinal(day) {
  const ending = day % 10 < 4 && Math.floor(day / 10) !== 1 ? ["th", "st", "nd", "rd"][day % 10] : "th";
  return `${day}${ending}`;
}

function nearby(when) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(when) - midnight(new Date())) / DAY);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] ?? null;
}

function ago(seconds) {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const units = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, length] = units.find(([, one]) => Math.abs(seconds) >= one) ?? ["second", 1];
  return words.format(-Math.trunc(seconds / length), unit);
}

/** Returns a moment as its format says, in a `time` element; the fallback where it is no moment. */
export function moment(timestamp, format, fallback, address) {
  const when = new Date(Number(timestamp) * 1000);
  if (Number.isNaN(when.getTime())) return document.createTextNode(fallback ?? "");
  const spelt = (whole, name) => (Object.hasOwn(TOKENS, name) ? TOKENS[name](when) : whole);
  let shown = String(format || "{date_pretty}, {time}").replace(/\{(\w+)\}/g, spelt);
  // At the beginning of what is shown Slack writes "Today", within a sentence "today".
  if (/^\{\w*pretty\}$/.test(String(format))) shown = shown[0].toUpperCase() + shown.slice(1);
  const title = as({ dateStyle: "full", timeStyle: "long" })(when);
  const time = make("time", { datetime: when.toISOString(), title }, shown);
  return address ? link(address, time) : time;
}
