// Asks the browser to create a passkey or to sign with one, and submits the result in the form.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const octets = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const withOctets = (list) => (list ?? []).map((each) => ({ ...each, id: octets(each.id) }));
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    const problem = form.querySelector("[role=alert]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.hidden = true;
      const given = JSON.parse(form.dataset.options);
      const publicKey = { ...given, challenge: octets(given.challenge) };
      try {
        let made;
        if (form.dataset.passkey === "create") {
          publicKey.user = { ...given.user, id: octets(given.user.id) };
          publicKey.excludeCredentials = withOctets(given.excludeCredentials);
          made = await navigator.credentials.create({ publicKey });
        } else {
          publicKey.allowCredentials = withOctets(given.allowCredentials);
          made = await navigator.credentials.get({ publicKey });
        }
        const response = {};
        for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
          if (made.response[name]) response[name] = text(made.response[name]);
        form.elements.credential.value = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
        form.submit();
      } catch {
        problem.hidden = false;
      }
    });
  }
});
