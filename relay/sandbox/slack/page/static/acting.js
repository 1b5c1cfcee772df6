// One act at a time for each element: asked once more where it says so, busy until the app has heard.

import { confirmed } from "./confirming.js";
import { make } from "./making.js";

const busy = new WeakSet();

/** Tells `context.act` what was done with an element; returns whether it was told. */
export async function tell(node, { block, element, context }, value) {
  if (busy.has(node)) return false;
  busy.add(node);
  try {
    if (!(await confirmed(element.confirm, context))) return false;
    mark(node, true);
    complain(node, "");
    await context.act(block, element, value);
    return true;
  } catch (problem) {
    complain(node, String(problem?.message ?? problem));
    return true;
  } finally {
    busy.delete(node);
    mark(node, false);
  }
}

// Not `disabled`: that would take the focus away from whoever uses the keyboard. Clicks are dropped above.
function mark(node, on) {
  node.classList.toggle("bk-busy", on);
  for (const name of ["aria-busy", "aria-disabled"]) {
    if (on) node.setAttribute(name, "true");
    else node.removeAttribute(name);
  }
}

function complain(node, words) {
  if (node.nextElementSibling?.matches(".bk-failed")) node.nextElementSibling.remove();
  if (words && node.isConnected) node.after(make("span", { class: "bk-failed", role: "alert", title: words }, `⚠ ${words}`));
}
