"use strict";
// The list of episodes: filter, search, sort, pages, two chosen. Its state stands in the address.
const PER_PAGE = 50;
const SHOWN = {
  task_id: "task", suite: "suite", category: "category", policy: "policy", sample: "sample",
  outcome: "outcome", reward: "reward", turns: "turns", duration_s: "time, s", tokens: "tokens",
  end_reason: "ended by",
};
const NUMBERS = new Set(["sample", "reward", "turns", "duration_s", "tokens"]);
const FILTERS = ["suite", "category", "policy", "outcome", "finding"];
const byId = (id) => document.getElementById(id);
let data = { columns: [], rows: [], prompts: [] };
let found = [];
let state = { q: "", sort: "", down: false, page: 0 };
let chosen = [];
let lines = new Map();  // table rows that were made, by episode
let lowerPrompts = [];
let typing = 0;
let addressing = 0;

function load(content) {
  data = content;
  data.at = Object.fromEntries(data.columns.map((name, place) => [name, place]));
  const { at, prompts } = data;
  lines = new Map();
  lowerPrompts = prompts.map((prompt) => prompt.toLowerCase());
  const searched = ["episode_id", "suite", "category", "task_id", "policy", "outcome", "end_reason", "error", "finding"]
    .map((name) => at[name]);
  for (const row of data.rows) {
    row.text = searched.map((place) => row[place] ?? "").join(" ").toLowerCase();
  }
  for (const name of FILTERS) fillSelect(byId(name), name);
  head();
  readAddress();
}

function fillSelect(select, name) {
  const kept = select.value;
  const values = [...new Set(data.rows.flatMap((row) => row[data.at[name]]))].sort();
  select.parentElement.hidden = values.length === 0;
  select.replaceChildren(new Option("all", ""), ...values.map((value) => new Option(value, value)));
  select.value = values.includes(kept) ? kept : "";
}

function head() {
  const row = document.createElement("tr");
  row.append(cell("th", "choose"));
  for (const [name, title] of Object.entries(SHOWN)) {
    const header = document.createElement("th");
    header.scope = "col";
    header.dataset.name = name;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => {
      state.down = state.sort === name ? !state.down : NUMBERS.has(name);
      state.sort = name;
      state.page = 0;
      update();
    });
    header.append(button);
    row.append(header);
  }
  byId("list").tHead.replaceChildren(row);
}

function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (kind === "th") made.scope = "col";
  return made;
}

function filter() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = FILTERS.map((name) => [data.at[name], byId(name).value]).filter(([, value]) => value);
  found = data.rows.filter(
    (row) => wanted.every(([place, value]) => row[place] === value
        || (Array.isArray(row[place]) && row[place].includes(value)))
      && words.every((word) => row.text.includes(word)
        || (lowerPrompts[row[data.at.prompt]] ?? "").includes(word)),
  );
  if (state.sort) {
    const place = data.at[state.sort];
    const way = state.down ? -1 : 1;
    found.sort((a, b) => {
      const [x, y] = [a[place], b[place]];
      if (x === y) return 0;
      if (x === null) return 1;  // what was not measured comes last, whichever way
      if (y === null) return -1;
      return (x < y ? -1 : 1) * way;
    });
  }
}

// A row is made once and kept: a key that is pressed costs only rows that were not seen before.
function lineOf(row) {
  const { at } = data;
  const id = row[at.episode_id];
  let line = lines.get(id);
  if (!line) {
    line = document.createElement("tr");
    const choice = document.createElement("input");
    choice.type = "checkbox";
    choice.setAttribute("aria-label", `Choose ${row[at.task_id]} by ${row[at.policy]} to compare`);
    choice.addEventListener("change", () => choose(id, choice.checked));
    line.append(cell("td", ""));
    line.firstChild.append(choice);
    for (const name of Object.keys(SHOWN)) {
      const value = row[at[name]];
      const made = cell("td", value === null ? "–" : String(value));
      if (NUMBERS.has(name)) made.className = "number";
      if (name === "task_id") {
        const link = document.createElement("a");
        link.href = `episodes/${id}.html`;
        link.textContent = value;
        link.title = data.prompts[row[at.prompt]] ?? "";
        made.replaceChildren(link);
      } else if (name === "outcome") {
        const badge = document.createElement("span");
        badge.className = `outcome ${value}`;
        badge.textContent = value;
        made.replaceChildren(badge);
      } else if (name === "end_reason" && row[at.error]) {
        made.title = row[at.error];
      }
      line.append(made);
    }
    lines.set(id, line);
  }
  line.querySelector("input").checked = chosen.includes(id);
  return line;
}

function draw() {
  const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const shown = found.slice(state.page * PER_PAGE, (state.page + 1) * PER_PAGE).map(lineOf);
  const body = byId("list").tBodies[0];
  const before = [...body.children];
  if (shown.length !== before.length || shown.some((line, place) => line !== before[place])) {
    body.replaceChildren(...shown);
  }
  for (const header of byId("list").tHead.querySelectorAll("th[data-name]")) {
    if (header.dataset.name !== state.sort) header.removeAttribute("aria-sort");
    else header.setAttribute("aria-sort", state.down ? "descending" : "ascending");
  }
  byId("count").textContent = `${found.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} episodes`;
  byId("page").textContent = `page ${state.page + 1} of ${pages}`;
  byId("before").disabled = state.page === 0;
  byId("after").disabled = state.page === pages - 1;
}

function choose(id, on) {
  chosen = chosen.filter((other) => other !== id);
  if (on) chosen = [...chosen, id].slice(-2);
  byId("compare").hidden = chosen.length !== 2;
  byId("compare").href = `compare.html#${chosen.join(",")}`;
  draw();
}

function update() {
  writeAddress();
  filter();
  draw();
}

function writeAddress() {
  const address = new URLSearchParams();
  if (state.q) address.set("q", state.q);
  for (const name of FILTERS) if (byId(name).value) address.set(name, byId(name).value);
  if (state.sort) address.set("sort", (state.down ? "-" : "") + state.sort);
  history.replaceState(null, "", address.size ? `#${address}` : location.pathname + location.search);
}

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  state.q = byId("q").value = address.get("q") ?? "";
  for (const name of FILTERS) byId(name).value = address.get(name) ?? "";
  const sort = address.get("sort") ?? "";
  state.down = sort.startsWith("-");
  state.sort = sort.replace(/^-/, "") in SHOWN ? sort.replace(/^-/, "") : "";
  filter();
  draw();
}

byId("q").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.q = byId("q").value;
    state.page = 0;
    filter();
    draw();
    clearTimeout(addressing);
    addressing = setTimeout(writeAddress, 300);  // browsers refuse a page that writes it too often
  }, 40);  // keys in quick succession are one search
});
for (const name of FILTERS) byId(name).addEventListener("change", () => { state.page = 0; update(); });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(() => { state.q = ""; state.page = 0; update(); }));
byId("before").addEventListener("click", () => { state.page -= 1; draw(); });
byId("after").addEventListener("click", () => { state.page += 1; draw(); });
window.addEventListener("hashchange", readAddress);

async function follow() {
  let tag = "";
  for (;;) {
    try {
      const answer = await fetch("episodes.json", { headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") ?? "";
        const { page } = state;
        load(await answer.json());
        state.page = page;
        draw();
      }
    } catch {
      byId("count").textContent = "The server has stopped; run `benchside view` again.";
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

if (document.body.dataset.live) follow();
else load(EPISODES);
