import { BusyError, lookedUp, readNumber } from "./number.js";
import { day, here, load, show, storage, words } from "./site-files.js";
import { currentStatement, ExpiredError, OlderError } from "./trust.js";

const [form, result, proof] = ["look-up", "result", "proof"].map((id) => document.getElementById(id));
const field = document.getElementById("number");
let verified;

async function ask(question) {
  const answer = await fetch(new URL(`${here.service}/numbers/evaluate`, new URL(here.up, location.href)), {
    method: "POST", body: JSON.stringify(question), credentials: "omit", // as text: a service elsewhere needs no more questions
  });
  if (answer.status === 429) throw new BusyError("busy");
  if (!answer.ok) throw new AwayError(`status ${answer.status}`);
  return answer.json();
}
class AwayError extends Error {}

function cannot(why) {
  show(result, "cannot", (part) => { part.querySelector(".why").textContent = words(why); });
}
function reason(error) {
  if (error instanceof BusyError) return "busy";
  if (error instanceof ExpiredError) return "expired";
  if (error instanceof OlderError) return "older";
  if (error.name === "NotSupportedError") return "old";
  return error instanceof AwayError || error instanceof TypeError ? "away" : "unproven";
}
function showProof({ statement, digest }) {
  const facts = { version: statement.editions.registry.version, issued: day(statement.issued), expires: day(statement.expires), digest };
  for (const [name, value] of Object.entries(facts)) proof.querySelector(`[data-is="${name}"]`).textContent = value;
  proof.hidden = false;
}
function fillReport(number, answer) {
  const known = new URLSearchParams({ number: number.replace("+81", "0"), answer });
  for (const link of document.querySelectorAll("a.report")) link.href = `report.html#${known}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const number = readNumber(field.value);
  proof.hidden = true;
  if (!number) return cannot("form");
  show(result, "busy");
  fillReport(number, "");
  try {
    const now = new Date();
    verified = await currentStatement(load, now, storage());
    const { answer, holder } = await lookedUp(number, verified.statement, load, ask, now);
    show(result, answer, (part) => {
      const place = part.querySelector(".holder");
      if (place && !holder) place.remove();
      if (place && holder) place.querySelector("b").textContent = holder.name[document.documentElement.lang];
    });
    fillReport(number, result.querySelector("strong").textContent);
    showProof(verified);
  } catch (error) {
    cannot(reason(error));
  }
});
