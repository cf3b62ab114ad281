/* Runs before the first paint, so that no page flashes in the wrong theme. "auto" follows the operating system. */
(function () {
  "use strict";
  const KEY = "theme"; /* the admin's own key and words: light, dark, auto; so that both look the same */
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try { return localStorage.getItem(KEY); } catch { return "auto"; } /* storage may be forbidden: then the system decides */
  }

  const systemTheme = () => system.matches ? "dark" : "light";

  function theme() {
    const chosen = stored();
    return chosen === "light" || chosen === "dark" ? chosen : systemTheme();
  }

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
      localStorage.setItem(KEY, next === systemTheme() ? "auto" : next); /* back at what the system says: follow it */
    } catch { /* without storage the choice lasts for this page */ }
    document.documentElement.setAttribute("data-bs-theme", next);
    document.dispatchEvent(new CustomEvent("themechange"));
  });
})();
