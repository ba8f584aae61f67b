// A board's page: each chart asks for its rows, draws them, and asks again while the page is seen.
"use strict";
(() => {
  const { draw, full, isNumber, compact } = PenstockCharts;
  const form = document.querySelector("[data-board]");
  const charts = [...document.querySelectorAll("[data-chart]")];
  const kept = new Map(); // What each chart was last drawn from, for a change of theme.
  const percent = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const few = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  let round = 0;

  const query = () => new URLSearchParams(new FormData(form));
  const said = (value, unit) => {
    if (!isNumber(value)) return String(value ?? "–");
    const number = Number(value), text = Math.abs(number) >= 1e6 ? compact.format(number) : Math.abs(number) >= 100 || unit === "$" && Number.isInteger(number) ? full.format(Math.round(number)) : unit === "$" ? cents.format(number) : few.format(number);
    return unit === "$" ? "$" + text : unit === "%" ? percent.format(number * 100) + "%" : text + (unit ? " " + unit : "");
  };

  function show(section, answer) {
    const body = section.querySelector(".chart-body"), shape = JSON.parse(section.querySelector("script").textContent);
    section.querySelector(".notice")?.remove();
    section.classList.remove("asking");
    if (answer.error || !answer.rows.length) {
      const notice = document.createElement("p");
      notice.className = answer.error ? "notice bad" : "notice";
      notice.textContent = answer.error || "No rows in this range.";
      body.hidden = true;
      section.append(notice);
      return;
    }
    body.hidden = false;
    if (shape.kind === "number") number(body, answer, shape);
    else if (shape.kind === "table") table(body, answer, shape);
    else draw(body.querySelector("canvas"), answer.columns, answer.rows, { ...shape, since: answer.since, until: answer.until });
  }

  function number(body, answer, shape) {
    const big = document.createElement("p");
    big.className = "big-number";
    big.textContent = said(answer.rows[0][0], shape.unit);
    body.replaceChildren(big);
    if (answer.columns.length > 1) {
      const before = answer.rows[0][1], now = answer.rows[0][0], note = document.createElement("p");
      note.className = "hint";
      note.textContent = `${answer.columns[1].name.replaceAll("_", " ")}: ${said(before, shape.unit)}`;
      if (isNumber(before) && isNumber(now) && Number(before) !== 0) {
        const change = (Number(now) - Number(before)) / Math.abs(Number(before));
        note.textContent += ` (${change >= 0 ? "+" : "−"}${full.format(Math.round(Math.abs(change) * 1000) / 10)}%)`;
      }
      body.append(note);
    }
  }

  function table(body, answer, shape) {
    const grid = document.createElement("table"), head = grid.createTHead().insertRow(), rows = grid.createTBody();
    grid.className = "grid";
    const numeric = answer.columns.map((_, place) => place > 0 && answer.rows.every((row) => row[place] === null || isNumber(row[place])));
    const most = answer.columns.map((_, place) => Math.max(...answer.rows.map((row) => Math.abs(Number(row[place])) || 0)));
    answer.columns.forEach((column, place) => {
      const cell = document.createElement("th");
      cell.textContent = column.name.replaceAll("_", " ");
      if (numeric[place]) cell.className = "n";
      head.append(cell);
    });
    for (const row of answer.rows.slice(0, 200)) {
      const line = rows.insertRow();
      row.forEach((value, place) => {
        const cell = line.insertCell();
        cell.textContent = value === null ? "" : numeric[place] ? said(value, shape.y.includes(answer.columns[place].name) || !shape.y.length ? shape.unit : "") : String(value);
        if (numeric[place]) cell.className = "n";
        // Shares are shaded, so that a table of cohorts reads as a picture.
        if (numeric[place] && shape.unit === "%" && shape.y.includes(answer.columns[place].name) && value !== null && most[place]) {
          cell.style.background = `color-mix(in srgb, var(--accent) ${Math.round(Number(value) * 34)}%, transparent)`;
        }
      });
    }
    const scroll = document.createElement("div");
    scroll.className = "scroll"; scroll.tabIndex = 0; scroll.setAttribute("role", "region"); scroll.setAttribute("aria-label", "Rows");
    scroll.append(grid);
    body.replaceChildren(scroll);
  }

  async function ask() {
    const mine = ++round, when = document.querySelector("[data-when]");
    await Promise.all(charts.map(async (section) => {
      section.classList.add("asking");
      let answer;
      try {
        const reply = await fetch(`${form.dataset.board}/data/${section.dataset.chart}?${query()}`);
        answer = reply.ok ? await reply.json() : { error: await reply.text() };
      } catch { answer = { error: "The server does not answer." }; }
      if (mine !== round) return; // Another range was chosen meanwhile.
      kept.set(section, answer);
      show(section, answer);
    }));
    if (mine !== round) return;
    when.textContent = `As of ${new Date().toLocaleTimeString()}`;
    document.documentElement.dataset.drawn = String(document.documentElement.scrollHeight);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => { history.replaceState(null, "", "?" + query()); ask(); });
  document.addEventListener("penstock:theme", () => kept.forEach((answer, section) => show(section, answer)));
  const refresh = Number(form.dataset.refresh);
  if (refresh) setInterval(() => { if (!document.hidden) ask(); }, refresh * 1000);
  ask();
})();
