// A campaign from the page: the answers of a long stream are counted as they come, and can be stopped and kept.
"use strict";
(() => {
  const form = document.querySelector("[data-campaign]");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-${name}]`);
  const KEPT_MAX = 200_000; // Lines that are kept for a download; a larger one belongs on the command line.
  let stopping = null, lines = [];

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    stopping = new AbortController();
    lines = [];
    const counts = new Map(), began = performance.now();
    let done = 0, failed = 0;
    part("start").disabled = true; part("stop").hidden = false; part("save").hidden = true; part("progress").hidden = false;
    const show = (ended) => {
      part("done").textContent = PenstockNumber(done);
      const seconds = (performance.now() - began) / 1000;
      part("rate").textContent = `· ${PenstockNumber(Math.round(done / Math.max(seconds, 0.001)))}/s${failed ? ` · ${failed} failed` : ""}${ended ? ` · ${ended}` : ""}`;
      part("counts").replaceChildren(...[...counts].sort().map(([label, count]) => {
        const group = document.createElement("div"), name = document.createElement("dt"), value = document.createElement("dd");
        name.textContent = `answer ${label}`; value.textContent = PenstockNumber(count);
        group.append(name, value);
        return group;
      }));
    };
    const take = (line) => {
      if (!line) return;
      if (lines.length < KEPT_MAX) lines.push(line);
      const held = JSON.parse(line);
      if ("prediction" in held) { done += 1; counts.set(String(held.prediction), (counts.get(String(held.prediction)) || 0) + 1); }
      else if (held.error || held[form.dataset.entity]) failed += 1;
    };
    try {
      const answer = await fetch(form.dataset.campaign + encodeURIComponent(form.elements.value.value), { method: "POST", signal: stopping.signal });
      if (!answer.ok) throw new Error((await answer.json()).message || `HTTP ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let left = "", shown = 0;
      for (;;) {
        const { value, done: end } = await reader.read();
        if (end) break;
        const parts = (left + value).split("\n");
        left = parts.pop();
        parts.forEach(take);
        if (performance.now() - shown > 100) { show(""); shown = performance.now(); }
      }
      take(left);
      if (!done && !failed) lines = [];
      show(done || failed ? "complete" : `nobody has this ${form.dataset.by}`);
    } catch (error) { show(error.name === "AbortError" ? "stopped" : String(error.message || error)); }
    part("start").disabled = false; part("stop").hidden = true; part("save").hidden = !lines.length;
  });
  part("stop").addEventListener("click", () => stopping?.abort());
  part("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "application/x-ndjson" }));
    link.download = "campaign.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 5000);
  });
  const numbers = new Intl.NumberFormat("en");
  function PenstockNumber(value) { return numbers.format(value); }
})();
