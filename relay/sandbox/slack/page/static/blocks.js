// Block Kit as Slack shows it: https://docs.slack.dev/reference/block-kit/blocks

import { wordsOf } from "./choices.js";
import { fresh, make, placeholder, several } from "./making.js";
import { element, inputs } from "./elements.js";
import { emoji, withEmoji } from "./emoji.js";
import { framed, markdown } from "./markdown.js";
import { mrkdwn } from "./mrkdwn.js";
import { richText } from "./rich_text.js";

export { inputs, mrkdwn };

/** Returns these blocks as an element; `context` says who looks, who and what ids are, and takes acts. */
export function blocks(list, context) {
  const shown = (Array.isArray(list) ? list : []).map((block) => one(block, context));
  return make("div", { class: "blocks", "data-surface": context.surface ?? "message" }, shown);
}

const KINDS = {
  header: (block) => make(block.level > 1 ? "h4" : "h3", {}, withEmoji(wordsOf(block.text))),
  divider: () => make("hr", { class: "bk-divider" }),
  section,
  context: contextBlock,
  actions,
  context_actions: actions,
  image,
  rich_text: richText,
  markdown: (block, context) => markdown(block.text, context),
  input,
  table,
  task_card: taskCard,
  plan,
  alert: alertBox,
  card,
  video: (block) => placeholder("video", wordsOf(block.title) || block.alt_text),
  file: (block) => placeholder("file", block.external_id),
};

function one(block, context) {
  const kind = String(block?.type ?? "nothing");
  const draw = Object.hasOwn(KINDS, kind) ? KINDS[kind] : null;
  const node = draw ? attempted(draw, block, context) : placeholder(kind, "a block that this page does not show");
  node.classList.add("bk-block", `bk-block-${kind.replace(/\W/g, "-").toLowerCase()}`);
  node.dataset.blockId = block?.block_id ?? "";
  return node;
}

/** Draws a block; one that is not as Slack takes it is named, and the others are shown all the same. */
function attempted(draw, block, context) {
  try {
    return draw(block, context);
  } catch (problem) {
    console.error("A block that could not be shown:", block, problem);
    return placeholder(String(block.type), "could not be shown");
  }
}

/** Returns the nodes of a text object, or of a bare string. */
function text(given, context) {
  if (given?.type === "mrkdwn") return mrkdwn(given.text, context);
  return several(withEmoji(typeof given === "string" ? given : wordsOf(given)));
}

const div = (name, ...children) => make("div", { class: name }, ...children);

function section(block, context) {
  const words = block.text ? div("bk-text", text(block.text, context)) : null;
  const fields = block.fields?.length ? div("bk-fields", block.fields.map((field) => div("bk-text", text(field, context)))) : null;
  const beside = block.accessory ? div("bk-accessory", element(block.accessory, block, context)) : null;
  return make("div", { class: beside ? "bk-beside" : "" }, div("bk-main", words, fields), beside);
}

function contextBlock(block, context) {
  return make("div", {}, (block.elements ?? []).map((given) => (given?.type === "image" ? small(given) : make("span", { class: "bk-text" }, text(given, context)))));
}

function small(given) {
  return own(given.image_url) ? picture(given, "bk-small") : make("span", { class: "bk-quiet" }, `[${given.alt_text || "image"}]`);
}

function actions(block, context) {
  return make("div", {}, (block.elements ?? []).map((given) => element(given, block, context)));
}

function image(block, context) {
  const title = block.title ? div("bk-title bk-text", text(block.title, context)) : null;
  const shown = own(block.image_url) ? picture(block, "bk-picture") : placeholder("image", block.alt_text);
  return make("figure", {}, title, shown);
}

// Nothing is loaded from outside: an image is shown if the page's own server has it.
function own(address) {
  try {
    return Boolean(address) && new URL(address, location.href).origin === location.origin;
  } catch {
    return false;
  }
}

const picture = (given, name) => make("img", { class: name, src: given.image_url, alt: given.alt_text ?? "", loading: "lazy" });

