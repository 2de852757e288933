// The page's behaviour: draws charts when they come into view, sorts and saves tables, picks curves.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLORS = ["#3b8fd0", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#8291a5", "#7b5cc4"];
  const ROWS = 100;
  const CONFIG = { displayModeBar: false, responsive: true };
  const root = document.documentElement;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(...children);
    return node;
  };

  // Themes: the style sheet has the colors, Plotly takes them from there.
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const themed = (layout) => {
    const color = getComputedStyle(document.body).color;
    const line = getComputedStyle(document.querySelector(".chart, details, .answer")).borderTopColor;
    const ink = { "font.color": color, "font.family": "system-ui, sans-serif" };
    for (const axis of ["xaxis", "yaxis"]) {
      if (layout[axis]) Object.assign(ink, {
        [`${axis}.gridcolor`]: line, [`${axis}.linecolor`]: line, [`${axis}.zerolinecolor`]: line,
      });
    }
    return ink;
  };
  const button = document.getElementById("theme");
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
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
    const yaxis = pressed && figure.zoom ? { ...figure.layout.yaxis, range: figure.zoom } : figure.layout.yaxis;
    draw(plot, { data: figure.data, layout: { ...figure.layout, yaxis } });
  };
  const show = (node) => (node.matches(".curves") ? drawCurves(node) : drawChart(node));
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { seen.unobserve(entry.target); show(entry.target); }
  }), { rootMargin: "600px" });
  all(".chart[id], .curves").forEach((node) => seen.observe(node));

  all(".figures").forEach((block) => {
    block.addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      if (!pressed) return;
      if (pressed.dataset.view) {
        all("[data-view]", block).forEach((one) => one.setAttribute("aria-pressed", one === pressed));
        all(".chart[id]", block).forEach((chart) => {
          drawChart(chart);
          range(chart, pressed.dataset.view === "near");
        });
      }
      const chart = pressed.closest(".chart");
      if (pressed.dataset.do === "reset") range(chart, false);
      if (pressed.dataset.do === "svg") {
        Plotly.downloadImage(chart.querySelector(".plot"), { format: "svg", filename: document.title, width: 900, height: 500 });
      }
    });
    const choice = block.querySelector("[data-do=choose]");
    if (choice) choice.addEventListener("change", () => {
      all(".chart[id]", block).forEach((chart) => { chart.hidden = chart.id !== choice.value; });
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

  // Learning curves
  const picks = new Map(all(".curves").map((node) => [node, [...data.curves[node.dataset.curves].picked]]));
  const title = (number, trial) => `trial ${number}${trial.title ? ` (${trial.title})` : ""}: ${trial.name}`;
  const safe = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const lines = (shown, trials, names) => shown.flatMap((number, place) => {
    const trial = trials[number];
    const color = COLORS[place % COLORS.length];
    const epochs = trial.series.epoch;
    const traces = names.filter((name) => trial.series[name]).map((name) => ({
      type: "scatter", mode: "lines", x: epochs, y: trial.series[name], showlegend: false,
      line: { color, width: 2, dash: name === "train_loss" ? "dash" : "solid" },
      name: safe(`trial ${number}, ${name}`), hoverlabel: { namelength: -1 },
    }));
    const last = names.filter((name) => trial.series[name]).pop();
    const at = epochs.indexOf(trial.best);
    if (last && at >= 0) traces.push({
      type: "scatter", mode: "markers", x: [trial.best], y: [trial.series[last][at]], showlegend: false,
      marker: { color, size: 10, line: { width: 1 } }, name: safe(`trial ${number}, best epoch`),
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
        const text = `trial ${number}${verdict}, ${trial.title ? `${trial.title}, ` : ""}${trial.name}`;
        select.append(make("option", { value: number }, text.length > 120 ? `${text.slice(0, 119)}…` : text));
      });
      select.addEventListener("change", () => {
        if (select.value) pick(node, Number(select.value));
        select.value = "";
      });
    }
    node.querySelector(".chips").replaceChildren(...shown.map((number, place) => {
      const trial = trials[number];
      const verdict = trial.verdict ? `${trial.verdict}: ${trial.why}` : `${trial.state}${trial.why ? `: ${trial.why}` : ""}`;
      const text = make("div", {}, make("b", {}, title(number, trial)), make("p", {}, verdict));
      if (trial.next) text.append(make("p", {}, `next: ${trial.next}`));
      const remove = make("button", { type: "button", "aria-label": `Remove trial ${number}` }, "Remove");
      remove.addEventListener("click", () => {
        picks.set(node, shown.filter((other) => other !== number));
        drawCurves(node);
      });
      return make("li", { style: `--chip:${COLORS[place % COLORS.length]}` }, text, remove);
    }));
    const losses = shown.flatMap((number) => ["train_loss", "val_loss"]
      .flatMap((name) => trials[number].series[name] ?? []).filter((loss) => loss !== null));
    const log = losses.length > 0 && losses.every((loss) => loss > 0);
    const wide = log && Math.max(...losses) > 100 * Math.min(...losses);
    const layout = (name, type) => ({
      height: 360, margin: { l: 60, r: 14, t: 12, b: 50 }, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: safe(name) }, type, automargin: true, nticks: 8, ...(type === "log" && wide ? { dtick: 1 } : {}) },
    });
    draw(node.querySelector(".loss"), { data: lines(shown, trials, ["train_loss", "val_loss"]), layout: layout("loss", log ? "log" : "linear") });
    draw(node.querySelector(".metric"), { data: lines(shown, trials, [metric]), layout: layout(metric, "linear") });
  };
  const pick = (from, trial) => {
    const group = from.closest("details.group") ?? document;
    const node = from.closest(".curves") ?? group.querySelector(".curves");
    if (!node || !data.curves[node.dataset.curves].trials[trial]) return;
    if (!picks.get(node).includes(trial)) picks.get(node).push(trial);
    drawCurves(node);
    if (from !== node) node.scrollIntoView({ behavior: "smooth", block: "start" });
  };

  // Tables
  const cells = (column) => column.values ?? column.codes.map((code) => (code === null ? null : column.words[code]));
  const shown = (value) => {
    if (value === null) return "";
    if (typeof value !== "number") return String(value);
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  };
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    const harmless = typeof value === "string" && /^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  const build = (details) => {
    const { columns, file } = data.tables[details.dataset.table];
    const names = columns.map((column) => column.name);
    const values = columns.map(cells);
    const numeric = values.map((column) => column.every((value) => value === null || typeof value === "number"));
    const every = [...(values[0] ?? []).keys()];
    const table = details.querySelector("table");
    const status = details.querySelector(".status");
    const more = details.querySelector(".more");
    const filter = details.querySelector("input");
    let order = every, sorted = null, up = true, limit = ROWS;
    const wanted = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      return order.filter((row) => words.every((word) => values.some((column) => String(column[row] ?? "").toLowerCase().includes(word))));
    };
    const body = make("tbody");
    const fill = () => {
      const rows = wanted();
      body.replaceChildren(...rows.slice(0, limit).map((row) => make("tr", {}, ...values.map((column, place) => {
        const value = column[row];
        const cell = make("td", numeric[place] ? { class: "number" } : {}, shown(value));
        if (numeric[place] && value !== null && shown(value) !== String(value)) cell.title = String(value);
        return cell;
      }))));
      more.hidden = rows.length <= limit;
      status.textContent = `${Math.min(limit, rows.length)} of ${every.length} rows`;
    };
    const heads = names.map((name, place) => {
      const press = make("button", { type: "button" }, name);
      const head = make("th", { scope: "col", ...(numeric[place] ? { class: "number" } : {}) }, press);
      press.addEventListener("click", () => {
        up = sorted === place ? !up : true;
        sorted = place;
        const column = values[place];
        order = [...every].sort((a, b) => {
          const [x, y] = [column[a], column[b]];
          if (x === null || y === null) return (x === null) - (y === null);
          const way = numeric[place] ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
          return up ? way : -way;
        });
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        fill();
      });
      return head;
    });
    table.replaceChildren(make("thead", {}, make("tr", {}, ...heads)), body);
    filter.addEventListener("input", () => { limit = ROWS; fill(); });
    const text = (separator) => [names, ...wanted().map((row) => values.map((column) => column[row]))]
      .map((line) => line.map(quoted).join(separator)).join("\n") + "\n";
    details.addEventListener("click", (event) => {
      const action = event.target.dataset?.do;
      if (action === "more") { limit += 5 * ROWS; fill(); }
      if (action === "csv") save(file, text(","));
      if (action === "copy") copy(text("\t")).then((done) => { status.textContent = done ? "copied" : "copying is not allowed here"; });
    });
    fill();
  };
  const save = (name, text) => {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make("textarea", { "aria-hidden": "true" });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  all("details.table").forEach((details) => {
    const once = () => { if (details.open && !details.dataset.built) { details.dataset.built = "1"; build(details); } };
    details.addEventListener("toggle", once);
    once();
  });
  all("[data-copy]").forEach((press) => press.addEventListener("click", () => copy(press.dataset.copy).then((done) => {
    press.textContent = done ? "Copied" : "Select it";
    setTimeout(() => { press.textContent = "Copy"; }, 1500);
  })));

  // A rule's wording stays inside the window.
  const fit = (event) => {
    const tip = event.target.closest?.(".rule")?.querySelector(".tip");
    if (!tip || matchMedia("(max-width: 900px)").matches) return;
    tip.style.translate = "none";
    tip.style.translate = `${Math.min(0, root.clientWidth - 8 - tip.getBoundingClientRect().right)}px`;
  };
  document.addEventListener("mouseover", fit);
  document.addEventListener("focusin", fit);

  // Folded groups open when the navigation leads into them; a printer gets every chart, in light colors.
  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    target?.closest("details.group")?.setAttribute("open", "");
    if (target?.matches("details.group")) target.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("beforeprint", () => {
    all(".chart[id]:not([hidden]), .curves").forEach(show);
    all(".plot.drawn").forEach((plot) => {
      const width = plot.closest(".small, .pair") ? 330 : 680;
      Plotly.relayout(plot, { ...themed(plot.layout), width });
    });
  });
  addEventListener("afterprint", () => all(".plot.drawn").forEach((plot) => {
    Plotly.relayout(plot, { ...themed(plot.layout), width: null, autosize: true });
  }));
})();
