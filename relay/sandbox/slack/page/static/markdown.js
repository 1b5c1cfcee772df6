// The Markdown of the `markdown` block: headings, lists, quotes, fences, tables, and what stands in lines.
// https://docs.slack.dev/reference/block-kit/blocks/markdown-block

import { codeBlock } from "./code.js";
import { make } from "./making.js";
import { spans } from "./markdown_spans.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}(?:>|&gt;) ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+(.*))?$/;
const DELIMITER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEEPEST = 12; // so that no text can make the page recurse without end

/** Returns a Markdown text as an element. */
export function markdown(text, context) {
  const all = String(text ?? "").replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n");
  return make("div", { class: "bk-markdown" }, parts(all, context, 0));
}

function parts(all, context, depth) {
  const nodes = [];
  let at = 0;
  while (at < all.length) {
    const [node, taken] = next(all, at, context, depth);
    if (node) nodes.push(node);
    at += taken;
  }
  return nodes;
}

function next(all, at, context, depth) {
  const line = all[at];
  if (!line.trim()) return [null, 1];
  if (FENCE.test(line)) return fence(all, at);
  const heading = HEADING.exec(line);
  if (heading) return [headed(heading, context), 1];
  if (RULE.test(line)) return [make("hr", { class: "bk-divider" }), 1];
  if (depth < DEEPEST && QUOTE.test(line)) return quote(all, at, context, depth);
  if (depth < DEEPEST && ITEM.test(line)) return list(all, at, context, depth);
  if (isTable(all, at)) return table(all, at, context);
  return paragraph(all, at, context, depth);
}

function headed([, marks, words], context) {
  // The page has headings of its own above: these begin at the third level.
  const level = Math.min(marks.length + 2, 6);
  return make(`h${level}`, { class: `bk-heading bk-heading-${marks.length}` }, spans(words ?? "", context));
}

function fence(all, at) {
  const [, marks, language] = FENCE.exec(all[at]);
  const closes = (line) => line.trim().startsWith(marks) && !line.trim().replaceAll(marks[0], "");
  const end = all.findIndex((line, place) => place > at && closes(line));
  const inside = all.slice(at + 1, end < 0 ? all.length : end); // one that is still being written has no end
  const block = codeBlock(decoded(inside.join("\n")));
  if (language.trim()) block.dataset.language = language.trim().split(/\s/)[0];
  return [block, inside.length + (end < 0 ? 1 : 2)];
}

const decoded = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

function quote(all, at, context, depth) {
  let end = at;
  while (end < all.length && QUOTE.test(all[end])) end += 1;
  const inside = all.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return [make("blockquote", { class: "bk-quote" }, parts(inside, context, depth + 1)), end - at];
}

function list(all, at, context, depth) {
  const [, margin, sign] = ITEM.exec(all[at]);
  const ordered = /\d/.test(sign);
  const items = [];
  let end = at;
  while (end < all.length) {
    const found = ITEM.exec(all[end]);
    if (!found || RULE.test(all[end]) || !sameList(found, margin, ordered)) break;
    const taken = itemLength(all, end, found);
    items.push(item(found, all.slice(end + 1, end + taken), context, depth));
    end += taken;
    while (end < all.length && !all[end].trim() && ITEM.test(all[end + 1] ?? "")) end += 1;
  }
  const start = ordered && parseInt(sign, 10) !== 1 ? parseInt(sign, 10) : null;
  const shape = `bk-list bk-depth-${depth % 3}`;
  return [make(ordered ? "ol" : "ul", { class: shape, start }, items), Math.max(end - at, 1)];
}

function sameList(found, margin, ordered) {
  return Math.abs(found[1].length - margin.length) < 2 && /\d/.test(found[2]) === ordered;
}

/** Returns how many lines belong to an item: those that are further in, and blank ones between them. */
function itemLength(all, at, found) {
  const inner = found[1].length + 2;
  let length = 1;
  for (let place = at + 1; place < all.length; place += 1) {
    const line = all[place];
    const indent = line.length - line.trimStart().length;
    const continues = line.trim() && (indent >= inner || (!begins(line) && all[place - 1].trim()));
    if (continues) length = place - at + 1;
    else if (line.trim()) break;
  }
  return length;
}

const begins = (line) => [ITEM, QUOTE, HEADING, FENCE, RULE].some((one) => one.test(line));

function item([, margin, sign, first], rest, context, depth) {
  const width = margin.length + sign.length + 1;
  const inside = rest.map((line) => line.slice(Math.min(width, line.length - line.trimStart().length)));
  const ticked = /^\[([ xX])\] /.exec(first ?? "");
  const words = ticked ? first.slice(4) : (first ?? "");
  const box = ticked ? make("span", { class: "bk-tick", role: "img", "aria-label": ticked[1] === " " ? "not done" : "done" }, ticked[1] === " " ? "☐ " : "☑ ") : null;
  const nodes = parts([words, ...inside], context, depth + 1);
  const [head, ...others] = nodes;
  // The first paragraph of an item is the item itself.
  const unwrapped = head?.matches?.("p") ? [...head.childNodes] : [head];
  return make("li", { class: ticked ? "bk-task" : null }, box, unwrapped, others);
}

function isTable(all, at) {
  const columns = cells(all[at]).length;
  return all[at].includes("|") && DELIMITER.test(all[at + 1] ?? "") && cells(all[at + 1]).length === columns;
}

function cells(line) {
  const bare = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return bare.split(/(?<!\\)\|/).map((one) => one.trim().replaceAll("\\|", "|"));
}

function table(all, at, context) {
  let end = at + 2;
  while (end < all.length && all[end].includes("|") && all[end].trim()) end += 1;
  const sides = cells(all[at + 1]).map((one) => (one.endsWith(":") ? (one.startsWith(":") ? "center" : "right") : "left"));
  const row = (line, tag) => {
    const given = cells(line);
    return make("tr", {}, sides.map((side, place) => make(tag, { class: `bk-${side}`, scope: tag === "th" ? "col" : null }, spans(given[place] ?? "", context))));
  };
  const head = make("thead", {}, row(all[at], "th"));
  const body = make("tbody", {}, all.slice(at + 2, end).map((line) => row(line, "td")));
  return [framed(head, body), end - at];
}

/** Returns a table that scrolls by itself where it is too wide. */
export function framed(...children) {
  const frame = { class: "bk-table-frame", tabindex: "0", role: "region", "aria-label": "Table" };
  return make("div", frame, make("table", { class: "bk-table" }, children));
}

function paragraph(all, at, context, depth) {
  let end = at + 1;
  while (end < all.length && all[end].trim() && !interrupts(all, end, depth)) end += 1;
  const words = all.slice(at, end).map((line) => line.trimStart().replace(/ +$/, "")).join("\n");
  return [make("p", { class: "bk-paragraph" }, spans(words, context)), end - at];
}

function interrupts(all, at, depth) {
  if (depth < DEEPEST && (QUOTE.test(all[at]) || ITEM.test(all[at]))) return true;
  return FENCE.test(all[at]) || HEADING.test(all[at]) || RULE.test(all[at]) || isTable(all, at);
}
