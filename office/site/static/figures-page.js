import { load, show } from "./site-files.js";
import { sha256, verifiedStatement } from "./trust.js";

const place = document.getElementById("check"); // it is there only if there are figures
async function check() {
  try {
    const { statement } = await verifiedStatement(load, new Date());
    show(place, (await sha256(await load("statement/figures.json"))) === statement.figures ? "good" : "bad");
  } catch {
    show(place, "bad");
  }
}
if (place) check();
