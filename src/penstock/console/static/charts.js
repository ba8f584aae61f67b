// Charts in the page's own colours, light and dark, from rows as the lake answers them.
"use strict";

/** A CSS colour as canvas wants it: variables with light-dark() are resolved by the browser. */
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
const palette = () => [1, 2, 3, 4, 5, 6].map((place) => colour(`chart-${place}`));
const faded = (text, share) => text.startsWith("rgb(") ? text.replace("rgb(", "rgba(").replace(")", `, ${share})`) : `color-mix(in srgb, ${text} ${share * 100}%, transparent)`;
const isNumber = (value) => value !== null && value !== "" && typeof value !== "boolean" && !Number.isNaN(Number(value));

/** A time as the axis says it: no more of it than differs. */
function shortTime(text, all) {
  const found = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?/.exec(text);
  if (!found) return text.length > 24 ? text.slice(0, 23) + "…" : text;
  const oneDay = all.every((each) => String(each).startsWith(found[1]));
  const midnight = all.every((each) => /[T ]00:00(:00)?(\.0+)?/.test(String(each)));
  return oneDay ? found[2] + (midnight ? found[3] || "" : "") : midnight ? found[1].slice(5) : `${found[1].slice(5)} ${found[2]}`;
}

/** Labels as milliseconds, in UTC; NaN for what is no time. */
const timesOf = (labels) => labels.map((each) => (/^\d{4}-\d\d-\d\d/.test(each) ? Date.parse(each.length > 10 ? each.replace(" ", "T").replace(/Z?$/, "Z") : each) : NaN));
/** The shortest way from one to the next. */
const stepOf = (times) => Math.min(...times.slice(1).map((each, place) => each - times[place]));

/** Which of these hours or days the range cuts: where it begins, and the one that is going on. Each holds less than its length. */
function cutShort(labels, since, until) {
  const times = timesOf(labels), step = stepOf(times);
  // What stands on no whole minute is a moment of its own, which nothing cuts.
  if (!until || times.some((each) => Number.isNaN(each) || each % 60_000)) return labels.map(() => false);
  return times.map((each, place) => each < Date.parse(since) || place > 0 && each + step > Date.parse(until));
}

const EVEN_MAX = 1500;
/** Times with the ones that are missing between them, so that an hour without rows is as wide as one with. */
function evenly(labels) {
  const times = timesOf(labels);
  if (times.length < 3 || times.some((each, place) => Number.isNaN(each) || place && each <= times[place - 1])) return labels;
  const step = stepOf(times), span = times.at(-1) - times[0];
  if (span / step > EVEN_MAX || times.some((each) => (each - times[0]) % step)) return labels;
  const known = new Map(times.map((each, place) => [each, labels[place]]));
  const form = labels[0];
  return Array.from({ length: span / step + 1 }, (_, place) => {
    const at = times[0] + place * step;
    return known.get(at) ?? new Date(at).toISOString().slice(0, form.length).replace("T", form[10] ?? "T");
  });
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const full = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });

