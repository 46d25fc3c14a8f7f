// The console's own script: draws the charts, and ticks all rows of a list. Pages work without it.
"use strict";

(function () {
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function labels(unit) {
    const form = unit === "month" ? { month: "short", year: "2-digit" } : { day: "numeric", month: "short" };
    const format = new Intl.DateTimeFormat(document.documentElement.lang, { ...form, timeZone: "UTC" });
    return (seconds) => format.format(new Date(seconds * 1000));
  }

  // data: {"unit": "day" | "month", "x": [seconds], "series": [{"label", "values": ["12.5", null, ...]}]}
  function draw(place) {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    const data = JSON.parse(place.dataset.chart);
    if (!data.x.length) return;
    const label = labels(data.unit);
    const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 2, notation: "compact" });
    const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 6 });
    const names = ["--chart-1", "--chart-2", "--chart-3"];
    const step = data.unit === "month" ? 31 * 86400 : 86400;
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: place.clientWidth,
      height: 190,
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      legend: { live: true, markers: { width: 0 } },
      padding: [8, 8, 0, 0],
      scales: {
        x: { time: false, range: (_chart, low, high) => [low - step * 0.6, high + step * 0.6] },
        y: { range: (_chart, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 64, values: (_chart, ticks) => ticks.map((tick) => (data.x.includes(tick) ? label(tick) : "")), splits: (chart, _axis, _low, _high) => {
          const most = Math.max(2, Math.floor(chart.width / 72));
          const every = Math.max(1, Math.ceil(data.x.length / most));
          return data.x.filter((_at, index) => index % every === 0);
        } },
        { ...axis, size: 52, values: (_chart, ticks) => ticks.map((tick) => number.format(tick)) },
      ],
      series: [
        { label: "", value: (_chart, at) => (at == null ? "" : label(at)) },
        ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(names[index % names.length]),
          fill: colour(names[index % names.length]),
          width: data.line ? 2 : 0,
          points: { show: false },
          paths: data.line ? undefined : uPlot.paths.bars({ size: [0.72, 42], radius: 0.12 }),
          value: (_chart, value) => (value == null ? "\u2013" : whole.format(value)),
        })),
      ],
    };
    if (data.line) options.series.slice(1).forEach((series) => { delete series.fill; });
    const rows = [data.x, ...data.series.map((series) => series.values.map((value) => (value === null ? null : Number(value))))];
    const chart = new uPlot(options, rows, place);
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: 190 });
    }).observe(place);
  }

  // A table that is wider than its place is scrolled by keyboard too.
  function reach(place) {
    new ResizeObserver(() => {
      if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
      else place.removeAttribute("tabindex");
    }).observe(place);
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
  }

  function begin(root) {
    root.querySelectorAll(".table").forEach(reach);
    root.querySelectorAll("[data-chart]").forEach(draw);
    root.querySelectorAll("[data-tick-all]").forEach((all) => {
      all.addEventListener("change", () => {
        all.closest("form").querySelectorAll(`input[name="${all.dataset.tickAll}"]`).forEach((box) => { box.checked = all.checked; });
      });
    });
  }

  document.addEventListener("DOMContentLoaded", () => begin(document));
  document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) begin(event.detail.elt); });
})();
