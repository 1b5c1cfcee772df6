// The dialog that asks once more before an element counts.

import { fresh, make } from "./making.js";
import { mrkdwn } from "./mrkdwn.js";

/** Asks and returns whether it was confirmed; without a `confirm` object it is, unasked. */
export async function confirmed(confirm, context) {
  if (!confirm) return true;
  const back = document.activeElement;
  const [title, text] = [fresh("title"), fresh("text")];
  const words = confirm.text?.type === "mrkdwn" ? mrkdwn(confirm.text.text, context) : (confirm.text?.text ?? "");
  const close = make("button", { type: "button", class: "bk-close", value: "no", "aria-label": "Close" }, "✕");
  const deny = make("button", { type: "button", class: "bk-button", value: "no" }, confirm.deny?.text ?? "Cancel");
  const style = confirm.style === "danger" ? "bk-danger bk-filled" : "bk-primary";
  const yes = make("button", { type: "button", class: `bk-button ${style}`, value: "yes" }, confirm.confirm?.text ?? "Yes");
  const dialog = make("dialog", { class: "bk-confirm", "aria-labelledby": title, "aria-describedby": text },
    make("header", {}, make("h2", { id: title }, confirm.title?.text ?? "Are you sure?"), close),
    make("div", { id: text, class: "bk-text" }, words),
    make("footer", {}, deny, yes));
  document.body.append(dialog);
  const answer = await asked(dialog, [close, deny, yes], deny);
  dialog.remove();
  if (back?.isConnected) back.focus();
  return answer === "yes";
}

function asked(dialog, buttons, first) {
  return new Promise((resolve) => {
    for (const one of buttons) one.addEventListener("click", () => dialog.close(one.value));
    dialog.addEventListener("close", () => resolve(dialog.returnValue));
    // A page below that listens for Escape shall not close what lies under this.
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close("no"));
    dialog.showModal();
    // Enter that opened it, held down, would press what has the focus: let that change nothing.
    first.focus();
  });
}