/** rows, columns: the answer. options: kind, x, y (names), series (a column whose values become lines), unit, stacked; since and until, where a range was asked for. */
function draw(canvas, columns, rows, options) {
  Chart.getChart(canvas)?.destroy();
  const names = columns.map((each) => each.name);
  const x = Math.max(0, names.indexOf(options.x ?? names[0]));
  const series = options.series ? names.indexOf(options.series) : -1;
  const numeric = names.map((_, place) => place).filter((place) => place !== x && place !== series && rows.some((row) => isNumber(row[place])));
  const wanted = options.y?.length ? options.y.map((name) => names.indexOf(name)).filter((place) => place >= 0) : numeric;
  const labels = evenly([...new Set(rows.map((row) => String(row[x] ?? "–")))]);
  const value = (cell) => (isNumber(cell) ? Number(cell) : null);
  let sets;
  if (series >= 0) {
    const y = wanted[0];
    const kinds = [...new Set(rows.map((row) => String(row[series] ?? "–")))];
    sets = kinds.map((kind) => {
      const at = new Map(rows.filter((row) => String(row[series] ?? "–") === kind).map((row) => [String(row[x] ?? "–"), value(row[y])]));
      return { label: isNumber(kind) ? `${names[series]} ${kind}` : kind, data: labels.map((label) => at.get(label) ?? null) };
    });
  } else {
    const at = new Map(rows.map((row) => [String(row[x] ?? "–"), row]));
    const sole = at.size === rows.length; // Rows that share a place along the axis are shown one after another.
    const places = sole ? labels : rows.map((row) => String(row[x] ?? "–"));
    if (!sole) labels.splice(0, labels.length, ...places);
    sets = wanted.map((place) => ({ label: names[place], data: sole ? labels.map((label) => (at.has(label) ? value(at.get(label)[place]) : null)) : rows.map((row) => value(row[place])) }));
  }
  const colours = palette(), line = colour("line"), muted = colour("muted"), surface = colour("surface");
  const bars = options.kind === "bar", area = options.kind === "area", stacked = Boolean(options.stacked);
  const cut = cutShort(labels, options.since, options.until), perPoint = (whole, part) => labels.map((_, place) => (cut[place] ? part : whole));
  const datasets = sets.map((set, place) => {
    const shade = colours[place % colours.length];
    return {
      ...set, borderColor: bars ? surface : shade, backgroundColor: bars ? perPoint(shade, faded(shade, 0.45)) : faded(shade, area ? 0.18 : 0.1), fill: area || stacked && !bars,
      borderWidth: bars ? 1 : 2, pointRadius: perPoint(rows.length > 40 ? 0 : 2, 3.5), pointBackgroundColor: perPoint(shade, surface), pointHoverRadius: 5, pointHitRadius: 12,
      segment: { borderDash: (ends) => (cut[ends.p0DataIndex] || cut[ends.p1DataIndex] ? [4, 4] : undefined) },
      cubicInterpolationMode: "monotone", // A curve that is never above its highest point, nor below its lowest.
      borderRadius: bars && !stacked ? 4 : 0, maxBarThickness: 46, spanGaps: true,
    };
  });
  const unit = options.unit || "";
  const said = (number) => (unit === "$" ? "$" + full.format(number) : unit === "%" ? full.format(number * 100) + "%" : full.format(number) + (unit ? " " + unit : ""));
  const ticks = (number) => (unit === "$" ? "$" + compact.format(number) : unit === "%" ? compact.format(number * 100) + "%" : compact.format(number));
  const font = { family: "Inter, system-ui, sans-serif", size: 12 };
  return new Chart(canvas, {
    type: bars ? "bar" : "line",
    data: { labels, datasets },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
      indexAxis: options.flat ? "y" : "x",
      layout: { padding: { top: 6, right: 6 } },
      scales: {
        [options.flat ? "y" : "x"]: { stacked, border: { color: line }, grid: { display: false }, ticks: { color: muted, font, maxRotation: 0, autoSkipPadding: 18, callback(_, place) { return shortTime(String(labels[place]), labels); } } },
        [options.flat ? "x" : "y"]: { stacked, beginAtZero: bars || area || options.zero !== false, title: { display: Boolean(unit) && unit !== "$" && unit !== "%", text: unit, color: muted, font }, border: { display: false }, grid: { color: line }, ticks: { color: muted, font, maxTicksLimit: 6, callback: ticks } },
      },
      plugins: {
        legend: { display: datasets.length > 1, position: "bottom", labels: { color: muted, font, boxWidth: 8, boxHeight: 8, usePointStyle: true, pointStyle: "circle", generateLabels: (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart).map((label, place) => ({ ...label, fillStyle: colours[place % colours.length], strokeStyle: colours[place % colours.length] })) } },
        tooltip: { backgroundColor: colour("ink"), titleColor: colour("ground"), bodyColor: colour("ground"), padding: 10, cornerRadius: 8, titleFont: font, bodyFont: font, callbacks: { title: ([item]) => (item ? `${labels[item.dataIndex]}${cut[item.dataIndex] ? " (a part of it)" : ""}` : ""), label: (item) => ` ${item.dataset.label}: ${said(item.parsed[options.flat ? "x" : "y"])}` } },
      },
    },
  });
}
window.PenstockCharts = { draw, colour, faded, compact, full, isNumber, shortTime };
