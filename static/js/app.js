/* What makes the pages quicker or kinder. Every page works without it. */
(function () {
  "use strict";

  /* --- confirmation as a dialog: <a href="…/delete/" data-dialog> ---------------------------------------------- */

  const dialog = () => document.getElementById("dialog");

  document.addEventListener("click", async (event) => {
    const opener = event.target.closest("a[data-dialog]");
    if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      await htmx.ajax("GET", opener.href, { target: "#dialog", select: "#confirm", swap: "innerHTML" });
      if (dialog().querySelector("#confirm")) dialog().showModal();
      else window.location.assign(opener.href); /* an error page or a login: show it whole */
      return;
    }
    if (event.target.closest("#dialog [data-close-dialog]")) {
      event.preventDefault();
      dialog().close();
    }
  });

  /* --- the user's menu closes when something else is pressed ------------------------------------------------------ */

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.user-menu-more[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.user-menu-more[open]")) event.target.scrollIntoView({ block: "nearest" });
  }, true);

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details.user-menu-more[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  /* --- copy: <button data-copy> beside a <pre> ------------------------------------------------------------------ */

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy || button.closest(".code").querySelector("pre").textContent;
    await navigator.clipboard.writeText(text);
    button.classList.add("copied");
    button.setAttribute("aria-label", "Copied");
  });

  /* --- logs follow their end, unless the reader has scrolled up -------------------------------------------------- */

  const scrolled = new Map(); /* id → distance from the top, or "end" */
  const END_PX = 24;

  function rememberLog(log) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
    if (log.id) scrolled.set(log.id, atEnd ? "end" : log.scrollTop);
  }

  function restoreLog(log) {
    const was = scrolled.has(log.id) ? scrolled.get(log.id) : "end";
    log.scrollTop = was === "end" ? log.scrollHeight : was;
  }

  const logsIn = (root) => root.querySelectorAll("[data-log]");

  /* --- tables that become cards at phone width: each cell says its column ---------------------------------------- */

  function labelCells(root) {
    for (const table of root.querySelectorAll("table.table-cards")) {
      const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((th) => th.textContent.trim());
      for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) {  // its own, not of a table in a cell
        [...row.children].forEach((cell, n) => { cell.dataset.label ??= heads[n] || ""; });
      }
    }
  }

  /* --- what scrolls sideways can be scrolled by keyboard ------------------------------------------------------------- */

  function reachFrames() {
    for (const frame of document.querySelectorAll(".table-frame")) {
      if (frame.scrollWidth <= frame.clientWidth) continue;
      frame.tabIndex = 0;
      frame.setAttribute("role", "region");
      frame.setAttribute("aria-label", "Table");
    }
  }

  window.addEventListener("resize", reachFrames);

  /* --- htmx ---------------------------------------------------------------------------------------------------------- */

  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches("form[data-drop-empty]")) return;
    for (const [name, value] of [...event.detail.formData]) {
      if (value === "" || value === "unknown") event.detail.formData.delete(name); /* addresses worth sharing */
    }
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const ended = new URL(event.detail.xhr.responseURL || window.location.href).pathname === "/login/";
    if (ended) { /* the session ran out while the page was polling */
      event.detail.shouldSwap = false;
      window.location.reload();
      return;
    }
    logsIn(document).forEach(rememberLog);
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    labelCells(document);
    reachFrames();
    logsIn(document).forEach(restoreLog);
    if (event.detail.elt.id === "list") sayCount();
    document.dispatchEvent(new CustomEvent("contentchange", { detail: event.detail.elt }));
  });

  /* who cannot see the list change hears how many rows are left */
  function sayCount() {
    const status = document.getElementById("list-status");
    if (status) status.textContent = `${document.getElementById("list").dataset.count} found`;
  }

  /* what went wrong behind the page is said on it, and taken back when an answer comes again */
  function sayTrouble(text) {
    let alert = document.getElementById("trouble");
    if (!alert) {
      alert = document.createElement("div");
      alert.id = "trouble";
      alert.className = "alert message-error";
      document.getElementById("messages").append(alert);
    }
    if (alert.textContent !== text) alert.textContent = text;
  }

  document.addEventListener("htmx:sendError", () => sayTrouble("The server does not answer. This page tries again by itself."));
  document.addEventListener("htmx:responseError", (event) => {
    sayTrouble(`The server answered ${event.detail.xhr.status} to this page's last request. Reload the page to see why.`);
  });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.xhr.status < 400) document.getElementById("trouble")?.remove();
  });

  /* --- keys: "/" goes to the search box ------------------------------------------------------------------------------- */

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const search = document.querySelector("[data-search]");
    if (event.key !== "/" || typing || !search || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  labelCells(document);
  reachFrames();
  logsIn(document).forEach(restoreLog);
})();
