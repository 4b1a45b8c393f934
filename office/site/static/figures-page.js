import { load, show, storage } from "./site-files.js";
import { currentStatement, sha256 } from "./trust.js";

const place = document.getElementById("check"); // it is there only if there are figures
async function check() {
  try {
    const { statement } = await currentStatement(load, new Date(), storage());
    show(place, (await sha256(await load("statement/figures.json"))) === statement.figures ? "good" : "bad");
  } catch {
    show(place, "bad");
  }
}
if (place) check();
