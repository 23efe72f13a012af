"use strict";
const svgNamespace = "http://www.w3.org/2000/svg";
const list = document.getElementById("cases");
const cases = Array.from(list.children);
const search = document.getElementById("search");
const filter = document.getElementById("filter");
const sort = document.getElementById("sort");
const range = document.getElementById("range");
let chosenRange = null;

// Texts of the cohort reach the page through textContent and attributes alone: a name never becomes markup.
function svg(name, attributes, text) {
  const element = document.createElementNS(svgNamespace, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function outline(path, colour, scale, x) {
  const group = svg("g", { transform: `translate(${x} 0) scale(${scale})`, fill: "none", "stroke-linejoin": "round" });
  group.append(
    svg("path", { d: path, stroke: "#000", "stroke-opacity": 0.6, "stroke-width": 3 / scale }),
    svg("path", { d: path, stroke: colour, "stroke-width": 1.6 / scale }),
  );
  return group;
}

function strip(data) {
  const side = geometry.thumbnail, count = data.shown.length;
  const picture = svg("svg", { width: count * side, height: side + 22, viewBox: `0 0 ${count * side} ${side + 22}` });
  picture.append(svg("image", { href: "data:image/jpeg;base64," + data.strip_jpeg, width: count * side, height: side }));
  data.scores.forEach((score, n) => {
    const cell = svg("g", {});
    cell.append(svg("title", {}, score.words));
    if (data.outlines[n]) cell.append(outline(data.outlines[n], score.colour, 1 / geometry.units, n * side));
    cell.append(svg("rect", { x: n * side, y: 0, width: side, height: side, fill: "transparent", stroke: "#fff", "stroke-width": 2 }));
    cell.append(svg("rect", { x: n * side + 1, y: side, width: side - 2, height: 5, fill: score.colour, stroke: "#555", "stroke-width": 0.5 }));
    cell.append(svg("text", { x: n * side + 2, y: side + 18, fill: "#5b6470" }, score.index));
    cell.append(svg("text", { x: (n + 1) * side - 4, y: side + 18, "text-anchor": "end", "font-weight": 600, fill: "#16191d" }, score.label));
    picture.append(cell);
  });
  return picture;
}

function large(data, n) {
  const side = geometry.large, score = data.scores[data.shown.indexOf(data.large[n])];
  const figure = document.createElement("figure");
  const picture = svg("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": score.words });
  picture.append(svg("title", {}, score.words));
  picture.append(svg("image", { href: "data:image/jpeg;base64," + data.large_jpeg, x: -n * side, width: data.large.length * side, height: side }));
  const path = data.outlines[data.shown.indexOf(data.large[n])];
  if (path) picture.append(outline(path, score.colour, side / geometry.thumbnail / geometry.units, 0));
  const caption = document.createElement("figcaption");
  caption.textContent = score.words;
  figure.append(picture, caption);
  return figure;
}

// Pictures are decoded when a case comes near the screen, and let go when it is far again.
function draw(item) {
  const pictures = item.querySelector(".pictures");
  if (!pictures || pictures.dataset.drawn) return;
  const data = JSON.parse(item.querySelector("script").textContent);
  pictures.querySelector(".large").replaceChildren(...data.large.map((_, n) => large(data, n)));
  pictures.querySelector(".strip").replaceChildren(strip(data));
  pictures.dataset.drawn = "yes";
}

function erase(item) {
  const pictures = item.querySelector(".pictures");
  if (!pictures || !pictures.dataset.drawn) return;
  for (const part of pictures.children) {
    part.style.minHeight = part.offsetHeight + "px";
    part.replaceChildren();
  }
  delete pictures.dataset.drawn;
}

const observer = new IntersectionObserver(
  (entries) => { for (const entry of entries) entry.isIntersecting ? draw(entry.target) : erase(entry.target); },
  { rootMargin: "900px 0px" },
);
for (const item of cases) observer.observe(item);

const number = (item, key, missing) => item.dataset[key] === "" ? missing : Number(item.dataset[key]);
const byRank = (a, b) => number(a, "rank", 0) - number(b, "rank", 0);
const orders = {
  rank: byRank,
  worst: (a, b) => number(a, "worst", -1) - number(b, "worst", -1) || byRank(a, b),
  below: (a, b) => number(b, "below", 0) - number(a, "below", 0) || byRank(a, b),
  width: (a, b) => number(b, "width", 2) - number(a, "width", 2) || byRank(a, b),
  best: (a, b) => number(b, "dice", -1) - number(a, "dice", -1) || byRank(a, b),
  name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }) || byRank(a, b),
};
const filters = {
  all: () => true,
  low: (item) => number(item, "dice", 2) < threshold,
  slices: (item) => number(item, "below", 0) > 0,
  gaps: (item) => number(item, "gaps", 0) > 0,
  unscored: (item) => item.dataset.dice === "",
};

function inRange(item) {
  if (!chosenRange) return true;
  const dice = number(item, "dice", -1), [low, high] = chosenRange;
  return dice >= low && (dice < high || (high === 1 && dice === 1));
}

function refresh() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const item of cases) {
    const text = item.dataset.text.toLowerCase();
    const fits = filters[filter.value](item) && inRange(item) && words.every((word) => text.includes(word));
    item.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${cases.length}`;
  document.getElementById("nothing").hidden = shown > 0 || cases.length === 0;
}

function reorder() {
  list.append(...cases.slice().sort(orders[sort.value]));
}

function choose(bar) {
  const low = Number(bar.dataset.low), high = Number(bar.dataset.high);
  const again = chosenRange && chosenRange[0] === low;
  for (const other of document.querySelectorAll(".bar.chosen")) mark(other, false);
  chosenRange = again ? null : [low, high];
  if (!again) mark(bar, true);
  range.hidden = !chosenRange;
  range.textContent = chosenRange ? `Dice ${low.toFixed(2)} to ${high.toFixed(2)} ✕` : "";
  refresh();
}

function mark(bar, chosen) {
  bar.classList.toggle("chosen", chosen);
  bar.setAttribute("aria-pressed", chosen);
}

for (const bar of document.querySelectorAll(".histogram:first-child .bar")) {
  bar.setAttribute("role", "button");
  bar.setAttribute("tabindex", 0);
  mark(bar, false);
  bar.addEventListener("click", () => choose(bar));
  bar.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();  // a blank would scroll the page
    choose(bar);
  });
}
range.addEventListener("click", () => choose(document.querySelector(".bar.chosen")));
search.addEventListener("input", refresh);
filter.addEventListener("change", refresh);
sort.addEventListener("change", reorder);
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("beforeprint", () => { for (const item of cases) if (!item.hidden) draw(item); });
