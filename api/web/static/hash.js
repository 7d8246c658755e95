// Shows the way to check a file without sending it, where the browser can hash, and goes it: only the SHA-256 leaves this computer.
"use strict";

(() => {
  const form = document.getElementById("file-form");
  const way = document.getElementById("hash-way");
  if (!form || !way || !window.crypto || !crypto.subtle) return;
  const input = form.querySelector("input[name=file]");
  const button = way.querySelector("button");
  const told = way.querySelector("[role=status]");
  way.hidden = false;

  button.addEventListener("click", async () => {
    if (!form.reportValidity()) return;
    button.disabled = true;
    told.textContent = way.dataset.working;
    try {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await input.files[0].arrayBuffer()));
      const hex = Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
      location.assign(`${way.dataset.target}&sha256=${hex}`);
    } catch {
      told.textContent = way.dataset.failed;
    }
    button.disabled = false;
  });
})();

// Opens the place for the original file when a signature in a file of its own is chosen. Without this script people open it themselves.
(() => {
  const file = document.getElementById("file");
  const beside = document.getElementById("beside");
  if (!file || !beside) return;
  const alone = /\.(p7s|sig|tsr|tst)$/i;
  const show = () => {
    if (file.files.length && alone.test(file.files[0].name)) beside.open = true;
  };
  file.addEventListener("change", show);
  show();
})();
