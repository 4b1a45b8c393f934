import { day, load, show, storage } from "./site-files.js";
import { currentStatement, licenceOf } from "./trust.js";

const [form, member, result] = ["verify", "member", "result"].map((id) => document.getElementById(id));

async function verify() {
  try {
    const now = new Date();
    const { statement } = await currentStatement(load, now, storage());
    const holder = licenceOf(statement, member.value.trim(), now);
    show(result, holder ? "good" : "grey", (part) => {
      if (!holder) return;
      part.querySelector("strong").textContent = holder.name[document.documentElement.lang];
      part.querySelector("b").textContent = day(new Date(holder.until) - 1);
    });
  } catch {
    show(result, "cannot");
  }
}
form.addEventListener("submit", (event) => { event.preventDefault(); verify(); });
function fromAddress() {
  if (!location.hash) return;
  member.value = decodeURIComponent(location.hash.slice(1));
  verify();
}
addEventListener("hashchange", fromAddress);
fromAddress();
