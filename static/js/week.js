// The week as a grid: drag from start to end, or move with the arrow keys. Buttons without this.
const say = document.getElementById("say");
const week = () => document.getElementById("week");
const columns = () => [...document.querySelectorAll(".week .col")];
const cells = (column) => [...column.children].slice(1);
const FREE = ".week .col > :enabled";
let drag = null;
let before = null;

function choose(value, minutes) {
  const form = document.getElementById("choose");
  const field = form.elements.minutes;
  if (minutes) {
    if (![...field.options].some((option) => option.value === String(minutes))) field.add(new Option(minutes, minutes));
    field.value = minutes;
  }
  const at = document.getElementById("at");
  at.value = value;
  at.disabled = false;
  form.requestSubmit();
  at.disabled = true;
}

// One stop for the tab key; the arrows do the rest.
function rove(target) {
  const free = [...document.querySelectorAll(FREE)];
  const current = target ?? free.find((cell) => cell.matches(".a")) ?? free[0];
  for (const cell of free) cell.tabIndex = cell === current ? 0 : -1;
}

function place(cell) {
  const column = columns().indexOf(cell.parentElement);
  return [column, column < 0 ? -1 : cells(cell.parentElement).indexOf(cell)];
}

// The next free cell in a direction.
function step(cell, across, along) {
  const all = columns();
  let [column, row] = place(cell);
  for (;;) {
    column += across;
    row += along;
    const next = all[column] && cells(all[column])[row];
    if (!next || next.matches(":enabled")) return next;
  }
}

// From the first cell to the last, as far as all between can be had.
function stretch(from, to) {
  const all = cells(from.parentElement);
  const start = all.indexOf(from);
  const end = Math.max(start, all.indexOf(to));
  const stop = all.findIndex((cell, i) => i > start && cell.matches(".t, .x, .p"));
  return all.slice(start, Math.min(end + 1, stop < 0 ? all.length : stop));
}

function paint(found) {
  for (const cell of document.querySelectorAll(".drag")) cell.classList.remove("drag");
  for (const cell of found) cell.classList.add("drag");
}

document.addEventListener("pointerdown", (event) => {
  const cell = event.target.closest?.(FREE);
  if (cell && event.button === 0 && event.pointerType !== "touch") drag = { from: cell, found: [cell] };
});
document.addEventListener("pointermove", (event) => {
  const over = drag && document.elementFromPoint(event.clientX, event.clientY)?.closest(".col > *");
  if (!over) return;
  drag.found = stretch(drag.from, over);
  if (drag.found.length > 1) paint(drag.found);
});
document.addEventListener("pointerup", () => {
  if (drag?.found.length > 1) {
    const { unit, min } = week().dataset;
    choose(drag.from.value, Math.max(drag.found.length * unit, min));
    // The click that follows a drag within one cell's neighbours is part of the drag.
    const swallow = (click) => { click.preventDefault(); click.stopPropagation(); };
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => { removeEventListener("click", swallow, true); paint([]); }, 300);
  }
  drag = null;
});
document.addEventListener("pointercancel", () => { drag = null; paint([]); });

const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".col > button");
  const move = MOVES[event.key];
  if (!cell || !move) return;
  event.preventDefault();
  if (event.shiftKey) return move[1] && lengthen(move[1]);
  const next = step(cell, ...move);
  if (!next) return;
  rove(next);
  next.focus();
});

// Shift and an arrow: the chosen time ends a step later or earlier.
function lengthen(direction) {
  const chosen = document.querySelector(".col > .a");
  if (!chosen) return;
  const { step: by, min, max } = week().dataset;
  const minutes = Number(document.getElementById("choose").elements.minutes.value) + direction * by;
  if (minutes >= min && minutes <= max) choose(chosen.value, minutes);
}

// A press of "Hold it" means the choice that its panel shows: none while a newer one is on its way.
const holdable = (is) => { for (const button of document.querySelectorAll("#picked .go")) button.disabled = !is; };
document.addEventListener("htmx:beforeRequest", (event) => { if (event.target.id === "choose") holdable(false); });
document.addEventListener("htmx:afterRequest", (event) => { if (event.target.id === "choose" && !event.detail.successful) holdable(true); });

// While the page keeps itself current: focus stays where it was, and what has gone fades.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (drag && event.target.id === "week") event.detail.shouldSwap = false;
  before = { focus: place(document.activeElement), free: columns().map((c) => cells(c).map((x) => x.matches(":enabled"))) };
});
document.addEventListener("htmx:afterSettle", (event) => {
  const all = columns();
  const [column, row] = before?.focus ?? [-1, -1];
  const focused = row < 0 ? null : cells(all[column])[row];
  const target = focused && (focused.matches(":enabled") ? focused : step(focused, 0, 1) ?? step(focused, 0, -1));
  rove(target ?? undefined);
  if (target && document.activeElement === document.body) target.focus({ preventScroll: true });
  if (event.target.id === "week") fade(all);
  const told = document.getElementById("picked")?.dataset.say ?? "";
  if (say && say.textContent !== told) say.textContent = told;
});

function fade(all) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  all.forEach((column, i) => cells(column).forEach((cell, j) => {
    if (cell.matches(".t") && before?.free[i]?.[j]) cell.animate({ opacity: [0, 1] }, 180);
  }));
}

rove();
