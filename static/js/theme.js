/* Runs before the first paint, so that no page flashes in the wrong theme. "auto" follows the operating system. */
(function () {
  "use strict";
  const KEY = "theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; } /* storage may be forbidden: then the system decides */
  }

  function theme() { return stored() || (system.matches ? "dark" : "light"); }

  function apply() {
    document.documentElement.setAttribute("data-bs-theme", theme());
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = theme() === "dark" ? "light" : "dark";
    try {
      /* back at what the system says: follow it again */
      if (next === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch { /* without storage the choice lasts for this page */ }
    document.documentElement.setAttribute("data-bs-theme", next);
    document.dispatchEvent(new CustomEvent("themechange"));
  });
})();
