// The app's Home tab.

import { blocks } from "./blocks.js";
import { keyed } from "./keyed.js";
import { make } from "./making.js";
import { contextOf } from "./message.js";

/** Shows what the app has published for the person. */
export class Home {
  constructor(store) {
    this.store = store;
    this.root = make("div", { class: "home", tabindex: "-1" });
  }

  show() {
    const home = this.store.pieces.get("home");
    if (!home) {
      const words = `${this.store.app.real_name} has put nothing here yet.`;
      keyed(this.root, [{ key: "none", stamp: "", make: () => make("p", { class: "quiet" }, words) }]);
      return;
    }
    keyed(this.root, [{ key: home.id, stamp: JSON.stringify([home.view, home.filled, this.store.me]), make: () => this.#draw(home) }]);
  }

  #draw(home) {
    const act = (_block, element, value) => this.#click(home.id, element, value);
    return blocks(home.view.blocks, contextOf(this.store, { surface: "home", filled: home.filled, act }));
  }

  async #click(view, element, value) {
    const fields = { view, action_id: element.action_id };
    if (value !== undefined) fields.value = value;
    const answer = await this.store.act("click", fields);
    if (!answer.ok) throw new Error(answer.error);
  }
}
