// What the pages need beyond HTML and htmx: theme, menu, dialogs, tabs, copying, filters, editors and keys.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// -- Theme --

const THEMES = ["system", "light", "dark"];
const themeNow = () => document.documentElement.dataset.theme || "system";
function showTheme() { for (const each of $$("[data-theme-name]")) each.textContent = themeNow(); }
function switchTheme() {
  const next = THEMES[(THEMES.indexOf(themeNow()) + 1) % THEMES.length];
  if (next === "system") { delete document.documentElement.dataset.theme; localStorage.removeItem("penstock-theme"); }
  else { document.documentElement.dataset.theme = next; localStorage.setItem("penstock-theme", next); }
  showTheme();
  document.dispatchEvent(new CustomEvent("penstock:theme"));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("penstock:theme")));

// -- Clicks --

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  let found;
  if (hit("[data-theme-switch]")) switchTheme();
  else if ((found = hit(".menu-button"))) {
    const open = found.closest(".side").classList.toggle("open");
    found.setAttribute("aria-expanded", String(open));
  } else if ((found = hit("[data-opens]"))) document.getElementById(found.dataset.opens).showModal();
  else if ((found = hit("[data-closes]"))) found.closest("dialog").close();
  else if ((found = hit("[role=tab]"))) chooseTab(found);
  else if ((found = hit("[data-copy]"))) copy(found);
  else if ((found = hit("[data-add-filter]"))) addFilter(found);
  else if ((found = hit("[data-drop-filter]"))) dropFilter(found);
  else if (event.target.matches("dialog")) event.target.close(); // The backdrop.
});

function chooseTab(tab) {
  const root = tab.closest("[data-tabs]");
  const tabs = $$("[role=tab]", root), panels = $$("[role=tabpanel]", root);
  tabs.forEach((each, place) => {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
    panels[place].hidden = each !== tab;
  });
  tab.focus();
}

async function copy(button) {
  const text = button.parentElement.querySelector("pre").textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
  catch { button.textContent = "Not allowed"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}

function addFilter(button) {
  const form = button.closest("form");
  $("[data-filters]", form).append($("#filter-row", form).content.cloneNode(true));
  $$("[data-filter]", form).at(-1).querySelector("input").focus();
}
function dropFilter(button) {
  const form = button.closest("form"), row = button.closest("[data-filter]");
  if ($$("[data-filters] [data-filter]", form).length > 1) row.remove();
  else for (const input of $$("input", row)) input.value = "";
}

// The second value of a range shows when the condition has one, the first when there is any condition.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) { event.target.form.submit(); return; }
  const select = event.target.closest("select[name=op]");
  if (!select) return;
  $("#sk-field").hidden = select.value === "";
  $("#sk2-field").hidden = select.value !== "between";
  if (select.value) $("#sk").focus();
});

// -- Dialog: whatever is loaded into it opens it --

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "dialog-body") {
    const dialog = $("#dialog");
    dialog.setAttribute("aria-label", $("h2", dialog)?.textContent || "Confirm");
    if (!dialog.open) dialog.showModal();
    $("[data-focus]", dialog)?.focus();
  }
});
document.addEventListener("htmx:responseError", (event) => announce(event.detail.xhr.responseText || "The server refused the request.", true));
document.addEventListener("htmx:sendError", () => announce("The server does not answer.", true));
// A hidden page asks for nothing by itself.
document.addEventListener("htmx:beforeRequest", (event) => {
  const trigger = event.detail.elt.getAttribute("hx-trigger") || "";
  if (document.hidden && trigger.startsWith("every")) event.preventDefault();
});

function announce(text, bad = false) {
  $(".toast.said")?.remove();
  const toast = document.createElement("div");
  toast.className = "toast said";
  toast.setAttribute("role", bad ? "alert" : "status");
  toast.textContent = text.slice(0, 300);
  document.body.append(toast);
  setTimeout(() => toast.classList.add("gone"), 6000);
}

// -- Keys --

let waitsForPlace = 0;
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable=true]");
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    const form = event.target.closest("form");
    if (form) { event.preventDefault(); form.requestSubmit(); }
    return;
  }
  if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
    const tabs = $$("[role=tab]", event.target.closest("[data-tabs]"));
    chooseTab(tabs.at((tabs.indexOf(event.target) + (event.key === "ArrowRight" ? 1 : -1) + tabs.length) % tabs.length));
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  if (Date.now() - waitsForPlace < 1200) {
    waitsForPlace = 0;
    $(`[data-shortcut="${CSS.escape(event.key)}"]`)?.click();
    return;
  }
  if (event.key === "g") waitsForPlace = Date.now();
  else if (event.key === "?") $("#shortcuts").showModal();
  else if (event.key === "t") switchTheme();
  else if (event.key === "/") {
    event.preventDefault();
    ($("[data-first]") || $("main input:not([type=hidden]):not([type=radio]), main select, main .cm-content"))?.focus();
  }
});

// -- Editors --

function openEditors(root) {
  if (typeof PenstockEditor === "undefined") return;
  for (const area of $$("textarea[data-editor]", root)) {
    if (area.dataset.opened) continue;
    area.dataset.opened = "1";
    const schema = $("#schema-names") ? JSON.parse($("#schema-names").textContent) : {};
    area.editor = PenstockEditor.edit(area, {
      language: area.dataset.editor,
      nonce: $("meta[name=penstock-nonce]").content,
      schema,
      onRun: () => area.form?.requestSubmit(),
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  showTheme();
  openEditors(document);
  const toast = $("[data-toast]");
  if (toast) {
    setTimeout(() => toast.classList.add("gone"), 3500);
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
});
document.addEventListener("htmx:load", (event) => openEditors(event.detail.elt));
