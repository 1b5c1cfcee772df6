// The messages of a channel or thread, one under the other, kept at the end unless somebody reads further up.

import { make } from "./making.js";
import { keyed } from "./keyed.js";
import { message } from "./message.js";
import { dayName } from "./words.js";

const SAME_BREATH = 300;
const NEAR_THE_END = 60;
const POINTED_FOR = 4000;

/** A scrolling list of messages in `root`. */
export class MessageList {
  #atEnd = true;
  #place = null;
  #newest = "";
  #pointed = "";
  #fading = null;

  constructor(label) {
    this.items = make("div", { class: "items" });
    this.scroller = make("div", { class: "scroller", tabindex: "0", role: "log", "aria-live": "off", "aria-label": label }, this.items);
    this.jump = make("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd() }, "↓ New messages");
    this.root = make("div", { class: "list" }, this.scroller, this.jump);
    this.scroller.addEventListener("scroll", () => this.#scrolled());
    // What is above may grow or shrink, as does the window: who was at the end stays there.
    const watcher = new ResizeObserver(() => this.#atEnd && this.toEnd());
    watcher.observe(this.items);
    watcher.observe(this.scroller);
  }

  /** Shows items, each `{key, stamp, make}`; `place` says whose they are, `newest` is the last one's time. */
  show(place, items, newest) {
    const moved = place !== this.#place;
    if (moved) this.items.replaceChildren();
    keyed(this.items, items);
    this.#mark();
    if (moved || this.#atEnd) this.toEnd();
    else if (newest > this.#newest) this.jump.hidden = false;
    this.#place = place;
    this.#newest = newest;
  }

  /** Goes to the newest message. */
  toEnd() {
    this.#atEnd = true;
    this.jump.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Brings one message before the eyes, marked for a while, and the focus to it unless that shall stay. */
  pointTo(ts, focus = true) {
    const there = this.#at(ts);
    if (!there) return;
    this.#atEnd = false;
    this.#pointed = ts;
    this.#mark();
    clearTimeout(this.#fading);
    this.#fading = setTimeout(() => this.#fade(), POINTED_FOR);
    there.scrollIntoView({ block: there.offsetHeight < this.scroller.clientHeight ? "center" : "start" });
    if (!focus) return;
    there.tabIndex = -1;
    there.focus({ preventScroll: true });
  }

  #at(ts) {
    return this.items.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
  }

  // A message that is drawn anew meanwhile is marked again.
  #mark() {
    if (this.#pointed) this.#at(this.#pointed)?.classList.add("pointed");
  }

  #fade() {
    this.#at(this.#pointed)?.classList.remove("pointed");
    this.#pointed = "";
  }

  #scrolled() {
    const left = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
    this.#atEnd = left < NEAR_THE_END;
    if (this.#atEnd) this.jump.hidden = true;
  }
}

/**
 * Returns the items of these messages with a line between days. `more(one)` gives what else the message is
 * shown with; what of it may change is in `stamp`.
 */
export function itemsOf(messages, { store, act, more, days = true }) {
  const items = [];
  let before = null;
  let today = "";
  for (const one of messages) {
    const day = dayName(one.ts);
    if (days && day !== today) {
      items.push({ key: `day/${day}`, stamp: day, make: () => divider(day) });
      before = null;
      today = day;
    }
    const extra = more(one);
    const follows = Boolean(before) && continues(before, one);
    items.push({
      key: one.name,
      stamp: JSON.stringify([one, follows, extra.stamp ?? "", store.me]),
      make: () => message(one, { store, act, follows, ...extra }),
    });
    before = extra.ends ? null : one;
  }
  return items;
}

function continues(before, one) {
  return before.user === one.user && before.kind === one.kind && Number(one.ts) - Number(before.ts) < SAME_BREATH;
}

/** Returns a line with words upon it. */
export function divider(words) {
  return make("div", { class: "divider", role: "separator", "aria-label": words }, make("span", {}, words));
}
