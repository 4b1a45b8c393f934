import { load, show } from "./site-files.js";
import { sha256, verifiedStatement } from "./trust.js";

const place = document.getElementById("check");
try {
  const { statement } = await verifiedStatement(load, new Date());
  const digest = statement.figures && (await sha256(await load("statement/figures.json")));
  if (digest) show(place, digest === statement.figures ? "good" : "bad");
} catch {
  show(place, "bad");
}
