// Lists that change under people's hands: only what differs is made anew, and nobody loses their place.

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
// What somebody has opened stays as it is until they are done with it.
const OPENED = "[aria-expanded='true'][aria-haspopup], [role='menu']:not([hidden]), dialog[open], select:focus, [popover]:popover-open";

const stamps = new WeakMap();
const late = new Map();

/** Makes the children of `parent` those of `items`, each `{key, stamp, make}`; one with the same stamp stays. */
export function keyed(parent, items) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const there = old.get(item.key);
    old.delete(item.key);
    const element = there ? renewed(there, item) : made(item);
    if (there === next || element === next) next = element.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const left of old.values()) {
    late.delete(left);
    left.remove();
  }
}

function made(item) {
  const element = item.make();
  element.dataset.key = item.key;
  stamps.set(element, item.stamp);
  return element;
}

function renewed(there, item) {
  if (stamps.get(there) === item.stamp) {
    late.delete(there);
    return there;
  }
  if (there.querySelector(OPENED)) {
    late.set(there, item);
    return there;
  }
  late.delete(there);
  const element = made(item);
  replace(there, element);
  return element;
}

/** Puts one element in the place of another; the focus goes to what corresponds to what had it. */
export function replace(old, fresh) {
  const mark = old.contains(document.activeElement) ? trace(old, document.activeElement) : null;
  old.replaceWith(fresh);
  if (mark) refocus(fresh, mark);
}

/** Says which control has the focus, so that `refocus` finds the one that corresponds. */
export function trace(root, active) {
  const all = [...root.querySelectorAll(FOCUSABLE)];
  const typed = "selectionStart" in active && active.selectionStart !== null;
  return { name: nameOf(active), at: all.indexOf(active), range: typed ? [active.selectionStart, active.selectionEnd] : null };
}

/** Focuses the control that `trace` told of, or else the element itself. */
export function refocus(root, { name, at, range }) {
  const all = [...root.querySelectorAll(FOCUSABLE)].filter((one) => !one.disabled);
  const same = all.filter((one) => nameOf(one) === name);
  const found = same.find((one) => all.indexOf(one) === at) ?? same[0];
  if (!found) root.tabIndex = -1;
  (found ?? root).focus({ preventScroll: true });
  if (found && range && "setSelectionRange" in found) found.setSelectionRange(...range);
}

function nameOf(element) {
  const label = element.getAttribute("aria-label") ?? element.name ?? "";
  const words = ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName) ? "" : element.textContent;
  return [element.tagName, element.dataset.actionId, element.dataset.about, label, words].join("|");
}

// Once a menu or dialog is closed, what waited for it is shown.
for (const event of ["focusout", "click", "keyup", "close", "toggle"]) {
  document.addEventListener(event, () => setTimeout(catchUp, 0), true);
}

function catchUp() {
  for (const [there, item] of late) {
    if (!there.isConnected) late.delete(there);
    else renewed(there, item);
  }
}
