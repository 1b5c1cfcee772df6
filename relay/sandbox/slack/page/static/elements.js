// What can be acted on within blocks: https://docs.slack.dev/reference/block-kit/block-elements

import { tell } from "./acting.js";
import { boxes, hasOptions, select, wordsOf } from "./choices.js";
import { make, placeholder, safe } from "./making.js";
import { withEmoji } from "./emoji.js";
import { openMenu } from "./list_box.js";
import { picker, textInput } from "./typing.js";

const readers = new WeakMap();

const TEXTS = ["plain_text_input", "rich_text_input", "number_input", "email_text_input", "url_text_input"];
const PICKED = /^(multi_)?(static|external|users|channels|conversations)_select$/;

/**
 * Returns an element as it is shown. `tells` says whether the app hears of what is chosen at once;
 * in an `input` block it hears only when the view is submitted, unless the block wants otherwise.
 */
export function element(given, block, context, { tells = true, optional = false } = {}) {
  const entry = context.filled?.[block.block_id]?.[given?.action_id];
  const part = { element: given, block, context, entry, tells, optional };
  const made = shown(part);
  const { node } = made;
  node.dataset.actionId = given?.action_id ?? "";
  node.dataset.about = about(given);
  if (made.read && block.type === "input") {
    node.dataset.input = given.action_id;
    readers.set(node, { block_id: block.block_id, action_id: given.action_id, read: made.read });
  }
  return made.beside ? make("div", { class: "bk-with-count" }, node, made.beside) : node;
}

/** Returns `{block_id: {action_id: value}}` of all inputs within an element. */
export function inputs(root) {
  const found = {};
  for (const node of root.querySelectorAll("[data-input]")) {
    const reader = readers.get(node);
    if (reader) (found[reader.block_id] ??= {})[reader.action_id] = reader.read();
  }
  return found;
}

// What tells an element from others of the same action when its message was drawn anew, under other ids.
const about = (given) => String(given?.value ?? given?.options?.[0]?.value ?? "").slice(0, 200);

function shown(part) {
  const kind = String(part.element?.type ?? "nothing");
  if (kind === "button") return { node: button(part) };
  if (kind === "overflow") return { node: overflow(part) };
  if (kind === "icon_button") return { node: icon(part, "🗑️", wordsOf(part.element.text)) };
  if (kind === "feedback_buttons") return { node: feedback(part) };
  if (PICKED.test(kind)) return hasOptions(part.element, part.context) ? select(part) : typedId(part);
  if (kind === "radio_buttons" || kind === "checkboxes") return boxes(part);
  if (TEXTS.includes(kind)) return textInput(part);
  if (["datepicker", "timepicker", "datetimepicker"].includes(kind)) return picker(part);
  if (kind === "image") return { node: placeholder("image", part.element.alt_text) };
  return { node: placeholder(kind, "cannot be used here") };
}

function button(part) {
  const { element } = part;
  const style = { primary: " bk-primary", danger: " bk-danger" }[element.style] ?? "";
  const shared = { class: `bk-button${style}`, "aria-label": element.accessibility_label };
  const words = withEmoji(wordsOf(element.text));
  const href = element.url ? safe(element.url) : null;
  const node = href
    ? make("a", { ...shared, href, target: "_blank", rel: "noopener noreferrer" }, words)
    : make("button", { ...shared, type: "button" }, words);
  node.addEventListener("click", () => tell(node, part, undefined));
  return node;
}

function overflow(part) {
  const { element } = part;
  const dots = make("span", { "aria-hidden": "true" }, "•••");
  const node = make("button", { type: "button", class: "bk-button bk-overflow", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": element.accessibility_label ?? "More actions" }, dots);
  const options = (element.options ?? []).map((one) => ({ words: wordsOf(one.text), more: wordsOf(one.description), value: one.value, url: one.url }));
  const pick = ({ value, url }) => {
    if (url && safe(url)) window.open(safe(url), "_blank", "noopener,noreferrer");
    tell(node, part, value);
    return false;
  };
  const open = () => openMenu(node, { role: "menu", label: "More actions", groups: [{ label: "", options }], pick });
  node.addEventListener("click", () => (node.getAttribute("aria-disabled") ? null : open()));
  node.addEventListener("keydown", (event) => {
    if (["ArrowDown", "ArrowUp"].includes(event.key)) event.preventDefault(), node.click();
  });
  return node;
}

function icon(part, sign, label, value) {
  const node = make("button", { type: "button", class: "bk-button bk-icon", "aria-label": label, title: label }, make("span", { "aria-hidden": "true" }, sign));
  node.addEventListener("click", () => tell(node, part, value));
  return node;
}

function feedback(part) {
  const { positive_button: good, negative_button: bad } = part.element;
  const side = (given, sign, usual) => (given ? icon(part, sign, given.accessibility_label ?? (wordsOf(given.text) || usual), given.value) : null);
  return make("span", { class: "bk-feedback", role: "group", "aria-label": "Feedback" }, side(good, "👍", "Good"), side(bad, "👎", "Bad"));
}

/** Returns a text input for an id, where there is nothing to choose from. */
function typedId(part) {
  const entry = part.entry ?? part.element;
  const held = Object.entries(entry).find(([key, value]) => /^(selected|initial)_/.test(key) && value)?.[1];
  const words = [held ?? []].flat().map((one) => one?.value ?? one).join(", ");
  const made = textInput({ ...part, element: { ...part.element, multiline: false, initial_value: words }, entry: undefined });
  return { ...made, read: () => idOf(part.element, made.node.value.trim()) };
}

function idOf(given, words) {
  const ids = words.split(/[\s,]+/).filter(Boolean);
  if (!given.type.includes("external")) return given.type.startsWith("multi_") ? ids : (ids[0] ?? null);
  const options = ids.map((value) => ({ text: { type: "plain_text", text: value }, value }));
  const held = given.type.startsWith("multi_") ? { selected_options: options } : { selected_option: options[0] ?? null };
  return { type: given.type, ...held };
}
