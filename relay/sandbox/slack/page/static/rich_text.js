// The rich_text block: sections, nested lists, preformatted text, quotes.
// https://docs.slack.dev/reference/block-kit/blocks/rich-text-block

import { codeBlock, inlineCode } from "./code.js";
import { moment } from "./dates.js";
import { link, make } from "./making.js";
import { emoji } from "./emoji.js";
import { broadcast, channel, group, person } from "./mrkdwn.js";

/** Returns a rich text. */
export function richText(block, context) {
  const nodes = [];
  let open = [];
  for (const element of block?.elements ?? []) {
    if (element?.type === "rich_text_list") {
      open = listed(element, open, nodes, context);
    } else {
      open = [];
      nodes.push(part(element, context));
    }
  }
  return make("div", { class: "bk-rich" }, nodes);
}

function part(element, context) {
  const pieces = () => (element?.elements ?? []).map((one) => piece(one, context));
  switch (element?.type) {
    case "rich_text_section":
      return make("div", { class: "bk-line" }, pieces());
    case "rich_text_preformatted":
      return codeBlock(...(element.elements ?? []).map((one) => piece({ ...one, style: null }, context)));
    case "rich_text_quote":
      return make("blockquote", { class: "bk-quote" }, pieces());
    default:
      return make("div", { class: "bk-line bk-quiet" }, `[${element?.type ?? "nothing"}]`);
  }
}

/**
 * Adds a list where it belongs: Slack gives each run of items with one indent as a list of its own, so that
 * a deeper one goes into the last item above it, and one as deep as before goes on counting.
 */
function listed(element, open, nodes, context) {
  const indent = element.indent ?? 0;
  const kept = open.filter((one) => one.indent < indent || (one.indent === indent && one.style === element.style));
  let last = kept.at(-1);
  if (last?.indent !== indent) {
    const tag = element.style === "ordered" ? "ol" : "ul";
    const start = tag === "ol" && element.offset ? element.offset + 1 : null;
    const border = element.border ? " bk-quote" : "";
    const list = make(tag, { class: `bk-list bk-depth-${indent % 3}${border}`, start });
    if (last) (last.list.lastElementChild ?? last.list).append(list);
    else nodes.push(list);
    last = { indent, style: element.style, list };
    kept.push(last);
  }
  for (const item of element.elements ?? []) {
    last.list.append(make("li", {}, (item.elements ?? []).map((one) => piece(one, context))));
  }
  return kept;
}

/** Returns one element of a section. */
function piece(element, context) {
  return styled(bare(element, context), element?.style);
}

function bare(element, context) {
  switch (element?.type) {
    case "text":
      return element.text ?? "";
    case "link":
      return link(element.url, element.text || String(element.url ?? "").replace(/^mailto:/, ""));
    case "user":
      return person(element.user_id, context);
    case "usergroup":
      return group(element.usergroup_id, context);
    case "channel":
      return channel(element.channel_id, context);
    case "broadcast":
      return broadcast(element.range);
    case "emoji":
      return emoji(element.name, element.unicode) ?? `:${element.name}:`;
    case "date":
      return moment(element.timestamp, element.format, element.fallback, element.url);
    case "color":
      return [swatch(element.value), String(element.value ?? "")];
    default:
      return `[${element?.type ?? "nothing"}]`;
  }
}

function swatch(value) {
  const box = make("span", { class: "bk-swatch", "aria-hidden": "true" });
  if (/^#[0-9a-f]{3,8}$/i.test(value ?? "")) box.style.backgroundColor = value;
  return box;
}

const STYLES = [["bold", "strong"], ["italic", "em"], ["strike", "s"], ["underline", "u"]];

function styled(node, style) {
  if (!style) return node;
  const whole = style.code ? inlineCode(node) : node;
  return STYLES.reduce((inner, [name, tag]) => (style[name] ? make(tag, {}, inner) : inner), whole);
}
