// Code within a line, and blocks of code: long ones are folded, as Slack does.

import { make } from "./making.js";

const MOST_LINES = 20;
const SPARED = 4; // a fold that hides less than this is a nuisance
const LINE = 90; // about how many characters stand on a line
const unfolded = new Set(); // what was opened stays open when its message is drawn anew

/** Returns code within a line. */
export function inlineCode(...children) {
  return make("code", { class: "bk-code" }, ...children);
}

/** Returns a block of code; `children` are nodes or texts. */
export function codeBlock(...children) {
  const pre = make("pre", { class: "bk-pre" }, make("code", {}, ...children));
  const text = pre.textContent;
  const length = lines(text);
  if (length <= MOST_LINES + SPARED) return pre;
  const fold = make("button", { type: "button", class: "bk-fold" });
  const set = (open) => {
    pre.classList.toggle("bk-folded", !open);
    fold.textContent = open ? "Show less" : `Show more (${length.toLocaleString("en-US")} lines)`;
    fold.setAttribute("aria-expanded", String(open));
  };
  fold.addEventListener("click", () => {
    const open = !unfolded.delete(text);
    if (open) unfolded.add(text);
    set(open);
  });
  set(unfolded.has(text));
  return make("div", { class: "bk-long" }, pre, fold);
}

function lines(text) {
  return text.split("\n").reduce((sum, one) => sum + Math.max(1, Math.ceil(one.length / LINE)), 0);
}
