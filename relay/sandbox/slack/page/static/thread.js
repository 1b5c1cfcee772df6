// The thread beside the channel.

import { Composer } from "./composer.js";
import { keyed } from "./keyed.js";
import { MessageList, divider, itemsOf } from "./list.js";
import { make } from "./making.js";
import { working } from "./message.js";
import { counted, placeName } from "./words.js";

/** Fills the panel of one thread. */
export class ThreadPane {
  constructor(store, root, page) {
    this.store = store;
    this.root = root;
    this.page = page;
    this.hidden = new Set();
    this.title = make("h2", { tabindex: "-1" }, "Thread");
    this.about = make("span", { class: "about" });
    this.list = new MessageList("Thread");
    this.status = make("div", { class: "status" });
    this.composer = new Composer({ commands: false, known: () => page.known(), send: (text) => page.send(page.place, text, page.thread) });
    root.append(
      make("header", { class: "panel-head" }, make("div", { class: "named" }, this.title, this.about),
        make("button", { type: "button", class: "plain", "aria-label": "Close the thread", onclick: () => page.closeThread() }, "✕")),
      this.list.root, this.status, this.composer.root);
  }

  show(place, thread) {
    const all = thread ? this.store.messages(place).filter((one) => thread === one.ts || thread === one.thread_ts) : [];
    const seen = all.filter((one) => !this.hidden.has(one.name));
    this.root.hidden = !thread || !seen.some((one) => one.ts === thread);
    if (this.root.hidden) return;
    this.about.textContent = placeName(this.store, place);
    const items = itemsOf(seen, { store: this.store, act: (...what) => this.page.click(...what), more: (one) => this.#more(one, thread), days: false });
    const replies = seen.filter((one) => one.ts !== thread).length;
    if (replies) items.splice(1, 0, line(counted(replies, "reply", "replies")));
    this.list.show(`${this.store.me}/${place}/${thread}`, items, seen.at(-1).ts);
    this.#showStatus(place, thread, seen);
    this.composer.at(`${this.store.me}/${place}/${thread}`, "Reply…");
  }

  #more(one, thread) {
    const dismiss = () => {
      this.hidden.add(one.name);
      this.page.show();
    };
    return { dismiss, ends: one.ts === thread };
  }

  #showStatus(place, thread, seen) {
    const status = this.store.status(place, thread);
    const live = seen.some((one) => one.streaming);
    const words = status || (live ? "is writing…" : "");
    const stop = () => this.page.act("press_stop", { channel: place, thread_ts: thread });
    keyed(this.status, words ? [{
      key: "working", stamp: words,
      make: () => make("div", {}, working(this.store, words), make("button", { type: "button", class: "button small", onclick: stop }, "■ Stop")),
    }] : []);
  }
}

const line = (words) => ({ key: "replies", stamp: words, make: () => divider(words) });
