// Learning curves of the trials that the reader picks.

const picks = new Map(
  all(".curves").map((node) => [node, [...data.curves[node.dataset.curves].picked]]),
);
const title = (number, trial) =>
  `trial ${number}${trial.title ? ` (${trial.title})` : ""}: ${trial.name}`;
const safe = (text) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const lines = (shown, trials, names) =>
  shown.flatMap((number, place) => {
    const trial = trials[number];
    const color = COLORS[place % COLORS.length];
    const epochs = trial.series.epoch;
    const traces = names
      .filter((name) => trial.series[name])
      .map((name) => ({
        type: "scatter",
        mode: "lines",
        x: epochs,
        y: trial.series[name],
        showlegend: false,
        line: { color, width: 2, dash: name === "train_loss" ? "dash" : "solid" },
        name: safe(`trial ${number}, ${name}`),
        hoverlabel: { namelength: -1 },
      }));
    const last = names.filter((name) => trial.series[name]).pop();
    const at = epochs.indexOf(trial.best);
    if (last && at >= 0)
      traces.push({
        type: "scatter",
        mode: "markers",
        x: [trial.best],
        y: [trial.series[last][at]],
        showlegend: false,
        marker: { color, size: 10, line: { width: 1 } },
        name: safe(`trial ${number}, best epoch`),
      });
    return traces;
  });
const drawCurves = (node) => {
  const { trials, metric } = data.curves[node.dataset.curves];
  const shown = picks.get(node);
  const select = node.querySelector("[data-do=add]");
  if (select.options.length === 1) {
    Object.entries(trials).forEach(([number, trial]) => {
      const verdict = trial.verdict ? `, ${trial.verdict}` : `, ${trial.state}`;
      const role = trial.title ? `${trial.title}, ` : "";
      const text = `trial ${number}${verdict}, ${role}${trial.name}`;
      select.append(
        make("option", { value: number }, text.length > 120 ? `${text.slice(0, 119)}…` : text),
      );
    });
    select.addEventListener("change", () => {
      if (select.value) pick(node, Number(select.value));
      select.value = "";
    });
  }
  node.querySelector(".chips").replaceChildren(
    ...shown.map((number, place) => {
      const trial = trials[number];
      const verdict = trial.verdict
        ? `${trial.verdict}: ${trial.why}`
        : `${trial.state}${trial.why ? `: ${trial.why}` : ""}`;
      const text = make("div", {}, make("b", {}, title(number, trial)), make("p", {}, verdict));
      if (trial.next) text.append(make("p", {}, `next: ${trial.next}`));
      const remove = make(
        "button",
        { type: "button", "aria-label": `Remove trial ${number}` },
        "Remove",
      );
      remove.addEventListener("click", () => {
        picks.set(
          node,
          shown.filter((other) => other !== number),
        );
        drawCurves(node);
      });
      return make("li", { style: `--chip:${COLORS[place % COLORS.length]}` }, text, remove);
    }),
  );
  const losses = shown.flatMap((number) =>
    ["train_loss", "val_loss"]
      .flatMap((name) => trials[number].series[name] ?? [])
      .filter((loss) => loss !== null),
  );
  const log = losses.length > 0 && losses.every((loss) => loss > 0);
  const decades = log ? Math.log10(Math.max(...losses) / Math.min(...losses)) : 0;
  const panel = (place, title, names, type) => {
    const drawn = lines(shown, trials, names);
    const isEmpty = shown.length > 0 && !drawn.some(({ y }) => y.some((value) => value !== null));
    const layout = {
      height: 360,
      margin: { l: 60, r: 14, t: 12, b: 50 },
      hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { title: { text: "epoch" } },
      yaxis: {
        title: { text: safe(title) },
        type,
        automargin: true,
        nticks: 8,
        exponentformat: "e",
        ...(type === "log" && decades > 1 ? { dtick: decades > 2 ? 1 : "D2" } : {}),
      },
      annotations: isEmpty ? [data.emptiness] : [],
    };
    draw(node.querySelector(place), { data: drawn, layout });
  };
  panel(".loss", "loss", ["train_loss", "val_loss"], log ? "log" : "linear");
  panel(".metric", metric, [metric], "linear");
};
const pick = (from, trial) => {
  const group = from.closest("details.group") ?? document;
  const node = from.closest(".curves") ?? group.querySelector(".curves");
  if (!node || !data.curves[node.dataset.curves].trials[trial]) return;
  if (!picks.get(node).includes(trial)) picks.get(node).push(trial);
  drawCurves(node);
  if (from !== node) node.scrollIntoView({ behavior: "smooth", block: "start" });
};
