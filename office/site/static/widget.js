// The badge on an operator's own site:
//   <script type="module" src="ADDRESS/widget.js" data-member="m-0001" data-root="SHA-256 of the first root"></script>
// It is grey until the association's signature is verified, and grey again when the licence ends. It keeps nothing, sends no
// cookie and no referrer, and says to nobody who has visited the page.

import { licenceOf, verifiedStatement } from "./trust.js";

const AGAIN_MS = 15 * 60 * 1000;
const [GOOD, GREY] = ["#14602f", "#5c5c5c"];
const site = new URL(".", import.meta.url);
const WORDS = {
  ja: ["協会の利用許諾を受けた会員", "有効な利用許諾を確かめられません"],
  en: ["Licensed by the association", "No valid licence can be verified"],
};

async function load(name) {
  const answer = await fetch(new URL(name, site), { credentials: "omit", referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error(name);
  return new Uint8Array(await answer.arrayBuffer());
}
export async function stateOf(member, now, root = "", from = load) {
  try {
    const { statement } = await verifiedStatement(from, now, root);
    return licenceOf(statement, member, now);
  } catch {
    return null;
  }
}
function put(script) {
  const { member, root = "" } = script.dataset;
  script.dataset.shown = ""; // another copy of this module leaves it alone
  const japanese = (script.closest("[lang]")?.lang ?? "ja").startsWith("ja");
  const link = document.createElement("a");
  link.href = new URL(`${japanese ? "" : "en/"}badge.html#${encodeURIComponent(member)}`, site);
  link.rel = "noreferrer";
  script.after(link);
  const draw = async () => {
    const holder = await stateOf(member, new Date(), root);
    const words = WORDS[japanese ? "ja" : "en"];
    link.textContent = holder ? `✓ ${words[0]} ${holder.name[japanese ? "ja" : "en"]}` : words[1];
    link.dataset.state = holder ? "valid" : "grey";
    Object.assign(link.style, {
      display: "inline-block", padding: ".5em .8em", borderRadius: ".4em", color: "#fff", background: holder ? GOOD : GREY,
      textDecoration: "none",
    });
    const left = holder ? new Date(holder.until) - Date.now() : AGAIN_MS;
    setTimeout(draw, Math.max(1000, Math.min(AGAIN_MS, left)));
  };
  link.dataset.state = "grey";
  link.textContent = WORDS[japanese ? "ja" : "en"][1];
  draw();
}
if (typeof document !== "undefined") document.querySelectorAll("script[data-member]:not([data-shown])").forEach(put);
