// What stands within a line of Markdown: code, links, emphasis, escapes, and Slack's own mentions.

import { inlineCode } from "./code.js";
import { link, make, safe } from "./making.js";
import { EMOJI, emoji } from "./emoji.js";
import { angled } from "./mrkdwn.js";

const WORD = /[\p{L}\p{N}]/u;
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'", "&nbsp;": "\u00a0" };
const EMPHASIS = [["***", ["strong", "em"]], ["___", ["strong", "em"]], ["**", ["strong"]], ["__", ["strong"]], ["~~", ["s"]], ["*", ["em"]], ["_", ["em"]]];
const SKIPPED = /^(?:\\.|`[^`]+`|<[^<>\n]+>)/;
const DEEPEST = 12;
const FARTHEST = 3000; // between the marks of an emphasis: hostile text shall cost no time

/** Returns the nodes of a line of Markdown. */
export function spans(text, context, depth = 0) {
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const found = depth < DEEPEST ? starting(text, at, context, depth) : null;
    if (found?.words !== undefined) {
      plain += found.words;
    } else if (found) {
      if (plain) nodes.push(document.createTextNode(plain));
      plain = "";
      nodes.push(found.node);
    } else {
      plain += text[at];
    }
    at += found ? found.length : 1;
  }
  if (plain) nodes.push(document.createTextNode(plain));
  return nodes;
}

function starting(text, at, context, depth) {
  switch (text[at]) {
    case "\\":
      return /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? { words: text[at + 1], length: 2 } : null;
    case "&":
      return entity(text.slice(at, at + 8));
    case "`":
      return coded(text.slice(at));
    case "!":
      return text[at + 1] === "[" ? linked(text, at + 1, 1, context, depth) : null;
    case "[":
      return linked(text, at, 0, context, depth);
    case "<":
      return angled(text, at, context);
    case ":":
      return named(text.slice(at, at + 60));
    case "h":
      return WORD.test(text[at - 1] ?? " ") ? null : bare(text.slice(at));
    default:
      return emphasis(text, at, context, depth);
  }
}

function entity(rest) {
  const found = /^&(?:lt|gt|amp|quot|#39|nbsp);/.exec(rest);
  return found ? { words: ENTITIES[found[0]], length: found[0].length } : null;
}

function coded(rest) {
  const marks = /^`+/.exec(rest)[0];
  const inside = new RegExp(`^${marks}([\\s\\S]*?[^\`])${marks}(?!\`)`).exec(rest);
  if (!inside) return { words: marks, length: marks.length };
  const words = inside[1].replace(/\n/g, " ").replace(/^ (.*[^ ].*) $/, "$1");
  const shown = words.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  return { node: inlineCode(shown), length: inside[0].length };
}

/** Returns a link or, as a link to it, an image: the page loads nothing from outside. */
function linked(text, at, before, context, depth) {
  const end = bracketed(text, at);
  const target = end < 0 ? null : /^\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+["'(][^"')]*["')])?\s*\)/.exec(text.slice(end + 1));
  if (!target || !safe(target[1])) return null;
  const words = text.slice(at + 1, end);
  const inside = before ? [`🖼 ${words || "image"}`] : spans(words, context, depth + 1);
  return { node: link(target[1], ...inside), length: before + end + 1 - at + target[0].length };
}

function bracketed(text, at) {
  let open = 0;
  for (let end = at; end < text.length && end - at < 2000; end += 1) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === "[") open += 1;
    else if (text[end] === "]" && (open -= 1) === 0) return end;
  }
  return -1;
}

function named(rest) {
  const found = EMOJI.exec(rest);
  const node = found?.index === 0 ? emoji(found[1]) : null;
  return node ? { node, length: found[0].length } : null;
}

function bare(rest) {
  const found = /^https?:\/\/[^\s<>|]+/.exec(rest);
  const address = found?.[0].replace(/[.,;:!?)'"*_~`\]]+$/, "");
  return address && safe(address) ? { node: link(address), length: address.length } : null;
}

function emphasis(text, at, context, depth) {
  for (const [mark, tags] of EMPHASIS) {
    if (!text.startsWith(mark, at)) continue;
    const end = closing(text, at, mark);
    if (end < 0) continue;
    const inside = spans(text.slice(at + mark.length, end), context, depth + 1);
    const node = tags.reduceRight((inner, tag) => make(tag, {}, inner), inside);
    return { node, length: end + mark.length - at };
  }
  // A run of marks that opens nothing is text as a whole: else its end would open something.
  const run = /^(?:\*+|_+|~+)/.exec(text.slice(at, at + 80));
  return run ? { words: run[0], length: run[0].length } : null;
}

function closing(text, at, mark) {
  const inner = at + mark.length;
  const isWord = (place) => WORD.test(text[place] ?? " ");
  if (/\s/.test(text[inner] ?? " ") || (mark[0] === "_" && isWord(at - 1))) return -1;
  for (let end = inner; end < Math.min(text.length, inner + FARTHEST); end += 1) {
    const skipped = /[\\`<]/.test(text[end]) ? SKIPPED.exec(text.slice(end, end + 2000)) : null;
    if (skipped) {
      end += skipped[0].length - 1;
    } else if (text[end] === mark[0]) {
      const run = runLength(text, end);
      const fits = end > inner && run >= mark.length && (run === mark.length || mark.length === 3 || run === 3 || run > 3);
      if (fits && !/\s/.test(text[end - 1]) && !(mark[0] === "_" && isWord(end + run))) return end + run - mark.length;
      end += run - 1;
    }
  }
  return -1;
}

function runLength(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return end - at;
}