function input(block, context) {
  const given = block.element ?? {};
  const [label, hint, error] = [fresh("label"), fresh("hint"), fresh("error")];
  const wrong = context.errors?.[block.block_id];
  const shown = element(given, block, context, { tells: Boolean(block.dispatch_action), optional: block.optional });
  const field = shown.matches("[data-input]") ? shown : (shown.querySelector("[data-input]") ?? shown);
  field.setAttribute("aria-labelledby", label);
  const told = [wrong ? error : null, block.hint ? hint : null].filter(Boolean).join(" ");
  if (told) field.setAttribute("aria-describedby", told);
  if (wrong) field.setAttribute("aria-invalid", "true");
  if (!block.optional && !field.matches(".bk-boxes")) field.setAttribute("aria-required", "true");
  const optional = block.optional ? make("span", { class: "bk-optional" }, " (optional)") : null;
  const heading = make("div", { id: label, class: "bk-label", onclick: () => (field.querySelector("input") ?? field).focus() }, text(block.label, context), optional);
  return make("div", { class: wrong ? "bk-wrong" : "" }, heading, shown,
    wrong ? make("div", { id: error, class: "bk-error", role: "alert" }, wrong) : null,
    block.hint ? make("div", { id: hint, class: "bk-hint" }, text(block.hint, context)) : null);
}

function table(block, context) {
  const sides = block.column_settings ?? [];
  const cell = (given, place, tag) => {
    const { align = "left", is_wrapped: wrapped } = sides[place] ?? {};
    const side = ["left", "center", "right"].includes(align) ? align : "left";
    const name = `bk-${side}${wrapped ? " bk-wrapped" : ""}`;
    return make(tag, { class: name, scope: tag === "th" ? "col" : null }, given?.type === "rich_text" ? richText(given, context) : String(given?.text ?? given?.value ?? ""));
  };
  const row = (given, tag) => make("tr", {}, given.map((one, place) => cell(one, place, tag)));
  const [first = [], ...rest] = block.rows ?? [];
  return framed(make("thead", {}, row(first, "th")), make("tbody", {}, rest.map((one) => row(one, "td"))));
}

const STATUS = {
  pending: ["○", "to be done"],
  in_progress: ["◔", "in progress"],
  complete: ["✓", "done"],
  error: ["!", "failed"],
};

function taskCard(block, context) {
  const known = Object.hasOwn(STATUS, block.status ?? "") ? block.status : "pending";
  const [sign, words] = STATUS[known];
  const mark = make("span", { class: `bk-status bk-status-${known}`, role: "img", "aria-label": words }, sign);
  const sources = (block.sources ?? []).map((source) => make("li", {}, text({ type: "mrkdwn", text: `<${source.url}|${source.text ?? source.url}>` }, context)));
  const inside = [block.details, block.output].filter((given) => given?.elements?.length).map((given) => richText(given, context));
  const head = [mark, make("span", { class: "bk-task-title" }, wordsOf(block.title) || String(block.title ?? ""))];
  if (!inside.length && !sources.length) return make("div", {}, div("bk-task-head", head));
  return make("details", { open: known === "in_progress" || known === "error" }, make("summary", { class: "bk-task-head" }, head), div("bk-task-body", inside, sources.length ? make("ul", { class: "bk-list" }, sources) : null));
}

function plan(block, context) {
  const title = wordsOf(block.title) || String(block.title ?? "");
  return make("div", {}, make("h4", { class: "bk-plan-title" }, title), (block.tasks ?? []).map((task) => one({ type: "task_card", ...task }, context)));
}

const LEVELS = { info: "information_source", warning: "warning", error: "octagonal_sign", success: "white_check_mark" };

function alertBox(block, context) {
  const level = Object.hasOwn(LEVELS, block.level ?? "") ? block.level : "default";
  const sign = level === "default" ? null : emoji(LEVELS[level]);
  return make("div", { class: `bk-level-${level}`, role: "note" }, sign, div("bk-text", text(block.text, context)));
}

function card(block, context) {
  const hero = block.hero_image ? (own(block.hero_image.image_url) ? picture(block.hero_image, "bk-picture") : placeholder("image", block.hero_image.alt_text)) : null;
  const named = ["title", "subtitle", "body"].filter((name) => block[name]).map((name) => div(`bk-card-${name} bk-text`, text(block[name], context)));
  const pressed = block.actions?.length ? div("bk-block-actions", block.actions.map((given) => element(given, block, context))) : null;
  return make("div", {}, hero, named, pressed);
}
