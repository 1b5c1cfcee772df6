// Elements of which one chooses: selects, and the boxes and dots with a label each.

import { tell } from "./acting.js";
import { fresh, make } from "./making.js";
import { openMenu } from "./list_box.js";
import { mrkdwn } from "./mrkdwn.js";

/** Returns what a text object says, as words. */
export const wordsOf = (text) => text?.text ?? "";

const shownText = (text, context) => (text?.type === "mrkdwn" ? mrkdwn(text.text, context) : wordsOf(text));

const asOption = (one) => ({ words: wordsOf(one.text), more: wordsOf(one.description), value: one.value });

/** Returns the groups of options that an element offers: its own, or the people or places there are. */
function offered(element, context) {
  const kind = element.type;
  if (kind.includes("users_select")) return [{ label: "", options: named(context.people, "", "real_name") }];
  if (kind.includes("channels_select") || kind.includes("conversations_select")) {
    const people = kind.includes("conversations") ? named(context.people, "@", "real_name") : [];
    return [{ label: "", options: [...named(context.channels, "#", "name"), ...people] }];
  }
  if (element.option_groups) {
    return element.option_groups.map((group) => ({ label: wordsOf(group.label), options: (group.options ?? []).map(asOption) }));
  }
  return [{ label: "", options: (element.options ?? []).map(asOption) }];
}

function named(given, sign, name) {
  const all = typeof given === "function" ? given() : (given ?? []);
  return [...all].map((one) => ({ words: `${sign}${one[name] || one.name}`, more: "", value: one.id }));
}

/** Returns whether an element has anything to choose from here; if not, its id is typed. */
export const hasOptions = (element, context) => offered(element, context).some((group) => group.options.length);

/** Returns the values that are chosen, of a state entry or of the element's own beginning. */
export function begun(element, entry) {
  const from = entry ?? element;
  const names = entry ? ["selected"] : ["initial"];
  for (const [key, held] of Object.entries(from)) {
    if (!names.some((name) => key.startsWith(`${name}_`)) || held === null || held === undefined) continue;
    if (key.endsWith("_to_current_conversation")) continue;
    return (Array.isArray(held) ? held : [held]).map((one) => (typeof one === "object" ? one.value : one));
  }
  return [];
}

/** Returns a select, of one or of several, and what reads it. */
export function select(part) {
  const { element, context } = part;
  const many = element.type.startsWith("multi_");
  const groups = offered(element, context);
  const all = groups.flatMap((group) => group.options);
  const chosen = new Set(begun(element, part.entry));
  const shown = make("span", { class: "bk-chosen" });
  const node = make("button", { type: "button", class: "bk-select", role: "combobox", "aria-haspopup": "listbox", "aria-expanded": "false" }, shown, make("span", { class: "bk-chevron", "aria-hidden": "true" }));
  const draw = () => {
    const words = [...chosen].map((value) => all.find((one) => one.value === value)?.words ?? String(value));
    shown.classList.toggle("bk-placeholder-words", !words.length);
    const tokens = words.map((one) => make("span", { class: "bk-token" }, one));
    shown.replaceChildren(...(words.length ? (many ? tokens : words) : [wordsOf(element.placeholder) || "Choose…"]));
  };
  const open = () => openMenu(node, { role: "listbox", groups, chosen, several: many, label: wordsOf(element.placeholder) || "Options", pick });
  const pick = (option) => {
    const before = new Set(chosen);
    if (many && !chosen.delete(option.value)) chosen.add(option.value);
    if (!many) chosen.clear(), chosen.add(option.value);
    draw();
    changed(before);
    return many;
  };
  const changed = async (before) => {
    const undo = () => { chosen.clear(); before.forEach((one) => chosen.add(one)); draw(); };
    node.dispatchEvent(new Event("change", { bubbles: true }));
    if (part.tells && !(await tell(node, part, many ? [...chosen] : [...chosen][0]))) undo();
  };
  node.addEventListener("click", () => (node.getAttribute("aria-disabled") ? null : open()));
  node.addEventListener("keydown", (event) => {
    if (["ArrowDown", "ArrowUp"].includes(event.key)) event.preventDefault(), node.click();
    if (["Backspace", "Delete"].includes(event.key) && (many || part.optional)) chosen.clear(), draw(), changed(new Set());
  });
  draw();
  return { node, read: () => (many ? [...chosen] : ([...chosen][0] ?? null)) };
}

/** Returns radio buttons or checkboxes, and what reads them. */
export function boxes(part) {
  const { element, context } = part;
  const kind = element.type === "checkboxes" ? "checkbox" : "radio";
  const name = fresh("boxes");
  let held = begun(element, part.entry);
  const rows = (element.options ?? []).map((option) => box(option, { kind, name, held, context }));
  const node = make("div", { class: "bk-boxes", role: kind === "radio" ? "radiogroup" : "group" }, rows.map((one) => one.row));
  const ticked = () => rows.filter((one) => one.input.checked).map((one) => one.option.value);
  node.addEventListener("change", async () => {
    const before = held;
    held = ticked();
    if (!part.tells || (await tell(node, part, kind === "radio" ? held[0] : held))) return;
    held = before;
    for (const one of rows) one.input.checked = held.includes(one.option.value);
  });
  return { node, read: () => (kind === "radio" ? (ticked()[0] ?? null) : ticked()) };
}

function box(option, { kind, name, held, context }) {
  const input = make("input", { type: kind, name, value: String(option.value) });
  input.checked = held.includes(option.value);
  const more = option.description ? make("span", { class: "bk-more-words" }, shownText(option.description, context)) : null;
  const words = make("span", { class: "bk-text" }, shownText(option.text, context), more);
  return { option, input, row: make("label", { class: "bk-box" }, input, words) };
}
