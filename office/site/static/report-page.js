// Fills in what another page knows. It comes behind the `#` of the address, which a browser sends to no server.

const known = new URLSearchParams(location.hash.slice(1));
const form = document.getElementById("report");
if (form) {
  const words = (name) => document.querySelector("template#words").content.querySelector(`[data-for="${name}"]`).textContent;
  const [date, time] = new Date(Date.now() + 9 * 3600e3).toISOString().split("T");
  form.elements.date.value = date;
  form.elements.time.value = time.slice(0, 5);
  if (known.get("number")) form.elements.number.value = known.get("number");
  const facts = ["answer", "heard"].filter((name) => known.get(name)).map((name) => `${words(name)}${known.get(name)}\n`);
  form.elements.what.value = facts.join("");
}
