// Elements into which one types: texts, numbers, dates and times.

import { tell } from "./acting.js";
import { make } from "./making.js";
import { wordsOf } from "./choices.js";

const LONGEST = 3000;
const NEAR = 50; // characters before the end, from which on it is said how many are left

const MODES = { number_input: "decimal", email_text_input: "email", url_text_input: "url" };
const PICKERS = {
  datepicker: ["date", "selected_date", "initial_date"],
  timepicker: ["time", "selected_time", "initial_time"],
  datetimepicker: ["datetime-local", "selected_date_time", "initial_date_time"],
};

/** Returns a text input, and what reads it. The browser judges none of it: Slack's own words come from the page. */
export function textInput(part) {
  const { element } = part;
  const lines = element.multiline || element.type === "rich_text_input";
  const shared = { class: "bk-input", placeholder: wordsOf(element.placeholder) || null, autofocus: element.focus_on_load || null };
  const input = lines
    ? make("textarea", { ...shared, rows: "4" })
    : make("input", { ...shared, type: "text", inputmode: MODES[element.type] ?? null, autocomplete: "off" });
  input.value = part.entry ? (part.entry.value ?? plain(part.entry.rich_text_value)) : initial(element);
  const count = counter(input, element);
  input.addEventListener("keydown", (event) => entered(event, input, part, lines));
  if (part.tells && triggers(element).includes("on_character_entered")) {
    // Nothing is marked as busy, and nothing waits: the next character is on its way.
    input.addEventListener("input", () => part.context.act(part.block, element, input.value || null)?.catch(console.error));
  }
  return { node: input, beside: count, read: () => written(element, input.value) };
}

const initial = (element) => (typeof element.initial_value === "object" ? plain(element.initial_value) : (element.initial_value ?? ""));

const triggers = (element) => element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];

function entered(event, input, part, lines) {
  const sent = event.key === "Enter" && !event.isComposing && (lines ? event.ctrlKey || event.metaKey : true);
  if (!sent || !part.tells || !triggers(part.element).includes("on_enter_pressed")) return;
  event.preventDefault();
  tell(input, part, input.value || null);
}

function counter(input, element) {
  if (element.type !== "plain_text_input") return null;
  const most = element.max_length ?? LONGEST;
  const node = make("span", { class: "bk-count", "aria-live": "polite" });
  const show = () => {
    const left = most - input.value.length;
    node.textContent = left <= Math.min(NEAR, most / 2) ? String(left) : "";
    node.classList.toggle("bk-over", left < 0);
    if (node.textContent) node.setAttribute("aria-label", left < 0 ? `${-left} characters too many` : `${left} characters left`);
  };
  input.addEventListener("input", show);
  show();
  return node;
}

function written(element, words) {
  if (element.type !== "rich_text_input") return words === "" ? null : words;
  const section = { type: "rich_text_section", elements: [{ type: "text", text: words }] };
  return { type: element.type, rich_text_value: words ? { type: "rich_text", elements: [section] } : null };
}

const plain = (rich) => (rich?.elements ?? []).flatMap((one) => one.elements ?? []).map((one) => one.text ?? one.url ?? "").join("");

/** Returns a date or time input, and what reads it. */
export function picker(part) {
  const [type, selected, first] = PICKERS[part.element.type];
  const input = make("input", { class: "bk-input bk-picker", type });
  const begun = part.entry ? part.entry[selected] : part.element[first];
  input.value = type === "datetime-local" ? local(begun) : (begun ?? "");
  const read = () => (type === "datetime-local" ? seconds(input.value) : input.value || null);
  if (part.tells) told(input, part, read);
  return { node: input, read };
}

/** Tells of a date when it is picked; when it is typed, once that is done: each digit makes a date of its own. */
function told(input, part, read) {
  let typing = false;
  let last = input.value;
  const now = async () => {
    if (input.value === last) return;
    const before = last;
    last = input.value;
    if (!(await tell(input, part, read()))) last = input.value = before;
  };
  input.addEventListener("keydown", (event) => {
    typing = event.key !== "Enter";
    if (!typing) event.preventDefault(), now();
  });
  input.addEventListener("pointerdown", () => (typing = false));
  input.addEventListener("change", () => typing || now());
  input.addEventListener("blur", now);
}

function local(timestamp) {
  if (timestamp === null || timestamp === undefined) return "";
  const when = new Date(timestamp * 1000);
  return new Date(when.getTime() - when.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const seconds = (value) => (value ? Math.floor(new Date(value).getTime() / 1000) : null);
