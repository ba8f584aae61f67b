// The SQL page: run and cancel, the answer as a chart, downloads, saved queries and this browser's history.
"use strict";
(() => {
  const HISTORY = "penstock-sql-history", HISTORY_MAX = 30;
  const form = document.querySelector("[data-sql]");
  const area = form.querySelector("textarea");
  const cancel = form.querySelector("[data-cancel]");
  const token = JSON.parse(document.body.getAttribute("hx-headers"));
  const setText = (text) => { if (area.editor) area.editor.text = text; else area.value = text; area.editor?.focus(); };

  form.addEventListener("htmx:configRequest", (event) => {
    form.elements.id.value = crypto.randomUUID();
    event.detail.parameters.id = form.elements.id.value;
    remember(area.value.trim());
  });
  form.addEventListener("htmx:beforeRequest", () => { cancel.hidden = false; });
  form.addEventListener("htmx:afterRequest", () => { cancel.hidden = true; });
  // A query is known to the lake a moment after it was sent: ask until it has ended.
  cancel.addEventListener("click", async () => {
    const id = form.elements.id.value;
    while (!cancel.hidden && form.elements.id.value === id) {
      await fetch(form.getAttribute("hx-post").replace(/run$/, "cancel"), { method: "POST", headers: token, body: new URLSearchParams({ id }) });
      await new Promise((done) => setTimeout(done, 200));
    }
  });

  function history() { try { return JSON.parse(localStorage.getItem(HISTORY)) || []; } catch { return []; } }
  function remember(sql) {
    if (!sql) return;
    const kept = [{ sql, at: Date.now() }, ...history().filter((each) => each.sql !== sql)].slice(0, HISTORY_MAX);
    localStorage.setItem(HISTORY, JSON.stringify(kept));
    showHistory();
  }
  function showHistory() {
    const list = document.querySelector("[data-history]"), kept = history();
    if (!kept.length) return;
    document.querySelector("[data-forget]").hidden = false;
    list.replaceChildren(...kept.map((each) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button"; button.className = "query mono"; button.dataset.replace = each.sql;
      button.title = new Date(each.at).toLocaleString(); button.textContent = each.sql.replace(/\s+/g, " ").slice(0, 90);
      item.append(button);
      return item;
    }));
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    let found;
    if ((found = hit("[data-replace]"))) setText(found.dataset.replace);
    else if ((found = hit("[data-insert]"))) area.editor ? area.editor.insert(found.dataset.insert) : (area.value += found.dataset.insert);
    else if ((found = hit("[data-download]"))) download(found);
    else if (hit("[data-forget]")) { localStorage.removeItem(HISTORY); location.reload(); }
    else if (hit("[data-draw]")) drawAnswer();
    else if ((found = hit("[data-opens=save-query]"))) document.querySelector("[data-save-query]").elements.sql.value = area.value;
  });
  document.addEventListener("change", (event) => { if (event.target.matches("[data-chart-kind], [data-chart-x]")) drawAnswer(); });
  document.addEventListener("penstock:theme", () => { if (Chart.getChart(document.querySelector("[data-answer-chart]"))) drawAnswer(); });
  document.querySelector("[data-save-query]").addEventListener("htmx:afterRequest", (event) => event.target.closest("dialog").close());

  function drawAnswer() {
    const canvas = document.querySelector("[data-answer-chart]");
    if (!canvas) return;
    const answer = JSON.parse(document.querySelector("[data-answer]").textContent);
    PenstockCharts.draw(canvas, answer.columns, answer.rows, {
      kind: document.querySelector("[data-chart-kind]").value, x: document.querySelector("[data-chart-x]").value,
    });
  }

  async function download(button) {
    button.disabled = true;
    try {
      const answer = await fetch(form.getAttribute("hx-post").replace(/run$/, "download"), {
        method: "POST", headers: token, body: new URLSearchParams({ sql: area.value, format: button.dataset.download }),
      });
      if (!answer.ok) throw new Error(await answer.text());
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))[1];
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 5000);
    } catch (error) { announce(String(error.message || error), true); }
    finally { button.disabled = false; }
  }
  showHistory();
})();
