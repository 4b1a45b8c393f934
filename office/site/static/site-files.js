// How a page loads the site's files and asks its service; the root of the site is in the page itself.

export const here = document.querySelector("main").dataset;
export async function load(name) {
  const answer = await fetch(new URL(`${here.up}${name}`, location.href), { credentials: "omit" });
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
export function show(place, id, fill = () => {}) {
  const part = document.getElementById(id).content.cloneNode(true);
  fill(part);
  place.replaceChildren(part);
}
export const words = (name) => document.querySelector("template#words").content.querySelector(`[data-for="${name}"]`).textContent;
export const day = (moment) => new Date(moment).toLocaleString(document.documentElement.lang, { timeZone: "Asia/Tokyo", dateStyle: "medium", timeStyle: "short" });
// A browser may forbid it.
export function storage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
