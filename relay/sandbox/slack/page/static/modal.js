// The modal before a person: the uppermost of those the app has opened.

import { blocks, inputs } from "./blocks.js";
import { refocus, trace } from "./keyed.js";
import { fresh, make } from "./making.js";
import { contextOf } from "./message.js";

const OPENED = "[aria-expanded='true'][aria-haspopup], .bk-menu";

const SEVERAL = {
  checkboxes: "selected_options", multi_static_select: "selected_options", multi_external_select: "selected_options",
};
const ONE = { static_select: "selected_option", radio_buttons: "selected_option", external_select: "selected_option" };
const PLAIN = {
  users_select: "selected_user", multi_users_select: "selected_users", channels_select: "selected_channel",
  multi_channels_select: "selected_channels", conversations_select: "selected_conversation",
  multi_conversations_select: "selected_conversations", datepicker: "selected_date", timepicker: "selected_time",
  datetimepicker: "selected_date_time",
};

/** Shows the modals of the store in a <dialog>. */
export class Modals {
  #store;
  #dialog;
  #shown = null;
  #stamp = "";
  #refused = {};
  #said = "";
  #busy = false;
  // What was typed into the modals that others lie upon, by the ids of views.
  #below = new Map();

  constructor(store, dialog) {
    this.#store = store;
    this.#dialog = dialog;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close();
    });
    dialog.addEventListener("keydown", (event) => this.#pressed(event));
    dialog.addEventListener("focusout", () => setTimeout(() => this.show(), 0));
  }

  /** Shows the uppermost modal as it is now, with what was typed into it. */
  show() {
    const modals = this.#store.pieces.get("modals") ?? [];
    const top = modals.at(-1) ?? null;
    if (top?.id !== this.#shown?.id) {
      this.#refused = {};
      this.#said = "";
      this.#busy = false;
    }
    if (!top) return this.#hide();
    const errors = { ...top.errors, ...this.#refused };
    const stamp = JSON.stringify([top.id, top.view, errors, this.#said, this.#busy, modals.length]);
    if (stamp === this.#stamp || this.#dialog.querySelector(OPENED)) return undefined;
    this.#stamp = stamp;
    return this.#draw(top, modals.length, errors);
  }

  #hide() {
    this.#stamp = "";
    this.#shown = null;
    if (this.#dialog.open) this.#dialog.close();
    this.#dialog.replaceChildren();
  }

  #draw(top, depth, errors) {
    const same = this.#shown?.id === top.id;
    if (!same && this.#shown && depth > 1) this.#below.set(this.#shown.id, this.#carried(this.#shown));
    const filled = { ...top.filled, ...(same ? this.#carried(top) : this.#below.get(top.id)) };
    this.#below.delete(top.id);
    const mark = same && this.#dialog.contains(document.activeElement) ? trace(this.#dialog, document.activeElement) : null;
    const scrolled = same ? this.#dialog.querySelector(".modal-body")?.scrollTop ?? 0 : 0;
    const newly = same ? Object.keys(errors).some((id) => !this.#dialog.querySelector(`[data-wrong~="${CSS.escape(id)}"]`)) : false;
    this.#dialog.replaceChildren(...this.#parts(top, depth, filled, errors));
    this.#shown = top;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.querySelector(".modal-body").scrollTop = scrolled;
    if (newly) this.#toWrong();
    else if (mark) refocus(this.#dialog, mark);
    else if (!same) this.#first();
  }

  #toWrong() {
    const wrong = this.#dialog.querySelector("[aria-invalid]");
    // A group of boxes has no focus of its own.
    (wrong?.querySelector("input") ?? wrong ?? this.#dialog.querySelector(".modal-foot button:last-child"))?.focus();
  }

  #first() {
    const body = this.#dialog.querySelector(".modal-body");
    const first = body.querySelector("[autofocus], [data-input] input, input, textarea, .bk-select, button") ?? this.#dialog.querySelector(".modal-foot button:last-child");
    (first ?? this.#dialog).focus();
  }

  #parts(top, depth, filled, errors) {
    const { view } = top;
    const context = contextOf(this.#store, { surface: "modal", filled, errors, act: (_block, element, value) => this.#click(element, value) });
    const back = depth > 1 ? make("button", { type: "button", class: "plain", "aria-label": "Back", onclick: () => this.#close() }, "‹") : null;
    const body = make("div", { class: "modal-body", tabindex: "-1" }, this.#alert(errors), blocks(view.blocks, context));
    body.dataset.wrong = Object.keys(errors).join(" ");
    return [
      make("header", { class: "modal-head" }, back, make("h2", { id: "modal-title" }, view.title.text),
        make("button", { type: "button", class: "plain", "aria-label": "Close this dialog", onclick: () => this.#close(true) }, "✕")),
      body,
      this.#foot(view),
    ];
  }

  #foot(view) {
    const close = make("button", { type: "button", class: "button", onclick: () => this.#close(view.clear_on_close) }, view.close?.text ?? (view.submit ? "Cancel" : "Close"));
    const submit = view.submit
      ? make("button", { type: "button", class: "button primary", "aria-disabled": this.#busy ? "true" : null, onclick: () => this.#submit() }, this.#busy ? "Sending…" : view.submit.text)
      : null;
    return make("footer", { class: "modal-foot" }, close, submit);
  }

  #alert(errors) {
    const words = this.#said || errors.view;
    return words ? make("p", { class: "modal-wrong", role: "alert", id: fresh("wrong") }, words) : null;
  }

  #pressed(event) {
    if (event.key !== "Enter" || event.defaultPrevented || event.isComposing) return;
    const line = event.target.matches("input:not([type=checkbox]):not([type=radio])") && !event.target.closest(".bk-menu");
    if (line || event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.#submit();
    }
  }

  async #click(element, value) {
    const fields = { view: this.#shown.id, action_id: element.action_id, values: inputs(this.#dialog) };
    if (value !== undefined) fields.value = value;
    const answer = await this.#store.act("click", fields);
    if (!answer.ok) throw new Error(answer.error);
  }

  async #submit() {
    if (this.#busy || !this.#shown?.view.submit) return;
    const { id } = this.#shown;
    const sent = this.#store.act("submit", { view: id, values: inputs(this.#dialog) });
    this.#busy = true;
    this.#said = "";
    this.#refused = {};
    this.show();
    const answer = await sent;
    if (this.#shown?.id !== id) return;
    this.#busy = false;
    this.#refused = answer.errors ?? {};
    this.#said = answer.ok || answer.errors ? "" : answer.error;
    this.show();
  }

  /** Leaves the uppermost modal, or `all` that lie over each other, as Slack's ✕ does. */
  #close(all = false) {
    if (this.#shown) this.#store.act("close", { view: this.#shown.id, all });
  }

  /** Returns what is typed, as state entries, for those inputs that are the same in the new view. */
  #carried(top) {
    const typed = inputs(this.#dialog);
    const carried = {};
    for (const block of top.view.blocks) {
      const { element } = block;
      const was = this.#shown.view.blocks.find((one) => one.block_id === block.block_id)?.element;
      const value = typed[block.block_id]?.[element?.action_id];
      if (block.type === "input" && value !== undefined && was?.type === element.type) {
        carried[block.block_id] = { [element.action_id]: entry(element, value) };
      }
    }
    return carried;
  }
}

/** Returns what Slack would say stands in an element, from what its input was read as. */
function entry(element, value) {
  if (value && typeof value === "object" && !Array.isArray(value)) return value;
  const { type } = element;
  const options = [...(element.options ?? []), ...(element.option_groups ?? []).flatMap((group) => group.options)];
  const option = (one) => options.find((given) => given.value === one) ?? null;
  if (type in SEVERAL) return { type, [SEVERAL[type]]: (value ?? []).map(option).filter(Boolean) };
  if (type in ONE) return { type, [ONE[type]]: option(value) };
  return { type, [PLAIN[type] ?? "value"]: value };
}
