// What all of the page's scripts share: its data, and making elements.

const data = JSON.parse(document.getElementById("data").textContent);
const COLORS = [
  "#3b8fd0",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#b58900",
  "#56b4e9",
  "#8291a5",
  "#7b5cc4",
];
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
