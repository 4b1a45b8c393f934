// Shows the fields that the chosen legal basis needs, and requires them. Without this script all fields are shown.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-needed-facts]")) {
    const always = new Set(["deadline"]);
    const follow = (chosen) => {
      const basis = form.elements.basis.selectedOptions[0];
      const needs = new Set((basis?.dataset.needs ?? "").split(" "));
      for (const label of form.querySelectorAll("[data-fact]")) {
        const field = label.querySelector("input");
        const isNeeded = needs.has(label.dataset.fact);
        field.required = isNeeded;
        label.hidden = !isNeeded && !always.has(label.dataset.fact) && !field.hasAttribute("aria-invalid");
        field.disabled = label.hidden;
      }
      if (chosen && basis?.dataset.numbers === "sealed") form.elements.sealed.checked = true;
    };
    form.elements.basis.addEventListener("change", () => follow(true));
    follow(false);
  }
});
