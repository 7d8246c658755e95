// Opens the place for the original file when a signature in a file of its own is chosen. Without this script people open it themselves.
"use strict";

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
