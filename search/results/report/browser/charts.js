// Draws charts when they come into view, in the colors of the theme; zooms and saves them.

// Themes: the style sheet has the colors, Plotly takes them from there.
const isDark = () =>
  root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
const themed = (layout) => {
  const color = getComputedStyle(document.body).color;
  const line = getComputedStyle(
    document.querySelector(".chart, details, .answer"),
  ).borderTopColor;
  const ink = { "font.color": color, "font.family": "system-ui, sans-serif" };
  for (const axis of ["xaxis", "yaxis"]) {
    if (layout[axis])
      Object.assign(ink, {
        [`${axis}.gridcolor`]: line,
        [`${axis}.linecolor`]: line,
        [`${axis}.zerolinecolor`]: line,
      });
  }
  return ink;
};
const button = document.getElementById("theme");
const label = () => {
  button.textContent = isDark() ? "Light" : "Dark";
};
const retheme = () => {
  label();
  all(".plot.drawn").forEach((plot) => Plotly.relayout(plot, themed(plot.layout)));
};
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  retheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme);
label();

// Charts
const draw = (plot, figure) => {
  const layout = structuredClone(figure.layout);
  Object.entries(themed(layout)).forEach(([path, value]) => {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((node, key) => (node[key] ??= {}), layout)[last] = value;
  });
  if (layout.xaxis?.tickangle && plot.clientWidth < 600) layout.xaxis.tickangle = -90;
  layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  Plotly.react(plot, structuredClone(figure.data), layout, CONFIG);
  if (!plot.classList.contains("drawn")) {
    plot.classList.add("drawn");
    plot.on("plotly_click", (event) => {
      const trial = event.points[0].customdata;
      if (trial !== undefined) pick(plot, trial);
    });
  }
};
const drawChart = (chart) => {
  const plot = chart.querySelector(".plot");
  const figure = data.charts[chart.id];
  if (plot.classList.contains("drawn") || !figure) return;
  const pressed = chart.closest(".figures").querySelector("[data-view=near][aria-pressed=true]");
  const yaxis =
    pressed && figure.zoom ? { ...figure.layout.yaxis, range: figure.zoom } : figure.layout.yaxis;
  draw(plot, { data: figure.data, layout: { ...figure.layout, yaxis } });
};
const show = (node) => (node.matches(".curves") ? drawCurves(node) : drawChart(node));
const seen = new IntersectionObserver(
  (entries) =>
    entries.forEach((entry) => {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        show(entry.target);
      }
    }),
  { rootMargin: "600px" },
);
all(".chart[id], .curves").forEach((node) => seen.observe(node));

all(".figures").forEach((block) => {
  block.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (!pressed) return;
    if (pressed.dataset.view) {
      all("[data-view]", block).forEach((one) =>
        one.setAttribute("aria-pressed", one === pressed),
      );
      all(".chart[id]", block).forEach((chart) => {
        drawChart(chart);
        range(chart, pressed.dataset.view === "near");
      });
    }
    const chart = pressed.closest(".chart");
    if (pressed.dataset.do === "reset") range(chart, false);
    if (pressed.dataset.do === "svg") {
      Plotly.downloadImage(chart.querySelector(".plot"), {
        format: "svg",
        filename: document.title,
        width: 900,
        height: 500,
      });
    }
  });
  const choice = block.querySelector("[data-do=choose]");
  if (choice)
    choice.addEventListener("change", () => {
      all(".chart[id]", block).forEach((chart) => {
        chart.hidden = chart.id !== choice.value;
      });
      drawChart(document.getElementById(choice.value));
    });
});
const range = (chart, near) => {
  const { zoom, layout } = data.charts[chart.id];
  const limits = near && zoom ? zoom : layout.yaxis.range;
  const axis = limits ? { "yaxis.range": [...limits] } : { "yaxis.autorange": true };
  const across = layout.xaxis.range;
  const wide = across ? { "xaxis.range": [...across] } : { "xaxis.autorange": true };
  Plotly.relayout(chart.querySelector(".plot"), { ...axis, ...wide });
};
