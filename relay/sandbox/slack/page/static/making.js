// Small makers of elements. Given text only ever becomes a text node: nothing here parses HTML.

let last = 0;

/** Returns an id that no other element of the page has. */
export const fresh = (stem) => `bk-${stem}-${++last}`;

/**
 * Returns an element. Attributes that are null, undefined or false are left out, true ones are bare;
 * `on…` are listeners. Children may be nodes, texts, null, or lists of these.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false);
}

/** Returns a fragment of these children. */
export function several(...children) {
  const fragment = document.createDocumentFragment();
  fragment.append(...flat(children));
  return fragment;
}

/** Returns the address if a browser may be sent there from words anybody wrote, else null. */
export function safe(address) {
  let url;
  try {
    url = new URL(String(address).trim());
  } catch {
    return null;
  }
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
}

/** Returns a link, or the bare words where the address is none that is followed. */
export function link(address, ...words) {
  const href = safe(address);
  const shown = flat(words).length ? words : [String(address)];
  if (!href) return several(...shown);
  return make("a", { class: "bk-link", href, target: "_blank", rel: "noopener noreferrer" }, ...shown);
}

/** Undoes the three escapes of Slack's text. */
export function unescaped(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/** Returns what cannot be shown here, by what it is. */
export function placeholder(kind, words, ...more) {
  return make("div", { class: "bk-placeholder" }, make("span", { class: "bk-kind" }, kind), words ? ` ${words}` : null, ...more);
}
