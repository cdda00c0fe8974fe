// Runs before the first paint, so that a dark page never flashes white.
(() => {
  let theme = "";
  try {
    theme = localStorage.getItem("tidemark.page.theme") || "";
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
