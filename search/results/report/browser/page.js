// The rest of the page: wordings of rules, folded groups, the printer.

// A rule's wording stays inside the window.
const fit = (event) => {
  const tip = event.target.closest?.(".rule")?.querySelector(".tip");
  if (!tip || matchMedia("(max-width: 900px)").matches) return;
  tip.style.translate = "none";
  const room = root.clientWidth - 8 - tip.getBoundingClientRect().right;
  tip.style.translate = `${Math.min(0, room)}px`;
};
document.addEventListener("mouseover", fit);
document.addEventListener("focusin", fit);

// Folded groups open when the navigation leads into them. A printer gets every chart.
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
addEventListener("afterprint", () =>
  all(".plot.drawn").forEach((plot) => {
    Plotly.relayout(plot, { ...themed(plot.layout), width: null, autosize: true });
  }),
);
