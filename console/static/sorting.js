// Sorts a table that contains all its rows by a clicked column header. Without this script, the order stays fixed.
"use strict";
// htmx triggers htmx:load for the whole page, and for each part that is loaded later.
document.addEventListener("htmx:load", (event) => {
  const language = document.documentElement.lang;
  const collator = new Intl.Collator(language, { numeric: true });
  for (const table of event.target.querySelectorAll("table.sortable:not(:has(button.sort))")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const falls = head.getAttribute("aria-sort") === "ascending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falls ? "descending" : "ascending");
        const key = (row) => {
          const cell = row.cells[column];
          const time = cell?.querySelector("time");
          const text = (time ? time.dateTime : cell?.textContent ?? "").trim();
          return cell?.classList.contains("number") ? text.replaceAll(",", "") : text;
        };
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [key(row), row]);
        rows.sort(([a], [b]) => (falls ? -1 : 1) * collator.compare(a, b));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
});
