// How people, places and times are called on this page.

/** Returns who somebody is, in the words of the switch: "Ada, requester". */
export function described(person) {
  if (person.kind.startsWith("from ")) return `${person.real_name}, external`;
  return person.real_name.toLowerCase() === person.kind ? person.real_name : `${person.real_name}, ${person.kind}`;
}

/** Returns the name of a place as it stands over it. */
export function placeName(store, place) {
  if (place === "home" || place === "dm" || place.startsWith("D")) return store.app.real_name;
  const channel = store.channel(place);
  return channel ? `#${channel.name}` : "a channel you are not in";
}

/** Returns the moment of a message's timestamp. */
export const moment = (ts) => new Date(Number(ts) * 1000);

/** Returns the time of day of a message. */
export function clock(ts) {
  return moment(ts).toLocaleTimeString(navigator.language, { hour: "numeric", minute: "2-digit" });
}

/** Returns the whole date and time of a message. */
export function fullTime(ts) {
  return moment(ts).toLocaleString(navigator.language, { dateStyle: "full", timeStyle: "medium" });
}

/** Returns the day of a message: today, yesterday, or which. */
export function dayName(ts) {
  const day = moment(ts);
  const today = new Date();
  const before = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === before.toDateString()) return "Yesterday";
  return day.toLocaleDateString("en", { weekday: "long", month: "long", day: "numeric" });
}

/** Returns "1 reply", "3 replies". */
export const counted = (number, one, several) => `${number} ${number === 1 ? one : several}`;

/** Returns which of the eight avatar colours is somebody's. */
export function tint(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 9973;
  return `tint-${sum % 8}`;
}
