// The panel beside the workspace: what can be tried, and how far one has come.

import { keyed } from "./keyed.js";
import { make } from "./making.js";
import { described, placeName } from "./words.js";

/** Fills the panel of scenarios; `visit(person, place, spot, watching)` leads there. */
export class Scenarios {
  #open = null;
  #watched = null;

  constructor(store, root, { visit, tell, hide }) {
    this.store = store;
    this.visit = visit;
    this.tell = tell;
    this.items = make("div", { class: "scenarios" });
    root.append(
      make("header", { class: "panel-head" }, make("h2", { tabindex: "-1" }, "Things to try"),
        make("button", { type: "button", class: "plain", "aria-label": "Hide things to try", onclick: hide }, "✕")),
      make("p", { class: "quiet about" }, "Not a part of Slack: walks through what the app does. Start one and do it yourself, or watch."),
      this.items);
  }

  show() {
    const all = this.store.pieces.get("scenarios") ?? [];
    this.#open ??= all[0]?.name ?? null;
    this.#follow(all.find((one) => one.name === this.#watched));
    keyed(this.items, all.map((one) => {
      const open = one.name === this.#open;
      return { key: one.name, stamp: JSON.stringify([one, open, this.store.me]), make: () => this.#draw(one, open) };
    }));
  }

  #draw(one, open) {
    const done = one.steps.filter((step) => step.done).length;
    const whole = done === one.steps.length;
    const far = !one.started && !one.doing ? "" : whole ? "✓ done" : `${done} of ${one.steps.length}`;
    const toggle = () => {
      this.#open = open ? "" : one.name;
      this.show();
    };
    return make("section", { class: `scenario${open ? " open" : ""}${whole ? " whole" : ""}` },
      make("h3", {}, make("button", { type: "button", "aria-expanded": String(open), onclick: toggle }, make("span", { class: "turn", "aria-hidden": "true" }, "▸"), make("span", { class: "title" }, one.title), make("span", { class: "far" }, far))),
      open ? make("div", { class: "inside" }, make("p", { class: "shows" }, rich(one.about)), this.#steps(one), this.#buttons(one, whole)) : null);
  }

  #steps(one) {
    const next = one.started ? one.steps.findIndex((step) => !step.done) : -1;
    return make("ol", {}, one.steps.map((step, at) =>
      make("li", { class: `${step.done ? "done" : ""}${at === next ? " next" : ""}` },
        make("span", { class: "tick", role: "img", "aria-label": step.done ? "done" : "to do" }, step.done ? "✓" : ""),
        make("div", {}, make("span", { class: "step" }, rich(step.text)), this.#link(step)))));
  }

  #link(step) {
    const person = step.person ? this.store.person(step.person) : null;
    if (!person && !step.place) return null;
    const place = step.place ? this.#placeName(step.place) : "";
    const words = person ? [`Be ${described(person).split(",")[0]}`, place].filter(Boolean).join(", ") : `Go ${place.replace(/^in /, "to ")}`;
    return make("button", { type: "button", class: "linklike visit", onclick: () => this.visit(step.person, step.place, step) }, words);
  }

  #placeName(place) {
    if (place === "home") return `in ${this.store.app.real_name}’s Home`;
    if (place === "dm" || place.startsWith("D")) return `in the messages with ${this.store.app.real_name}`;
    const seen = this.store.channel(place) ? placeName(this.store, place) : `#${place.replace(/^C0?/, "").toLowerCase()}`;
    return `in ${seen}`;
  }

  #buttons(one, whole) {
    const word = { starting: "Setting up…", playing: "Playing…" }[one.doing];
    const begun = one.started && !whole;
    const start = make("button", { type: "button", class: begun ? "button" : "button primary", "aria-disabled": word ? "true" : null, onclick: () => word || this.#act("start", one) }, one.started ? "Start again" : "Start");
    const watch = one.plays
      ? make("button", { type: "button", class: "button", "aria-disabled": word ? "true" : null, onclick: () => word || this.#act("play", one) }, begun ? "Do the rest for me" : "Watch it")
      : null;
    return make("div", { class: "deeds" }, start, watch, word ? make("span", { class: "quiet" }, word) : null,
      one.error ? make("p", { class: "wrong" }, one.error) : null);
  }

  async #act(act, one) {
    this.#open = one.name;
    this.#watched = act === "play" ? one.name : null;
    this.followed = "";
    const answer = await this.store.act(act, { scenario: one.name });
    const told = (this.store.pieces.get("scenarios") ?? []).find((each) => each.name === one.name)?.error;
    if (!answer.ok && !told) this.tell(answer.error);
    else if (answer.ok && act === "start") await this.#begin(one);
  }

  async #begin({ steps: [first], begun_by: words }) {
    const [known] = this.store.page.commands;
    await this.visit(first.person, first.place, { words: words && known ? `${known.command} ${words}` : "" });
  }

  // Who watches is taken to where the next thing happens, and in the end to where the last one did.
  #follow(one) {
    if (!one) return;
    const next = one.steps.find((step) => !step.done);
    if (next ? one.doing !== "playing" && one.doing !== "starting" : !this.followed) return;
    if (!next) this.#watched = null;
    const step = next ?? one.steps.at(-1);
    const key = [one.steps.indexOf(step), step.ts, step.thread_ts].join("/");
    if (key === this.followed) return;
    this.followed = key;
    queueMicrotask(() => this.visit(step.person, step.place, step, true));
  }
}

/** Returns words in which `these` are code and *these* are stressed. */
function rich(words) {
  const parts = words.split(/(`[^`]+`|\*[^*\s][^*]*\*)/);
  const shown = (part) => (part[0] === "`" ? make("code", {}, part.slice(1, -1)) : make("em", {}, part.slice(1, -1)));
  return make("span", {}, parts.map((part, at) => (at % 2 ? shown(part) : part)));
}
