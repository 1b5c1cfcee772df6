// Slack's names of emoji: what relay says, and what people and agents say most. Others stay as text.

import { make } from "./making.js";

const NAMES = {
  // relay's own
  alarm_clock: "⏰", ballot_box_with_ballot: "🗳️", grey_question: "❔", heavy_minus_sign: "➖",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", key: "🔑", lock: "🔒", no_entry: "⛔",
  octagonal_sign: "🛑", paperclip: "📎", pencil2: "✏️", repeat: "🔁", rotating_light: "🚨",
  scissors: "✂️", speech_balloon: "💬", warning: "⚠️", white_check_mark: "✅", wrench: "🔧", zzz: "💤",
  // faces and hands
  smile: "😄", smiley: "😃", grinning: "😀", grin: "😁", joy: "😂", slightly_smiling_face: "🙂", wink: "😉",
  blush: "😊", thinking_face: "🤔", neutral_face: "😐", confused: "😕", cry: "😢", sob: "😭", scream: "😱",
  sweat_smile: "😅", sunglasses: "😎", heart_eyes: "😍", upside_down_face: "🙃", face_with_rolling_eyes: "🙄",
  wave: "👋", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", ok_hand: "👌", clap: "👏", pray: "🙏",
  muscle: "💪", point_right: "👉", point_left: "👈", point_up: "☝️", point_down: "👇", raised_hands: "🙌",
  raised_hand: "✋", eyes: "👀", brain: "🧠", handshake: "🤝", shrug: "🤷", robot_face: "🤖", ghost: "👻",
  // marks
  heavy_check_mark: "✔️", ballot_box_with_check: "☑️", x: "❌", negative_squared_cross_mark: "❎",
  heavy_plus_sign: "➕", question: "❓", exclamation: "❗", grey_exclamation: "❕", bangbang: "‼️",
  information_source: "ℹ️", no_entry_sign: "🚫", stop_sign: "🛑", construction: "🚧", recycle: "♻️",
  red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡", large_green_circle: "🟢",
  large_blue_circle: "🔵", white_circle: "⚪", black_circle: "⚫", small_red_triangle: "🔺", hash: "#️⃣",
  arrow_right: "➡️", arrow_left: "⬅️", arrow_up: "⬆️", arrow_down: "⬇️", arrows_counterclockwise: "🔄",
  leftwards_arrow_with_hook: "↩️", fast_forward: "⏩", arrow_forward: "▶️", double_vertical_bar: "⏸️",
  one: "1️⃣", two: "2️⃣", three: "3️⃣", four: "4️⃣", five: "5️⃣", "100": "💯", new: "🆕", ok: "🆗", sos: "🆘",
  // things
  tada: "🎉", sparkles: "✨", star: "⭐", star2: "🌟", fire: "🔥", boom: "💥", zap: "⚡", rocket: "🚀",
  heart: "❤️", broken_heart: "💔", green_heart: "💚", blue_heart: "💙", bulb: "💡", bell: "🔔", no_bell: "🔕",
  mag: "🔍", mag_right: "🔎", hammer: "🔨", hammer_and_wrench: "🛠️", gear: "⚙️", nut_and_bolt: "🔩",
  toolbox: "🧰", package: "📦", file_folder: "📁", open_file_folder: "📂", page_facing_up: "📄", memo: "📝",
  pencil: "📝", clipboard: "📋", books: "📚", book: "📖", bookmark: "🔖", label: "🏷️", link: "🔗",
  pushpin: "📌", round_pushpin: "📍", wastebasket: "🗑️", unlock: "🔓", closed_lock_with_key: "🔐",
  shield: "🛡️", computer: "💻", desktop_computer: "🖥️", keyboard: "⌨️", floppy_disk: "💾", electric_plug: "🔌",
  satellite_antenna: "📡", globe_with_meridians: "🌐", cloud: "☁️", sunny: "☀️", snowflake: "❄️", rainbow: "🌈",
  chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", bar_chart: "📊", calendar: "📅",
  date: "📅", watch: "⌚", stopwatch: "⏱️", timer_clock: "⏲️", clock1: "🕐", clock3: "🕒", email: "📧",
  envelope: "✉️", inbox_tray: "📥", outbox_tray: "📤", mega: "📣", loudspeaker: "📢", phone: "☎️",
  moneybag: "💰", credit_card: "💳", gift: "🎁", trophy: "🏆", dart: "🎯", coffee: "☕", beer: "🍺", pizza: "🍕",
  bug: "🐛", beetle: "🪲", snake: "🐍", whale: "🐳", penguin: "🐧", crab: "🦀", turtle: "🐢", dog: "🐶", cat: "🐱",
  seedling: "🌱", deciduous_tree: "🌳", ship: "🚢", car: "🚗", airplane: "✈️", house: "🏠", office: "🏢", door: "🚪",
  bust_in_silhouette: "👤", busts_in_silhouette: "👥", technologist: "🧑‍💻", detective: "🕵️", crystal_ball: "🔮",
};

/** Matches one emoji by its name, with or without a tone of skin. */
export const EMOJI = /:([a-z0-9_+'-]+):(?::skin-tone-[2-6]:)?/;

/** Returns an emoji by its name, or null where the name is not known. */
export function emoji(name, unicode) {
  const shown = Object.hasOwn(NAMES, name) ? NAMES[name] : fromHex(unicode);
  if (!shown) return null;
  return make("span", { class: "bk-emoji", role: "img", "aria-label": `:${name}:`, title: `:${name}:` }, shown);
}

function fromHex(unicode) {
  if (!/^[0-9a-f]{2,6}(-[0-9a-f]{2,6})*$/i.test(unicode ?? "")) return null;
  const points = unicode.split("-").map((one) => parseInt(one, 16));
  return points.every((one) => one <= 0x10ffff) ? String.fromCodePoint(...points) : null;
}

/** Returns nodes for a text in which emoji stand by their names. */
export function withEmoji(text) {
  const nodes = [];
  let rest = text;
  let plain = "";
  for (let found = EMOJI.exec(rest); found; found = EMOJI.exec(rest)) {
    const shown = emoji(found[1]);
    // The colon that ends what is no emoji may begin one: `12:30:wave:`.
    const taken = shown ? found[0].length : found[0].length - 1;
    plain += rest.slice(0, found.index) + (shown ? "" : found[0].slice(0, taken));
    if (shown) {
      if (plain) nodes.push(document.createTextNode(plain));
      nodes.push(shown);
      plain = "";
    }
    rest = rest.slice(found.index + taken);
  }
  if (plain + rest) nodes.push(document.createTextNode(plain + rest));
  return nodes;
}
