/* Draws <figure data-chart data-src data-label data-unit data-height>. The JSON at data-src:

     {"x": [unix seconds], "series": [{"label": "CPU", "values": [number or null]}],
      "lines": [{"label": "p95", "value": 71.5}], "note": "two weeks, every 5 min"}

   Canvas says nothing to a screen reader, so the note below sums each series up in words: its mean and highest, or what
   "words" says, where these mean nothing. */
(function () {
  "use strict";
  const PALETTE = { light: ["#0e5f78", "#b45309", "#6d28d9", "#15803d", "#be185d", "#4b5563"],
                    dark: ["#6cc6de", "#fbbf6b", "#b9a5ff", "#6ee7a0", "#f9a8d4", "#c3ccd4"] };
  const drawn = new Map(); /* figure → {data, plot} */

  const theme = () => document.documentElement.getAttribute("data-bs-theme") === "dark" ? "dark" : "light";
  const css = (name) => {
    const probe = document.createElement("span"); /* light-dark() is only resolved on a real colour property */
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const say = (value, unit) => value == null ? "–" : `${value >= 100 ? Math.round(value) : +value.toFixed(1)}${unit ? " " + unit : ""}`;

  function axes(unit) {
    const look = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 },
                   font: "12px Inter, sans-serif" };
    return [{ ...look, values: CLOCK }, { ...look, size: 56, values: (_, splits) => splits.map((v) => say(v, unit === "%" ? "%" : "")) }];
  }

  /* the day is written where it changes, as uPlot's own formats do, but with 24 hours */
  const DAY = "\n{D} {MMM}";
  const CLOCK = [
    [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
  ];

  /* percentiles and limits: a dashed line each, with its name at the right edge */
  function drawLines(lines) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.font = `${12 * devicePixelRatio}px Inter, sans-serif`;
      ctx.textAlign = "right";
      ctx.fillStyle = css("--warn");
      for (const line of lines) {
        ctx.strokeStyle = css("--warn");
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
        const y = u.valToPos(line.value, "y", true);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.setLineDash([]);
        ctx.strokeStyle = css("--surface");
        ctx.lineWidth = 4 * devicePixelRatio;
        const [x, above] = [bbox.left + bbox.width - 4, y - 4 * devicePixelRatio];
        ctx.strokeText(line.label, x, above);
        ctx.fillText(line.label, x, above);
      }
      ctx.restore();
    };
  }

  function options(figure, data) {
    const { unit, height } = figure.dataset;
    const colours = PALETTE[theme()];
    const lines = data.lines || [];
    return {
      width: figure.clientWidth, height: Number(height), axes: axes(unit),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), /* as every other time on the pages */
      cursor: { drag: { x: true, y: false } },
      scales: { y: { range: (_, low, high) => {
        const top = Math.max(high ?? 0, ...lines.map((line) => line.value));
        return [Math.min(0, low ?? 0), top > 0 ? top * 1.08 : 1];
      } } },
      series: [{ label: "Time (UTC)", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
               ...data.series.map((each, n) => ({ label: each.label, stroke: colours[n % colours.length], width: 1.5,
                 points: { show: data.x.length < 60 }, value: (_, v) => say(v, unit) }))],
      hooks: { draw: [drawLines(lines)] },
    };
  }

  function inWords(data, unit) {
    if (data.words) return data.words;
    const parts = data.series.map((each) => {
      const values = each.values.filter((v) => v != null);
      if (!values.length) return `${each.label}: nothing measured.`;
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const highest = values.reduce((a, b) => Math.max(a, b));
      return `${each.label}: mean ${say(mean, unit)}, highest ${say(highest, unit)}.`;
    });
    const lines = (data.lines || []).map((line) => `${line.label} ${say(line.value, unit)}.`);
    return [...parts, ...lines, data.note || ""].join(" ").trim();
  }

  function draw(figure, data) {
    drawn.get(figure)?.plot.destroy();
    const area = figure.querySelector("[data-chart-area]");
    const plot = new uPlot(options(figure, data), [data.x, ...data.series.map((each) => each.values)], area);
    drawn.set(figure, { data, plot });
  }

  async function load(figure) {
    const note = figure.querySelector("[data-chart-note]");
    let answer;
    try {
      answer = await fetch(figure.dataset.src, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    } catch {
      note.textContent = "The figures could not be read: the server does not answer.";
      return;
    }
    if (!answer.ok) {
      note.textContent = `The figures could not be read (${answer.status}).`;
      return;
    }
    const data = await answer.json();
    if (!data.x.length) {
      note.textContent = "Nothing measured yet.";
      return;
    }
    draw(figure, data);
    note.textContent = inWords(data, figure.dataset.unit);
    sizes.observe(figure);
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const entry = drawn.get(target);
      if (entry && entry.plot.width !== target.clientWidth) entry.plot.setSize({ width: target.clientWidth, height: Number(target.dataset.height) });
    }
  });

  function loadNew() {
    for (const figure of document.querySelectorAll("[data-chart]:not([data-loaded])")) {
      figure.dataset.loaded = "";
      load(figure);
    }
  }

  document.addEventListener("themechange", () => drawn.forEach((entry, figure) => figure.isConnected && draw(figure, entry.data)));
  document.addEventListener("contentchange", loadNew);
  loadNew();
})();
