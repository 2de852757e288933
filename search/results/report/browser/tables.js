// Tables: sorted, filtered, copied, saved.

const shown = (value) => {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
};
const quoted = (value) => {
  const text = value === null ? "" : String(value);
  const harmless =
    typeof value === "string" && /^[=+\-@]/.test(text) && Number.isNaN(Number(text))
      ? `'${text}`
      : text;
  return /[",\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
};
const build = (details) => {
  const { columns, file } = data.tables[details.dataset.table];
  const names = columns.map((column) => column.name);
  const values = columns.map((column) => column.values);
  const numeric = values.map((column) =>
    column.every((value) => value === null || typeof value === "number"),
  );
  const every = [...(values[0] ?? []).keys()];
  const table = details.querySelector("table");
  const status = details.querySelector(".status");
  const more = details.querySelector(".more");
  const filter = details.querySelector("input");
  let order = every,
    sorted = null,
    up = true,
    limit = ROWS;
  const wanted = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    return order.filter((row) =>
      words.every((word) =>
        values.some((column) =>
          String(column[row] ?? "")
            .toLowerCase()
            .includes(word),
        ),
      ),
    );
  };
  const body = make("tbody");
  const fill = () => {
    const rows = wanted();
    body.replaceChildren(
      ...rows.slice(0, limit).map((row) =>
        make(
          "tr",
          {},
          ...values.map((column, place) => {
            const value = column[row];
            const cell = make("td", numeric[place] ? { class: "number" } : {}, shown(value));
            if (numeric[place] && value !== null && shown(value) !== String(value))
              cell.title = String(value);
            return cell;
          }),
        ),
      ),
    );
    more.hidden = rows.length <= limit;
    status.textContent = `${Math.min(limit, rows.length)} of ${every.length} rows`;
  };
  const heads = names.map((name, place) => {
    const press = make("button", { type: "button" }, name);
    const head = make(
      "th",
      { scope: "col", ...(numeric[place] ? { class: "number" } : {}) },
      press,
    );
    press.addEventListener("click", () => {
      up = sorted === place ? !up : true;
      sorted = place;
      const column = values[place];
      order = [...every].sort((a, b) => {
        const [x, y] = [column[a], column[b]];
        if (x === null || y === null) return (x === null) - (y === null);
        const way = numeric[place]
          ? x - y
          : String(x).localeCompare(String(y), undefined, { numeric: true });
        return up ? way : -way;
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      fill();
    });
    return head;
  });
  table.replaceChildren(make("thead", {}, make("tr", {}, ...heads)), body);
  filter.addEventListener("input", () => {
    limit = ROWS;
    fill();
  });
  const text = (separator) =>
    [names, ...wanted().map((row) => values.map((column) => column[row]))]
      .map((line) => line.map(quoted).join(separator))
      .join("\n") + "\n";
  details.addEventListener("click", (event) => {
    const action = event.target.dataset?.do;
    if (action === "more") {
      limit += 5 * ROWS;
      fill();
    }
    if (action === "csv") save(file, text(","));
    if (action === "copy")
      copy(text("\t")).then((done) => {
        status.textContent = done ? "copied" : "copying is not allowed here";
      });
  });
  fill();
};
const save = (name, text) => {
  const link = make("a", {
    download: name,
    href: URL.createObjectURL(new Blob([text], { type: "text/csv" })),
  });
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
  const once = () => {
    if (details.open && !details.dataset.built) {
      details.dataset.built = "1";
      build(details);
    }
  };
  details.addEventListener("toggle", once);
  once();
});
all("[data-copy]").forEach((press) =>
  press.addEventListener("click", () =>
    copy(press.dataset.copy).then((done) => {
      press.textContent = done ? "Copied" : "Select it";
      setTimeout(() => {
        press.textContent = "Copy";
      }, 1500);
    }),
  ),
);
